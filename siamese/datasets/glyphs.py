"""Glyphs: generated alphabets in the shape of Omniglot, needing no download.

Characters are motor programs of pen strokes (see ``strokes.py`` and ``alphabets.py``); every drawer carries each of
them out in an own hand. It is a stand-in where Omniglot cannot be had, and a material to pre-train on.
A figure measured on it says nothing about Omniglot and is labelled with its own name.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from tqdm import tqdm

from siamese.datasets import omniglot_lists
from siamese.datasets.alphabets import alphabet
from siamese.datasets.base import DataSet, Splits, cached_table
from siamese.datasets.ink import render
from siamese.datasets.pictures import Preprocessing
from siamese.datasets.registry import fetch
from siamese.datasets.strokes import Hands, Programs, box, inked, trace
from siamese.datasets.traces import Traces, read_traces
from siamese.errors import UserError
from siamese.sampling.seeds import generator
from siamese.tables import Table

VERSION = 1  # To be raised whenever equal arguments no longer give equal images.
TRACES = 1  # The same for those of recorded strokes.
_PEN = 5.2 / 105  # the pen's width, as a share of the canvas's side
_MARGIN = 0.5 / 105 + _PEN  # what is kept free of the middle of the pen, so that all ink is on the canvas


class Glyphs(DataSet):
    """Generated alphabets of characters, each drawn by several drawers.

    The default has Omniglot's shape: 50 alphabets, 1,623 characters, 20 drawers, 32,460 images of 105×105.

    Args:
        alphabets: how many alphabets (groups), at least 3; 3/5 of them are for training, 1/5 each for val and test.
        characters: the least and the most characters (classes) of an alphabet. They lie in between, 45 % of the way
            up on average, as Omniglot's do.
        drawers: how many drawers (sources) draw every character of an alphabet. Each alphabet has drawers of its own.
        size: height and width of an image in pixels.
        seed: another seed gives other alphabets; equal arguments give equal images.
        strokes: alphabets of Omniglot's ``small1`` or ``small2``, or that name for all five: the characters are
            made of their pen strokes, each as twenty people drew it. None invents all strokes, which needs no download.
    """

    def __init__(
        self,
        alphabets: int = 50,
        characters: tuple[int, int] = (14, 55),
        drawers: int = 20,
        size: int = 105,
        seed: int = 0,
        strokes: str | list[str] | None = None,
    ) -> None:
        least, most = characters
        if alphabets < 3:
            raise UserError(f"Glyphs needs at least 3 alphabets, one each for train, val and test; not {alphabets}")
        if not 1 <= least <= most:
            raise UserError(f"Glyphs needs characters: [least, most] with 1 <= least <= most; not [{least}, {most}]")
        if drawers < 1 or size < 8 or seed < 0:
            raise UserError(f"Glyphs needs drawers >= 1, size >= 8, seed >= 0; not {drawers}, {size}, {seed}")
        self.alphabets, self.characters, self.drawers = alphabets, (least, most), drawers
        self.size, self.seed = size, seed
        self.strokes = None if strokes is None else omniglot_lists.resolve(strokes)
        self.recorded_in = None if self.strokes is None else omniglot_lists.minimal(self.strokes)

    @property
    def name(self) -> str:
        return "glyphs" if self.strokes is None else "glyphs of recorded strokes"

    def load(self) -> Table:
        """The table, drawn at the first call and cached; classes, groups and sources as in the class's description."""
        least, most = self.characters
        key = f"glyphs-v{VERSION}-{self.alphabets}x{least}to{most}x{self.drawers}-{self.size}px-seed{self.seed}"
        if self.strokes is not None:
            key += f"-strokes-v{TRACES}-{'-'.join(sorted(self.strokes))}"
        return cached_table(key, self._draw)

    def split(self, table: Table) -> Splits:
        """By alphabet, in order: 3/5 train, the next 1/5 val, the last 1/5 test; each has at least one."""
        names = table.group_names
        fifth = max(1, round(len(names) / 5))
        train, val = len(names) - 2 * fifth, len(names) - fifth
        return Splits(table.of_groups(names[:train]), table.of_groups(names[train:val]), table.of_groups(names[val:]))

    def preprocessing(self, table: Table) -> Preprocessing:
        return dataclasses.replace(super().preprocessing(table), invert=True)  # people draw dark ink on light paper

    def _draw(self) -> Table:
        counts = _counts(self.alphabets, *self.characters, generator(self.seed, VERSION))
        numbers = tqdm(range(self.alphabets), desc="drawing glyphs", unit="alphabet")
        recorded = None
        if self.strokes is not None:
            recorded = read_traces(
                fetch("omniglot", f"strokes_background_{self.recorded_in}.zip"), sorted(self.strokes)
            )
        with one_thread():
            images = [
                draw(counts[i], self.drawers, self.size, generator(self.seed, VERSION, i), recorded) for i in numbers
            ]
        group_names = [f"Glyphs-{i + 1:02d}" for i in range(self.alphabets)]
        class_names = [
            f"{group}/character{k + 1:02d}" for group, n in zip(group_names, counts, strict=True) for k in range(n)
        ]
        labels = torch.arange(len(class_names)).repeat_interleave(self.drawers)
        sources = torch.arange(self.drawers).repeat(len(class_names))
        groups = torch.arange(self.alphabets).repeat_interleave(torch.tensor(counts) * self.drawers)
        marks = zip(labels.tolist(), sources.tolist(), strict=True)
        return Table(
            name=self.name,
            images=torch.cat(images),
            labels=labels,
            groups=groups,
            sources=sources,
            class_names=tuple(class_names),
            group_names=tuple(group_names),
            file_names=tuple(f"{class_names[label]}/{label + 1:04d}_{source + 1:02d}.png" for label, source in marks),
        )


@contextmanager
def one_thread() -> Iterator[None]:
    """Torch on one thread: the tensors are small, and threads that wait for one another can cost ten times as much."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _counts(alphabets: int, least: int, most: int, random: Generator) -> list[int]:
    """Characters of each alphabet: by chance within ``least..most``, but the total is what the share of 45 % says."""
    total = round(alphabets * (least + 0.4502 * (most - least)))
    counts = torch.randint(least, most + 1, (alphabets,), generator=random)
    while (missing := total - int(counts.sum())) != 0:
        room = (counts < most) if missing > 0 else (counts > least)
        free = room.nonzero().flatten()
        chosen = free[torch.randperm(len(free), generator=random)[: abs(missing)]]
        counts[chosen] += 1 if missing > 0 else -1
    return counts.tolist()


@dataclass(frozen=True)
class Script:
    """An alphabet as it is to be drawn.

    Attributes:
        programs: of its ``C`` characters.
        scales: ``float32 [C]``, the canvas's sides that a unit of each program usually has.
        middles: ``float32 [C, 2]``, the middle of each character's box, (x, y).
    """

    programs: Programs
    scales: Tensor
    middles: Tensor


def script(characters: int, random: Generator, recorded: Traces | None = None) -> Script:
    """A new alphabet of so many characters, of invented strokes or of ``recorded`` ones."""
    programs, extent = alphabet(characters, random, recorded)
    exact = trace(programs, Hands.exact(characters), random).flatten(1, 2)
    low, high = box(exact, inked(programs).flatten(1))
    # Bigger characters are drawn bigger, but by far less than in proportion: people fill the space they are given.
    side = (high - low).amax(-1)
    usual = extent * (side / side.mean()) ** 0.3 * (0.08 * torch.randn(characters, generator=random)).exp()
    return Script(programs, usual / side, (low + high) / 2)


def draw(characters: int, drawers: int, size: int, random: Generator, recorded: Traces | None = None) -> Tensor:
    """One new alphabet by ``drawers``: ``uint8 [characters * drawers, 1, size, size]``, character by character."""
    return drawn(script(characters, random, recorded), drawers, size, random)


def drawn(letters: Script, drawers: int, size: int, random: Generator) -> Tensor:
    """An alphabet by new drawers, as ``draw`` gives it."""
    characters = len(letters.programs)
    many = letters.programs[torch.arange(characters).repeat_interleave(drawers)]

    def varied(hand: float, once: float) -> Tensor:
        """Normal noise ``float32 [B]``: what a drawer always does, plus what happens in one drawing."""
        always = torch.randn(drawers, generator=random).repeat(characters)
        return hand * always + once * torch.randn(len(many), generator=random)

    scale = letters.scales.repeat_interleave(drawers) * varied(0.09, 0.05).exp()
    middle = letters.middles.repeat_interleave(drawers, 0)
    mess = varied(0.25, 0.25).exp()
    rounding = torch.sigmoid(varied(1.0, 0.5) - 0.3)
    hands = Hands(mess, rounding, torch.arange(drawers).repeat(characters))
    points = trace(many, hands, random).flatten(1, 2) - middle.unsqueeze(1)
    slant, tilt, stretch = varied(0.08, 0.06), varied(0.035, 0.035), varied(0.05, 0.04).exp()
    x, y = (points * scale.view(-1, 1, 1)).unbind(-1)
    x, y = x * stretch.unsqueeze(1), y / stretch.unsqueeze(1)
    x = x - y * slant.unsqueeze(1)
    points = torch.stack([x - y * tilt.unsqueeze(1), y + x * tilt.unsqueeze(1)], -1)
    place = torch.stack([varied(0.025, 0.04), varied(0.025, 0.04)], -1) + 0.48
    thickness = _PEN * varied(0.04, 0.02).exp()
    return render(_fitted(points, many, place), inked(many).flatten(1), thickness, size)


def _fitted(points: Tensor, programs: Programs, place: Tensor) -> Tensor:
    """``points [B, P, 2]`` around their ``place [B, 2]`` on the canvas, shrunk and shifted where they would leave."""
    joined = inked(programs).flatten(1)
    low, high = box(points, joined)
    room = 1 - 2 * _MARGIN
    shrink = (room / (high - low).amax(-1, keepdim=True)).clamp_max(1)
    low, high = low * shrink + place, high * shrink + place
    shift = (_MARGIN - low).clamp_min(0) - (high - 1 + _MARGIN).clamp_min(0)
    return points * shrink.unsqueeze(1) + (place + shift).unsqueeze(1)
