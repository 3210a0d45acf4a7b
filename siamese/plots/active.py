"""Pictures of active learning: what each further label is worth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from siamese.plots.style import ACCENT, GROUP_COLOURS, INK, MUTED, RIGHT, WRONG, legend, new_figure, plain_axes
from siamese.plots.verification import PERCENT

COLOURS = (RIGHT, WRONG, ACCENT, *GROUP_COLOURS)
CONTROL = "random"


@dataclass(frozen=True)
class Curve:
    """Accuracy against labels, over several seeds: ``asked`` int [R]; ``mean``, ``low``, ``high`` float [R] in [0, 1]."""

    asked: np.ndarray
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray


def learning_curves(curves: Mapping[str, Curve], full: float, title: str) -> Figure:
    """The curve of each strategy with its 95 % interval as a band; random ones, the control, are dashed.

    Args:
        curves: by strategy.
        full: accuracy with all labels, a line above the curves; a thinner one is at 95 % of it.
        title: of the figure.
    """
    figure = new_figure(title, 7.2, 4.9)
    axes = plain_axes(figure.subplots(), grid="both")
    colours = iter(COLOURS)
    for name, curve in curves.items():
        control = name == CONTROL
        colour = MUTED if control else next(colours, INK)
        axes.fill_between(curve.asked, curve.low, curve.high, color=colour, alpha=0.14, linewidth=0)
        style = "--" if control else "-"
        axes.plot(curve.asked, curve.mean, style, color=colour, linewidth=1.8, label=name)
    axes.axhline(full, color=INK, linewidth=1.2, label=f"all labels, {100 * full:.1f} %")
    axes.axhline(0.95 * full, color=INK, linewidth=0.8, linestyle=(0, (1, 3)), label="95 % of that")
    axes.set(xlabel="labels asked for", ylabel="accuracy on test images")
    axes.yaxis.set_major_formatter(PERCENT)
    legend(axes, loc="lower right")
    return figure
