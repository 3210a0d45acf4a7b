"""Pages for ``bench_paper.py``: what a drawing looks like under many conditions of paper, pen, light and file.

Nothing here needs a network. Equal drawings and generators give equal pages.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal, NamedTuple

import numpy as np
import torch
from bench_paper_symbols import drawn, symbols
from PIL import Image
from scipy import ndimage

from siamese.datasets.ink import render

__all__ = ["CONDITIONS", "REFERENCE", "Condition", "Goal", "drawn", "page", "symbols"]

CLEAR = 10  # pixels between a symbol and the edge of its page, where there is room


class Goal(NamedTuple):
    """Percent to be reached: the least of right names, the most of known and wrong, the least of unknown strangers."""

    right: float
    wrong: float = 100.0
    strangers: float = 0.0


EVERY, PEN, FINE_PEN = Goal(97, 2, 85), Goal(95), Goal(85)
Change = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def _as_it_is(page: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return page


def _grey(page: np.ndarray, ink: np.ndarray) -> Image.Image:
    """A picture of levels ``[H, W]`` or ``[H, W, 3]`` in 0..255."""
    return Image.fromarray(page.round().clip(0, 255).astype(np.uint8))


@dataclass(frozen=True)
class Condition:
    """How a page is made; lengths in pixels, levels from 0, black, to 255.

    Attributes:
        name: as in the table.
        goal: what is to be reached.
        paper: level of the paper.
        ink: the least and the greatest level of the ink, uniform in between.
        side: of the square page; None for the ink's box and 2 pixels around it.
        symbol: side of the symbol's unit square; less where the page is too small for it.
        pen: width of the line.
        turn: the symbol is turned by up to so many degrees either way.
        place: ``edge``: the ink touches a side of the page.
        tooth: how much paper the grain of its surface keeps free of ink, 0 to 1.
        sheet: changes the paper before it is drawn on, float32 ``[H, W]`` to the same or ``[H, W, 3]``.
        light: changes the page with its ink, likewise.
        file: makes the picture of the page and of the ink on it, ``[H, W]`` in 0..1.
    """

    name: str
    goal: Goal = EVERY
    paper: int = 255
    ink: tuple[int, int] = (0, 0)
    side: int | None = 400
    symbol: float = 200
    pen: float = 5
    turn: float = 0
    place: Literal["anywhere", "edge"] = "anywhere"
    tooth: float = 0
    sheet: Change = _as_it_is
    light: Change = _as_it_is
    file: Callable[[np.ndarray, np.ndarray], Image.Image] = _grey


def page(drawing: list[np.ndarray], condition: Condition, rng: np.random.Generator) -> Image.Image:
    """A picture of the page with the drawing on it, or of the blank page for a drawing without strokes."""
    angle = np.radians(rng.uniform(-condition.turn, condition.turn))
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]) * condition.symbol
    strokes = [stroke @ turn for stroke in drawing] or [np.zeros((0, 2))]
    points = np.concatenate(strokes)
    ends = np.cumsum([len(stroke) for stroke in strokes]) - 1
    low, high = (points.min(0), points.max(0)) if len(points) else (np.zeros(2), np.zeros(2))
    box = high - low + condition.pen
    if condition.side is None:
        width, height = (int(side) for side in np.ceil(box) + 4)
    else:
        width = height = condition.side
        scale = min(1.0, (condition.side - 2 - condition.pen) / max(1.0, *(high - low)))
        points, low, box = points * scale, low * scale, (high - low) * scale + condition.pen
    room = np.array([width, height]) - box
    clear = np.minimum(CLEAR, room / 2)
    corner = clear + rng.uniform(0, 1, 2) * (room - 2 * clear)
    if condition.place == "edge":
        axis, far = divmod(int(rng.integers(4)), 2)
        corner[axis] = far * room[axis]
    cover = _cover(points - low + condition.pen / 2 + corner, ends, condition.pen, width, height)
    if condition.tooth:
        grain = ndimage.gaussian_filter(rng.normal(0, 1, cover.shape), 0.8)
        cover = cover * (1 - condition.tooth * (0.5 + grain / grain.std() / 2).clip(0, 1)).astype(np.float32)
    paper = condition.sheet(np.full((height, width), condition.paper, np.float32), rng)
    ink = cover if paper.ndim == 2 else cover[..., None]
    levels = paper + (np.float32(rng.uniform(*condition.ink)) - paper) * ink
    return condition.file(condition.light(levels, rng), cover)


def _cover(points: np.ndarray, ends: np.ndarray, pen: float, width: int, height: int) -> np.ndarray:
    """The share of each pixel under ink, ``float32 [height, width]``, of lines through points ``[P, 2]`` in pixels."""
    if not len(points):
        return np.zeros((height, width), np.float32)
    side = max(width, height)
    joined = torch.ones(1, len(points), dtype=torch.bool)
    joined[0, torch.from_numpy(ends)] = False
    lines = torch.from_numpy((points / side).astype(np.float32))[None]
    return render(lines, joined, torch.tensor([pen / side]), side)[0, 0, :height, :width].numpy() / np.float32(255)


def _noisy(page: np.ndarray, rng: np.random.Generator, sigma: float) -> np.ndarray:
    return page + rng.normal(0, sigma, page.shape).astype(np.float32)


def _board(page: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A blackboard: smears of wiped chalk, and grain."""
    smears = ndimage.gaussian_filter(rng.normal(0, 1, (page.shape[0] // 4, page.shape[1] // 4)), (2, 8))
    wide = ndimage.zoom(smears / smears.std(), 4, order=1).astype(np.float32)
    return _noisy(page + 7 * wide, rng, 6)


def _ruled(
    page: np.ndarray, rng: np.random.Generator, colour: tuple[int, int, int], across: bool = False, grain: float = 0
) -> np.ndarray:
    """Lines 2 pixels thick, 40 apart, across the page and perhaps down it."""
    page = np.repeat(page[..., None], 3, axis=2)
    for axis in range(1 + across):
        lines = (np.arange(page.shape[axis]) - rng.integers(40)) % 40 < 2
        page[(slice(None),) * axis + (lines,)] = colour
    return _noisy(page, rng, grain) if grain else page


def _along(page: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """From 0 to 1 along a random direction over the page, ``float32 [H, W]``."""
    angle = rng.uniform(0, 2 * np.pi)
    y, x = np.indices(page.shape, np.float32)
    way = np.cos(angle) * x + np.sin(angle) * y
    return ((way - way.min()) / np.ptp(way)).astype(np.float32)


def _vignette(page: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Light that falls to 45 % from the middle to the corners."""
    y, x = (np.linspace(-1, 1, side, dtype=np.float32) ** 2 for side in page.shape)
    return page * (1 - 0.55 * (y[:, None] + x) / 2)


def _shading(page: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Light that falls to 40 % from one side to the other, and the noise of a sensor."""
    return _noisy(page * (1 - 0.6 * _along(page, rng)), rng, 2.5)


def _shadow(page: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Light that falls to 60 %, a soft shadow that takes 40 % of it on a third of the page, slight blur, and noise."""
    page = page * (1 - 0.4 * _along(page, rng))
    way = _along(page, rng)
    dark = 1 / (1 + np.exp((way - np.quantile(way, 1 / 3)) / 0.015))
    return _noisy(ndimage.gaussian_filter(page * (1 - 0.4 * dark.astype(np.float32)), 0.8), rng, 3)


def _bordered(page: np.ndarray, rng: np.random.Generator, thick: int, sides: int) -> np.ndarray:
    """Black along some sides of the page."""
    for side in rng.permutation(4)[:sides]:
        np.rot90(page, side)[:thick] = 0  # a view
    return page


def _reopened(image: Image.Image, kind: str = "PNG") -> Image.Image:
    """The picture as it is read from a file."""
    file = io.BytesIO()
    image.save(file, kind, quality=80)
    return Image.open(file)


def _jpeg(page: np.ndarray, ink: np.ndarray) -> Image.Image:
    return _reopened(_grey(page, ink), "JPEG")


def _sixteen_bits(page: np.ndarray, ink: np.ndarray) -> Image.Image:
    return _reopened(Image.fromarray((page * 257).round().astype(np.uint16)))


def _one_bit(page: np.ndarray, ink: np.ndarray) -> Image.Image:
    return _reopened(_grey(page, ink).convert("1", dither=Image.Dither.NONE))


def _transparent(page: np.ndarray, ink: np.ndarray, level: int) -> Image.Image:
    return _reopened(_grey(np.dstack([np.full((*ink.shape, 3), level), ink * 255]), ink))


_BLUE = (170, 200, 235)
CONDITIONS: tuple[Condition, ...] = (
    *(Condition(f"paper {level}", paper=level) for level in (255, 252, 250, 248, 240, 224, 208, 192, 176, 160)),
    Condition("pencil", paper=240, ink=(110, 150), tooth=0.6, sheet=partial(_noisy, sigma=2)),
    Condition("vignette", light=_vignette),
    Condition("shading", light=_shading),
    Condition("shaded photograph", paper=240, ink=(20, 40), light=_shadow, file=_jpeg),
    Condition("inverted", paper=0, ink=(255, 255)),
    Condition("chalk", paper=48, ink=(195, 225), pen=6, tooth=0.6, sheet=_board),
    *(Condition(f"page {side} px", side=side) for side in (400, 800, 1600)),
    Condition("scan border", light=partial(_bordered, thick=3, sides=4)),
    Condition("scan border, 2 sides", light=partial(_bordered, thick=8, sides=2)),
    Condition("ruled, light blue", sheet=partial(_ruled, colour=_BLUE)),
    Condition("ruled, dark grey", sheet=partial(_ruled, colour=(96, 96, 96))),
    Condition("squared", sheet=partial(_ruled, colour=_BLUE, across=True)),
    Condition("ruled, scanned", paper=245, sheet=partial(_ruled, colour=_BLUE, grain=2)),
    Condition("squared, scanned", paper=245, sheet=partial(_ruled, colour=_BLUE, across=True, grain=2)),
    Condition("transparent, black ink", file=partial(_transparent, level=0)),
    Condition("transparent, white ink", file=partial(_transparent, level=255)),
    Condition("turned by up to 10°", turn=10),
    Condition("touches the edge", place="edge"),
    Condition("tight crop", side=None),
    Condition("32 px page", side=32, symbol=24, pen=1.5),
    Condition("16-bit PNG", file=_sixteen_bits),
    Condition("1-bit PNG", file=_one_bit),
    Condition("pen 1 px", goal=FINE_PEN, pen=1),
    *(Condition(f"pen {pen} px", goal=PEN, pen=pen) for pen in (2, 3, 8, 12, 16, 22)),
)  # fmt: skip
REFERENCE = Condition("reference")
