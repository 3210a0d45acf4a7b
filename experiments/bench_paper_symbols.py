"""The invented script of ``bench_paper.py``: 18 symbols of two to four strokes, and drawings of them as hands vary."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np

KNOWN = 12  # of the symbols are enrolled, the others are strangers
_STEPS = 12  # points of a curve from one control point to the next

# Strokes as "x,y" in percent of the symbol's side, y down. A curve goes through the points; at a "!" it has a corner.
_SYMBOLS = {
    "hook": ("60,4 61,70 50,94 28,92 16,74", "28,36 94,26! 88,52"),
    "gate": ("14,96 18,40 42,8 68,16 80,48 82,97", "46,62 49,65", "2,70 30,76"),
    "loop": ("90,90 56,62 26,34 28,10 54,10 60,36 36,66 6,90", "72,20 98,8"),
    "zigzag": ("8,14 82,10! 24,50! 86,54! 16,96", "66,76 94,98"),
    "spiral": ("52,52 64,44 70,58 52,70 32,56 38,28 66,18 90,42 88,74 58,98", "4,20 18,4"),
    "cup": ("10,8 12,48 38,64 66,58 82,38 86,6", "48,64 46,98", "24,86 72,80"),
    "arcs": ("14,6 40,30 40,68 10,96", "88,4 62,32 64,70 96,94", "24,58 98,40"),
    "flag": ("20,98 22,4! 88,24! 24,50", "70,64 73,67", "44,92 92,86"),
    "wave": ("4,36 20,14 42,34 62,52 80,34 94,8", "18,74 21,77", "48,62 44,98", "82,70 85,73"),
    "chair": ("28,6 24,56! 74,50", "76,16 74,82 88,96 98,84"),
    "ring": ("52,6 26,14 18,36 36,54 62,48 72,26 52,6", "44,54 38,84! 86,96", "14,78 58,66"),
    "comb": ("6,18 94,10", "20,17 18,62", "50,14 54,96 32,84", "82,11 86,44"),
    # strangers
    "key": ("84,4 54,20 40,54 46,86 26,98 10,80 28,64 58,76", "56,36 94,48"),
    "fish": ("6,12 40,30 72,64 92,94", "92,10 66,40 30,84 8,82 8,58", "50,8 53,11"),
    "three": ("16,14 48,4 72,22 42,46! 78,64 62,92 14,90", "92,26 98,84", "10,48 14,51"),
    "roof": ("4,46 48,4! 94,40! 88,96", "10,72 58,66", "36,44 30,98"),
    "stool": ("4,90 30,86 14,48 30,14 62,8 86,44 70,84 96,92", "40,44 60,54"),
    "heel": ("14,4 18,78 42,96 94,84", "44,14 38,54", "76,8 62,58"),
}


class Symbol(NamedTuple):
    """A class: for each stroke its control points ``float64 [P, 2]`` in the unit square, and the corners among them."""

    name: str
    strokes: tuple[tuple[np.ndarray, tuple[int, ...]], ...]


def symbols() -> tuple[Symbol, ...]:
    """All 18 classes, the enrolled ones first."""
    return tuple(Symbol(name, tuple(map(_stroke, strokes))) for name, strokes in _SYMBOLS.items())


def _stroke(text: str) -> tuple[np.ndarray, tuple[int, ...]]:
    """Control points and corners of a stroke; between two corners there is one more point, where a line may bend."""
    words = text.split()
    given = [np.array(word.rstrip("!").split(","), float) / 100 for word in words]
    sharp = [place in (0, len(words) - 1) or word.endswith("!") for place, word in enumerate(words)]
    points, corners = [given[0]], []
    for place in range(1, len(words)):
        if sharp[place - 1] and sharp[place]:
            points.append((given[place - 1] + given[place]) / 2)
        points.append(given[place])
        if sharp[place] and place < len(words) - 1:
            corners.append(len(points) - 1)
    return np.array(points), tuple(corners)


def drawn(symbol: Symbol, rng: np.random.Generator) -> list[np.ndarray]:
    """A drawing: strokes ``float64 [Q, 2]``, (x, y) about the middle of the symbol, whose side is 1.

    Drawings of one symbol differ by an affine map (turned up to 6 degrees, sheared, size ± 10 %), by the place of each
    stroke (2 % of the side), and by the control points (2.5 %, less in a stroke that is itself short), neighbours of
    which move alike.
    """
    angle, shear, aspect, size = rng.uniform(-1, 1, 4) * (np.radians(6), 0.1, 0.08, 0.1)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    affine = (1 + size) * turn @ np.array([[1 + aspect, shear], [0, 1 - aspect]])
    strokes = []
    for points, corners in symbol.strokes:
        length = np.hypot(*np.diff(points, axis=0).T).sum()
        noise = rng.normal(0, min(0.025, length / 6), (len(points) + 2, 2))
        moved = points - 0.5 + rng.normal(0, 0.02, 2) + (noise[:-2] + 2 * noise[1:-1] + noise[2:]) / 6**0.5
        ends = [0, *corners, len(points) - 1]
        pieces = [_curve(moved[start : end + 1]) for start, end in pairwise(ends)]
        strokes.append(np.concatenate(pieces) @ affine.T)
    return strokes


def _curve(points: np.ndarray) -> np.ndarray:
    """A Catmull-Rom spline through points ``[P, 2]``: ``[_STEPS * (P - 1) + 1, 2]``."""
    around = np.concatenate([[2 * points[0] - points[1]], points, [2 * points[-1] - points[-2]]])
    a, b, c, d = (around[place : len(points) - 1 + place, None] for place in range(4))
    t = np.linspace(0, 1, _STEPS, endpoint=False)[:, None]
    curve = b + t / 2 * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a)))
    return np.concatenate([curve.reshape(-1, 2), points[-1:]])
