"""Strokes of a pen: motor programs, and the hand that carries them out.

The idea is that of Lake, Salakhutdinov and Tenenbaum (2015), "Human-level concept learning through probabilistic
program induction", Science 350: a character is a program of strokes out of a library, strokes are tied to one another by
relations, and every drawing of the character is one noisy execution of that program.
The model, its numbers and its code are this project's own. Lengths are in units of the canvas's side, y points down.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

STROKES = 5  # of a character, at most
DOT_SIZE = 0.03


class Hands(NamedTuple):
    """Who carries out each of ``B`` programs.

    Attributes:
        mess: ``float32 [B]``, the amount of motor noise; 0 carries a program out exactly, about 1 is a person.
        rounding: ``float32 [B]`` in 0..1, how much corners are cut.
        drawers: ``int64 [B]``, whose hand it is.
    """

    mess: Tensor
    rounding: Tensor
    drawers: Tensor

    @classmethod
    def exact(cls, count: int) -> Hands:
        """Those that make no mistake."""
        return cls(torch.zeros(count), torch.zeros(count), torch.zeros(count, dtype=torch.int64))

    def noise(self, *shape: int, random: Generator) -> Tensor:
        """Normal noise ``float32 [B, *shape]``, as much as each hand has."""
        drawn = torch.randn(len(self.mess), *shape, generator=random)
        return drawn * self.mess.view(-1, *[1] * len(shape))


class Library(ABC):
    """``L`` strokes that characters are made of.

    Attributes:
        exact: ``float32 [L, S, 2]``, the points of each stroke drawn without noise, centred, the longer side of its box 1; what
            follows the stroke's end repeats its last point.
        ends: ``int64 [L]``, the index of each stroke's last point.
        slips: how much a hand adds of its own to what ``drawn`` gives: 1, or less where that has it in part.
    """

    exact: Tensor
    ends: Tensor
    slips: float

    @abstractmethod
    def drawn(self, strokes: Tensor, mirrored: Tensor, turned: Tensor, hands: Hands, random: Generator) -> Tensor:
        """The shapes of strokes as hands draw them.

        Args:
            strokes: ``int64 [B, J]`` of the library.
            mirrored: ``float32 [B, J]``, -1 where a stroke is turned upside down first, else 1.
            turned: ``float32 [B, J]``, radians by which it is then turned.
            hands: ``B`` of them.
            random: where the noise comes from.

        Returns:
            ``float32 [B, J, S, 2]``, about as large as ``exact``.
        """


@dataclass(frozen=True)
class Programs:
    """Motor programs of ``C`` characters, each of up to ``J`` strokes.

    Attributes:
        library: what their strokes are.
        strokes: ``int64 [C, J]``, which of the library's each is.
        mirrored: ``float32 [C, J]``, -1 where it is turned upside down, else 1.
        turned: ``float32 [C, J]``, radians by which it is then turned.
        sizes: ``float32 [C, J]``, the longer side of the stroke's box; 0 where there is no such stroke.
        parents: ``int64 [C, J, 2]``, the earlier strokes that this one is placed by, and reaches to if it is a bridge.
        joints: ``float32 [C, J, 2]`` in 0..1: how far along the parent, and along itself, the two are tied.
        offsets: ``float32 [C, J, 2]``, (x, y) from the parent's joint to the own one: 0 is attached, else apart.
        bridges: ``float32 [C, J]``, how far along the second parent the stroke's end is tied; below 0 where it is free.
    """

    library: Library
    strokes: Tensor
    mirrored: Tensor
    turned: Tensor
    sizes: Tensor
    parents: Tensor
    joints: Tensor
    offsets: Tensor
    bridges: Tensor

    def __len__(self) -> int:
        return self.sizes.shape[0]

    @property
    def columns(self) -> dict[str, Tensor]:
        """All but the library, by name."""
        return {name: column for name, column in vars(self).items() if name != "library"}

    def __getitem__(self, index: Tensor) -> Programs:
        """The programs at ``index`` (``int64 [B]``)."""
        return Programs(self.library, **{name: column[index] for name, column in self.columns.items()})

    @property
    def ends(self) -> Tensor:
        """``int64 [C, J]``: the index of each stroke's last point."""
        return self.library.ends[self.strokes]


def rotated(points: Tensor, angle: Tensor) -> Tensor:
    """``points [..., 2]`` turned by ``angle [...]`` around the origin."""
    x, y = points.unbind(-1)
    return torch.stack([x * angle.cos() - y * angle.sin(), x * angle.sin() + y * angle.cos()], -1)


def _waves(points: int, bumps: int = 7) -> Tensor:
    """``float32 [points, bumps]``: cubic B-spline weights by which few random offsets bend many points smoothly."""
    at = (torch.linspace(0, bumps - 1, points).unsqueeze(1) - torch.arange(bumps)).abs()
    return torch.where(at < 1, 2 / 3 - at**2 + at**3 / 2, (2 - at).clamp_min(0) ** 3 / 6)


def _shapes(programs: Programs, hands: Hands, random: Generator) -> Tensor:
    """Every stroke by itself, with motor noise, around the origin: ``float32 [B, J, S, 2]``."""
    library, strokes = programs.library, programs.strokes.shape[1]
    points = library.drawn(programs.strokes, programs.mirrored, programs.turned, hands, random)
    sizes, slips = programs.sizes[..., None, None], library.slips
    points = points * sizes * (slips * 0.09 * hands.noise(strokes, 1, 2, random=random)).exp()
    bend = torch.einsum("sk,bjkc->bjsc", _waves(points.shape[2]), hands.noise(strokes, 7, 2, random=random))
    bent = points + slips * bend * (0.03 * sizes + 0.006)
    return rotated(bent, slips * 0.04 * hands.noise(strokes, 1, random=random))


def _at(points: Tensor, programs: Programs, stroke: Tensor, along: Tensor) -> Tensor:
    """The point ``float32 [B, 2]`` that lies ``along`` (0..1, ``[B]``) the ``stroke`` (``int64 [B]``) of each image."""
    row = torch.arange(len(points))
    return points[row, stroke, (along * programs.ends[row, stroke]).round().long()]


def _stretched(points: Tensor, old: Tensor, new: Tensor) -> Tensor:
    """``points [B, S, 2]`` turned and scaled as it takes the vector ``old [B, 2]`` to ``new [B, 2]``."""
    ratio = torch.view_as_complex(new.contiguous()) / torch.view_as_complex(old.contiguous() + 1e-6)
    return torch.view_as_real(torch.view_as_complex(points.contiguous()) * ratio.unsqueeze(1))


def trace(programs: Programs, hands: Hands, random: Generator) -> Tensor:
    """One execution of each program: strokes drawn with motor noise and tied together by their relations.

    Args:
        programs: ``B`` motor programs.
        hands: who carries out each of them.
        random: where the noise comes from.

    Returns:
        ``float32 [B, J, S, 2]``, the points of each stroke, around the middle of the first stroke.
    """
    placed = _shapes(programs, hands, random)
    count, strokes = placed.shape[:2]
    slips = torch.randn(count, strokes, 3, generator=random) * hands.mess.view(-1, 1, 1)
    shifts = torch.randn(count, strokes, 2, generator=random) * hands.mess.view(-1, 1, 1)
    ties = torch.cat([programs.joints, programs.bridges.unsqueeze(-1)], -1)
    # A hand that aims at an end hits it; in between it slips along the line.
    ties = torch.where((ties == 0) | (ties == 1), ties, ties + 0.05 * slips).clamp(0, 1)
    for j in range(1, strokes):
        there = _at(placed, programs, programs.parents[:, j, 0], ties[:, j, 0])
        reached = _at(placed, programs, programs.parents[:, j, 1], ties[:, j, 2])
        stroke = torch.full((count,), j)
        start = _at(placed, programs, stroke, torch.zeros(count))
        end = _at(placed, programs, stroke, torch.ones(count))
        own = placed[:, j] - start.unsqueeze(1)
        span = F.normalize(reached - there) * (reached - there).norm(dim=-1, keepdim=True).clamp_min(0.15)
        spanned = there.unsqueeze(1) + _stretched(own, end - start, span)
        apart = programs.offsets[:, j]
        spread = 0.015 + 0.08 * apart.norm(dim=-1, keepdim=True)
        tied = placed[:, j] + (there - _at(placed, programs, stroke, ties[:, j, 1]) + apart).unsqueeze(1)
        ideal = torch.where(programs.bridges[:, j].view(-1, 1, 1) >= 0, spanned, tied)
        placed[:, j] = ideal + (spread * shifts[:, j]).unsqueeze(1)
    return placed


def inked(programs: Programs) -> Tensor:
    """``bool [B, J, S]``: whether the pen goes on inking from each point of :func:`trace` to the next."""
    steps = torch.arange(programs.library.exact.shape[1])
    return (steps < programs.ends.unsqueeze(-1)) & (programs.sizes > 0).unsqueeze(-1)


def box(points: Tensor, joined: Tensor) -> tuple[Tensor, Tensor]:
    """The least and the greatest ``(x, y)``, each ``float32 [B, 2]``, of what is inked of ``points [B, P, 2]``."""
    touched = (joined | F.pad(joined[:, :-1], (1, 0))).unsqueeze(-1)
    far = torch.tensor(math.inf)
    return torch.where(touched, points, far).amin(1), torch.where(touched, points, -far).amax(1)
