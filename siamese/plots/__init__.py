"""The pictures of a run, each a pure function from arrays to a matplotlib ``Figure``; ``save`` writes one.

Right is teal and wrong is vermilion throughout; shares are drawn in per cent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from siamese.plots.images import Trial, embedding_map, trial, trial_sheet
from siamese.plots.style import (
    ACCENT,
    INK,
    MUTED,
    PALE,
    RIGHT,
    WRONG,
    legend,
    new_figure,
    plain_axes,
    save,
    write,
)
from siamese.plots.verification import PERCENT, JudgedPair, det, pair_sheet, reliability, roc, score_histogram

__all__ = [
    "JudgedPair",
    "Trial",
    "det",
    "embedding_map",
    "group_bars",
    "pair_sheet",
    "reliability",
    "roc",
    "run_bars",
    "save",
    "score_histogram",
    "training_curves",
    "trial",
    "trial_sheet",
]


def group_bars(results: Mapping[str, tuple[float, float, float]], title: str) -> Figure:
    """Accuracy of each group (an alphabet) as ``(accuracy, low, high)`` in [0, 1], the best on top."""
    ranked = sorted(results.items(), key=lambda item: (item[1][0], item[0]))
    figure = new_figure(title, 7.6, 1.1 + 0.36 * max(1, len(ranked)))
    axes = plain_axes(figure.subplots(), grid="x")
    places = np.arange(len(ranked))
    accuracy, low, high = np.array([figures for _, figures in ranked], dtype=float).reshape(-1, 3).T
    axes.barh(places, accuracy, height=0.62, color=PALE)
    axes.hlines(places, low, high, color=INK, linewidth=1.4)
    axes.plot(np.stack([low, high]), np.stack([places, places]), "|", color=INK, markersize=7, markeredgewidth=1.4)
    for place, value in zip(places, accuracy, strict=True):
        style = {"transform": axes.get_yaxis_transform(), "va": "center", "fontweight": "bold"}
        write(axes, 1.015, float(place), f"{100 * value:.1f} %", **style)
    axes.set_yticks(places, [name.replace("_", " ") for name, _ in ranked], color=INK, parse_math=False)
    axes.set(xlim=(0, 1), ylim=(-0.6, max(1, len(ranked)) - 0.4), xlabel="accuracy, with its 95 % interval")
    axes.xaxis.set_major_formatter(PERCENT)
    return figure


def run_bars(per_run: Sequence[float], title: str) -> Figure:
    """Accuracy in [0, 1] of each official run: what is missing to the top is what went wrong."""
    right = np.asarray(per_run, dtype=float)
    numbers = np.arange(1, len(right) + 1)
    figure = new_figure(title, 7.6, 3.2)
    axes = plain_axes(figure.subplots())
    axes.bar(numbers, right, width=0.72, color=RIGHT, label="right")
    axes.bar(numbers, 1 - right, bottom=right, width=0.72, color=WRONG, label="wrong")
    for number, share in zip(numbers, right, strict=True):
        style = {"transform": axes.transData, "ha": "center", "fontsize": 8, "color": "white"}
        write(axes, float(number), 0.03, f"{100 * share:.0f}", **style)
    if len(right):
        mean = float(right.mean())
        axes.axhline(mean, color=INK, linewidth=1, linestyle=(0, (4, 3)), label=f"mean {100 * mean:.1f} %")
    axes.set(xticks=numbers, xlim=(0.4, len(right) + 0.6), ylim=(0, 1), xlabel="official run")
    axes.yaxis.set_major_formatter(PERCENT)
    legend(axes, loc="lower right", bbox_to_anchor=(1, 1), ncols=3, borderaxespad=0.2)
    return figure


# Figures of validation that checkpoints are chosen by.
VALIDATED = {
    "val/one_shot": "one-shot accuracy, validation",
    "val/accuracy": "accuracy, validation",
    "val/eer": "equal error rate, validation",
    "val/exact_match": "all labels right, validation",
}


def training_curves(rows: Sequence[Mapping[str, float]]) -> Figure:
    """Loss, validation accuracy and learning rate against the step, from the rows of ``metrics.csv``.

    Cells may be missing; ``train/loss``, ``val/loss``, ``lr`` and the first of ``VALIDATED`` that there is are drawn where they
    are there. Lightning counts the steps of ``metrics.csv`` from 0; drawn are the steps done.
    """
    lines = {name: _series(rows, name) for name in ("train/loss", "val/loss", *VALIDATED, "lr")}
    chosen_by = [name for name in VALIDATED if len(lines[name][0])][:1]
    panels = [p for p in (["train/loss", "val/loss"], chosen_by, ["lr"]) if any(len(lines[n][0]) for n in p)]
    figure = new_figure("Training", 9.4, 3.3)
    if not panels:
        axes = figure.subplots()
        axes.set_axis_off()
        write(axes, 0.5, 0.5, "Nothing was logged.", ha="center", va="center", fontsize=12, color=MUTED)
        return figure
    widths = [0.7 if panel == ["lr"] else 1.3 for panel in panels]
    for axes, panel in zip(figure.subplots(1, len(panels), squeeze=False, width_ratios=widths)[0], panels, strict=True):
        plain_axes(axes)
        for name in panel:
            _line(axes, name, *lines[name])
        titles = {**VALIDATED, "lr": "learning rate"}
        axes.set(xlabel="step", title=titles.get(panel[0], "loss"))
        axes.title.set(fontsize=9.5, color=INK)
        axes.xaxis.set_major_locator(MaxNLocator(4 if panel == ["lr"] else 6, integer=True))
        legend(axes)
    return figure


def _series(rows: Sequence[Mapping[str, float]], name: str) -> tuple[np.ndarray, np.ndarray]:
    """Steps and values of the first column of that name or, as in ``lr-AdamW``, one made from it."""
    every = dict.fromkeys(column for row in rows for column in row)
    columns = [c for c in every if c == name or c.startswith((f"{name}-", f"{name}_"))]
    column = min(columns, key=len, default=name)
    there = [(i, row) for i, row in enumerate(rows) if row.get(column) is not None]
    found = [(row["step"] + 1 if "step" in row else row.get("epoch", i), row[column]) for i, row in there]
    steps, values = np.array(found, dtype=float).reshape(-1, 2).T
    return steps[np.isfinite(values)], values[np.isfinite(values)]


def _line(axes: Axes, name: str, steps: np.ndarray, values: np.ndarray) -> None:
    """One curve; a noisy training loss gets its running mean drawn over it, a validation figure its best marked."""
    colour = {"train/loss": RIGHT, "val/loss": WRONG, **dict.fromkeys(VALIDATED, RIGHT)}.get(name, MUTED)
    dots = "o" if len(steps) <= 40 and name != "lr" else ""
    if name == "train/loss" and len(steps) > 40:
        axes.plot(steps, values, color=colour, linewidth=0.7, alpha=0.35)
        width = max(3, len(steps) // 40)
        steps = steps[width // 2 :][: len(steps) - width + 1]
        values = np.convolve(values, np.full(width, 1 / width), "valid")
    label = {"train/loss": "training", "val/loss": "validation"}.get(name)
    label = label if len(steps) else None
    axes.plot(steps, values, color=colour, linewidth=1.8, marker=dots, markersize=3.5, label=label)
    if name in VALIDATED and len(steps):
        best = int(values.argmin() if name == "val/eer" else values.argmax())
        axes.yaxis.set_major_formatter(PERCENT)
        label = f"best {100 * values[best]:.2f} % at step {steps[best]:.0f}"
        axes.plot(steps[best], values[best], "D", color=ACCENT, markersize=7, label=label)
