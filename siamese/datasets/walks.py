"""Invented strokes: chains of sub-strokes, each of which turns on the spot and then walks an arc."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from siamese.datasets.strokes import Hands, Library

STEPS = 12  # straight steps that a sub-stroke is walked in


class Walks(Library):
    """``L`` strokes of up to ``Q`` sub-strokes.

    Args:
        turns: ``float32 [L, Q]``, radians turned before each sub-stroke (a corner, or 0 for a smooth joint); the first one is
            the stroke's direction.
        sweeps: ``float32 [L, Q]``, radians turned along it: 0 is straight, 2π a full circle.
        lengths: ``float32 [L, Q]``, relative lengths within a stroke; 0 where there is no such sub-stroke.
        closed: ``float32 [L]``, 1 where the stroke is bent to end where it began, else 0.
    """

    slips = 1.0

    def __init__(self, turns: Tensor, sweeps: Tensor, lengths: Tensor, closed: Tensor) -> None:
        self.turns, self.sweeps, self.lengths, self.closed = turns, sweeps, lengths, closed
        self.exact = walk(turns, sweeps, lengths, closed)
        self.ends = (lengths > 0).sum(-1) * STEPS

    def drawn(self, strokes: Tensor, mirrored: Tensor, turned: Tensor, hands: Hands, random: Generator) -> Tensor:
        """See :meth:`Library.drawn`; corners come out rounder, and everything as exact as the hand is."""
        shape = (*strokes.shape[1:], self.turns.shape[1])
        turns, sweeps = (each[strokes] * mirrored.unsqueeze(-1) for each in (self.turns, self.sweeps))
        turns[..., 0] += turned
        noise = hands.noise
        sweeps = sweeps * (1 + 0.07 * noise(*shape, random=random)) + 0.08 * noise(*shape, random=random)
        turns = turns + 0.08 * noise(*shape, random=random)
        closed = self.closed[strokes] * (1 + 0.06 * noise(shape[0], random=random))
        lengths = self.lengths[strokes] * (0.15 * noise(*shape, random=random)).exp()
        points = walk(turns, sweeps, lengths, closed)
        # A hasty hand cuts corners: between the true points and their running mean.
        flat = points.permute(0, 1, 3, 2).flatten(0, 1)
        soft = F.avg_pool1d(F.pad(flat, (3, 3), mode="replicate"), 7, stride=1).view(-1, shape[0], 2, points.shape[2])
        points = points.lerp(soft.transpose(-1, -2), hands.rounding.view(-1, 1, 1, 1))
        # The running mean must not leave the zero-length tail behind the stroke's end: hold it where the stroke ends.
        held = torch.minimum(torch.arange(points.shape[2]), self.ends[strokes].unsqueeze(-1))
        return points.gather(2, held.unsqueeze(-1).expand_as(points))


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
