"""Studies of one-shot classification: the official runs of every seed, from runs that are written down, not trained."""

import json
from typing import Any

import pytest

from siamese.evaluation import benchmark
from siamese.study import Arm, Run, headline
from siamese.study.report import report, table
from siamese.study.summary import summary


def found(official: float | None) -> dict[str, Any]:
    """What a run leaves that gets so many of the official trials right; None where there are none."""
    kinds = {"within 20-way 1": 0.875, "across 7-way 3": 0.99}
    one_shot: dict[str, Any] = {"sampled": []}
    methods: dict[str, Any] = {"this network": kinds}
    if official is not None:
        one_shot["official"] = {"accuracy": official, "trials": 400}
        methods = {"this network": {"official": official, **kinds}, "1-NN of pixels, cosine": {"official": 0.2175}}
    return {
        "dataset": "omniglot", "train_seconds": 60.0, "hardware": "two cores", "one_shot": one_shot, "methods": methods,
        "methods_how": "20 official runs",
    }  # fmt: skip


@pytest.fixture
def runs(tmp_path) -> list[Run]:
    """An arm of three seeds, and one without official runs."""
    thirty, across = Arm("thirty", "a.yaml", 3), Arm("across", "b.yaml", 1)
    made = []
    for arm, seed, official in ((thirty, 0, 0.9725), (thirty, 1, 0.99), (thirty, 2, 0.98), (across, 0, None)):
        run = Run(arm, seed, tmp_path / arm.folder / f"seed-{seed}", [])
        run.folder.mkdir(parents=True)
        (run.folder / "results.json").write_text(json.dumps(found(official)))
        (run.folder / "metrics.csv").write_text("epoch,step,train/loss\n0,9,1.0\n")
        made.append(run)
    return made


def test_methods_are_the_network_and_what_was_measured_beside_it():
    drawn = {"protocol": "within", "n_way": 20, "k_shot": 5, "accuracy": 0.95, "episodes": 1000}
    section = {"sampled": [drawn], "official": {"accuracy": 0.98, "how": "20 runs"}}
    beside = [
        {"name": "pixels", "accuracy": 0.2, "source": "measured here on these runs"},
        {"name": "humans", "accuracy": 0.955, "source": "published"},
    ]
    with_runs = benchmark._methods(section, beside)
    network = {"official": 0.98, "within 20-way 5": 0.95}
    assert with_runs["methods"] == {"this network": network, "pixels": {"official": 0.2}}
    assert with_runs["methods_how"] == "20 runs; 1,000 sampled episodes of each kind"
    # What pixels reach on a few sampled episodes is not beside what the network reaches on all of them.
    without = benchmark._methods({"sampled": [drawn]}, beside)["methods"]
    assert without == {"this network": {"within 20-way 5": 0.95}}


def test_worst_best_and_the_interval_of_one_seeds_trials(runs):
    thirty, across = summary(runs)
    assert thirty["methods"]["this network"]["official"]["mean"] == pytest.approx(0.9808, abs=1e-4)
    assert across["official"] is None
    official = thirty["official"]
    assert (official["worst"], official["best"], official["trials"]) == (0.9725, 0.99, 400)
    # Wilson by hand: p = 0.98083, n = 400, z = 1.96 gives 0.9622 to 0.9904; of all 1,200 trials it would be 0.9714 to 0.9872.
    assert official["low"] == pytest.approx(0.9622, abs=2e-4)
    assert official["high"] == pytest.approx(0.9904, abs=2e-4)


def test_the_page_and_the_terminal_show_all_of_it(runs, tmp_path, capsys):
    report(runs, tmp_path, "record", "python -m siamese study", 1.0)
    page, text = (tmp_path / "report.html").read_text(), capsys.readouterr().out
    line = "Official runs: worst seed 97.25 %, best 99.0 %; Wilson 95 % of 400 trials at the mean: 96.2 – 99.0 %"
    for shown in (page, text):
        assert shown.count("Official runs: ") == 1 and line in shown
        assert "98.08 ± 0.88" in shown and "within 20-way 1" in shown and "across 7-way 3" in shown
    assert '<td>1-NN of pixels, cosine</td><td class="n">21.75 ± 0.00</td><td class="n">–</td>' in page
    assert (tmp_path / "pictures" / "accuracy.png").exists()
    assert "21.75 ± 0.00" in table(summary(runs))


def test_the_bar_shows_the_official_runs():
    assert headline(found(0.9725)) == "97.25%"
    assert headline(found(None)) == "done"
