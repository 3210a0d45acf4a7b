"""Pictures of a classification: which classes are taken for which, and the images that are named wrongly."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib import patheffects
from matplotlib.figure import Figure

from siamese.plots.style import GROUP_COLOURS, INK, MUTED, PAPER_TO_INK, WRONG, draw_ink, new_figure, plain_axes, write

ACROSS = 12  # images in a row of a sheet
MOST = 240  # images of a sheet: those beyond are counted


def confusion_matrix(counts: np.ndarray, names: Sequence[str]) -> Figure:
    """How often images of each class (rows) were named as each class (columns).

    Args:
        counts: ``int [C, C]``.
        names: of the C classes.
    """
    size = max(4.6, 0.52 * len(names) + 1.4)
    figure = new_figure("Truth (rows) and what it was named (columns)", size, size)
    axes = plain_axes(figure.subplots())
    axes.grid(False)
    wrong = counts * (1 - np.eye(len(counts)))
    axes.imshow(wrong, cmap=PAPER_TO_INK, vmin=0, vmax=max(1.0, 4 * wrong.max()))
    for row, column in zip(*counts.nonzero(), strict=True):
        style = {"ha": "center", "va": "center", "transform": axes.transData, "fontsize": 9}
        write(axes, column, row, str(counts[row, column]), color=MUTED if row == column else WRONG, **style)
    axes.set_xticks(range(len(names)), names, rotation=45 if max(map(len, names)) > 3 else 0)
    axes.set_yticks(range(len(names)), names)
    return figure


def mistakes(images: np.ndarray, names: Sequence[str]) -> Figure:
    """Every image that was named wrongly, the surest mistake first.

    Args:
        images: ``uint8 [M, H, W]``, 255 is ink, or ``[M, H, W, 3]``.
        names: M lines such as "4, is 9".
    """
    shown = min(len(images), MOST)
    rows = -(-shown // ACROSS)
    more = f", the surest {MOST} of them" if len(images) > MOST else ""
    figure = new_figure(f"{len(images)} images named wrongly{more}: what was said, what it is", 10.0, 0.7 + 1.06 * rows)
    panels = np.atleast_1d(figure.subplots(rows, ACROSS, squeeze=False)).flatten()
    for place, axes in enumerate(panels):
        axes.set_axis_off()
        if place < shown:
            draw_ink(axes, images[place])
            axes.set_title(names[place], fontsize=7, color=WRONG, pad=2, parse_math=False)
    return figure


def point_map(points: np.ndarray, labels: np.ndarray, names: Sequence[str], title: str) -> Figure:
    """A dot for each image, coloured by class, with the class's name where most of its dots are.

    Args:
        points: ``float [N, 2]``.
        labels: ``int [N]``, indices into ``names``; those beyond ten share colours.
        names: of the classes.
    """
    figure = new_figure(title, 7.2, 7.0)
    axes = figure.subplots()
    axes.set_axis_off()
    colours = [GROUP_COLOURS[label % len(GROUP_COLOURS)] for label in labels.tolist()]
    axes.scatter(points[:, 0], points[:, 1], s=3, c=colours, linewidths=0, alpha=0.7)
    axes.set_aspect("equal")
    for label in np.unique(labels):
        x, y = np.median(points[labels == label], axis=0)
        style = {"ha": "center", "va": "center", "transform": axes.transData, "fontsize": 12, "fontweight": "bold"}
        halo = [patheffects.withStroke(linewidth=3, foreground="white")]
        write(axes, x, y, names[label], color=INK, path_effects=halo, **style)
    return figure
