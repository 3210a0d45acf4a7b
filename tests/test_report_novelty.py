"""Novelty in the report: a row for every detector and every set of images, and what is missing left out."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from test_report import RESULTS, Loads, make_run, page_of

from siamese.plots import run_bars, save
from siamese.report import benchmark_table

LOF: dict[str, Any] = {
    "thresholds": {"0.001": -2.5, "0.01": -1.6},
    "known_rejected": {"0.001": 0.0012, "0.01": 0.0113},
    "novel": {
        "fashion-<mnist>": {"rejected": {"0.001": 0.9123, "0.01": 0.985}, "auroc": 0.99712, "fpr95": 0.0061},
        "held-out classes": {"rejected": {"0.001": 0.1, "0.01": 0.25}, "auroc": 0.9, "fpr95": 0.5},
    },
}
MEASURED: dict[str, Any] = {
    "how": "detectors fitted on 55,000 training images",
    "known": "mnist",
    "contaminations": [0.001, 0.01],
    "images": {"train": 55000, "known": 10000, "fashion-<mnist>": 9999, "held-out classes": 1000},
    "detectors": {"LOF of embeddings": LOF, "softmax probability": LOF},
}


def test_every_detector_and_set_has_its_row(tmp_path: Path):
    run = make_run(tmp_path, novelty=MEASURED)
    for name in ("novelty", "novelty_accepted"):
        save(run_bars([0.5, 1.0], name), run / "pictures" / f"{name}.png")
    page = page_of(run)
    assert Loads(page).open == [] and page.count("<img") == 2 and "More pictures" not in page
    text = " ".join(re.sub(r"<[^>]+>", " ", page).split())
    for shown in (
        "detectors fitted on 55,000 training images",
        "rejected at 0.1 % rejected at 1 % AUROC FPR95, %",
        "LOF of embeddings known test images 10,000 0.12 1.13",
        "fashion-&lt;mnist&gt; 9,999 91.23 98.5 0.9971 0.61",
        "held-out classes 1,000 10.0 25.0 0.9000 50.0",
    ):
        assert shown in text, shown
    table = benchmark_table(RESULTS | {"novelty": MEASURED})
    assert max(map(len, table.splitlines())) <= 100
    for shown in (
        r"\n +share rejected, AUROC, FPR95 +at 0\.1 % +at 1 % +AUROC +FPR95\n",
        r"\n  LOF of embeddings\n    known test images +0\.12 +1\.13\n",
        r"\n    fashion-<mnist> +91\.23 +98\.5 +0\.9971 +0\.61\n",
        r"\n  softmax probability\n",
    ):
        assert re.search(shown, table), shown


@pytest.mark.parametrize("missing", [*MEASURED, *LOF, "auroc", "rejected"])
def test_what_was_not_measured_is_left_out(missing: str, tmp_path: Path):
    novel = {name: {key: value for key, value in row.items() if key != missing} for name, row in LOF["novel"].items()}
    lof = {key: value for key, value in (LOF | {"novel": novel}).items() if key != missing}
    section = {key: value for key, value in MEASURED.items() if key != missing}
    if "detectors" in section:
        section["detectors"] = {"LOF of embeddings": lof}
    page, table = page_of(make_run(tmp_path, novelty=section)), benchmark_table(RESULTS | {"novelty": section})
    assert Loads(page).open == [] and "Undefined" not in page and "None" not in page + table


def test_nothing_is_said_of_novelty_where_there_is_none(tmp_path: Path):
    assert "Novelty" not in page_of(make_run(tmp_path)) + benchmark_table(RESULTS)
    assert "Novelty" not in page_of(make_run(tmp_path, novelty=None)) + benchmark_table(RESULTS | {"novelty": None})
