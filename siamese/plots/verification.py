"""Pictures of verification: error curves, scores, reliability, and the pairs that were judged wrongly."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter
from numpy.typing import ArrayLike
from scipy.special import ndtri

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
    shorten,
    write,
)

PERCENT = FuncFormatter(lambda value, _: f"{100 * value:g} %")
LOWEST_FAR = 1e-4
COLOURS = (RIGHT, ACCENT, *GROUP_COLOURS)
DET_TICKS = (0.001, 0.01, 0.05, 0.2, 0.5, 0.8, 0.95, 0.99, 0.999)
MOST_PAIRS = 12  # of a sheet: as many as a screen shows
Curves = Mapping[str, tuple[np.ndarray, np.ndarray]]


def _crossing(far: np.ndarray, tar: np.ndarray) -> float:
    """The equal error rate: where the curve of (FAR, TAR), sorted by FAR, meets FAR = 1 - TAR."""
    gap = far - (1 - tar)
    after = int(np.argmax(gap >= 0)) if (gap >= 0).any() else len(gap) - 1
    before = max(after - 1, 0)
    step = gap[after] - gap[before]
    share = -gap[before] / step if step > 0 else 0.0
    return float(far[before] + share * (far[after] - far[before]))


def _sorted(far: np.ndarray, tar: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    order = np.lexsort((tar, far))
    return np.asarray(far, dtype=float)[order], np.asarray(tar, dtype=float)[order]


def roc(curves: Curves, title: str) -> Figure:
    """True accepts against false accepts of each named ``(far [M], tar [M])`` in [0, 1], false accepts logarithmic."""
    figure = new_figure(title, 6.4, 4.9)
    axes = plain_axes(figure.subplots(), grid="both")
    line = np.geomspace(LOWEST_FAR, 1, 400)
    axes.plot(line, 1 - line, color=MUTED, linewidth=1, linestyle=(0, (4, 3)), label="equal errors (FAR = 1 − TAR)")
    for (name, curve), colour in zip(curves.items(), COLOURS * len(curves), strict=False):
        far, tar = _sorted(*curve)
        equal = _crossing(far, tar)
        label = f"{name} (EER {100 * equal:.1f} %)"
        axes.step(np.clip(far, LOWEST_FAR, 1), tar, where="post", color=colour, linewidth=2, label=label)
        axes.plot([equal], [1 - equal], "o", color=colour, markersize=6, markeredgecolor="white")
        for rate in (0.01, 0.001):
            # The best that stays within the allowed rate; never a value between two thresholds that do not exist.
            reached = float(tar[far <= rate].max(initial=0))
            axes.plot([rate], [reached], "D", color=colour, markersize=5, markeredgecolor="white", zorder=3)
            if len(curves) == 1:
                note = f"{100 * reached:.1f} % at FAR {100 * rate:g} %"
                axes.annotate(note, (rate, reached), (8, -13), textcoords="offset points", fontsize=8.5, color=INK)
    axes.set(xscale="log", xlim=(LOWEST_FAR, 1), ylim=(0, 1.01))
    axes.set(xlabel="false accepts (FAR)", ylabel="true accepts (TAR)")
    for rate in (0.01, 0.001):
        axes.axvline(rate, color=MUTED, linewidth=0.9, linestyle=":")
    axes.xaxis.set_major_formatter(PERCENT)
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_major_formatter(PERCENT)
    legend(axes, loc="lower right")
    return figure


def det(curves: Curves, title: str, marks: Mapping[str, tuple[float, float]] | None = None) -> Figure:
    """False rejects against false accepts of each named ``(far [M], frr [M])`` in [0, 1].

    Both scales are those of the normal deviate: scores of two normal distributions make a straight line (Martin et al., "The
    DET curve in assessment of detection task performance", 1997). ``marks`` are named points, such as the operating point
    as it was measured.
    """
    lowest, highest = LOWEST_FAR, 1 - LOWEST_FAR

    def deviate(rate: ArrayLike) -> np.ndarray:
        return ndtri(np.clip(np.asarray(rate, dtype=float), lowest, highest))

    figure = new_figure(title, 6.0, 5.6)
    axes = plain_axes(figure.subplots(), grid="both")
    ends = deviate([lowest, highest])
    axes.plot(ends, ends, color=MUTED, linewidth=1, linestyle=(0, (4, 3)), label="equal errors (FAR = FRR)")
    for (name, (far, frr)), colour in zip(curves.items(), COLOURS * len(curves), strict=False):
        far, tar = _sorted(far, 1 - np.asarray(frr, dtype=float))
        equal = _crossing(far, tar)
        label = f"{name} (EER {100 * equal:.1f} %)"
        axes.step(deviate(far), deviate(1 - tar), where="post", color=colour, linewidth=2, label=label)
        axes.plot(deviate(equal), deviate(equal), "o", color=colour, markersize=6, markeredgecolor="white")
    for name, (there, refused) in (marks or {}).items():
        label = f"{name} (FAR {100 * there:.2g} %, FRR {100 * refused:.2g} %)"
        axes.plot(
            deviate(there), deviate(refused), "D", color=ACCENT, markersize=7, markeredgecolor="white", label=label
        )
    names = [f"{100 * tick:g} %" for tick in DET_TICKS]
    axes.set_xticks(deviate(DET_TICKS), names, rotation=45)
    axes.set_yticks(deviate(DET_TICKS), names)
    axes.set(xlim=ends, ylim=ends, xlabel="false accepts (FAR)", ylabel="false rejects (FRR)")
    legend(axes, loc="upper right")
    return figure


def score_histogram(genuine: np.ndarray, impostor: np.ndarray, threshold: float, title: str) -> Figure:
    """How the similarities ``float [G]`` of genuine and ``float [I]`` of impostor pairs lie about the threshold."""
    genuine, impostor = np.asarray(genuine, dtype=float), np.asarray(impostor, dtype=float)
    figure = new_figure(title, 7.6, 3.5)
    axes = plain_axes(figure.subplots())
    edges = np.histogram_bin_edges(np.concatenate([genuine, impostor, [threshold]]), bins=70)
    accepted = [(scores >= threshold).mean() if len(scores) else math.nan for scores in (genuine, impostor)]
    labels = [
        f"genuine pairs, {100 * (1 - accepted[0]):.1f} % refused",
        f"impostor pairs, {100 * accepted[1]:.1f} % accepted",
    ]
    for scores, colour, label in zip((genuine, impostor), (RIGHT, WRONG), labels, strict=True):
        share = np.full(len(scores), 1 / max(1, len(scores)))
        heights, _ = np.histogram(scores, edges, weights=share)
        axes.stairs(heights, edges, fill=True, color=colour, alpha=0.25)
        axes.stairs(heights, edges, color=colour, linewidth=1.6, label=label)
    axes.axvline(threshold, color=INK, linewidth=1.3, label=f"threshold {threshold:.3f}")
    axes.margins(x=0.01)
    axes.set(xlabel="similarity", ylabel="share of the pairs")
    axes.yaxis.set_major_formatter(PERCENT)
    legend(axes, loc="lower right", bbox_to_anchor=(1, 1), ncols=3, borderaxespad=0.2)
    return figure


def reliability(probability: np.ndarray, observed: np.ndarray, weight: np.ndarray, title: str) -> Figure:
    """The reliability diagram of bins: mean probability of "same" ``[B]``, share of genuine pairs ``[B]``, weight ``[B]``.

    What is off the diagonal is promised too much or too little; the bars below say how many pairs that concerns.
    """
    probability, observed, weight = (np.asarray(each, dtype=float) for each in (probability, observed, weight))
    error = float((weight * np.abs(observed - probability)).sum() / max(weight.sum(), 1e-12))
    figure = new_figure(title, 5.6, 5.9)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[4, 1])
    plain_axes(upper, grid="both")
    upper.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle=(0, (4, 3)), label="as promised")
    upper.vlines(probability, probability, observed, color=WRONG, linewidth=1.6)
    label = f"measured (mean distance {100 * error:.1f} points)"
    upper.plot(probability, observed, "o-", color=RIGHT, linewidth=1.6, markersize=5, label=label)
    upper.set(xlim=(0, 1), ylim=(-0.02, 1.02), ylabel="share of genuine pairs")
    plain_axes(lower)
    lower.bar(probability, weight, width=0.035, color=PALE)
    lower.set(xlabel='probability of "same"', ylabel="weight")
    for axis in (upper.yaxis, lower.yaxis, lower.xaxis):
        axis.set_major_formatter(PERCENT)
    legend(upper, loc="upper left")
    return figure


@dataclass(frozen=True, eq=False)
class JudgedPair:
    """Two images and what was made of them.

    Attributes:
        first, second: ``uint8 [H, W]``, 255 is ink, or ``[H, W, 3]``, colours as they are.
        first_name, second_name: file names, by which a person finds the images again.
        score: their similarity.
        probability: of "same", in [0, 1].
    """

    first: np.ndarray
    second: np.ndarray
    first_name: str
    second_name: str
    score: float
    probability: float


def pair_sheet(pairs: Sequence[JudgedPair], title: str, of: int | None = None) -> Figure:
    """Up to twelve pairs, two a row: both images, their file names, score and probability. ``of`` is how many there are."""
    shown = list(pairs)[:MOST_PAIRS]
    if len(shown) < (of or len(pairs)):
        title = f"{title} (the first {len(shown)} of {of or len(pairs):,})"
    rows = math.ceil(max(1, len(shown)) / 2)
    figure = new_figure(title, 10.4, 0.7 + 1.3 * rows)
    grid = figure.subplots(rows, 6, squeeze=False, width_ratios=[1.15, 1.15, 2.6] * 2).reshape(-1, 3)
    for axes in grid[len(shown) :].flatten():
        axes.set_axis_off()
    if not shown:
        write(grid[0][0], 0.5, 0.5, "There are none.", fontsize=12, color=MUTED)
    for (left, right, text), pair in zip(grid, shown, strict=False):
        draw_ink(left, pair.first)
        draw_ink(right, pair.second)
        text.set_axis_off()
        verdict = f"score {pair.score:.3f}, {100 * pair.probability:.1f} % same"
        lines = [(shorten(pair.first_name, 36), INK), (shorten(pair.second_name, 36), INK), (verdict, MUTED)]
        for line, (words, colour) in enumerate(lines):
            write(text, 0, 0.86 - 0.27 * line, words, fontsize=7.5, va="top", color=colour)
    return figure
