"""What comes from the page, a pen's strokes or an image file, to what each network expects.

A drawing comes as the pen's path, not as pixels: drawn large or small, it gets the ink that the network knows.
"""

from __future__ import annotations

import base64
import io

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from siamese.datasets.decoding import BadImage, decode, quiet
from siamese.datasets.ink import render
from siamese.datasets.mnist import SIDE
from siamese.datasets.pictures import Preprocessing

# Each stroke is the points (x, y) of a pen put down once; the canvas is 0 to 1, y points down.
Strokes = list[list[tuple[float, float]]]

DIGIT_BOX = 20  # pixels: MNIST's digits were fitted into a box of 20x20, ink included (LeCun et al. 1998)
DIGIT_PEN = 2.6  # pixels: with it, drawn digits have about as much ink as MNIST's
SYMBOL_SIZE = 0.62  # of the frame's side, the longer side of a symbol without the ink's width: the mean of Omniglot's
SYMBOL_PEN = 5 / 105  # of the frame's side: gives drawings as much ink as Omniglot's
LEAST_PAGE = 105  # pixels of the side of the page that a symbol is drawn on, as Omniglot's have
LEAST = 0.05  # of the canvas's side: what is smaller is not blown up to full size, so a dot stays a dot

MOST_BYTES = 5_000_000  # of an uploaded file
MOST_PIXELS = 40_000_000  # of an uploaded image, whatever few bytes it is packed in
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP")
_ENOUGH = 1024  # pixels of a JPEG's sides, far more than any frame here


def digit_pixels(strokes: Strokes) -> Tensor:
    """A drawing as MNIST would hold it: fitted into 20x20 pixels, then centred by its centre of mass.

    Args:
        strokes: at least one point.

    Returns:
        ``uint8 [1, 1, 28, 28]``, ink 255.
    """
    points, joined = _lines(strokes)
    points = _fitted(points, (DIGIT_BOX - DIGIT_PEN) / SIDE)
    pen = torch.tensor([DIGIT_PEN / SIDE])
    ink = render(points, joined, pen, SIDE)[0, 0].double()
    places = (torch.arange(SIDE) + 0.5) / SIDE
    centre = torch.stack([ink.sum(0) @ places.double(), ink.sum(1) @ places.double()]) / ink.sum()
    return render(points + 0.5 - centre.float(), joined, pen, SIDE)


def symbol_picture(strokes: Strokes, preprocessing: Preprocessing) -> np.ndarray:
    """A drawing in the middle of a square frame, as an image file that the preprocessing is for.

    Args:
        strokes: at least one point.
        preprocessing: of the one-shot network; where it inverts, the ink is dark on light paper.

    Returns:
        ``uint8 [S, S]``, S the longer side of the preprocessing's frame, and no less than 105 pixels.
    """
    points, joined = _lines(strokes)
    # What is normalised afterwards ends in a smaller frame than it should be drawn in.
    side = max(preprocessing.height, preprocessing.width, LEAST_PAGE)
    ink = render(_fitted(points, SYMBOL_SIZE), joined, torch.tensor([SYMBOL_PEN]), side)[0, 0].numpy()
    return 255 - ink if preprocessing.invert else ink


def uploaded(url: str, name: str) -> Image.Image:
    """The image in a ``data:`` URL, upright RGB, decoded in memory.

    Args:
        url: ``data:<type>;base64,<bytes>``.
        name: such as ``the first image``, for what is said of it.

    Raises:
        BadImage: it has too many bytes or pixels, is damaged, or is of another kind.
    """
    head, _, packed = url.partition(",")
    if not (head.startswith("data:") and head.endswith(";base64")):
        raise BadImage(name, "is no data: URL in base64, as the page sends them")
    if len(packed) > MOST_BYTES * 4 // 3 + 4:
        raise BadImage(name, f"has more than {MOST_BYTES:,} bytes")
    many = BadImage(name, f"has more than {MOST_PIXELS:,} pixels")
    try:
        content = io.BytesIO(base64.b64decode(packed, validate=True))
        with quiet(), Image.open(content, formats=FORMATS) as opened:
            if opened.width * opened.height > MOST_PIXELS:  # as its header says: nothing is decoded yet
                raise many
            opened.draft(None, (_ENOUGH, _ENOUGH))  # of no effect but on JPEG
            return decode(opened, "RGB", _ENOUGH)
    except Image.DecompressionBombError as error:
        raise many from error
    except Exception as error:  # damaged files make Pillow's readers raise nearly anything
        if error is many:
            raise
        raise BadImage(name, f"is damaged, or none of {', '.join(FORMATS)}") from error


def as_url(pixels: np.ndarray) -> str:
    """A PNG of ``uint8 [H, W]`` as a ``data:`` URL."""
    written = io.BytesIO()
    Image.fromarray(pixels).save(written, "PNG")
    return f"data:image/png;base64,{base64.b64encode(written.getvalue()).decode()}"


def _lines(strokes: Strokes) -> tuple[Tensor, Tensor]:
    """All points ``float32 [1, P, 2]``, and whether a line goes on from each, ``bool [1, P]``."""
    whole = [stroke if len(stroke) > 1 else stroke * 2 for stroke in strokes]  # a dot is a line from a point to itself
    joined = [place < len(stroke) - 1 for stroke in whole for place in range(len(stroke))]
    return torch.tensor([point for stroke in whole for point in stroke])[None], torch.tensor(joined)[None]


def _fitted(points: Tensor, size: float) -> Tensor:
    """Points ``[1, P, 2]`` scaled so that the longer side of their box is ``size``, the box in the middle of 0 to 1."""
    low, high = points.amin(1, keepdim=True), points.amax(1, keepdim=True)
    scale = size / (high - low).amax().clamp_min(LEAST)
    return (points - (low + high) / 2) * scale + 0.5
