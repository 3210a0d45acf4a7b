"""Several labels an image in the report: a row for every predictor and decision, and no claim beyond the intervals."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pytorch_lightning.callbacks import Timer
from test_report import RESULTS, Loads, make_run, page_of

from siamese.plots import run_bars, save
from siamese.record import GracefulStop, Record
from siamese.report import benchmark_table
from siamese.report.labels import comparison, rare

AT_HALF: dict[str, Any] = {
    "exact_match": 0.6011,
    "label_accuracy": 0.8517,
    "f1_micro": 0.7523,
    "f1_macro": 0.7431,
    "low": 0.591,
    "high": 0.611,
}
AT_ONE = AT_HALF | {"exact_match": 0.6234, "low": 0.614, "high": 0.633}
NETWORK: dict[str, Any] = {
    "decisions": {"at 0.5": AT_HALF, "at one threshold": AT_ONE},
    "map": 0.87654,
    "map_low": 0.871,
    "map_high": 0.882,
    "log_loss": 0.23456,
    "threshold": 0.4321,
    "thresholds": [0.3, 0.7],
}
RATES: dict[str, Any] = {
    "decisions": {"at 0.5": AT_HALF | {"exact_match": 0.0048, "low": 0.003, "high": 0.007}},
    "map": 0.4,
    "log_loss": 0.673,
    "threshold": 0.39,
    "thresholds": [0.4, 0.4],
    "network_ahead": [0.4712, 0.4823],
}
LABEL: dict[str, Any] = {
    "images": 4012,
    "taught": 1234,
    "average_precision": 0.9123,
    "accuracy": 0.9345,
    "threshold": 0.3,
    "precision": 0.8123,
    "recall": 0.9012,
    "f1": 0.8544,
}
NOBODY = LABEL | {"images": 0, "taught": None, "average_precision": None}
MEASURED: dict[str, Any] = {
    "how": "10,000 test images of 2 labels, 1.40 an image",
    "images": 10000,
    "interval": "exact match: Wilson 95 %",
    "predictors": {"this <network>": NETWORK, "hand-made features": RATES, "base rates": RATES},
    "per_label": {"sci-fi & fantasy": LABEL, "nobody": NOBODY},
}


def labelled(**changes: Any) -> dict[str, Any]:
    """Results of a run that told labels and nothing else."""
    kept = {key: value for key, value in RESULTS.items() if key not in ("one_shot", "verification", "baselines")}
    return copy.deepcopy(kept | {"labels": MEASURED | changes})


def words(page: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", page.partition("</style>")[2]).split())


def test_every_predictor_decision_and_label_has_its_row(tmp_path: Path):
    run = make_run(tmp_path, one_shot=None, verification=None, baselines=None, labels=MEASURED)
    for name in ("labels", "label_examples"):
        save(run_bars([0.5, 1.0], name), run / "pictures" / f"{name}.png")
    page = page_of(run)
    assert Loads(page).open == [] and page.count("<img") == 2 and "More pictures" not in page
    hero, _, section = words(page).partition("Labels: what does it show?")
    for shown in (
        "62.34 % of the images have all labels right, interval 61.4 – 63.3 % , at one threshold for all labels",
        "87.65 % mean average precision, interval 87.1 – 88.2 %",
        "exact match: Wilson 95 %",
    ):
        assert shown in hero, shown
    for shown in (
        "10,000 test images of 2 labels, 1.40 an image",
        "this &lt;network&gt; at 0.5 60.11 59.1 – 61.1 85.17 75.23 74.31",
        "this &lt;network&gt; at one threshold 62.34 61.4 – 63.3",
        "base rates at 0.5 0.48 0.3 – 0.7",
        "this &lt;network&gt; 87.65 87.1 – 88.2 0.2346 0.432",
        "base rates 40.0 0.6730 0.390",
        "this &lt;network&gt; beats base rates, by 47.1 to 48.2 points.",
        "sci-fi &amp; fantasy 4,012 1,234 91.23 93.45 0.300 81.23 90.12 85.44",
        "nobody 0 – – 93.45",
    ):
        assert shown in section, shown
    untaught = {name: row | {"taught": None} for name, row in MEASURED["per_label"].items()}
    again = page_of(make_run(tmp_path, labels=MEASURED | {"per_label": untaught}))
    assert "training images" in page and "training images" not in again, "a stream of tiles has no number of them"


def test_another_headline_comes_first(tmp_path: Path):
    page = page_of(make_run(tmp_path, labels=MEASURED))
    assert "20-way 1-shot accuracy" in page and "all labels right, interval" not in words(page)


def test_the_terminal_shows_the_same_in_a_hundred_columns():
    long = {"a predictor of a very long name " * 5: {"decisions": {"a very long way to decide " * 5: AT_HALF}}}
    table = benchmark_table(labelled(predictors=MEASURED["predictors"] | long))
    assert max(map(len, table.splitlines())) <= 100
    for shown in (
        r"\nLabels on omniglot in %: 10,000 test images of 2 labels, 1\.40 an image, exact match: Wilson 95 %\n",
        r"\n +exact match +per label +micro F1 +macro F1\n",
        r"\n  this <network>: mAP 87\.65 \(87\.1 – 88\.2\), log loss 0\.2346 nats\n",
        r"\n    at one threshold +62\.34 +61\.4 – 63\.3 +85\.17 +75\.23 +74\.31\n",
        r"\n  base rates: mAP 40\.0, log loss 0\.6730 nats\n    at 0\.5 +0\.48 +0\.3 – 0\.7 ",
        r"beats\s+base rates, by\s+47\.1 to 48\.2 points\.$",
    ):
        assert re.search(shown, table), shown


@pytest.mark.parametrize(
    ("dataset", "generated"),
    [
        ("glyphs", True),
        ("glyphs10", True),
        ("glyphs10-colour", True),
        ("glyphs10-colour tiles", True),
        ("cartoons", True),
        ("cifar10 tiles", False),
        ("posters-800", False),
        (None, False),
    ],
)
def test_generated_images_are_not_taken_for_published_ones(dataset: str | None, generated: bool, tmp_path: Path):
    page = page_of(make_run(tmp_path, one_shot=None, verification=None, labels=MEASURED, dataset=dataset))
    for text in (words(page), " ".join(benchmark_table(labelled() | {"dataset": dataset}).split())):
        assert ("not comparable with published figures" in text) is generated


@pytest.mark.parametrize(
    ("ends", "said"),
    [
        ([0.011, 0.03], "this <network> beats base rates, by 1.1 to 3.0 points"),
        ([-0.03, -0.011], "this <network> does not beat base rates, but is 1.1 to 3.0 points behind"),
        ([-0.01, 0.02], "cannot be told, since the difference lies between -1.0 and 2.0 points"),
        ([0.0, 0.02], "cannot be told"),
        ([-0.02, 0.0], "cannot be told"),
        (None, ""),
        ([None, 0.1], ""),
    ],
)
def test_it_beats_another_only_where_the_whole_interval_says_so(ends: Any, said: str):
    text = comparison({"predictors": {"this <network>": NETWORK, "base rates": RATES | {"network_ahead": ends}}})
    assert said in text and bool(text) is bool(said)


@pytest.mark.parametrize(
    ("seeds", "said"),
    [
        ([[0.01, 0.03], [0.02, 0.05]], "this <network> beats base rates with each of 2 seeds, by 1.0 to 5.0 points"),
        ([[-0.03, -0.01], [-0.05, -0.02]], "but is 1.0 to 5.0 points behind with each of 2 seeds"),
        (
            [[0.01, 0.03], [-0.02, 0.05]],
            "beats base rates with 1 of 2 seeds and is behind with 0: the difference lies between -2.0",
        ),
        (
            [[-0.01, 0.03], [-0.02, 0.05]],
            "cannot be told, since the difference lies between -2.0 and 5.0 points with each of 2",
        ),
        ([[0.01, 0.03], None], ""),
    ],
)
def test_several_seeds_are_judged_together(seeds: Any, said: str):
    found = [
        {"predictors": {"this <network>": NETWORK, "base rates": RATES | {"network_ahead": ends}}} for ends in seeds
    ]
    text = comparison(*found)
    assert said in text and bool(text) is bool(said)
    assert comparison() == comparison({}, {}) == ""


def test_labels_of_few_test_images_are_named(tmp_path: Path):
    labels = {
        name: LABEL | {"images": count} for name, count in (("many", 10), ("few <b>", 9), ("one", 1), ("none", 0))
    }
    assert rare(labels) == (
        "Fewer than 10 test images carry few <b> (9), one (1): one image more or less moves these figures by far. "
        "No test image carries none: of these nothing was measured."
    )
    assert rare({"many": LABEL}) == rare({}) == ""
    page = page_of(make_run(tmp_path, one_shot=None, verification=None, labels=MEASURED | {"per_label": labels}))
    assert "few &lt;b&gt; (9), one (1)" in page


@pytest.mark.parametrize("missing", [*MEASURED, *NETWORK, *RATES, *AT_HALF, *LABEL])
def test_what_was_not_measured_is_left_out(missing: str, tmp_path: Path):
    def without(found: Any) -> Any:
        return {k: without(v) for k, v in found.items() if k != missing} if isinstance(found, dict) else found

    results = labelled()
    for absent in (without(results["labels"]), {k: None if k == missing else v for k, v in MEASURED.items()}):
        page = page_of(make_run(tmp_path, one_shot=None, verification=None, labels=absent))
        table = benchmark_table(results | {"labels": absent})
        assert Loads(page).open == [] and "Undefined" not in page and "None" not in words(page) + table


def test_nothing_is_said_of_labels_where_there_are_none(tmp_path: Path):
    for absent in ({}, {"labels": None}):
        page, table = page_of(make_run(tmp_path, **absent)), benchmark_table(RESULTS | absent)
        assert "Labels" not in page + table and "mean average precision" not in page + table


def test_weights_and_biases_gets_the_fractions(tmp_path: Path):
    logged: dict[str, Any] = {}
    record = Record(tmp_path, {}, "", GracefulStop(), Timer(), None, [])
    experiment = SimpleNamespace(log=logged.update, summary={})
    record._send(SimpleNamespace(experiment=experiment), labelled())  # type: ignore[arg-type]
    assert logged["labels/predictors/base rates/map"] == 0.4
    assert logged["labels/predictors/this <network>/decisions/at one threshold/exact_match"] == 0.6234
    assert logged["labels/per_label/sci-fi & fantasy/f1"] == 0.8544
    assert experiment.summary["seed"] == 7
