"""Several labels an image in the report: rows of the terminal's table, and what may be said of the network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from siamese.report.text import WIDTH, as_float, interval, number, percent

HEADLINE = "at one threshold"  # the decision whose exact match stands for the run


def headline(found: Mapping[str, Any]) -> Mapping[str, Any]:
    """The figures at one threshold of the network, which is the first predictor, with its ``map`` and the interval of that;
    empty where there are none."""
    for network in (found.get("predictors") or {}).values():
        figures = (network.get("decisions") or {}).get(HEADLINE) or {}
        return {key: network.get(key) for key in ("map", "map_low", "map_high")} | figures
    return {}


def map_interval(predictor: Mapping[str, Any]) -> str:
    """The interval of mean average precision in per cent; nothing if there is none."""
    return interval([predictor.get("map_low"), predictor.get("map_high")])


def comparison(found: Mapping[str, Any]) -> str:
    """Whether the network beats each other predictor in mean average precision, by the interval of their difference on the
    same images; empty where there is none."""
    parts = list(_compared(found.get("predictors") or {}))
    return f"By mean average precision, {'; '.join(parts)}." if parts else ""


def _compared(predictors: Mapping[str, Any]) -> Iterator[str]:
    network = next(iter(predictors), "")
    for name, each in predictors.items():
        low, high = map(as_float, each.get("network_ahead") or (None, None))
        if low is None or high is None:
            continue
        if low > 0:
            yield f"{network} beats {name}, by {100 * low:.1f} to {100 * high:.1f} points"
        elif high < 0:
            yield f"{network} does not beat {name}, but is {-100 * high:.1f} to {-100 * low:.1f} points behind"
        else:
            ahead = f"the difference lies between {100 * low:.1f} and {100 * high:.1f} points"
            yield f"whether {network} beats {name} cannot be told, since {ahead}"


def label_lines(found: Mapping[str, Any]) -> list[str]:
    """The rows of the terminal's table: by predictor its mean average precision and log loss, then each way to decide."""
    lines = [_row("", ["exact match ", "", "per label ", "micro F1 ", "macro F1 "])]
    for name, predictor in (found.get("predictors") or {}).items():
        between = map_interval(predictor)
        precision = f"mAP {percent(predictor.get('map'))}{f' ({between})' if between else ''}"
        loss = f"log loss {number(predictor.get('log_loss'), 4)} nats"
        lines.append(f"  {name}: {precision}, {loss}"[:WIDTH])
        for how, row in (predictor.get("decisions") or {}).items():
            figures = [_padded(row.get(key)) for key in ("exact_match", "label_accuracy", "f1_micro", "f1_macro")]
            lines.append(_row(f"  {how}", [figures[0], interval(row), *figures[1:]]))
    return lines


def _padded(share: Any) -> str:
    """In per cent, with one decimal or two, so that the points stand in one column."""
    text = percent(share)
    return text if text[-3:-2] == "." else f"{text} "


def _row(name: str, cells: list[str]) -> str:
    """38 columns of name, the figure and its interval, three more figures."""
    name = name if len(name) <= 38 else f"{name[:35]}..."
    return f"  {name:<38}{cells[0]:>12}  {cells[1]:<12}{''.join(f'{cell:>11}' for cell in cells[2:])}"[:WIDTH]
