"""Strokes of a pen: motor programs, the hand that carries them out, and the ink it leaves.

The idea is that of Lake, Salakhutdinov and Tenenbaum (2015), "Human-level concept learning through probabilistic
program induction", Science 350: a character is a program of strokes, a stroke is a chain of sub-strokes, strokes are
tied to one another by relations, and every drawing of the character is one noisy execution of that program.
The model, its numbers and its code are this project's own. Lengths are in units of the canvas's side, y points down.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

STEPS = 12  # straight steps that a sub-stroke is walked in
_CHUNK = 64  # images rendered at once: few enough for their windows to stay near the caches, about 20 MB


@dataclass(frozen=True)
class Programs:
    """Motor programs of ``C`` characters, each of up to ``J`` strokes of up to ``Q`` sub-strokes.

    A sub-stroke turns on the spot (a corner, or 0 for a smooth joint) and then walks an arc.

    Attributes:
        turns: ``float32 [C, J, Q]``, radians turned before each sub-stroke; the first one is the stroke's direction.
        sweeps: ``float32 [C, J, Q]``, radians turned along it: 0 is straight, 2π a full circle.
        lengths: ``float32 [C, J, Q]``, relative lengths within a stroke; 0 where there is no such sub-stroke.
        closed: ``float32 [C, J]``, 1 where the stroke is bent to end where it began, else 0.
        sizes: ``float32 [C, J]``, the longer side of the stroke's box; 0 where there is no such stroke.
        parents: ``int64 [C, J, 2]``, the earlier strokes that this one is placed by, and reaches to if it is a bridge.
        joints: ``float32 [C, J, 2]`` in 0..1: how far along the parent, and along itself, the two are tied.
        offsets: ``float32 [C, J, 2]``, (x, y) from the parent's joint to the own one: 0 is attached, else apart.
        bridges: ``float32 [C, J]``, how far along the second parent the stroke's end is tied; below 0 where it is free.
    """

    turns: Tensor
    sweeps: Tensor
    lengths: Tensor
    closed: Tensor
    sizes: Tensor
    parents: Tensor
    joints: Tensor
    offsets: Tensor
    bridges: Tensor

    def __len__(self) -> int:
        return self.sizes.shape[0]

    def __getitem__(self, index: Tensor) -> Programs:
        """The programs at ``index`` (``int64 [B]``)."""
        return Programs(**{f.name: getattr(self, f.name)[index] for f in dataclasses.fields(self)})

    @property
    def ends(self) -> Tensor:
        """``int64 [C, J]``: the index of each stroke's last point among its ``Q * STEPS + 1`` points."""
        return (self.lengths > 0).sum(-1) * STEPS


def walk(turns: Tensor, sweeps: Tensor, lengths: Tensor, closed: Tensor) -> Tensor:
    """Points ``float32 [..., Q * STEPS + 1, 2]`` of strokes ``[..., Q]``, centred, the longer side of their box 1.

    ``closed`` (``[...]``, 0..1) takes that share of the way from start to end out again, evenly along the stroke.
    """
    along = (torch.arange(STEPS) + 0.5) / STEPS
    heading = ((turns + sweeps).cumsum(-1) - sweeps).unsqueeze(-1) + sweeps.unsqueeze(-1) * along
    steps = torch.stack([heading.cos(), heading.sin()], -1) * lengths[..., None, None]
    points = F.pad(steps.flatten(-3, -2).cumsum(-2), (0, 0, 1, 0))
    walked = F.pad(lengths.repeat_interleave(STEPS, -1).cumsum(-1), (1, 0)).unsqueeze(-1)
    points = points - points[..., -1:, :] * closed[..., None, None] * walked / walked[..., -1:, :].clamp_min(1e-6)
    low, high = points.amin(-2, keepdim=True), points.amax(-2, keepdim=True)
    return (points - (low + high) / 2) / (high - low).amax(-1, keepdim=True).clamp_min(1e-6)


def _rotated(points: Tensor, angle: Tensor) -> Tensor:
    """``points [..., 2]`` turned by ``angle [...]`` around the origin."""
    x, y = points.unbind(-1)
    return torch.stack([x * angle.cos() - y * angle.sin(), x * angle.sin() + y * angle.cos()], -1)


def _waves(points: int, bumps: int = 7) -> Tensor:
    """``float32 [points, bumps]``: cubic B-spline weights by which few random offsets bend many points smoothly."""
    at = (torch.linspace(0, bumps - 1, points).unsqueeze(1) - torch.arange(bumps)).abs()
    return torch.where(at < 1, 2 / 3 - at**2 + at**3 / 2, (2 - at).clamp_min(0) ** 3 / 6)


def _shapes(programs: Programs, mess: Tensor, rounding: Tensor, random: Generator) -> Tensor:
    """Every stroke by itself, with motor noise, around the origin: ``float32 [B, J, S, 2]``."""

    def noise(*shape: int) -> Tensor:
        return torch.randn(len(programs), *shape, generator=random) * mess.view(-1, *[1] * len(shape))

    strokes, subs = programs.turns.shape[1:]
    sweeps = programs.sweeps * (1 + 0.07 * noise(strokes, subs)) + 0.08 * noise(strokes, subs)
    turns = programs.turns + 0.08 * noise(strokes, subs)
    closed = programs.closed * (1 + 0.06 * noise(strokes))
    points = walk(turns, sweeps, programs.lengths * (0.15 * noise(strokes, subs)).exp(), closed)
    # A hasty hand cuts corners: between the true points and their running mean.
    flat = points.permute(0, 1, 3, 2).flatten(0, 1)
    soft = F.avg_pool1d(F.pad(flat, (3, 3), mode="replicate"), 7, stride=1).view(-1, strokes, 2, points.shape[2])
    points = points.lerp(soft.transpose(-1, -2), rounding.view(-1, 1, 1, 1))
    # The running mean must not leave the zero-length tail behind the stroke's end: hold it where the stroke ends.
    held = torch.minimum(torch.arange(points.shape[2]), programs.ends.unsqueeze(-1))
    points = points.gather(2, held.unsqueeze(-1).expand_as(points))
    sizes = programs.sizes[..., None, None]
    points = points * sizes * (0.09 * noise(strokes, 1, 2)).exp()
    bend = torch.einsum("sk,bjkc->bjsc", _waves(points.shape[2]), noise(strokes, 7, 2))
    return _rotated(points + bend * (0.03 * sizes + 0.006), 0.04 * noise(strokes, 1))


def _at(points: Tensor, programs: Programs, stroke: Tensor, along: Tensor) -> Tensor:
    """The point ``float32 [B, 2]`` that lies ``along`` (0..1, ``[B]``) the ``stroke`` (``int64 [B]``) of each image."""
    row = torch.arange(len(points))
    return points[row, stroke, (along * programs.ends[row, stroke]).round().long()]


def _stretched(points: Tensor, old: Tensor, new: Tensor) -> Tensor:
    """``points [B, S, 2]`` turned and scaled as it takes the vector ``old [B, 2]`` to ``new [B, 2]``."""
    ratio = torch.view_as_complex(new.contiguous()) / torch.view_as_complex(old.contiguous() + 1e-6)
    return torch.view_as_real(torch.view_as_complex(points.contiguous()) * ratio.unsqueeze(1))


def trace(programs: Programs, mess: Tensor, rounding: Tensor, random: Generator) -> Tensor:
    """One execution of each program: strokes drawn with motor noise and tied together by their relations.

    Args:
        programs: ``B`` motor programs.
        mess: ``float32 [B]``, the amount of motor noise; 0 carries the program out exactly, about 1 is a person.
        rounding: ``float32 [B]`` in 0..1, how much corners are cut.
        random: where the noise comes from.

    Returns:
        ``float32 [B, J, S, 2]``, the points of each stroke, around the middle of the first stroke.
    """
    placed = _shapes(programs, mess, rounding, random)
    count, strokes = placed.shape[:2]
    slips = torch.randn(count, strokes, 3, generator=random) * mess.view(-1, 1, 1)
    shifts = torch.randn(count, strokes, 2, generator=random) * mess.view(-1, 1, 1)
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
    steps = torch.arange(programs.turns.shape[2] * STEPS + 1)
    return (steps < programs.ends.unsqueeze(-1)) & (programs.sizes > 0).unsqueeze(-1)


def box(points: Tensor, joined: Tensor) -> tuple[Tensor, Tensor]:
    """The least and the greatest ``(x, y)``, each ``float32 [B, 2]``, of what is inked of ``points [B, P, 2]``."""
    touched = (joined | F.pad(joined[:, :-1], (1, 0))).unsqueeze(-1)
    far = torch.tensor(math.inf)
    return torch.where(touched, points, far).amin(1), torch.where(touched, points, -far).amax(1)


def render(points: Tensor, joined: Tensor, thickness: Tensor, size: int) -> Tensor:
    """Ink along lines: each pixel by the distance of its centre to the nearest line, with grey edges.

    Only pixels within the pen's reach of a line are visited, so the cost grows with the length of the lines.

    Args:
        points: ``float32 [B, P, 2]``, (x, y) in 0..1 of the canvas; what lies outside is cut off.
        joined: ``bool [B, P]``, whether a line goes from each point to the next (never from the last).
        thickness: ``float32 [B]``, the width of the line, as a share of the canvas's side.
        size: pixels of each side.

    Returns:
        ``uint8 [B, 1, size, size]``, 255 on the line, 0 on paper.
    """
    chunks = zip(points.split(_CHUNK), joined.split(_CHUNK), thickness.split(_CHUNK), strict=True)
    return torch.cat([_render(p * size, j, t * (size / 2), size) for p, j, t in chunks])


def _render(points: Tensor, joined: Tensor, radius: Tensor, size: int) -> Tensor:
    """:func:`render` of one chunk; points and radius in pixels."""
    dots, image = _dots(points, joined, (radius / 2).clamp(0.25, 1.0))
    reach = math.ceil(float(radius.max()) + 0.5)
    wide = size + 2 * reach
    near = torch.cartesian_prod(*[torch.arange(-reach, reach + 1.0)] * 2)
    # A dot lies up to 0.71 pixels from the centre of its own pixel; pixels of the window beyond the pen's reach drop.
    near = near[near.norm(dim=1) <= float(radius.max()) + 0.5 + 0.7072]
    cell = dots.floor().clamp(0, size - 1)
    gap = cell + 0.5 - dots
    # The squared distance of every dot to every pixel of its window, |gap + near|², as one matrix product; times 255²,
    # so that the ink in 1/255 follows from the root by one subtraction.
    ones = torch.ones(len(dots), 1)
    left = torch.cat([gap, gap.square().sum(1, keepdim=True), ones], 1)
    right = torch.cat([2 * near.T, torch.ones(1, len(near)), near.square().sum(1).unsqueeze(0)])
    away = (left @ (right * 255**2)).clamp_min_(0).sqrt_()
    full = (radius[image] + 0.5).unsqueeze(1) * 255 + 0.5
    ink = away.neg_().add_(full).clamp_(0, 255).to(torch.uint8)
    corner = (image * wide + cell[:, 1].long() + reach) * wide + cell[:, 0].long() + reach
    where = corner.unsqueeze(1) + (near[:, 1] * wide + near[:, 0]).long()
    canvas = torch.zeros(len(points) * wide * wide, dtype=torch.uint8)
    canvas.scatter_reduce_(0, where.flatten(), ink.flatten(), "amax")
    return canvas.view(-1, 1, wide, wide)[:, :, reach : reach + size, reach : reach + size]


def _dots(points: Tensor, joined: Tensor, apart: Tensor) -> tuple[Tensor, Tensor]:
    """Lines ``[B, P, 2]`` as dots at most ``apart [B]`` pixels apart: ``float32 [D, 2]``, their image ``int64 [D]``.

    Dots half a radius apart make a line whose edge is true to a sixteenth of that distance.
    """
    step = F.pad(points.diff(dim=1), (0, 0, 0, 1)) * joined.unsqueeze(-1)
    pieces = (step.norm(dim=-1) / apart.unsqueeze(1)).ceil().long().clamp_min(1)
    touched = joined | F.pad(joined[:, :-1], (1, 0))
    pieces = torch.where(touched, pieces, 0).flatten()
    line = torch.repeat_interleave(pieces)
    nth = torch.arange(len(line)) - (pieces.cumsum(0) - pieces)[line]
    dots = points.flatten(0, 1)[line] + step.flatten(0, 1)[line] * (nth / pieces[line]).unsqueeze(1)
    return dots, line // points.shape[1]
