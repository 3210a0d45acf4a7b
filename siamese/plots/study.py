"""Pictures of a study: curves averaged over its seeds, and every seed as a dot."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from siamese.plots.style import ACCENT, GROUP_COLOURS, INK, MUTED, RIGHT, WRONG, legend, new_figure, plain_axes

COLOURS = (RIGHT, WRONG, ACCENT, MUTED, *GROUP_COLOURS)


def curves(arm: dict[str, Any]) -> Figure:
    """True accepts against false accepts of every method, averaged at equal FAR (vertical averaging, Fawcett 2006)."""
    figure = new_figure(f"{arm['name']}: mean of {arm['seeds']} splits", 6.4, 4.9)
    axes = plain_axes(figure.subplots(), grid="both")
    far = np.array(arm["far"])
    for place, ((name, figures), colour) in enumerate(zip(arm["methods"].items(), COLOURS, strict=False)):
        width = 1.5 if place else 2.4  # the network stands first
        axes.plot(far, figures["curve"]["mean"], color=colour, linewidth=width, label=name)
    axes.set(xscale="log", xlim=(far[0], 1), ylim=(0, 1.01), xlabel="false accepts (FAR)", ylabel="true accepts (TAR)")
    legend(axes, loc="lower right")
    return figure


def splits(arm: dict[str, Any]) -> Figure:
    """The equal error rate of every split, by method: a line joins what one split gave to all of them."""
    methods = {name: figures["eer"]["values"] for name, figures in arm["methods"].items()}
    return _dots(methods, f"{arm['name']}: equal error rate of every split", "EER, %", 1, joined=True)


def trainings(accuracies: dict[str, list[float]]) -> Figure:
    """The accuracy of every training, by arm."""
    return _dots(accuracies, "Accuracy of every training", "accuracy, %", 2, joined=False)


def _dots(groups: dict[str, list[float]], title: str, label: str, decimals: int, joined: bool) -> Figure:
    """Shares in per cent as a column of dots for each group, with their mean; lines join those of one place in the lists."""
    methods = {name: np.array(values) * 100 for name, values in groups.items()}
    figure = new_figure(title, 6.4, 4.2)
    axes = plain_axes(figure.subplots())
    places = np.arange(len(methods))
    if joined:
        for split in zip(*methods.values(), strict=True):
            axes.plot(places, split, color=MUTED, linewidth=0.6, alpha=0.5)
    for place, (values, colour) in enumerate(zip(methods.values(), COLOURS, strict=False)):
        axes.plot([place] * len(values), values, "o", color=colour, markersize=5, markeredgecolor="white")
        axes.plot([place - 0.2, place + 0.2], [values.mean()] * 2, color=INK, linewidth=2)
        note: dict[str, Any] = {"fontsize": 9.5, "color": INK, "va": "center"}
        at = (place + 0.2, values.mean())
        axes.annotate(f"{values.mean():.{decimals}f}", at, (4, 0), textcoords="offset points", **note)
    axes.set_xticks(places, list(methods), color=INK)
    axes.set(xlim=(-0.5, len(methods) - 0.3), ylabel=label)
    if joined:
        axes.set_ylim(0, None)
    return figure
