"""Whether a page shows several symbols, although a drawing is compared as one."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from siamese.errors import Note

GAP = 0.5  # between two symbols, a share of the longer side of the larger one
LEAST = 0.4  # longer side of the smaller one, a share of the larger one's
PENS = 4  # longer side of the smaller one, in widths of the pen: less is a dot


class SeveralSymbols(Note):
    """A page seems to show several symbols; all of its ink is compared as one drawing."""


def several_symbols(ink: np.ndarray) -> bool:
    """Whether an empty band divides ink into two parts of similar size that lie far from one another.

    Strokes of one symbol lie closer. Of the characters of Omniglot one in two hundred is taken for several, nearly all of them
    in scripts of dots (Braille, Tifinagh).

    Args:
        ink: ``float [H, W]`` in [0, 1], 1 is ink.
    """
    drawn = ink > 0.1
    if not drawn.any():
        return False
    pen = 2 * float(np.percentile(ndimage.distance_transform_edt(np.pad(drawn, 1))[1:-1, 1:-1][drawn], 85))
    for across in (drawn, drawn.T):
        lines = np.flatnonzero(across.any(1))
        for place in np.flatnonzero(np.diff(lines) > 1):
            end, begin = lines[place], lines[place + 1]
            smaller, larger = sorted(_longer_side(part) for part in (across[: end + 1], across[begin:]))
            if begin - end - 1 > GAP * larger and smaller >= max(LEAST * larger, PENS * pen):
                return True
    return False


def _longer_side(drawn: np.ndarray) -> int:
    """Of the box around what is true in ``bool [H, W]``, in pixels."""
    return max(int(np.ptp(np.flatnonzero(drawn.any(axis)))) + 1 for axis in (0, 1))
