"""Several labels an image in the report: rows of the terminal's table, and what may be said of the network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from siamese.report.text import WIDTH, as_float, interval, number, percent

RARE = 10  # a label that fewer test images carry
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


def comparison(*found: Mapping[str, Any]) -> str:
    """Whether the network beats each other predictor in mean average precision, by the interval of their difference on the
    same images; of several seeds, by all their intervals. Empty where there is none."""
    predictors = [each.get("predictors") or {} for each in found]
    network = next(iter(predictors[0]), "") if predictors else ""
    parts = []
    for name in predictors[0] if predictors else ():
        each = [(predictor.get(name) or {}).get("network_ahead") or (None, None) for predictor in predictors]
        ends = [
            (low, high) for low, high in (map(as_float, pair) for pair in each) if low is not None and high is not None
        ]
        if ends and len(ends) == len(found):
            parts.append(_compared(network, name, ends))
    return f"By mean average precision, {'; '.join(parts)}." if parts else ""


def _compared(network: str, name: str, ends: Sequence[tuple[float, float]]) -> str:
    """In words, of the interval of each seed."""
    least, most, seeds = min(low for low, _ in ends), max(high for _, high in ends), len(ends)
    wins, losses = sum(low > 0 for low, _ in ends), sum(high < 0 for _, high in ends)
    every = f" with each of {seeds} seeds" if seeds > 1 else ""
    if wins == seeds:
        return f"{network} beats {name}{every}, by {100 * least:.1f} to {100 * most:.1f} points"
    if losses == seeds:
        return f"{network} does not beat {name}, but is {-100 * most:.1f} to {-100 * least:.1f} points behind{every}"
    between = f"the difference lies between {100 * least:.1f} and {100 * most:.1f} points"
    if wins or losses:
        return f"{network} beats {name} with {wins} of {seeds} seeds and is behind with {losses}: {between}"
    return f"whether {network} beats {name} cannot be told, since {between}{every}"


def rare(labels: Mapping[str, Any]) -> str:
    """What is to be thought of the figures of labels that few test images carry; empty where there are none."""
    few = [f"{name} ({each['images']})" for name, each in labels.items() if 0 < (each.get("images") or 0) < RARE]
    none = [name for name, each in labels.items() if each.get("images") == 0]
    said = []
    if few:
        said.append(
            f"Fewer than {RARE} test images carry {', '.join(few)}: one image more or less moves these figures by far."
        )
    if none:
        said.append(f"No test image carries {', '.join(none)}: of these nothing was measured.")
    return " ".join(said)


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
