"""Moment normalisation: every drawing in the middle, of one size, whatever the page.

Handwriting recognition has normalised by moments for decades (Casey 1970, Moment normalization of handprinted characters;
Liu, Nakashima, Sako, Fujisawa 2004, Handwritten digit recognition: investigation of normalization and feature extraction
techniques). Everything here is plain tensor arithmetic, so that the same code serves a table, a single file and an ONNX graph.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from siamese.ink.pen import pen_width, with_pen

FINE = 96  # least side in pixels of the grid on which a drawing is sampled, before it is averaged to its size
LEAST_SPREAD = (
    0.05  # of the common deviation, added to that of each axis: a straight line is not stretched without bound
)
WIDEST_PEN = 0.2  # of the side: no drawing is enlarged until its pen is wider, so a dot stays a dot


def normalised(
    ink: Tensor,
    size: int,
    spread: float = 0.208,
    aspect: float = 0.5,
    slant: float = 0.0,
    pen: tuple[float, float] | None = None,
) -> Tensor:
    """Drawings centred by mass and scaled by the deviation of their ink.

    Along each axis the scale brings ``deviation ** (1 - aspect) * common ** aspect`` to ``spread`` sides, where ``common`` is
    the root mean square of both deviations.

    Args:
        ink: ``float [N, 1, H, W]`` in [0, 1], 1 is ink. An image without ink stays empty.
        size: S, side of the result in pixels.
        spread: the deviation that ink is brought to, a share of the side.
        aspect: share of the aspect ratio that is kept, from 0 (both axes have the same deviation) to 1 (one scale for both).
        slant: share of the slant that is removed, from 0 to 1.
        pen: the least and the greatest width of lines, shares of the side; thinner ones are thickened, thicker ones thinned.
            None leaves all as they are.

    Returns:
        ``float32 [N, 1, S, S]`` in [0, 1].
    """
    height, width = ink.shape[2:]
    lines = pen_width(ink)
    mean_x, mean_y, deviations, shear = _moments(ink, slant)
    common = deviations.square().mean(1, keepdim=True).sqrt().clamp_min(0.25)  # of a single pixel it is 0.29
    # Constants and sides as float64 tensors: of plain numbers an ONNX graph keeps 24 bits, which moves levels by one.
    least, wanted = (torch.tensor(value, dtype=torch.float64) for value in (LEAST_SPREAD, spread))
    per_x, per_y = (2 / mean_x.new_full((), side) for side in (width, height))
    own, common = deviations + least * common, (1 + least) * common
    # Sides a pixel, [N, 2].
    scale = torch.minimum(wanted * (own ** (1 - aspect) * common**aspect).reciprocal(), WIDEST_PEN / lines[:, None])
    if pen is not None:
        # Before it is sampled: of a line much thinner than the distance of two samples only dots would be left.
        unit = scale.prod(1).sqrt()
        ink = with_pen(ink, (lines * unit).clamp(*pen) / unit, lines)

    fine = size * -(-FINE // size)
    place = (torch.arange(fine, device=ink.device, dtype=torch.float64) + 0.5) / fine - 0.5
    from_x, from_y = place / scale[:, :1], place / scale[:, 1:]  # [N, fine], pixels from the centre of mass
    # As grid_sample counts, from -1 to 1 across the image.
    at_x = ((from_x + mean_x[:, None]) * per_x - 1).float()[:, None, :].expand(-1, fine, -1)
    at_y = ((from_y + mean_y[:, None]) * per_y - 1).float()[:, :, None].expand(-1, -1, fine)
    if slant:
        at_x = at_x + (shear[:, None] * from_y * per_x).float()[:, :, None]
    drawn = F.grid_sample(ink, torch.stack([at_x, at_y], 3), align_corners=False)
    return F.avg_pool2d(drawn, fine // size) if fine > size else drawn


def _moments(ink: Tensor, slant: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Of each image the centre of mass ``x`` and ``y``, ``float64 [N]`` in pixels; the deviations along both axes, ``[N, 2]``,
    once the slant is removed; and by how much x is moved for that at each pixel of y, ``[N]``.

    In float64, so that an image by itself and among others has the same pixels.
    """
    height, width = ink.shape[2:]
    y, x = (torch.arange(side, device=ink.device, dtype=torch.float64) + 0.5 for side in (height, width))
    columns, rows = ink.sum(2)[:, 0].double(), ink.sum(3)[:, 0].double()  # [N, W], [N, H]
    mass = rows.sum(1).clamp_min(1e-6)
    mean_x, mean_y = columns @ x / mass, rows @ y / mass
    away_x, away_y = x - mean_x[:, None], y - mean_y[:, None]  # [N, W], [N, H]
    var_x, var_y = ((part * away.square()).sum(1) / mass for part, away in ((columns, away_x), (rows, away_y)))
    shear = torch.zeros_like(mean_x)
    if slant:
        covariance = ((ink[:, 0] * away_x[:, None].float()).sum(2).double() * away_y).sum(1) / mass
        shear = slant * covariance / var_y.clamp_min(1e-3)
        var_x = (var_x - 2 * shear * covariance + shear.square() * var_y).clamp_min(0)
    return mean_x, mean_y, torch.stack([var_x, var_y], 1).sqrt(), shear
