"""Pages to find ink on: lines of a pen of any width, anywhere on a page of any size."""

import numpy as np
from scipy import ndimage

HOOK = ((0.1, 0.2), (0.5, 0.1), (0.7, 0.5), (0.3, 0.9), (0.9, 0.8))


def drawing(
    shape: tuple[int, int] = (120, 160),
    corner: tuple[float, float] = (30, 20),
    side: float = 80,
    pen: float = 4,
    points: tuple[tuple[float, float], ...] = HOOK,
) -> np.ndarray:
    """Ink ``float64 [H, W]`` in [0, 1] with grey edges, of lines between points (x, y) in a square of ``side`` pixels."""
    y, x = np.mgrid[0 : shape[0], 0 : shape[1]] + 0.5
    nearest = np.full(shape, np.inf)
    placed = [(corner[0] + side * px, corner[1] + side * py) for px, py in points]
    for (ax, ay), (bx, by) in zip(placed, placed[1:] or placed, strict=False):
        dx, dy = bx - ax, by - ay
        along = np.clip(((x - ax) * dx + (y - ay) * dy) / (dx * dx + dy * dy or 1), 0, 1)
        nearest = np.minimum(nearest, np.hypot(x - ax - along * dx, y - ay - along * dy))
    return np.clip(pen / 2 + 0.5 - nearest, 0, 1)


def page(ink: np.ndarray, paper: float = 255, level: float = 0) -> np.ndarray:
    """``uint8 [H, W]``: ink of this level of grey on paper of that."""
    return np.round(paper + (level - paper) * ink).astype(np.uint8)


def noise(shape: tuple[int, int], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 1, shape)


def photographed(ink: np.ndarray, darkest: float = 0.4, grain: float = 2.5, paper: float = 230) -> np.ndarray:
    """The page under light that falls to ``darkest`` from left to right, seen by a camera."""
    light = np.linspace(1, darkest, ink.shape[1])
    blurred = ndimage.gaussian_filter(paper * (1 - 0.85 * ink) * light, 0.7)
    return (blurred + grain * noise(ink.shape)).clip(0, 255).round().astype(np.uint8)
