"""The width of a pen: measured from the ink it left, and made another."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

MOST = 16.0  # pixels that a line grows or shrinks to each side at most


def pen_width(ink: Tensor) -> Tensor:
    """The width of the lines in pixels, ``float [N]``: twice the area of the ink over the length of its outline.

    A line of width w and length l has area w l and an outline of 2 (w + l), so long lines are measured rightly, and a dot
    comes out as half of its diameter. The outline's length is the total variation of the image.

    Args:
        ink: ``float [N, 1, H, W]`` in [0, 1].
    """
    padded = F.pad(ink, (1, 1, 1, 1))
    down, across = padded[:, :, 1:, :-1] - padded[:, :, :-1, :-1], padded[:, :, :-1, 1:] - padded[:, :, :-1, :-1]
    outline = (down.square() + across.square()).sqrt().sum((1, 2, 3))
    return 2 * ink.sum((1, 2, 3)) / outline.clamp_min(1e-6)


def with_pen(ink: Tensor, width: Tensor, now: Tensor) -> Tensor:
    """Lines thickened or thinned evenly, by grey dilation and erosion with nearly round neighbourhoods.

    Args:
        ink: ``float [N, 1, H, W]`` in [0, 1].
        width: of the lines afterwards, in pixels, ``float [N]``.
        now: as ``pen_width`` measures them.

    Returns:
        ``float [N, 1, H, W]``; an image whose lines have the width already is as it was.
    """
    grow = ((width - now) / 2).clamp(-MOST, MOST).to(ink.dtype)[:, None, None, None]
    if torch.compiler.is_exporting():  # a graph does not hang on values: it has all rounds, for all images
        return _grown(ink, grow * (grow.abs() > 0.01), int(MOST))
    changed = (grow.abs() > 0.01).flatten().nonzero().flatten()
    if not len(changed):
        return ink
    grow, made = grow[changed], ink.clone()
    made[changed] = _grown(ink[changed], grow, math.ceil(float(grow.abs().max())))
    return made


def _grown(ink: Tensor, grow: Tensor, rounds: int) -> Tensor:
    for ring in range(rounds):
        # A square and a cross in turn make an octagon.
        wider, thinner = _wider(ink, ring % 2 == 0), 1 - _wider(1 - ink, ring % 2 == 0)
        ink = ink.lerp(wider, (grow - ring).clamp(0, 1)).lerp(thinner, (-grow - ring).clamp(0, 1))
    return ink


def _wider(ink: Tensor, cross: bool) -> Tensor:
    """Each pixel the largest of its neighbourhood of 3 x 3 pixels, or of the cross of five."""
    if not cross:
        return F.max_pool2d(ink, 3, stride=1, padding=1)
    return torch.maximum(
        F.max_pool2d(ink, (3, 1), stride=1, padding=(1, 0)), F.max_pool2d(ink, (1, 3), stride=1, padding=(0, 1))
    )
