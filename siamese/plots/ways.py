"""Pictures of two ways of doing the same: how fast each is, and how soon each has learned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from siamese.plots.style import ACCENT, GROUP_COLOURS, INK, RIGHT, WRONG, legend, new_figure, plain_axes, write
from siamese.plots.verification import PERCENT

COLOURS = (RIGHT, WRONG, ACCENT, *GROUP_COLOURS)


@dataclass(frozen=True)
class Curve:
    """What was seen of a training: ``accuracies`` float [R] in [0, 1] after ``seconds`` float [R]. ``joined`` if it is one
    training; otherwise every dot is a training by itself."""

    seconds: np.ndarray
    accuracies: np.ndarray
    joined: bool = True


def way_bars(figures: Mapping[str, Mapping[str, Mapping[str, float]]], title: str) -> Figure:
    """A row of panels for each thing that was measured, a panel for each measure, a bar for each way.

    Args:
        figures: by what was measured, by measure and by way; all have the same measures and ways.
        title: of the figure.
    """
    measures = list(next(iter(figures.values())))
    ways = list(next(iter(figures.values()))[measures[0]])
    figure = new_figure(title, 1.6 + 2.7 * len(measures), 0.7 + (0.55 + 0.34 * len(ways)) * len(figures))
    panels = figure.subplots(len(figures), len(measures), squeeze=False)
    places = np.arange(len(ways))[::-1]
    for row, (name, measured) in zip(panels, figures.items(), strict=True):
        for axes, (measure, values) in zip(row, measured.items(), strict=True):
            plain_axes(axes, grid="x")
            found = np.array([values[way] for way in ways])
            axes.barh(places, found, height=0.66, color=COLOURS[: len(ways)])
            for place, value in zip(places, found, strict=True):
                style = {"transform": axes.transData, "va": "center", "fontweight": "bold", "fontsize": 8.5}
                write(
                    axes,
                    float(value) + 0.03 * float(found.max()),
                    float(place),
                    f"{value:,.{_decimals(value)}f}",
                    **style,
                )
            axes.set(xlim=(0, 1.4 * float(found.max())), xticks=[])  # room for the figures, which say it all
            axes.set_yticks(places, ways if axes is row[0] else [""] * len(ways), color=INK)
            axes.set_title(f"{name}: {measure}", fontsize=9, color=INK, loc="left")
    return figure


def way_race(curves: Mapping[str, Curve], target: float, title: str) -> Figure:
    """Validation accuracy against seconds of training, by way, and the accuracy that was to be reached."""
    figure = new_figure(title, 7.2, 4.4)
    axes = plain_axes(figure.subplots(), grid="both")
    for (name, curve), colour in zip(curves.items(), COLOURS, strict=False):
        style = "-" if curve.joined else ":"
        axes.plot(
            curve.seconds, curve.accuracies, style, marker="o", markersize=4.5, color=colour, linewidth=1.8, label=name
        )
    axes.axhline(target, color=INK, linewidth=0.9, linestyle=(0, (4, 3)), label=f"target, {100 * target:g} %")
    axes.set(xlabel="seconds of training", ylabel="accuracy on validation classes", xlim=(0, None))
    axes.yaxis.set_major_formatter(PERCENT)
    legend(axes, loc="lower right")
    return figure


def _decimals(value: float) -> int:
    """So that a figure has about three digits."""
    return 0 if value >= 100 else 1 if value >= 10 else 2
