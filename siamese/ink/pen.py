"""The width of a pen: measured from the ink it left, and made another."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

MOST = 12.0  # pixels that a line grows or shrinks to each side at most


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


def with_pen(ink: Tensor, width: float) -> Tensor:
    """Lines thickened or thinned evenly to a width in pixels, by grey dilation and erosion with nearly round neighbourhoods.

    Args:
        ink: ``float [N, 1, H, W]`` in [0, 1].
        width: of the lines afterwards.
    """
    grow = ((width - pen_width(ink)) / 2).clamp(-MOST, MOST)[:, None, None, None]
    for ring in range(int(MOST)):
        # A square and a cross in turn make an octagon.
        wider = _wider(ink, cross=ring % 2 == 0)
        thinner = 1 - _wider(1 - ink, cross=ring % 2 == 0)
        ink = ink.lerp(wider, (grow - ring).clamp(0, 1)).lerp(thinner, (-grow - ring).clamp(0, 1))
        # An exported graph has all rounds, of which the last do nothing.
        if not torch.compiler.is_exporting() and ring + 1 >= float(grow.abs().max()):
            break
    return ink


def _wider(ink: Tensor, cross: bool) -> Tensor:
    """Each pixel the largest of its neighbourhood of 3 x 3 pixels, or of the cross of five."""
    if not cross:
        return F.max_pool2d(ink, 3, stride=1, padding=1)
    return torch.maximum(
        F.max_pool2d(ink, (3, 1), stride=1, padding=(1, 0)), F.max_pool2d(ink, (1, 3), stride=1, padding=(0, 1))
    )
