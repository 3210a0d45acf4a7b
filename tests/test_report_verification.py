"""Verification in the report: figures with their intervals and how they were measured, pictures, file names."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from test_report import RESULTS, Loads, make_run, page_of

from siamese.plots import run_bars, save
from siamese.report import benchmark_table

MEASURED: dict[str, Any] = RESULTS["verification"] | {
    "intervals": {
        "auc": [0.98, 0.9912],
        "eer": [0.031, 0.066],
        "tar_at_far": {"0.01": [0.81, 0.92], "0.001": [0.5, 0.7]},
        "measured": {"far": [0.011, 0.023], "tar": [0.85, 0.95]},
    },
    "interval": "95 % intervals from 1,000 resamplings of the 40 test classes",
    "ece": 0.0312,
    "ece_how": "15 equally wide bins",
    "genuine": 5000,
    "classes": 40,
    "operating_point": {
        "threshold": 0.4711,
        "far": 0.01,
        "source": "FAR 1 % on 4,950 pairs of 5 validation classes of att-faces",
        "measured": {"far": 0.0161, "tar": 0.9021},
    },
    "failures": {
        "false_accepts": [{"first": "a/<1>.png", "second": "b/2.png", "score": 0.6123, "probability": 0.913}],
        "false_rejects": [],
    },
}


def test_figures_of_verification_stand_with_their_intervals_and_how_they_were_measured(tmp_path: Path):
    run = make_run(tmp_path, verification=MEASURED)
    for name in ("det", "reliability", "false_accepts"):
        save(run_bars([0.5, 1.0], name), run / "pictures" / f"{name}.png")
    page = page_of(run)
    assert Loads(page).open == [] and page.count("<img") == 3 and "More pictures" not in page
    text = " ".join(re.sub(r"<[^>]+>", " ", page).split())
    for shown in (
        "95 % intervals from 1,000 resamplings of the 40 test classes",
        "10,000 pairs, 5,000 of them genuine · 40 classes",
        "equal error rate 4.87 %, interval 3.1 – 6.6 %",
        "area under the ROC curve 0.9876, interval 0.9800 – 0.9912",
        "at 1 % false accepts 87.41 %, interval 81.0 – 92.0 %",
        "expected calibration error 3.12 % (15 equally wide bins)",
        "FAR 1 % on 4,950 pairs of 5 validation classes of att-faces · threshold 0.4711 · measured on the test pairs",
        "false accepts 1.61 %, interval 1.1 – 2.3 %",
        "true accepts 90.21 %, interval 85.0 – 95.0 %",
        "a/&lt;1&gt;.png b/2.png 0.612 91.3",
    ):
        assert shown in text, shown
    table = benchmark_table(RESULTS | {"verification": MEASURED})
    assert max(map(len, table.splitlines())) <= 100
    for shown in (
        r"resamplings\s+of\s+the\s+40\s+test\s+classes",
        r"\n  accuracy +95\.12 +94\.7 – 95\.5 +at threshold 0\.512\n",
        r"\n  equal error rate +4\.87 +3\.1 – 6\.6\n",
        r"\n  area under the ROC curve +98\.76 +98\.0 – 99\.1\n",
        r"\n  true accepts at 0\.1 % false accepts +60\.93 +50\.0 – 70\.0\n",
        r"\n  false accepts at the stored threshold +1\.61 +1\.1 – 2\.3 +at 0\.471, made for FAR 1 %\n",
        r"\n  true accepts at the stored threshold +90\.21 +85\.0 – 95\.0\n",
        r"\n  expected calibration error +3\.12",
    ):
        assert re.search(shown, table), shown


def test_accuracy_on_all_pairs_is_called_balanced(tmp_path: Path):
    figures = {key: value for key, value in MEASURED.items() if key != "accuracy"} | {"balanced_accuracy": 0.9333}
    results = {"dataset": "faces", "verification": figures}
    assert re.search(r"\n  balanced accuracy +93\.33 +94\.7 – 95\.5", benchmark_table(results))
    page = page_of(make_run(tmp_path, one_shot=None, verification=figures))
    assert "balanced verification accuracy" in page and "<dt>balanced accuracy</dt><dd><b>93.33 %" in page
    assert "<dt>accuracy</dt>" not in page


@pytest.mark.parametrize("missing", list(MEASURED))
def test_what_was_not_measured_of_verification_is_left_out(missing: str, tmp_path: Path):
    figures = {key: value for key, value in MEASURED.items() if key != missing}
    page, table = page_of(make_run(tmp_path, verification=figures)), benchmark_table({"verification": figures})
    assert Loads(page).open == [] and "Undefined" not in page and "None" not in page + table
