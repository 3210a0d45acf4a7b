"""Pictures of several labels an image: how well each label is told, examples, and trainings beside one another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
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
    shorten,
    write,
)
from siamese.plots.verification import PERCENT

ACROSS, LINES, MOST = 6, 5, 48  # images in a row of a sheet, labels named below each, and images on it
LONGEST = 26  # letters of a name
COLOURS = tuple(dict.fromkeys((RIGHT, WRONG, ACCENT, *GROUP_COLOURS)))


def label_bars(precisions: Mapping[str, tuple[float, float]]) -> Figure:
    """Average precision of each label, the best on top, beside what images in a random order have on average.

    Args:
        precisions: by label, ``(average precision, that of a random order)`` in [0, 1].
    """
    ranked = sorted(precisions.items(), key=lambda item: item[1][0])
    figure = new_figure("Average precision of each label", 7.0, 1.3 + 0.27 * len(ranked))
    axes = plain_axes(figure.subplots(), grid="x")
    places = np.arange(len(ranked))
    axes.barh(places, [found for _, (found, _) in ranked], color=PALE, height=0.62, label="average precision")
    axes.plot([chance for _, (_, chance) in ranked], places, "|", color=WRONG, markersize=11, markeredgewidth=2.2,
              label="of a random order")  # fmt: skip
    for place, (_, (found, chance)) in zip(places, ranked, strict=True):
        write(
            axes,
            max(found, chance),
            float(place),
            f" {100 * found:.1f}",
            va="center",
            fontsize=8.5,
            transform=axes.transData,
        )
    axes.set_yticks(places, [name for name, _ in ranked], color=INK)
    axes.set(xlim=(0, 1.08), ylim=(-0.6, len(ranked) - 0.4))
    axes.xaxis.set_major_formatter(PERCENT)
    legend(axes, loc="lower right", bbox_to_anchor=(1, 1), ncols=2, borderaxespad=0.2)
    return figure


def label_sheet(images: Sequence[np.ndarray], lines: Sequence[Sequence[tuple[str, float, bool, bool]]]) -> Figure:
    """Images with the labels that were said of them and those that they carry: in teal what was said rightly, in vermilion
    what was said wrongly, in grey and in brackets what was missed.

    Args:
        images: ``uint8 [H, W, 3]``, or ``[H, W]``, 255 is ink.
        lines: of each image, labels with their probabilities, whether it carries each, and whether that was said.
    """
    rows = -(-len(images) // ACROSS)
    figure = new_figure("Labels: said rightly, said wrongly, (missed)", 11.0, 0.6 + 2.75 * max(1, rows))
    for place, axes in enumerate(figure.subplots(max(1, rows), ACROSS, squeeze=False).flatten()):
        if place >= len(images):
            axes.set_axis_off()
            continue
        whole = all(there == said for _, _, there, said in lines[place])
        draw_ink(axes, images[place], RIGHT if whole else WRONG)
        for row, (name, share, there, said) in enumerate(lines[place][:LINES]):
            _label(axes, row, name, share, (RIGHT if there else WRONG) if said else None)
    return figure


def told_sheet(
    images: Sequence[np.ndarray],
    names: Sequence[str],
    lines: Sequence[Sequence[tuple[str, float, bool]]],
    of: int | None = None,
) -> Figure:
    """Up to 48 images with the labels that were told of them: in teal those that are likely enough to be said, in grey and in
    brackets the others.

    Args:
        images: ``uint8 [H, W, 3]``, or ``[H, W]``, 255 is ink; of any sizes.
        names: by which a person finds the images again.
        lines: of each image, labels with their probabilities, and whether each is said, the likeliest first.
        of: how many images there are.
    """
    shown = min(len(images), MOST)
    few = f" (the first {shown} of {of:,})" if of is not None and shown < of else ""
    rows, across = -(-shown // ACROSS), min(ACROSS, max(3, shown))
    figure = new_figure(f"Labels: said, (not likely enough){few}", 11.0 * across / ACROSS, 0.6 + 2.9 * max(1, rows))
    for place, axes in enumerate(figure.subplots(max(1, rows), across, squeeze=False).flatten()):
        if place >= shown:
            axes.set_axis_off()
            continue
        draw_ink(axes, images[place])
        write(axes, 0.0, 1.03, shorten(names[place], LONGEST), va="bottom", fontsize=7.5, color=MUTED)
        for row, (name, share, said) in enumerate(lines[place][:LINES]):
            _label(axes, row, name, share, RIGHT if said else None)
    return figure


def _label(axes: Axes, row: int, name: str, share: float, colour: str | None) -> None:
    """A label in the row below an image, which may be of any height; in brackets where it has no colour."""
    text = f"{name if len(name) <= LONGEST else name[: LONGEST - 1] + '…'} {100 * share:.0f} %"
    style = {"va": "top", "fontsize": 8, "color": colour or MUTED, "parse_math": False}
    place = {"xycoords": "axes fraction", "xytext": (0, -5 - 12.5 * row), "textcoords": "offset points"}
    axes.annotate(text if colour else f"({text})", (0, 0), **place, **style)  # type: ignore[arg-type]


def curve_pair(curves: Mapping[str, tuple[np.ndarray, np.ndarray]], title: str, label: str) -> Figure:
    """Trainings beside one another: a line for each, the last share beside its name.

    Args:
        curves: by name, steps ``[S]`` and shares ``[S]`` in [0, 1].
        title: of the picture.
        label: of the shares.
    """
    figure = new_figure(title, 9.4, max(4.2, 1.2 + 0.2 * len(curves)))
    axes = plain_axes(figure.subplots())
    for place, (name, (steps, shares)) in enumerate(curves.items()):
        again, at = divmod(place, len(COLOURS))
        named, dashes = f"{name}: {100 * shares[-1]:.1f} %", ("-", "--", ":")[again % 3]
        axes.plot(steps, shares, "o", color=COLOURS[at], linestyle=dashes, linewidth=1.8, markersize=3.5, label=named)
    axes.set(xlabel="step", ylabel=label)
    axes.yaxis.set_major_formatter(PERCENT)
    legend(axes, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure
