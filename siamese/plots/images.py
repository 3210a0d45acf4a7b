"""Pictures made of characters: one-shot trials (asked, answered, what would have been right) and the embedding map."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.offsetbox import AnnotationBbox, OffsetImage

from siamese.plots.style import (
    GROUP_COLOURS,
    GROUP_MARKERS,
    INK,
    LINE,
    MUTED,
    RIGHT,
    WRONG,
    draw_ink,
    legend,
    new_figure,
    shorten,
    write,
)

MOST_ROWS = 12  # of a sheet: as many as a screen shows


@dataclass(frozen=True, eq=False)
class Trial:
    """One N-way one-shot trial.

    Attributes:
        query: ``uint8 [H, W]``, 255 is ink.
        supports: ``uint8 [N, H, W]``, one for each of N characters.
        similarities: ``float [N]`` of the query to each support, higher is more alike.
        target: the support that shows the query's character.
        query_name, support_names: file names, by which a person finds the images again.
        run: where the trial is from, as in "run 7, Gurmukhi".
    """

    query: np.ndarray
    supports: np.ndarray
    similarities: np.ndarray
    target: int
    query_name: str
    support_names: Sequence[str]
    run: str = ""

    def __post_init__(self) -> None:
        sizes = {len(self.supports), len(self.similarities), len(self.support_names)}
        if len(sizes) > 1 or not 0 <= self.target < len(self.supports):
            raise ValueError(f"supports, similarities and names must be as many, with a target: {sizes}, {self.target}")

    @property
    def answer(self) -> int:
        """The most similar support, the first one of a tie."""
        return int(np.argmax(self.similarities))

    @property
    def right(self) -> bool:
        """Whether the answer is the target."""
        return self.answer == self.target

    @property
    def order(self) -> list[int]:
        """All supports, the most similar first."""
        return np.argsort(-np.asarray(self.similarities), kind="stable").tolist()


def _support(axes: Axes, trial: Trial, slot: int, tag: bool = True) -> None:
    """One support: framed and tagged if it is the answer or the truth, its similarity below as a bar and a number."""
    role = {(True, True): "answer = truth", (True, False): "answer", (False, True): "truth"}.get(
        (slot == trial.answer, slot == trial.target)
    )
    colour = None if role is None else RIGHT if slot == trial.target else WRONG
    draw_ink(axes, trial.supports[slot], colour)
    if role and tag:
        write(axes, 0.5, 1.05, role, ha="center", va="bottom", fontsize=8.5, fontweight="bold", color=colour)
    low, high = float(np.min(trial.similarities)), float(np.max(trial.similarities))
    share = (float(trial.similarities[slot]) - low) / (high - low) if high > low else 1.0
    for end, shade in ((0.62, LINE), (0.62 * share, colour or "#9aa5b1")):
        bar: dict[str, Any] = {"color": shade, "linewidth": 3.2, "solid_capstyle": "butt", "clip_on": False}
        axes.add_line(Line2D([0, end], [-0.115, -0.115], transform=axes.transAxes, **bar))
    weight = "bold" if role else "normal"
    value = f"{trial.similarities[slot]:.3f}"
    write(axes, 1.0, -0.115, value, ha="right", va="center", fontsize=8, color=colour or MUTED, fontweight=weight)


def trial(trial: Trial, title: str) -> Figure:
    """One trial: the query at the left, its N supports in a grid, the answer and the truth framed, the names below."""
    n = len(trial.supports)
    columns = min(n, max(5, math.ceil(math.sqrt(1.25 * n))))
    rows = math.ceil(n / columns)
    figure = new_figure(title, 3.1 + 1.12 * columns, max(5.0, 0.7 + 1.4 * rows))
    left, right = figure.subfigures(1, 2, squeeze=False, width_ratios=[2.9, 1.12 * columns])[0]
    _question(left.subplots(), trial)
    grid = right.subplots(rows, columns, squeeze=False).flatten()
    for slot, axes in enumerate(grid):
        if slot < n:
            _support(axes, trial, slot)
        else:
            axes.set_axis_off()
    return figure


def _question(axes: Axes, trial: Trial) -> None:
    """The left side of a trial's picture: how it ended, the query, who is who."""
    draw_ink(axes, trial.query, INK)

    def put(x: float, y: float, text: str, **style: Any) -> None:
        """Text so many points right of and above (or, if negative, below) the query's left corner."""
        corner = (0, 1 if y > 0 else 0)
        axes.annotate(
            text, corner, (x, y), xycoords="axes fraction", textcoords="offset points", parse_math=False, **style
        )

    verdict, colour = ("✓ recognised", RIGHT) if trial.right else ("✗ mistaken", WRONG)
    put(0, 30, verdict, fontsize=15, fontweight="bold", color=colour)
    put(0, 11, f"which of these {len(trial.supports)} is it?", fontsize=9.5, color=MUTED)
    lines = [("query", trial.query_name, INK), ("truth", trial.support_names[trial.target], RIGHT)]
    if not trial.right:
        lines.append(("answer", trial.support_names[trial.answer], WRONG))
    for line, (what, name, shade) in enumerate(lines):
        put(0, -20 - 15 * line, what, fontsize=8, color=shade, fontweight="bold")
        put(42, -20 - 15 * line, shorten(name, 33), fontsize=8, color=INK)
    put(0, -22 - 15 * len(lines), trial.run, fontsize=8, color=MUTED)


def trial_sheet(trials: Sequence[Trial], title: str) -> Figure:
    """Up to twelve trials, a row each: the query, the true support, the answer, the next best, and their file names."""
    shown = list(trials)[:MOST_ROWS]
    # Where no answer is wrong, one column holds truth and answer; a column of copies would say nothing.
    roles = ["truth = answer"] if all(t.right for t in shown) else ["truth", "answer"]
    columns = max((min(7, 1 + len(roles) + len(t.supports) - 1) for t in shown), default=1)
    if len(shown) < len(trials):
        title = f"{title} (the first {len(shown)} of {len(trials)})"
    figure = new_figure(title, 1.02 * columns + 3.2, 0.95 + 1.16 * max(1, len(shown)))
    if not shown:
        empty = figure.subplots()
        empty.set_axis_off()
        write(empty, 0.5, 0.5, "There are none.", ha="center", va="center", fontsize=12, color=MUTED)
        return figure
    grid = figure.subplots(len(shown), columns + 1, squeeze=False, width_ratios=[1.0] * columns + [2.9])
    for row, (panels, t) in enumerate(zip(grid, shown, strict=True)):
        chosen = [t.target] if len(roles) == 1 else [t.target, t.answer]
        rest = [slot for slot in t.order if slot not in (t.target, t.answer)]
        slots = (chosen + rest)[: columns - 1]
        draw_ink(panels[0], t.query, INK)
        for axes, slot in zip(panels[1:-1], slots, strict=False):
            _support(axes, t, slot, tag=False)
        for axes in panels[1 + len(slots) :]:
            axes.set_axis_off()
        _names(panels[-1], t)
        if row == 0:
            captions = ["query", *roles, *["next best"] * (len(slots) > len(roles))]
            for axes, caption in zip(panels, captions, strict=False):
                write(axes, 0.5, 1.1, caption, ha="center", fontsize=9, color=MUTED)
    return figure


def _names(axes: Axes, trial: Trial) -> None:
    """The file names of one row of a sheet, in small type."""
    lines = [("query", trial.query_name, INK), ("truth", trial.support_names[trial.target], RIGHT)]
    if not trial.right:
        rank = trial.order.index(trial.target) + 1
        lines += [("answer", trial.support_names[trial.answer], WRONG), ("", f"the truth came {_ordinal(rank)}", MUTED)]
    if trial.run:
        lines.insert(0, (trial.run, "", MUTED))
    for line, (what, name, colour) in enumerate(lines):
        y = 0.96 - 0.2 * line
        write(axes, 0, y, what, fontsize=7.5, va="top", color=colour, fontweight="bold" if name else "normal")
        write(axes, 0.22, y, shorten(name, 34), fontsize=7.5, va="top", color=INK if what else colour)


def _ordinal(number: int) -> str:
    return f"{number}{'th' if number % 100 in (11, 12, 13) else {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th')}"


def embedding_map(
    points: np.ndarray,
    groups: np.ndarray,
    group_names: Sequence[str],
    thumbnails: np.ndarray | None,
    title: str,
) -> Figure:
    """A flat map ``float [N, 2]`` of embeddings, coloured by group ``int [N]``; some of ``uint8 [N, H, W]`` drawn."""
    points, groups = np.asarray(points, dtype=float), np.asarray(groups)
    figure = new_figure(title, 9.4, 7.0)
    axes = figure.subplots()
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set(color=LINE)
    present = np.unique(groups)
    for place, group in enumerate(present):
        colour, marker = _look(place)
        mine = points[groups == group]
        faint = 0.9 if thumbnails is None else 0.4
        label = group_names[group].replace("_", " ")
        dots = {"color": colour, "markersize": 4, "markeredgewidth": 0, "alpha": faint, "label": label}
        axes.plot(*mine.T, linestyle="", marker=marker, **dots)
    if thumbnails is not None:
        for row in _scattered(points):
            _thumbnail(axes, points[row], thumbnails[row], _look(int(np.searchsorted(present, groups[row])))[0])
    legend(axes, loc="center left", bbox_to_anchor=(1.0, 0.5), markerscale=1.8, handletextpad=0.2)
    return figure


def _look(place: int) -> tuple[str, str]:
    """Colour and marker of the group at this place in the legend."""
    return GROUP_COLOURS[place % len(GROUP_COLOURS)], GROUP_MARKERS[place // len(GROUP_COLOURS) % len(GROUP_MARKERS)]


def _scattered(points: np.ndarray, apart: float = 0.036) -> list[int]:
    """Rows of points that lie at least so far apart, in parts of the map's width: their thumbnails do not overlap."""
    spread = np.ptp(points, axis=0)
    places = points / np.where(spread > 0, spread, 1)
    chosen: list[int] = []
    for row in np.random.default_rng(0).permutation(len(points)).tolist():
        if np.abs(places[chosen] - places[row]).max(axis=1).min(initial=np.inf) >= apart:
            chosen.append(row)
    return chosen


def _thumbnail(axes: Axes, point: np.ndarray, image: np.ndarray, colour: str) -> None:
    """A character in its group's colour on transparent paper."""
    step = max(1, image.shape[0] // 35)
    height, width = image.shape[0] // step, image.shape[1] // step
    share = image[: height * step, : width * step].reshape(height, step, width, step).mean(axis=(1, 3)) / 255
    picture = np.empty((height, width, 4))
    picture[..., :3] = to_rgb(colour)
    picture[..., 3] = np.minimum(1, 2 * share)  # a shrunken stroke is thin and pale; bring its ink back
    box = OffsetImage(picture, zoom=24 / height, interpolation="bilinear")
    axes.add_artist(AnnotationBbox(box, tuple(point), frameon=False, pad=0))
