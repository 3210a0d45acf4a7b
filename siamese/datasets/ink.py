"""Ink: what a pen leaves on paper, lines of any thickness as grey pixels.

Lengths are in units of the canvas's side, y points down.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

_CHUNK = 64  # images rendered at once: few enough for their windows to stay near the caches, about 20 MB


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
