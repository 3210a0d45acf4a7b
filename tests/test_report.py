"""The report: it stands alone, shows what was measured and nothing else, and never mixes data sets."""

from __future__ import annotations

import copy
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from siamese.errors import DataError
from siamese.plots import run_bars, save
from siamese.report import benchmark_table, one_shot, percent, read_metrics, standing, standing_sentence, write_report

RESULTS: dict[str, Any] = {
    "experiment": "omniglot",
    "dataset": "omniglot",
    "fingerprint": "f1" * 32,
    "seed": 7,
    "commit": "abc1234",
    "hardware": "two cores",
    "train_seconds": 561.0,
    "steps": 6000,
    "checkpoint": "checkpoints/best.ckpt",
    "command": "python -m siamese fit --config a.yaml",
    "config": {"model": {"dim": 256}},
    "one_shot": {
        "official": {
            "accuracy": 0.9625,
            "low": 0.9391,
            "high": 0.9771,
            "trials": 400,
            "n_way": 20,
            "k_shot": 1,
            "per_run": [0.95, 1.0],
            "interval": "Wilson 95 %",
            "how": "20 official runs, nearest support",
        },
        "per_group": {"Ge_ez": {"accuracy": 0.925, "low": 0.801, "high": 0.974, "trials": 40}},
        "sampled": [
            {
                "protocol": "within",
                "n_way": 5,
                "k_shot": 1,
                "accuracy": 0.9812,
                "low": 0.979,
                "high": 0.983,
                "episodes": 1000,
                "trials": 5000,
                "interval": "95 % t interval over episodes",
                "how": "episodes within an alphabet, nearest support",
            }
        ],
    },
    "verification": {
        "accuracy": 0.9512,
        "low": 0.947,
        "high": 0.955,
        "threshold": 0.5123,
        "auc": 0.98761,
        "eer": 0.0487,
        "tar_at_far": {"0.01": 0.8741, "0.001": 0.6093},
        "pairs": 10000,
        "how": "half genuine",
    },
    "baselines": [
        {"name": "pixels", "accuracy": 0.2175, "source": "measured in this run"},
        {"name": "better", "accuracy": 0.985, "source": "published"},
        {"name": "worse", "accuracy": 0.92, "source": "published"},
        {"name": "near", "accuracy": 0.955, "source": "published"},
    ],
}


def make_run(folder: Path, **changes: Any) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "results.json").write_text(json.dumps(copy.deepcopy(RESULTS) | changes))
    return folder


def page_of(run: Path) -> str:
    return write_report(run).read_text()


class Loads(HTMLParser):
    """Collects what a page would load, the tags it opens and the tags it leaves open."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.tags: list[str] = []
        self.open: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in ("meta", "img"):
            self.open.append(tag)
        self.loads += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "data")]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_stands_alone_with_every_picture_in_it(tmp_path: Path):
    run = make_run(tmp_path)
    for name in ("runs", "roc", "one_trial", "something_new"):
        save(run_bars([0.5, 1.0], name), run / "pictures" / f"{name}.png")
    (run / "pictures" / "groups.png").write_bytes(b"\x89PNG half")
    (run / "metrics.csv").write_text("step,train/loss\n0,2.0\n1,1.0\n")
    page = page_of(run)
    parsed = Loads(page)
    assert parsed.open == []
    assert (run / "pictures" / "training_curves.png").exists()
    assert len(parsed.loads) == 5  # the half written one is left out
    assert all(load.startswith("data:image/png;base64,iVBOR") for load in parsed.loads)
    assert not re.search(r"https?://|@import|url\(", page) and "script" not in parsed.tags and "link" not in parsed.tags


def test_the_numbers_are_those_of_the_results(tmp_path: Path):
    text = " ".join(re.sub(r"<[^>]+>", " ", page_of(make_run(tmp_path))).split())
    for shown in (
        "96.25 %",
        "93.9 – 97.7",
        "Wilson 95 %",
        "400 trials",
        "20 official runs, nearest support",
        "Ge ez 92.5 80.1 – 97.4 40",
        "within 5-way 1-shot 98.12 97.9 – 98.3 1,000 5,000",
        "95.12 % , interval 94.7 – 95.5 %, at threshold 0.512",
        "4.87 %",
        "0.9876",
        "at 1 % false accepts 87.41 %",
        "at 0.1 % false accepts 60.93 %",
        "worse 92.0 published",
        "9.3 min",
        "f1" * 32,
        "abc1234",
        "checkpoints/best.ckpt",
        "python -m siamese fit --config a.yaml",
        "&#34;dim&#34;: 256",
    ):
        assert shown in text, shown


def test_names_are_escaped_everywhere(tmp_path: Path):
    evil = "<script>alert(1)</script>"
    run = make_run(
        tmp_path,
        experiment=evil,
        dataset=evil,
        command=evil,
        config={evil: evil},
        hardware=evil,
        baselines=[{"name": evil, "accuracy": 0.5, "source": evil}],
    )
    save(run_bars([1.0], "x"), run / "pictures" / "<script>x.png")
    page = page_of(run)
    assert "<script" not in page and "&lt;script&gt;" in page
    assert Loads(page).open == []


@pytest.mark.parametrize("dataset", ["omniglot", "generated-glyphs", "faces", None])
def test_only_omniglot_stands_beside_published_figures(dataset: str | None, tmp_path: Path):
    run = make_run(tmp_path, dataset=dataset)
    page, table = page_of(run), benchmark_table(json.loads((run / "results.json").read_text()))
    omniglot = dataset == "omniglot"
    for text in (page, table):
        assert ("not comparable with published Omniglot figures" in text) is not omniglot
        assert ("worse" in text) is omniglot
        assert "pixels" in text and (dataset or "unnamed data set") in text
    assert page.count('class="chip"') == (0 if omniglot else page.count("<h2>"))
    assert ("generated glyphs" in page) is (dataset == "generated-glyphs")


def test_what_taught_the_network_is_told_where_it_was_other_data(tmp_path: Path):
    learned = copy.deepcopy(RESULTS) | {"trained_on": "glyphs"}
    assert "learned on glyphs" in benchmark_table(learned)
    assert "learned on glyphs" in page_of(make_run(tmp_path, trained_on="glyphs"))
    assert "learned on" not in benchmark_table(copy.deepcopy(RESULTS) | {"trained_on": "omniglot"})


def test_this_run_stands_at_its_place():
    names = [row.name for row in standing(RESULTS)]
    assert names == ["better", "this run", "near", "worse", "pixels"]
    sentence = standing_sentence(RESULTS)
    assert sentence.startswith("Place 2 of 5: next above it better with 98.5 %, next below it near with 95.5 %.")
    assert sentence.endswith("Within its interval: near.")
    equal = RESULTS | {"baselines": [{"name": "equal", "accuracy": 0.9625, "source": "published"}]}
    assert [row.name for row in standing(equal)] == ["equal", "this run"]  # a tie is not a win
    assert standing_sentence(RESULTS | {"baselines": []}) == ""


def test_the_terminal_table_marks_this_run_and_fits():
    long = {"name": "a method with a very long name " * 4, "accuracy": 1.0, "source": "published " * 9}
    table = benchmark_table(RESULTS | {"baselines": [*RESULTS["baselines"], long], "dataset": "omniglot"})
    lines = table.splitlines()
    assert max(map(len, lines)) <= 100
    marked = [line for line in lines if line.startswith(">")]
    assert len(marked) == 1 and re.search(r"this run +96\.25 +93\.9 – 97\.7 +measured in this run", marked[0])
    assert lines.index(marked[0]) == next(i for i, line in enumerate(lines) if "near" in line and "95.5" in line) - 1
    for shown in (
        "Wilson 95 %",
        "400 trials",
        "98.12  97.9 – 98.3",
        "1,000 episodes, 5,000 trials",
        "10,000 pairs",
        "60.93",
    ):
        assert shown in table, shown


def test_without_official_runs_the_first_sampled_episodes_stand_for_the_run(tmp_path: Path):
    sampled = copy.deepcopy(RESULTS["one_shot"]["sampled"])
    other = sampled[0] | {"protocol": "across", "n_way": 20, "accuracy": 0.5}
    results = RESULTS | {"one_shot": {"sampled": [*sampled, other]}}
    assert one_shot(results) == sampled[0]
    assert one_shot(RESULTS) == RESULTS["one_shot"]["official"]
    assert one_shot({}) == {}
    assert [(row.name, row.accuracy) for row in standing(results)] == [("this run", 0.9812), ("pixels", 0.2175)]
    text = " ".join(re.sub(r"<[^>]+>", " ", page_of(make_run(tmp_path, one_shot=results["one_shot"]))).split())
    assert "98.12 % 5-way 1-shot accuracy, interval 97.9 – 98.3 %" in text
    assert "omniglot · episodes within an alphabet, nearest support · 5,000 trials · 95 % t interval" in text
    assert "5-way 1-shot accuracy on omniglot in %: episodes within an alphabet" in benchmark_table(results)


@pytest.mark.parametrize("missing", [*RESULTS, "official", "per_group", "sampled", "everything"])
def test_what_is_missing_is_left_out(missing: str, tmp_path: Path):
    results = copy.deepcopy(RESULTS)
    if missing == "everything":
        results = {}
    results.pop(missing, None)
    results.get("one_shot", {}).pop(missing, None)
    run = make_run(tmp_path)
    for absent in (results, results | {missing: None}):
        (run / "results.json").write_text(json.dumps(absent))
        page, table = page_of(run), benchmark_table(absent)
        assert Loads(page).open == [] and "Undefined" not in page and "None" not in page
        assert table and "None" not in table
    if missing == "one_shot":
        assert "95.12" in page and "verification accuracy" in page
    if missing == "official":
        assert "98.12" in table.split("Sampled")[0]
    if missing == "everything":
        assert "No benchmark was evaluated" in page


def test_an_interrupted_run_says_so(tmp_path: Path):
    assert "Interrupted run" not in page_of(make_run(tmp_path))
    page = page_of(make_run(tmp_path, interrupted=True, resumed_from="last.ckpt"))
    assert "Interrupted run" in page and "resumed from" in page and "last.ckpt" in page


def test_rows_from_before_a_resume_come_first_and_none_twice(tmp_path: Path):
    (tmp_path / "metrics_earlier.csv").write_text("epoch,step,train/loss\n0,10,3.0\n0,20,2.5\n0,30,2.0\n")
    (tmp_path / "metrics.csv").write_text("epoch,step,train/loss,val/one_shot\n0,30,2.1,\n1,40,,0.5\n1,50,nan,0.")
    rows = read_metrics(tmp_path)
    assert [row["step"] for row in rows] == [10, 20, 30, 40, 50]
    assert rows[2] == {"epoch": 0, "step": 30, "train/loss": 2.1}
    assert rows[3] == {"epoch": 1, "step": 40, "val/one_shot": 0.5}
    (tmp_path / "metrics.csv").unlink()
    assert [row["step"] for row in read_metrics(tmp_path)] == [10, 20, 30]


def test_a_folder_without_results_is_a_user_error(tmp_path: Path):
    with pytest.raises(DataError, match=r"results\.json"):
        write_report(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_report_is_replaced_whole(tmp_path: Path):
    run = make_run(tmp_path)
    page_of(run)
    page = page_of(make_run(tmp_path, seed=12345))
    assert "12345" in page and sorted(path.name for path in run.iterdir()) == ["report.html", "results.json"]


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.92, "92.0"), (0.9625, "96.25"), (1, "100.0"), (0, "0.0"), (None, "–"), (float("nan"), "–")],
)
def test_percent_keeps_a_quarter_point_and_adds_no_false_digits(share: float | None, text: str):
    assert percent(share) == text
