"""The one style that all pictures share: palette, axes, characters drawn as ink on paper, and saving.

Figures are made with ``matplotlib.figure.Figure``, never pyplot: no global state, no window, safe in any thread.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.text import Text

DPI = 110
INK, MUTED, LINE, WASH = "#1d2733", "#66717e", "#d9dfe5", "#f3f6f8"
# Teal and vermilion stay apart for every common kind of colour blindness, and in grey.
RIGHT, WRONG, ACCENT, PALE = "#0b7a8c", "#d9541e", "#b8862b", "#63abb7"
PAPER_TO_INK = LinearSegmentedColormap.from_list("ink", ["#ffffff", INK])
# Paul Tol's "muted" scheme without its palest colours, darkened where ink on white needs it; the markers tell apart
# the groups that have to share a colour.
GROUP_COLOURS = (
    "#332288",
    "#0b7a8c",
    "#cc6677",
    "#117733",
    "#b8862b",
    "#882255",
    "#3f8fd2",
    "#8a8f2a",
    "#aa4499",
    "#5b6672",
)
GROUP_MARKERS = ("o", "^", "s", "D", "v", "P")


def new_figure(title: str, width: float, height: float) -> Figure:
    """A white figure of so many inches under a title; its panels arrange themselves below."""
    x, y, top = 0.1 / width, 0.1 / height, 0.42 / height
    engine = ConstrainedLayoutEngine(rect=(x, y, 1 - 2 * x, 1 - y - top))
    figure = Figure(figsize=(width, height), dpi=DPI, layout=engine, facecolor="white")
    style: dict[str, Any] = {"fontsize": 12.5, "fontweight": "bold", "color": INK, "parse_math": False}
    figure.text(x, 1 - 0.1 / height, title, va="top", **style)
    return figure


def write(axes: Axes, x: float, y: float, text: str, **style: Any) -> Text:
    """Text at ``(x, y)``, in axes fractions unless ``transform`` says otherwise; ``$`` in a file name is no formula."""
    defaults: dict[str, Any] = {"color": INK, "fontsize": 9, "transform": axes.transAxes, "parse_math": False}
    return axes.text(x, y, text, **defaults | style)


def shorten(name: str, most: int) -> str:
    """The name, or its end if it is too long: the end is where files differ."""
    return name if len(name) <= most else "…" + name[1 - most :]


def plain_axes(axes: Axes, grid: str = "y") -> Axes:
    """Quiet axes: no box, hairline grid along ``grid`` ("x", "y" or "both"), muted ticks."""
    axes.spines[["top", "right", "left", "bottom"]].set_visible(False)
    axes.grid(axis=grid, color=LINE, linewidth=0.8)  # type: ignore[arg-type]
    axes.set_axisbelow(True)
    axes.tick_params(which="both", length=0, pad=5, colors=MUTED, labelsize=9)
    axes.xaxis.label.set(color=MUTED, fontsize=9.5)
    axes.yaxis.label.set(color=MUTED, fontsize=9.5)
    return axes


def legend(axes: Axes, **style: Any) -> None:
    """A legend without a box, if anything on the axes has a label."""
    if axes.get_legend_handles_labels()[0]:
        drawn = axes.legend(**({"frameon": False, "fontsize": 9, "labelcolor": INK} | style))
        for handle in drawn.legend_handles:
            if handle is not None:
                handle.set_alpha(1)  # faint dots on the map, plain ones beside their names


def draw_ink(axes: Axes, image: np.ndarray, frame: str | None = None) -> Axes:
    """Draw ``uint8 [H, W]`` (255 is ink) dark on white, in a hairline frame or in a thick one of colour ``frame``."""
    axes.imshow(image, cmap=PAPER_TO_INK, vmin=0, vmax=255, interpolation="hanning")
    axes.set(xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set(color=frame or LINE, linewidth=2.6 if frame else 0.9)
    return axes


def save(figure: Figure, path: Path) -> Path:
    """Write the figure to ``path`` as PNG, whole or not at all; makes the folder. Returns the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.stem}-", suffix=".png", dir=path.parent)
    os.close(handle)
    try:
        figure.savefig(name, format="png", dpi=DPI, facecolor="white")
        os.chmod(name, 0o644)  # mkstemp lets only the owner read; a picture is for everybody
        os.replace(name, path)
    finally:
        Path(name).unlink(missing_ok=True)
    return path
