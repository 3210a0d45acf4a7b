"""Pictures of novelty detection: how outlying known and novel images are, and single images with what was made of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, ScalarFormatter

from siamese.plots.style import (
    ACCENT,
    GROUP_COLOURS,
    INK,
    MUTED,
    RIGHT,
    WRONG,
    draw_ink,
    legend,
    new_figure,
    plain_axes,
    shorten,
    write,
)
from siamese.plots.verification import PERCENT

ACROSS, MOST = 8, 48  # images in a row of a sheet, and on it
LONGEST = 24  # letters above and below an image
COLOURS = (WRONG, ACCENT, *GROUP_COLOURS)


def factor_histogram(known: np.ndarray, novel: Mapping[str, np.ndarray], thresholds: Mapping[str, float]) -> Figure:
    """How the local outlier factors of known images and of each novel set lie about the thresholds; 1 is as dense as around.

    Args:
        known: ``float [K]``, positive.
        novel: ``float [M]`` of each set by its name.
        thresholds: factors beyond which an image is novel, by what they were made for.
    """
    figure = new_figure("Local outlier factor of known and novel images", 8.4, 3.8)
    axes = plain_axes(figure.subplots())
    every = np.concatenate([known, *novel.values(), list(thresholds.values())])
    edges = np.geomspace(every.min() * 0.98, max(every.max(), every.min() * 1.1) * 1.02, 80)
    sets = {"known test images": known, **novel}
    for (name, factors), colour in zip(sets.items(), (RIGHT, *COLOURS * len(sets)), strict=False):
        heights, _ = np.histogram(factors, edges, weights=np.full(len(factors), 1 / max(1, len(factors))))
        axes.stairs(heights, edges, fill=True, color=colour, alpha=0.2)
        axes.stairs(heights, edges, color=colour, linewidth=1.6, label=name)
    for place, (name, at) in enumerate(thresholds.items()):
        dashes = (0, (4, 1 + 2 * place))
        axes.axvline(at, color=INK, linewidth=1.2, linestyle=dashes, label=f"{name}: {at:.2f}")
    axes.set(xscale="log", xlim=(edges[0], edges[-1]), xlabel="local outlier factor", ylabel="share of the images")
    axes.yaxis.set_major_formatter(PERCENT)
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.xaxis.set_minor_formatter(ScalarFormatter() if edges[-1] < 10 * edges[0] else NullFormatter())
    axes.tick_params(axis="x", which="both", labelsize=9)
    legend(axes, loc="upper right")
    return figure


def judged_sheet(
    images: Sequence[np.ndarray],
    names: Sequence[str],
    said: Sequence[str],
    marked: Sequence[bool],
    title: str,
    of: int | None = None,
) -> Figure:
    """Up to 48 images in the order given, each with what was said of it above and its name below.

    Args:
        images: ``uint8 [H, W]``, 255 is ink, or ``[H, W, 3]``; of any sizes.
        names: by which a person finds the images again.
        said: a few words and the score.
        marked: those in vermilion; the others are in teal.
        title: of the picture.
        of: how many there are.
    """
    shown = min(len(images), MOST)
    if shown < (of or len(images)):
        title = f"{title} ({shown} of {of or len(images):,})"
    across = min(ACROSS, max(4, shown))
    rows = -(-shown // across)
    figure = new_figure(title, max(7.0, 1.35 * across), 0.6 + 1.62 * max(1, rows))
    for place, axes in enumerate(figure.subplots(max(1, rows), across, squeeze=False).flatten()):
        if place >= shown:
            axes.set_axis_off()
            continue
        colour = WRONG if marked[place] else RIGHT
        draw_ink(axes, images[place], colour)
        write(axes, 0.5, 1.04, shorten(said[place], LONGEST), ha="center", va="bottom", fontsize=8, color=colour)
        name = shorten(names[place], LONGEST)
        write(axes, 0.5, -0.05, name, ha="center", va="top", fontsize=6.5, color=MUTED)
    return figure
