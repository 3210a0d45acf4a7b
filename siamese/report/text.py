"""How the report writes its numbers, and the rows of its table for the terminal."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from jinja2 import UndefinedError

WIDTH = 100  # columns of the terminal's table


def as_float(cell: Any) -> float | None:
    """The cell's finite number, or None if it has none: it may be empty, or the last row half written."""
    try:
        value = float(cell)
    except (TypeError, ValueError, UndefinedError):
        return None
    return value if math.isfinite(value) else None


def percent(share: Any) -> str:
    """A fraction in per cent, with the second decimal only where it says something: 0.92 is 92.0, 0.9625 is 96.25."""
    value = as_float(share)
    return "–" if value is None else f"{100 * value:.2f}".removesuffix("0")


def interval(figures: Any) -> str:
    """The interval of the figures' accuracy, or of two ends, in per cent; nothing if they have none."""
    ends = [figures.get("low"), figures.get("high")] if isinstance(figures, Mapping) else figures
    low, high = map(as_float, ends) if isinstance(ends, list) else (None, None)  # in the template it may be undefined
    return "" if low is None or high is None else f"{100 * low:.1f} – {100 * high:.1f}"


def number(value: Any, decimals: int = 0) -> str:
    """A number with thousands separated, or a dash if there is none."""
    known = as_float(value)
    return "–" if known is None else f"{known:,.{decimals}f}"


def line(name: str, accuracy: Any, low: Any = None, high: Any = None, note: str = "", mark: str = " ") -> str:
    """A row of the terminal's table: 2 columns of mark, 45 of name, the figure, its interval, the note."""
    name = name if len(name) <= 44 else name[:41] + "..."
    share = percent(accuracy)
    share = share if share[-3:-2] == "." else f"{share} "  # with one decimal or two, the points stand in one column
    return f"{mark} {name:<45}{share:>6}  {interval({'low': low, 'high': high}):<12}  {note}"[:WIDTH]


def verification_lines(check: Mapping[str, Any]) -> list[str]:
    """The rows of verification: what of it was measured, each with its interval if it has one."""
    ends, point = check.get("intervals") or {}, check.get("operating_point") or {}
    kind, there = "balanced_accuracy" if "balanced_accuracy" in check else "accuracy", ends.get("measured") or {}

    def row(name: str, share: Any, between: Any = None, note: str = "") -> str:
        low, high = between or (None, None)
        return line(name, share, low, high, note)

    note = f"at threshold {number(check.get('threshold'), 3)}"
    rows = [row(kind.replace("_", " "), check.get(kind), [check.get("low"), check.get("high")], note)]
    for name, key in (("equal error rate", "eer"), ("area under the ROC curve", "auc")):
        rows.append(row(name, check.get(key), ends.get(key)))
    for rate, share in (check.get("tar_at_far") or {}).items():
        between = (ends.get("tar_at_far") or {}).get(rate)
        rows.append(row(f"true accepts at {100 * float(rate):g} % false accepts", share, between))
    if found := point.get("measured"):
        note = f"at {number(point['threshold'], 3)}, made for FAR {100 * point['far']:g} %"
        rows.append(row("false accepts at the stored threshold", found["far"], there.get("far"), note))
        rows.append(row("true accepts at the stored threshold", found["tar"], there.get("tar")))
    return rows + ([row("expected calibration error", check["ece"])] if "ece" in check else [])


def novelty_lines(found: Mapping[str, Any]) -> list[str]:
    """The rows of novelty detection, by detector: of known images what is rejected, of each novel set that and how well it is
    told apart."""
    shares = [str(share) for share in found.get("contaminations") or []]
    titles = [f"at {100 * float(share):g} %" for share in shares]

    def row(name: str, cells: list[str], mark: str = " ") -> str:
        name = name if len(name) <= 40 else name[:37] + "..."
        return f"{mark} {name:<40}{''.join(f'{cell:>9}' for cell in cells)}"[:WIDTH]

    lines = [row("share rejected, AUROC, FPR95", [*titles, "AUROC", "FPR95"])]
    for detector, figures in (found.get("detectors") or {}).items():
        lines.append(f"  {detector}"[:WIDTH])
        known = figures.get("known_rejected") or {}
        lines.append(row("  known test images", [percent(known.get(share)) for share in shares]))
        for name, each in (figures.get("novel") or {}).items():
            rejected = each.get("rejected") or {}
            cells = [percent(rejected.get(share)) for share in shares]
            lines.append(row(f"  {name}", [*cells, number(each.get("auroc"), 4), percent(each.get("fpr95"))]))
    return lines
