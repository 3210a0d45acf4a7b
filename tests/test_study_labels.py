"""Studies of several labels an image: their table, page and curves, from runs that are written down, not trained."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.colors import to_hex
from test_report import Loads

from siamese.plots import run_bars, save
from siamese.plots.labels import COLOURS, curve_pair
from siamese.study import Arm, Run, headline
from siamese.study.report import report, table, validation_curves
from siamese.study.summary import mean_of, summary

LONG = "hand-made features, at a threshold a label"


def method(exact: float) -> dict[str, float]:
    return {"exact_match": exact, "label_accuracy": 0.9123, "f1_macro": 0.654, "map": 0.789}


def run_of(folder: Path, arm: Arm, seed: int, exact: float, metrics: str) -> Run:
    """A run whose network gets so many images wholly right, and what it logged."""
    run = Run(arm, seed, folder / arm.folder / f"seed-{seed}", [])
    precision = {"images": 40, "taught": None, "average_precision": exact, "accuracy": 0.8, "threshold": 0.3}
    labels = {"cat & dog": precision | {"precision": 0.1, "recall": 0.2, "f1": 0.3}}
    methods = {
        "this network, at 0.5": method(exact),
        "this network, at one threshold": method(exact + 0.1),
        LONG: method(0.0),
    }
    ahead = {"this network": {}, "hand-made features": {"network_ahead": [exact - 0.1, exact]}}
    results: dict[str, Any] = {
        "dataset": "tiles", "train_seconds": 60.0, "hardware": "two cores", "methods": methods,
        "methods_how": "40 test images of 1 labels", "labels": {"per_label": labels, "predictors": ahead},
    }  # fmt: skip
    (run.folder / "pictures").mkdir(parents=True)
    (run.folder / "results.json").write_text(json.dumps(results))
    (run.folder / "metrics.csv").write_text(metrics)
    for name in ("labels", "label_examples"):
        save(run_bars([exact], name), run.folder / "pictures" / f"{name}.png")
    return run


HEADER = "epoch,step,train/loss,val/exact_match\n"


@pytest.fixture
def runs(tmp_path) -> list[Run]:
    """Two arms of two seeds, of which one has stopped a validation earlier, one more with a note, one that logged nothing."""
    stated = {"them, <other> tiles": {"exact_match": 0.4919, "label_accuracy": 0.9116}}
    ours, plain = Arm("ours", "a.yaml", 2, published=stated), Arm("plain/loss", "b.yaml", 1)
    noted, silent = Arm("leaking", "c.yaml", 1, note="not so"), Arm("silent", "d.yaml", 1)
    return [
        run_of(tmp_path, ours, 0, 0.25, f"{HEADER}0,9,1.0,\n0,9,,0.1\n1,19,,0.3\n2,29,,0.9\n"),
        run_of(tmp_path, ours, 1, 0.5, f"{HEADER}0,9,,0.2\n1,19,0.5,\n1,19,,0.5\n"),
        run_of(tmp_path, plain, 0, 0.125, f"{HEADER}0,9,,0.0\n1,19,,0.125\n"),
        run_of(tmp_path, noted, 0, 0.125, f"{HEADER}0,9,,0.75\n"),
        run_of(tmp_path, silent, 0, 0.125, "epoch,step,train/loss\n0,9,1.0\n"),
    ]


def test_the_curves_are_means_over_the_seeds_where_all_have_them(runs):
    arms = summary(runs)
    assert arms[0]["validation"] == {"step": [9, 19], "exact_match": [pytest.approx(0.15), pytest.approx(0.4)]}
    assert arms[3]["validation"] is None
    curves = validation_curves(arms)
    assert list(curves) == ["ours", "plain/loss", "leaking (not so)"]
    assert [each.tolist() for each in curves["plain/loss"]] == [[9, 19], [0.0, 0.125]]


def test_the_page_and_the_terminal_show_every_decision_and_both_curves(runs, tmp_path, capsys):
    report(runs, tmp_path, "labels", "python -m siamese study", 1.0)
    page, text = (tmp_path / "report.html").read_text(), capsys.readouterr().out
    assert Loads(page).open == []
    assert 'alt="Share of the validation images with all labels right against the step' in page
    assert (tmp_path / "pictures" / "exact_match.png").exists()
    assert page.count("<img") == 1 + 2 * 3, "the curves, and two pictures of the first run of each arm without a note"
    ours = page.partition("<h2>ours")[2].partition("<h2>")[0]
    assert ours.count('<tr class="ours">') == 2
    for shown in (
        '<th class="n">exact match</th><th class="n">per label</th><th class="n">macro F1</th><th class="n">mAP</th>',
        '<td>this network, at 0.5</td><td class="n">37.50 ± 17.68</td><td class="n">91.23 ± 0.00</td>',
        f'<td>{LONG}</td><td class="n">0.00 ± 0.00</td>',
        "the figures by label, mean of 2 seeds",
        '<td>published: them, &lt;other&gt; tiles</td><td class="n">49.19</td><td class="n">91.16</td><td class="n">–</td>',
        "this network beats hand-made features with each of 2 seeds, by 15.0 to 50.0 points",
        '<td>cat &amp; dog</td><td class="n">37.5</td><td class="n">80.0</td>',
    ):
        assert shown in ours, shown
    assert "test images</th>" not in ours, "they may be others with another seed"
    lines = table(summary(runs)).splitlines()
    title, first = next((a, b) for a, b in pairwise(lines) if "exact match" in a)
    assert first.startswith("  this network, at 0.5 ") and title.index("exact match") + 11 == first.index("17.68") + 5
    assert any(line.startswith(f"  {LONG} ") for line in lines)
    assert "37.50 ± 17.68" in text and "published: them, <other> tiles" in text
    assert "By mean average precision, this network beats hand-made features with each of 2 seeds" in text


def test_the_bar_shows_exact_match():
    assert (
        headline({"methods": {"this network, at 0.5": method(0.12345), "other": method(0.9)}}) == "exact match 12.35%"
    )
    assert headline({"methods": {"this network": {"accuracy": 0.5}}}) == "accuracy 50.00%"


def test_a_mean_is_of_the_seeds_that_have_the_figure():
    assert mean_of([{"map": None}, {"map": 0.5}, {"map": 0.25}]) == {"map": 0.375}
    assert mean_of([{"map": None}, {"map": None}]) == {"map": None}


@pytest.mark.parametrize("count", [2, 30])
def test_every_curve_can_be_told_from_the_others(count, tmp_path):
    curves = {f"$arm$ {place}": (np.array([1, 2]), np.array([0.1, place / 100])) for place in range(count)}
    figure = curve_pair(curves, "They", "exact match")
    (axes,) = figure.axes
    looks = {(to_hex(line.get_color()), line.get_linestyle()) for line in axes.lines}
    assert len(looks) == count and {colour for colour, _ in looks} <= set(COLOURS)
    told = [text.get_text() for text in axes.get_legend().get_texts()]
    assert told[:2] == ["$arm$ 0: 0.0 %", "$arm$ 1: 1.0 %"] and len(told) == count
    save(figure, tmp_path / "a.png")
