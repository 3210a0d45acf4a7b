"""From a picture of a drawing to its ink alone: the level of the paper, dark or light ink, shading, ruled lines, stray borders.

The rules, in this order; the constants below are their levels and shares.

1. Rows and columns along an edge that differ from the rest of the page nearly throughout are the border of a scan: cut off.
2. Where half of the pixels along the edge, and half of the page, have one exact level, this is the paper's: a program drew the
   page. Ink is what differs from it, to the side (lighter or darker) that differs more.
3. Otherwise the page is a photograph or a scan of paper. A smooth surface through most of its pixels leaves the ink, and the
   skewness of what is left says whether that is dark or light. The level of the paper at each place is a grey closing, which
   lines of a pen are too narrow to change. Otsu's threshold divides ink from paper.
4. Several lines across nearly the whole page are those of ruled paper; ink of the drawing that crosses them stays.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

MOST_SIDE = 800  # pixels of the longer side, to which a larger page is shrunk before it is looked at
KEPT_SIDE = 256  # pixels of the longer side of the ink's box, to which it is shrunk afterwards
MARGIN = 16  # pixels around that box, into which lines may be thickened
BORDER = 0.1  # of a side: the widest stray border of a scan
STRANGE, NEARLY_ALL = 0.15, 0.95  # of the greatest difference; of a row's pixels
DARKEST = 64  # level of paper by which ink is judged where that is darker still
EXACT = 0.5  # share of the edge, and of the page, with exactly the paper's level
LEAST_CONTRAST = 0.06  # between ink and paper, a share of the paper's level
LEAST_SIGNAL = 5.0  # of ink above the paper's noise, in its standard deviations
GRAIN = 0.05  # noise of real paper, a share of its level: more is no even paper
PHOTOGRAPH_SIGNAL = 10.0  # as LEAST_SIGNAL: ink stands out more than most things in a photograph do
MOST_ON_GRAIN = 0.12  # share of ink on a page whose paper is half as uneven as it may be
MOST_BETWEEN = 2.0  # pixels of levels between those of paper and ink, as a share of those of ink
MOST_EDGE = 0.2  # share of the edge that is ink, of a page that a program drew; of a photographed one half of that
RULED, MANY_LINES = (
    0.7,
    5,
)  # of the page's width: the least length of a ruled line, if there are so many; fewer run all across


class NoInk(ValueError):
    """The picture shows no drawing; the message says why, such as ``is blank``."""


def ink_on_paper(page: np.ndarray, most: int = KEPT_SIDE) -> np.ndarray:
    """The ink in a grey picture.

    Args:
        page: ``uint8 [H, W]``.
        most: a larger result is cut to the box of its ink, and shrunk so that no side of it is longer, in pixels.

    Returns:
        ``float32 [h, w]`` in [0, 1], 1 is ink.

    Raises:
        NoInk: it is blank, or looks like a photograph of something else than a drawing.
    """
    page = _without_border(_shrunk(np.asarray(page, np.float32), MOST_SIDE))
    if np.ptp(page) < 2:
        raise NoInk("is blank: all of it has one level of grey")
    drawn, exact = exact_ink(torch.from_numpy(np.ascontiguousarray(page))[None])
    if exact[0]:
        ink = drawn[0].numpy()
        _check_edge(ink > 0.5, MOST_EDGE)
        if maybe_ruled(drawn)[0]:
            ink = ink * _without_ruling(ink > 0.1)
        if not ink.any():
            raise NoInk("is blank: nothing is on it but ruled lines")
    else:
        ink = _photographed_ink(page)
    return np.pad(_shrunk(_cut(ink), most), MARGIN) if max(ink.shape) > most else ink


def exact_ink(pages: Tensor) -> tuple[Tensor, Tensor]:
    """Ink of pages whose paper has one exact level, and no stray border.

    Args:
        pages: ``[B, H, W]``, levels of grey.

    Returns:
        ``float32 [B, H, W]`` in [0, 1], and ``bool [B]``, whether a page is such a one.
    """
    edge = torch.cat([pages[:, 0], pages[:, -1], pages[:, :, 0], pages[:, :, -1]], 1)
    paper = edge.median(1).values.float()[:, None, None]  # the level that half of them have is the median
    away = pages.float() - paper
    lighter, darker = away.clamp_min(0), (-away).clamp_min(0)
    ink = torch.where((lighter.sum((1, 2)) > darker.sum((1, 2)))[:, None, None], lighter, darker)
    highest = ink.amax((1, 2), keepdim=True)
    strange = away.abs() > STRANGE * away.abs().amax((1, 2), keepdim=True)
    bordered = torch.stack([strange[:, 0], strange[:, -1]], 1).float().mean(2) > NEARLY_ALL
    bordered |= torch.stack([strange[:, :, 0], strange[:, :, -1]], 1).float().mean(2) > NEARLY_ALL
    exact = ((edge == paper[:, 0]).float().mean(1) >= EXACT) & ((away == 0).float().mean((1, 2)) >= EXACT)
    return ink / highest.clamp_min(1), exact & ~bordered.any(1) & (highest[:, 0, 0] >= 2)


def maybe_ruled(ink: Tensor) -> Tensor:
    """Whether there may be a ruled line: some band of a few rows, or columns, that has ink nearly throughout.

    Args:
        ink: ``float [B, H, W]`` in [0, 1].

    Returns:
        ``bool [B]``.
    """
    dark = ink > 0.1
    found = torch.zeros(len(ink), dtype=torch.bool)
    for across in (dark, dark.mT):
        bands = across.clone()
        for away in range(1, 1 + max(1, across.shape[2] // 64)):  # a line that is not quite level
            bands[:, away:] |= across[:, :-away]
            bands[:, :-away] |= across[:, away:]
        covered = bands.float().mean(2) >= RULED
        lines = (covered[:, 1:] & ~covered[:, :-1]).sum(1) + covered[:, 0]
        end = 1 + across.shape[2] // 100
        throughout = across[:, :, :end].any(2).any(1) & across[:, :, -end:].any(2).any(1)
        found |= (lines >= MANY_LINES) | (covered.any(1) & throughout)
    return found


def _shrunk(page: np.ndarray, most: int) -> np.ndarray:
    """Area averages by a whole factor, so that no side is longer than ``most``."""
    factor = -(-max(page.shape) // most)
    if factor == 1:
        return page
    height, width = (-(-side // factor) * factor for side in page.shape)
    whole = np.pad(page, ((0, height - page.shape[0]), (0, width - page.shape[1])), mode="edge")
    return whole.reshape(height // factor, factor, width // factor, factor).mean((1, 3))


def _without_border(page: np.ndarray) -> np.ndarray:
    away = np.abs(page - np.median(page))
    strange = away > STRANGE * away.max()
    cuts = []
    for shares in (strange.mean(1), strange.mean(1)[::-1], strange.mean(0), strange.mean(0)[::-1]):
        widest = int(BORDER * len(shares))
        inside = np.flatnonzero(shares[:widest] <= NEARLY_ALL)
        cuts.append(int(inside[0]) if len(inside) else widest)
    top, bottom, left, right = cuts
    return page[top : page.shape[0] - bottom, left : page.shape[1] - right]


def _photographed_ink(page: np.ndarray) -> np.ndarray:
    """Ink of a page whose paper has noise or shading."""
    smooth = ndimage.gaussian_filter(page, 0.7)
    left = (smooth - _surface(smooth)).astype(np.float64)
    dark = smooth if (left**3).sum() < 0 else 255 - smooth  # light ink on dark paper is turned around
    depth = 1 - dark / np.maximum(_paper(dark), DARKEST)
    middle = float(np.median(depth))
    noise = 1.4826 * float(np.median(np.abs(depth - middle))) + 1 / 255
    depth = (depth - middle).clip(0)
    threshold = max(_otsu(depth), 3 * noise)
    strong = depth > threshold
    contrast = float(depth[strong].mean()) if strong.any() else 0.0
    if noise <= GRAIN and contrast < max(LEAST_CONTRAST, LEAST_SIGNAL * noise):
        raise NoInk("is blank: nothing on it differs from the paper by more than its grain")
    if noise > GRAIN or contrast < PHOTOGRAPH_SIGNAL * noise:
        raise NoInk(f"looks like a photograph, not a drawing: it has no even paper, its levels vary by {noise:.0%}")
    between = float(((depth > 0.3 * contrast) & (depth < 0.7 * contrast)).sum() / strong.sum())
    if between > MOST_BETWEEN:
        raise NoInk(
            "looks like a photograph, not a drawing: most of it is neither as light as paper nor as dark as ink"
        )
    if noise > GRAIN / 2 and strong.mean() > MOST_ON_GRAIN:
        raise NoInk(
            f"looks like a photograph, not a drawing: {strong.mean():.0%} of it is dark, and the rest no even paper"
        )
    _check_edge(strong, MOST_EDGE / 2)
    strong = _without_specks(_without_ruling(strong))
    if not strong.any():
        raise NoInk("is blank: nothing is on it but specks and ruled lines")
    soft = ((depth - threshold / 2) / (contrast - threshold / 2)).clip(0, 1)
    return (soft * ndimage.binary_dilation(strong, iterations=2)).astype(np.float32)


def _check_edge(ink: np.ndarray, most: float) -> None:
    """Raise NoInk where ``bool [H, W]`` is true along more of the edge than a drawing that touches it has there."""
    share = float(np.concatenate([ink[0], ink[-1], ink[:, 0], ink[:, -1]]).mean())
    if share > most:
        raise NoInk(f"looks like a photograph, not a drawing: {share:.0%} of its edge is no paper")


def _surface(page: np.ndarray) -> np.ndarray:
    """A quadratic surface ``[H, W]`` through most of the page's pixels: least squares, again and again with less weight on
    what lies far from it."""
    height, width = page.shape
    y, x = np.meshgrid(np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing="ij")
    terms = np.stack([np.ones_like(x), x, y, x * x, y * y, x * y], axis=2)
    step = max(1, max(page.shape) // 100)
    few, known = page[::step, ::step].ravel().astype(np.float64), terms[::step, ::step].reshape(-1, 6)
    weight = np.ones(len(few))
    for _ in range(8):
        root = np.sqrt(weight)
        solved = np.linalg.lstsq(known * root[:, None], few * root, rcond=None)[0]
        away = np.abs(few - known @ solved)
        weight = 1 / (1 + (away / (1.5 * np.median(away) + 1)) ** 2)
    return terms @ solved


def _paper(page: np.ndarray) -> np.ndarray:
    """The level of light paper everywhere, under dark ink as well, ``[H, W]``."""
    few = ndimage.median_filter(_shrunk(page, 200), 3)
    window = max(3, max(few.shape) // 5)
    # Light that falls towards an edge goes on falling beyond it, or the closing would take the edge for ink.
    wide = np.pad(few, window, mode="reflect", reflect_type="odd")
    closed = ndimage.uniform_filter(ndimage.grey_closing(wide, (window, window)), 3)
    closed = closed[window:-window, window:-window]
    factors = [whole / part for whole, part in zip(page.shape, few.shape, strict=True)]
    return ndimage.zoom(closed, factors, order=1, grid_mode=True, mode="nearest")[: page.shape[0], : page.shape[1]]


def _otsu(values: np.ndarray) -> float:
    """The threshold that divides values into two classes with the largest variance between them (Otsu 1979)."""
    counts, edges = np.histogram(values, 256)
    centres = (edges[:-1] + edges[1:]) / 2
    below, sums = counts.cumsum()[:-1], (counts * centres).cumsum()
    above, rest = counts.sum() - below, sums[-1] - sums[:-1]
    between = below * above * (sums[:-1] / np.maximum(below, 1) - rest / np.maximum(above, 1)) ** 2
    return float(edges[1 + between.argmax()])


def _without_ruling(ink: np.ndarray) -> np.ndarray:
    """``bool [H, W]`` without horizontal and vertical lines across the page."""
    ink = ink.copy()
    for across in (ink, ink.T):  # views: what is taken out of one is out of the other
        width = across.shape[1]
        wide = ndimage.binary_dilation(across, np.ones((3, 1)))
        straight = ndimage.binary_opening(wide, np.ones((1, max(16, width // 8))))
        labels, _count = ndimage.label(straight, np.ones((3, 3)))
        ends = np.array([(0, 0)] + [(box[1].start, box[1].stop) for box in ndimage.find_objects(labels)])
        long = ends[:, 1] - ends[:, 0] >= RULED * width
        if long.sum() < MANY_LINES:
            long = (ends[:, 0] <= 0.01 * width) & (ends[:, 1] >= 0.99 * width)
        ruled = across & long[labels]
        if long.sum() > 1 and ruled.any():  # a single line may be a stroke of the drawing
            runs = _columns(across)
            across &= ~(ruled & (runs <= 2 * np.median(runs[ruled])))
    return ink


def _columns(ink: np.ndarray) -> np.ndarray:
    """Of each pixel the length of the unbroken column of ink that it is in, ``int64 [H, W]``."""
    labels, _ = ndimage.label(ink, [[0, 1, 0], [0, 1, 0], [0, 1, 0]])
    return np.bincount(labels.ravel())[labels] * ink


def _without_specks(ink: np.ndarray) -> np.ndarray:
    """``bool [H, W]`` without spots that are smaller than a dot of the pen."""
    labels, count = ndimage.label(ink, np.ones((3, 3)))
    if count < 2:
        return ink
    areas = np.bincount(labels.ravel(), minlength=count + 1)
    areas[0] = 0
    depth = ndimage.distance_transform_edt(ink)[ink]
    pen = 2 * float(np.percentile(depth, 85))
    return np.isin(labels, np.flatnonzero(areas >= max(4, 0.4 * pen**2)))


def _cut(ink: np.ndarray) -> np.ndarray:
    """The part of a page that has ink."""
    rows, columns = (np.flatnonzero((ink > 0.1).any(axis)) for axis in (1, 0))
    return ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
