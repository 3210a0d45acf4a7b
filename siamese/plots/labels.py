"""Pictures of several labels an image: how well each label is told, examples, and trainings beside one another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from siamese.plots.style import (
    ACCENT,
    GROUP_COLOURS,
    INK,
    MUTED,
    PALE,
    RIGHT,
    WRONG,
    draw_ink,
    legend,
    new_figure,
    plain_axes,
    write,
)
from siamese.plots.verification import PERCENT

ACROSS, LINES = 6, 5  # images in a row of a sheet, and labels named below each


def label_bars(precisions: Mapping[str, tuple[float, float]]) -> Figure:
    """Average precision of each label, the best on top, beside the share of images that carry it, which is what a guess has.

    Args:
        precisions: by label, ``(average precision, share)`` in [0, 1].
    """
    ranked = sorted(precisions.items(), key=lambda item: item[1][0])
    figure = new_figure("Average precision of each label", 7.0, 1.3 + 0.27 * len(ranked))
    axes = plain_axes(figure.subplots(), grid="x")
    places = np.arange(len(ranked))
    axes.barh(places, [found for _, (found, _) in ranked], color=PALE, height=0.62, label="average precision")
    axes.plot([share for _, (_, share) in ranked], places, "|", color=WRONG, markersize=11, markeredgewidth=2.2,
              label="share of images that carry it")  # fmt: skip
    for place, (_, (found, _)) in zip(places, ranked, strict=True):
        write(axes, found, float(place), f" {100 * found:.1f}", va="center", fontsize=8.5, transform=axes.transData)
    axes.set_yticks(places, [name for name, _ in ranked], color=INK)
    axes.set(xlim=(0, 1.08), ylim=(-0.6, len(ranked) - 0.4))
    axes.xaxis.set_major_formatter(PERCENT)
    legend(axes, loc="lower right")
    return figure


def label_sheet(
    images: Sequence[np.ndarray], lines: Sequence[Sequence[tuple[str, float, bool]]], said: Sequence[Sequence[bool]]
) -> Figure:
    """Images with the labels that were said of them and those that they carry: in teal what was said rightly, in vermilion
    what was said wrongly, in grey with a line through it what was missed.

    Args:
        images: ``uint8 [H, W, 3]``, or ``[H, W]``, 255 is ink.
        lines: of each image, its labels with their probabilities, and whether it carries them.
        said: of each of those, whether it was said.
    """
    rows = -(-len(images) // ACROSS)
    figure = new_figure("Labels: said rightly, said wrongly, (missed)", 11.0, 0.6 + 2.75 * max(1, rows))
    for place, axes in enumerate(figure.subplots(max(1, rows), ACROSS, squeeze=False).flatten()):
        if place >= len(images):
            axes.set_axis_off()
            continue
        whole = all(there == told for (_, _, there), told in zip(lines[place], said[place], strict=True))
        draw_ink(axes, images[place], RIGHT if whole else WRONG)
        for row, ((name, share, there), told) in enumerate(zip(lines[place][:LINES], said[place], strict=False)):
            text = f"{name} {100 * share:.0f} %"
            colour = (RIGHT if there else WRONG) if told else MUTED
            write(axes, 0.0, -0.05 - 0.1 * row, text if told else f"({text})", va="top", fontsize=8, color=colour)
    return figure


def curve_pair(curves: Mapping[str, tuple[np.ndarray, np.ndarray]], title: str, label: str) -> Figure:
    """Trainings beside one another: a line for each.

    Args:
        curves: by name, steps ``[S]`` and shares ``[S]`` in [0, 1].
        title: of the picture.
        label: of the shares.
    """
    figure = new_figure(title, 7.2, 4.2)
    axes = plain_axes(figure.subplots())
    for (name, (steps, shares)), colour in zip(curves.items(), (RIGHT, WRONG, ACCENT, *GROUP_COLOURS), strict=False):
        axes.plot(steps, shares, "o-", color=colour, linewidth=1.8, markersize=3.5, label=name)
        write(
            axes, steps[-1], shares[-1], f" {100 * shares[-1]:.1f}", transform=axes.transData, va="center", color=colour
        )
    axes.set(xlabel="step", ylabel=label)
    axes.margins(x=0.1)
    axes.yaxis.set_major_formatter(PERCENT)
    legend(axes, loc="lower right")
    return figure
