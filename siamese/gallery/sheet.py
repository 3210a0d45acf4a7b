"""The contact sheet of an identification: each probe beside the nearest entries of the gallery."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from siamese.gallery.images import thumbnail
from siamese.gallery.results import Match, Probe, Probes, printable
from siamese.plots.style import INK, LINE, MUTED, RIGHT, WASH, WRONG, new_figure, shorten, write

MOST_ROWS, MOST_COLUMNS = 12, 8  # as many as a screen shows


def contact_sheet(probes: Probes) -> Figure:
    """Up to twelve probes, a row each: the image, whether it is known, and its nearest entries with scores, best first.

    The probes are read from their files, the entries from the thumbnails that the gallery kept.
    """
    shown = probes[:MOST_ROWS]
    columns = min(MOST_COLUMNS, max((len(probe.matches) for probe in shown), default=0))
    few = f" (the first {len(shown)} of {len(probes):,})" if len(shown) < len(probes) else ""
    figure = new_figure(f"Who is it?{few}", max(6.0, 1.6 + 1.3 * columns), 1.1 + 1.75 * max(1, len(shown)))
    height = figure.get_figheight()
    told = f"known from a score of {probes.threshold:.4f}: {printable(probes.threshold_from)}"
    figure.text(0.1 / 6, 0.1 / height, told, fontsize=7.5, color=MUTED, va="bottom", parse_math=False)
    engine: Any = figure.get_layout_engine()
    left, bottom, width, top = engine.get()["rect"]
    engine.set(rect=(left, bottom + 0.2 / height, width, top - 0.2 / height))
    grid = figure.subplots(max(1, len(shown)), 1 + max(1, columns), squeeze=False)
    for axes in grid.flatten():
        axes.set_axis_off()
    for panels, probe in zip(grid, shown, strict=False):
        _probe(panels[0], probe)
        for rank, (axes, match) in enumerate(zip(panels[1:], probe.matches, strict=False)):
            _match(axes, match, RIGHT if rank == 0 and probe.known else None)
    return figure


def _probe(axes: Axes, probe: Probe) -> None:
    _draw(axes, thumbnail(probe.file), INK)
    verdict, colour = ("known", RIGHT) if probe.known else ("unknown", WRONG)
    write(axes, 0.5, 1.05, verdict, ha="center", va="bottom", fontweight="bold", color=colour)
    write(axes, 0.5, -0.06, shorten(printable(probe.file.name), 18), ha="center", va="top", fontsize=7.5)


def _match(axes: Axes, match: Match, frame: str | None) -> None:
    _draw(axes, match.thumbnail, frame)
    chance = "" if match.probability is None else f"   p {match.probability:.2f}"
    name = shorten(printable(match.name), 18)
    write(axes, 0.5, 1.05, name, ha="center", va="bottom", fontsize=8.5, color=frame or INK)
    write(axes, 0.5, -0.06, f"{match.score:.3f}{chance}", ha="center", va="top", fontsize=7.5, color=MUTED)


def _draw(axes: Axes, jpeg: bytes, frame: str | None) -> None:
    """A thumbnail in a hairline frame, or in a thick one of a colour; where there is none, an empty field that says so."""
    axes.set_axis_on()
    if jpeg:
        side = np.asarray(Image.open(io.BytesIO(jpeg)).convert("RGB"))
        axes.imshow(side, interpolation="antialiased")
    else:
        axes.imshow(np.zeros((1, 1, 4)))
        axes.set_facecolor(WASH)
        write(axes, 0.5, 0.5, "no thumbnail\nkept", ha="center", va="center", fontsize=7, color=MUTED)
    axes.set(xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set(color=frame or LINE, linewidth=2.6 if frame else 0.9)
