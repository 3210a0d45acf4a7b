"""The report of a run: one self-contained HTML page that is a pleasure to read, and its table for the terminal.

Everything is read from the run's folder; nothing is measured here and no published figure is written here. A number
is shown with how it was measured, and a result on other data than Omniglot never beside a published Omniglot number.
"""

from __future__ import annotations

import csv
import json
import math
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from siamese.errors import DataError
from siamese.report.labels import comparison, headline, label_lines, rare
from siamese.report.page import encoded_pictures, rendered, write_page
from siamese.report.text import WIDTH, as_float, line, novelty_lines, number, percent, verification_lines

Results = Mapping[str, Any]
THIS_RUN = "this run"
GENERATED = ("glyphs", "cartoons")  # so begin the names of generated data, whose figures are none of real data


@dataclass(frozen=True)
class Row:
    """A row of the benchmark table: accuracy and, if known, its interval, as fractions."""

    name: str
    accuracy: float
    source: str
    low: float | None = None
    high: float | None = None
    ours: bool = False


def write_report(run: Path) -> Path:
    """Write ``run/report.html`` from ``results.json``, the metrics and the pictures in the run's folder; its path.

    What was not measured is left out. Draws ``pictures/training_curves.png`` first if there are metrics.
    Raises DataError if the folder holds no readable ``results.json``.
    """
    try:
        results = json.loads((run / "results.json").read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{run} holds no readable results.json, so there is nothing to report: {error}") from error
    if metrics := read_metrics(run):
        from siamese.plots import save, training_curves  # matplotlib is slow to load, and the table needs none of it

        save(training_curves(metrics), run / "pictures" / "training_curves.png")
    page = rendered(
        "report.html",
        r=results,
        dataset=_dataset(results),
        comparable=_comparable(results),
        caution=_caution(results),
        rows=standing(results),
        sentence=standing_sentence(results),
        shown=one_shot(results),
        labelled=headline(results.get("labels") or {}),
        comparison=comparison(results.get("labels") or {}),
        rare=rare((results.get("labels") or {}).get("per_label") or {}),
        pictures=encoded_pictures(run / "pictures"),
        config=json.dumps(results.get("config") or {}, indent=2, ensure_ascii=False, default=str),
    )
    return write_page(run / "report.html", page)


def read_metrics(run: Path) -> list[dict[str, float]]:
    """The rows of ``metrics.csv`` without their empty cells, after those of ``metrics_earlier.csv`` (before a resume).

    An earlier run may have gone on beyond the checkpoint it was resumed from; what was trained twice is shown once.
    """
    earlier, later = (_read_csv(run / name) for name in ("metrics_earlier.csv", "metrics.csv"))
    first = min((row["step"] for row in later if "step" in row), default=math.inf)
    return [row for row in earlier if row.get("step", -1) < first] + later


def _read_csv(path: Path) -> list[dict[str, float]]:
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        rows = [{key: as_float(cell) for key, cell in row.items() if key} for row in csv.DictReader(file)]
    return [{key: value for key, value in row.items() if value is not None} for row in rows]


def standing(results: Results) -> list[Row]:
    """This run among the methods it can be compared with, the best first; after those it ties with."""
    baselines = [b for b in results.get("baselines") or [] if as_float(b.get("accuracy")) is not None]
    shown = one_shot(results)
    if not _comparable(results) or "protocol" in shown:  # what papers state is of the official runs
        baselines = [b for b in baselines if not str(b.get("source", "")).startswith("published")]
    rows = [
        Row(str(b.get("name")), b["accuracy"], str(b.get("source") or ""), b.get("low"), b.get("high"))
        for b in baselines
    ]
    if shown:
        figures = shown["accuracy"], "measured in this run", shown.get("low"), shown.get("high")
        rows.append(Row(THIS_RUN, *figures, ours=True))
    return sorted(rows, key=lambda row: -row.accuracy)


def standing_sentence(results: Results) -> str:
    """Where this run stands, in words; empty if there is nothing to stand beside."""
    rows = standing(results)
    place = next((i for i, row in enumerate(rows) if row.ours), None)
    if place is None or len(rows) == 1:
        return ""
    ours = rows[place]
    parts = []
    if place > 0:
        parts.append(f"next above it {rows[place - 1].name} with {percent(rows[place - 1].accuracy)} %")
    if place + 1 < len(rows):
        parts.append(f"next below it {rows[place + 1].name} with {percent(rows[place + 1].accuracy)} %")
    low, high = ours.low, ours.high
    text = f"Place {place + 1} of {len(rows)}: {', '.join(parts)}."
    if low is not None and high is not None:
        near = [row.name for row in rows if not row.ours and low <= row.accuracy <= high]
        text += f" Within its interval: {', '.join(near)}." if near else " No other row lies within its interval."
    return text


def benchmark_table(results: Results) -> str:
    """The results as plain text for a terminal, at most 100 columns wide."""
    data, shown, lines = _dataset(results), one_shot(results), []
    if caution := _caution(results):
        lines += [*_wrap(f"Measured on {data}: {caution}."), ""]
    if shown:
        lines += _wrap(f"{_task(shown)} accuracy on {data} in %: {_how(shown)}")
    for row in standing(results):
        lines.append(line(row.name, row.accuracy, row.low, row.high, row.source, ">" if row.ours else " "))
    sampled = (results.get("one_shot") or {}).get("sampled") or []
    if sampled:
        said = [f"by the {row['rule']} where no other rule is named" for row in sampled if row.get("other_rule")]
        how = "; ".join(filter(None, [sampled[0].get("interval"), *said[:1]]))
        lines += ["", *_wrap(f"Sampled episodes on {data}, accuracy in %: {how}")]
    for row in sampled:
        name = f"{row.get('protocol')} alphabets, {row.get('n_way')}-way {row.get('k_shot')}-shot"
        counts = f"{number(row.get('episodes'))} episodes, {number(row.get('trials'))} trials"
        lines.append(line(name, row.get("accuracy"), row.get("low"), row.get("high"), counts))
        if other := row.get("other_rule"):
            name = f"  by the {other['rule']}"
            lines.append(line(name, other["accuracy"], other.get("low"), other.get("high"), "the same trials"))
    if named := results.get("classification"):
        lines += _wrap(f"Classification on {data} in %: {number(named.get('images'))} images, {_how(named)}")
        note = f"{number(named.get('wrong'))} wrong"
        lines.append(line("named rightly", named.get("accuracy"), named.get("low"), named.get("high"), note))
    if check := results.get("verification"):
        how = ", ".join(filter(None, [f"{number(check.get('pairs'))} pairs", check.get("how"), check.get("interval")]))
        lines += ["", *_wrap(f"Verification on {data} in %: {how}"), *verification_lines(check)]
    if found := results.get("novelty"):
        lines += ["", *_wrap(f"Novelty on {data} in %: {found.get('how') or ''}"), *novelty_lines(found)]
    if told := results.get("labels"):
        how = ", ".join(filter(None, [told.get("how"), told.get("interval")]))
        lines += ["", *_wrap(f"Labels on {data} in %: {how}"), *label_lines(told), *_wrap(comparison(told))]
    return "\n".join(each.rstrip() for each in lines or ["Nothing was measured."])


def _wrap(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, subsequent_indent="  ")


def one_shot(results: Results) -> Mapping[str, Any]:
    """The few-shot figures that stand for a run: of its official runs, else of the first kind of its episodes; or empty.

    Baselines, pictures and figures by alphabet are of the same trials. Only sampled episodes have a ``protocol``.
    """
    section = results.get("one_shot") or {}
    kinds = [section.get("official") or {}, *(section.get("sampled") or [])[:1]]
    return next((each for each in kinds if as_float(each.get("accuracy")) is not None), {})


def _task(shown: Mapping[str, Any]) -> str:
    return f"{shown['n_way']}-way {shown['k_shot']}-shot" if shown.get("n_way") else "One-shot"


def _how(shown: Mapping[str, Any]) -> str:
    """How a run's own accuracy was measured."""
    trials = f"{number(shown['trials'])} trials" if shown.get("trials") else ""
    return ", ".join(filter(None, [shown.get("how"), trials, shown.get("interval")]))


def _dataset(results: Results) -> str:
    """What the figures were measured on, and what taught the network if that was another data set, or other networks."""
    dataset = str(results.get("dataset") or "an unnamed data set")
    taught_by, teachers = results.get("trained_on") or dataset, results.get("teachers")
    learned = "" if taught_by == dataset else f", learned on {taught_by}"
    return dataset + learned + (f", distilled from {teachers} network{'s' * (teachers > 1)}" if teachers else "")


def _comparable(results: Results) -> bool:
    """Whether the figures may stand beside published Omniglot figures."""
    return results.get("dataset") == "omniglot"


def _caution(results: Results) -> str:
    """What the figures might be taken for and are not; empty where nobody would."""
    if results.get("one_shot") and not _comparable(results):
        return "not comparable with published Omniglot figures"
    generated = str(results.get("dataset")).startswith(GENERATED)
    return "not comparable with published figures" if generated else ""
