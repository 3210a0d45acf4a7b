"""Digits and other things as a person draws them with a mouse: strokes of points in 0..1, y down."""

from math import cos, pi, radians, sin

Stroke = list[tuple[float, float]]


def arc(x: float, y: float, width: float, height: float, start: float, end: float) -> Stroke:
    """Part of an ellipse around (x, y), from ``start`` to ``end`` degrees; 0 is right, 90 is below."""
    angles = [radians(start + (end - start) * step / 24) for step in range(25)]
    return [(x + width * cos(angle), y + height * sin(angle)) for angle in angles]


DIGITS: list[list[Stroke]] = [
    [arc(0.5, 0.5, 0.22, 0.35, -90, 270)],
    [[(0.42, 0.26), (0.52, 0.15), (0.52, 0.85)]],
    [[*arc(0.5, 0.35, 0.2, 0.2, -170, 40), (0.3, 0.85), (0.74, 0.85)]],
    [arc(0.47, 0.32, 0.2, 0.17, -150, 90) + arc(0.47, 0.67, 0.23, 0.18, -90, 150)],
    [[(0.42, 0.15), (0.26, 0.55), (0.74, 0.55)], [(0.6, 0.3), (0.58, 0.88)]],
    [[(0.36, 0.18), (0.33, 0.46), *arc(0.47, 0.64, 0.22, 0.21, -130, 140)], [(0.36, 0.18), (0.68, 0.17)]],
    [[(0.62, 0.14), (0.42, 0.38), *arc(0.5, 0.66, 0.19, 0.2, -170, 190)]],
    [[(0.28, 0.18), (0.72, 0.18), (0.45, 0.86)]],
    [arc(0.5, 0.32, 0.16, 0.17, 90, -270) + arc(0.5, 0.68, 0.2, 0.19, -90, 270)],
    [[*arc(0.48, 0.34, 0.18, 0.19, -10, -370), (0.66, 0.4), (0.6, 0.88)]],
]
_SPIRAL = [0.2 * step for step in range(56)]
_ROUND = [0.15 * step for step in range(43)]
OTHERS: dict[str, list[Stroke]] = {
    "star": [[(0.5 + 0.38 * sin(0.8 * pi * tip), 0.5 - 0.38 * cos(0.8 * pi * tip)) for tip in range(6)]],
    "house": [
        [(0.25, 0.85), (0.25, 0.45), (0.5, 0.15), (0.75, 0.45), (0.75, 0.85), (0.25, 0.85)],
        [(0.44, 0.85), (0.44, 0.62), (0.56, 0.62), (0.56, 0.85)],
    ],
    "spiral": [[(0.5 + 0.035 * t * cos(t), 0.5 + 0.035 * t * sin(t)) for t in _SPIRAL]],
    "heart": [
        [
            (0.5 + 0.35 * sin(t) ** 3, 0.48 - 0.022 * (13 * cos(t) - 5 * cos(2 * t) - 2 * cos(3 * t) - cos(4 * t)))
            for t in _ROUND
        ]
    ],
    "triangle": [[(0.5, 0.15), (0.85, 0.8), (0.15, 0.8), (0.5, 0.15)]],
    "cross": [[(0.2, 0.2), (0.8, 0.8)], [(0.8, 0.2), (0.2, 0.8)]],
    "arrow": [[(0.15, 0.5), (0.85, 0.5)], [(0.65, 0.3), (0.85, 0.5), (0.65, 0.7)]],
    "zigzag": [[(0.1 + 0.1 * step, 0.3 if step % 2 else 0.7) for step in range(9)]],
    "hash": [[(x, 0.15), (x, 0.85)] for x in (0.38, 0.62)] + [[(0.15, y), (0.85, y)] for y in (0.38, 0.62)],
    "smiley": [
        arc(0.5, 0.5, 0.38, 0.38, 0, 360),
        [(0.38, 0.4), (0.38, 0.45)],
        [(0.62, 0.4), (0.62, 0.45)],
        arc(0.5, 0.52, 0.2, 0.18, 20, 160),
    ],
}
