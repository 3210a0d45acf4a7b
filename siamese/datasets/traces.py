"""Recorded strokes: those of Omniglot's pen, matched between the people who drew the same character.

So a new character made of them is drawn as people draw: its strokes vary as they did in twenty hands.
"""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Generator, Tensor

from siamese.datasets.strokes import DOT_SIZE, STROKES, Hands, Library, Programs, rotated
from siamese.errors import DataError

POINTS = 49  # of a stroke
WHOLE = (0.0, 1.0)
_CANVAS = 105  # sides of the files' canvas
_FAR = 0.2  # mean distance, in sides of the character, from which on two strokes are not the same
_STRAYS = 0.15  # share of the strokes that another hand draws than the rest of the character
_LONG, _SMALL = 2.2, 0.25  # strokes that are this much longer than their box, and no smaller, are halved as well
_DOT = 0.05  # what is smaller is a dot, of which alphabets have their own


class Traces(Library):
    """``L`` strokes, each as ``D`` people drew it, and the characters that they are of.

    Args:
        points: ``float32 [L, D, S, 2]``, centred, the longer side of their boxes 1 on the average.
        exact: ``float32 [L, S, 2]``, the most usual of them.
        sizes: ``float32 [L]``, the longer side of a stroke's box, as a share of its character's.
        groups: ``int64 [L]``, which alphabet it comes from.
        characters: the columns of their :class:`Programs`, by name.
        character_groups: ``int64`` for each of these the alphabet.
    """

    slips = 0.6

    def __init__(
        self,
        points: Tensor,
        exact: Tensor,
        sizes: Tensor,
        groups: Tensor,
        characters: dict[str, Tensor],
        character_groups: Tensor,
    ) -> None:
        self.points, self.exact, self.sizes, self.groups = points, exact, sizes, groups
        self.characters, self.character_groups = Programs(self, **characters), character_groups
        self.ends = torch.full((len(points),), points.shape[2] - 1)

    def __len__(self) -> int:
        return len(self.points)

    def some(self, count: int, random: Generator) -> tuple[Tensor, Tensor]:
        """Up to ``count`` strokes, and all characters, one time in two of one alphabet, else of all.

        Returns:
            their indices, each ``int64``.
        """
        one, any_group = torch.rand(2, generator=random)
        names = self.groups.unique()
        of = names[int(one * len(names))]
        strokes, characters = (
            torch.arange(len(groups)) if any_group < 0.5 else (groups == of).nonzero().flatten()
            for groups in (self.groups, self.character_groups)
        )
        return strokes[torch.randperm(len(strokes), generator=random)[:count]], characters

    def drawn(self, strokes: Tensor, mirrored: Tensor, turned: Tensor, hands: Hands, random: Generator) -> Tensor:
        """See :meth:`Library.drawn`; hands without noise draw what is exact."""
        people = self.points.shape[1]
        other = torch.randint(people, strokes.shape, generator=random)
        stray = torch.rand(strokes.shape, generator=random) < _STRAYS
        drawer = torch.where(stray, other, hands.drawers.unsqueeze(1) % people)
        still = (hands.mess == 0).view(-1, 1, 1, 1)
        points = torch.where(still, self.exact[strokes], self.points[strokes, drawer])
        upright = torch.stack([torch.ones_like(mirrored), mirrored], -1)
        return rotated(points * upright.unsqueeze(2), turned.unsqueeze(-1))


def read_traces(path: Path, alphabets: Sequence[str]) -> Traces:
    """The strokes of some alphabets in one of Omniglot's zips of strokes, long ones also by halves.

    Raises DataError for a zip that is damaged, or lacks an alphabet, or has no character of few strokes.
    """
    found: list[tuple[np.ndarray, np.ndarray, float, int]] = []
    programs: list[dict[str, np.ndarray]] = []
    of: list[int] = []
    for group, name in enumerate(alphabets):
        for drawings in _characters(path, name):
            matched, usual = _matched(drawings)
            program = _program(usual[:STROKES])
            for number, (strokes, best) in enumerate(zip(matched, usual, strict=True)):
                for part in _parts(best):
                    own = np.stack([each if part == WHOLE else _along(each, *part) for each in (*strokes, best)])
                    low, high = own.min(1, keepdims=True), own.max(1, keepdims=True)
                    size = float((high - low).max(-1)[:-1].mean())
                    own = (own - (low + high) / 2) / size
                    if part == WHOLE and number < STROKES:
                        program["strokes"][number], program["sizes"][number] = len(found), size
                    found.append((own[:-1], own[-1], size, group))
            if len(usual) <= STROKES:
                programs.append(program)
                of.append(group)
    if not programs:
        raise DataError(f"{path}: no character of {', '.join(alphabets)} has at most {STROKES} strokes")
    points, exact, sizes, groups = zip(*found, strict=True)
    columns = {name: torch.from_numpy(np.stack([program[name] for program in programs])) for name in programs[0]}
    return Traces(
        torch.from_numpy(np.stack(points)).float(),
        torch.from_numpy(np.stack(exact)).float(),
        torch.tensor(sizes),
        torch.tensor(groups),
        columns,
        torch.tensor(of),
    )


def _program(strokes: np.ndarray) -> dict[str, np.ndarray]:
    """How the strokes ``[n, POINTS, 2]`` of a character are tied together: a row of the columns of :class:`Programs`.

    Each is tied to the earlier stroke that it comes nearest to, where it does. Which strokes of the library they are, and how
    large, is left to be filled in; dots stay as they are here.
    """
    filled: dict[str, np.ndarray] = {
        "strokes": np.zeros(STROKES, np.int64),
        "mirrored": np.ones(STROKES, np.float32),
        "turned": np.zeros(STROKES, np.float32),
        "sizes": np.zeros(STROKES, np.float32),
        "parents": np.zeros((STROKES, 2), np.int64),
        "joints": np.zeros((STROKES, 2), np.float32),
        "offsets": np.zeros((STROKES, 2), np.float32),
        "bridges": np.full(STROKES, -1.0, np.float32),
    }
    filled["sizes"][: len(strokes)] = DOT_SIZE
    for own in range(1, len(strokes)):
        gaps = strokes[own][None, None] - strokes[:own, :, None]  # [earlier, their points, own points, 2]
        apart = np.linalg.norm(gaps, axis=-1)
        parent, there, here = np.unravel_index(apart.argmin(), apart.shape)
        filled["parents"][own] = parent
        filled["joints"][own] = there / (POINTS - 1), here / (POINTS - 1)
        filled["offsets"][own] = gaps[parent, there, here]
    return filled


def _characters(path: Path, alphabet: str) -> list[list[list[np.ndarray]]]:
    """Each character of an alphabet as its people drew it: strokes ``float64 [n, 2]`` within -0.5..0.5, y pointing down."""
    characters: dict[str, list[list[np.ndarray]]] = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for name in sorted(archive.namelist()):
                folders = name.split("/")
                if folders[-3:-2] == [alphabet] and name.endswith(".txt") and folders[0] != "__MACOSX":
                    characters.setdefault(folders[-2], []).append(_drawing(archive.read(name).decode()))
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise DataError(f"{path} is not a readable zip of strokes ({error}); delete it and fetch it again") from error
    if not characters:
        raise DataError(f"{path} holds no strokes of {alphabet}")
    return list(characters.values())


def _drawing(text: str) -> list[np.ndarray]:
    """The strokes of one file: lines of x, y, time; ``BREAK`` ends each. Centred, the longer side of their box 1."""
    strokes = []
    for block in text.removeprefix("START").split("BREAK"):
        if lines := block.split():
            strokes.append(np.array([line.split(",")[:2] for line in lines], dtype=float) * [1, -1])
    every = np.concatenate(strokes)
    low, high = every.min(0), every.max(0)
    side = max((high - low).max(), 0.1 * _CANVAS)
    return [_along((stroke - (low + high) / 2) / side, *WHOLE) for stroke in strokes]


def _along(stroke: np.ndarray, first: float, last: float) -> np.ndarray:
    """``[POINTS, 2]``: points at equal distances of the part of a stroke from ``first`` to ``last``, shares of its length."""
    walked = np.r_[0.0, np.linalg.norm(np.diff(stroke, axis=0), axis=1).cumsum()]
    at = walked[-1] * np.linspace(first, last, POINTS)
    return np.stack([np.interp(at, walked, column) for column in stroke.T], 1)


def _matched(drawings: list[list[np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """The strokes of a character, matched between those who drew it with as many strokes as most did.

    Returns:
        ``[n, D, POINTS, 2]``, the ``n`` strokes of all ``D`` people, other people's in place of those that were not matched;
        ``[n, POINTS, 2]``, those of the person whom the others are nearest to.
    """
    counts = [len(strokes) for strokes in drawings]
    most = int(np.bincount(counts).argmax())
    people = [person for person, count in enumerate(counts) if count == most]
    strokes = np.stack([np.stack(drawings[person]) for person in people])  # [V, n, POINTS, 2]
    few = strokes[:, :, ::6]
    ahead, back = (
        np.linalg.norm(few[:, None, :, None] - other[None, :, None], axis=-1).mean(-1)
        for other in (few, few[:, :, ::-1])
    )
    apart = np.minimum(ahead, back)  # [V, V, n, n]
    matches = [[linear_sum_assignment(pair)[1] for pair in row] for row in apart]
    total = [
        sum(row[k][np.arange(most), match].sum() for k, match in enumerate(matches[v])) for v, row in enumerate(apart)
    ]
    usual = int(np.argmin(total))
    found = np.full((most, len(drawings), POINTS, 2), np.nan)
    for k, person in enumerate(people):
        for stroke, match in enumerate(matches[usual][k]):
            if apart[usual, k, stroke, match] <= _FAR:
                turned = back[usual, k, stroke, match] < ahead[usual, k, stroke, match]
                found[stroke, person] = strokes[k, match][:: -1 if turned else 1]
    for people_of in found:  # the usual person's is always there
        there = np.isfinite(people_of[:, 0, 0]).nonzero()[0]
        missing = np.isnan(people_of[:, 0, 0]).nonzero()[0]
        people_of[missing] = people_of[there[np.arange(len(missing)) % len(there)]]
    return found, strokes[usual]


def _parts(stroke: np.ndarray) -> list[tuple[float, float]]:
    """The whole of a stroke ``[POINTS, 2]``, and if it winds, its halves; nothing of a dot."""
    length = np.linalg.norm(np.diff(stroke, axis=0), axis=1).sum()
    side = np.ptp(stroke, axis=0).max()
    if side < _DOT:
        return []
    return [WHOLE, *([(0.0, 0.5), (0.5, 1.0)] if side > _SMALL and length > _LONG * side else [])]
