"""Five-shot episodes answered by the nearest support and by class means: in results, study, report, and by ``evaluate``."""

import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import yaml
from test_report import RESULTS, Loads, make_run, page_of

from siamese.__main__ import main
from siamese.evaluation import benchmark
from siamese.evaluation.one_shot import credits, episode_scores
from siamese.report import benchmark_table
from siamese.sampling.episodes import sample_episodes
from siamese.sampling.seeds import generator
from siamese.similarity import Euclidean
from siamese.study import Arm, Run
from siamese.study.report import table
from siamese.study.summary import summary

NEAREST, MEAN = "nearest support embedding", "mean of the support embeddings"
ONE: dict[str, Any] = RESULTS["one_shot"]["sampled"][0] | {"rule": NEAREST}
FIVE: dict[str, Any] = ONE | {
    "n_way": 20,
    "k_shot": 5,
    "accuracy": 0.9812,
    "trials": 20000,
    "other_rule": {"rule": MEAN, "accuracy": 0.9887, "low": 0.987, "high": 0.9904, "how": f"episodes, {MEAN}"},
}


def changed(checkpoint: Path, where: Path, one_shot: dict[str, Any] | None) -> Path:
    """A copy whose configuration has OneShot with these arguments more; None for without OneShot."""
    content = torch.load(checkpoint, weights_only=True)
    config = yaml.safe_load(content["siamese"]["config"])
    callbacks = config["trainer"]["callbacks"]
    ours = next(each for each in callbacks if each["class_path"].endswith("OneShot"))
    if one_shot is None:
        callbacks.remove(ours)
    else:
        ours["init_args"].pop("support", None)  # as of a checkpoint from before there was a choice
        ours["init_args"] |= one_shot
    content["siamese"]["config"] = yaml.safe_dump(config)
    torch.save(content, where)
    return where


def evaluated(checkpoint: Path, runs: Path, *options: str) -> tuple[dict[str, Any], str]:
    """Results and page."""
    assert main(["evaluate", "--checkpoint", str(checkpoint), "--runs", str(runs), *options]) == 0
    (run,) = runs.glob("*/*-test")
    return json.loads((run / "results.json").read_text()), (run / "report.html").read_text()


def test_evaluate_answers_by_either_rule_and_reports_the_other_beside_it(best, tmp_path, capsys):
    five = changed(best, tmp_path / "five.ckpt", {"k_shot": [1, 5], "episodes": 60})
    nearest, _ = evaluated(five, tmp_path / "nearest")
    capsys.readouterr()
    mean, page = evaluated(five, tmp_path / "mean", "--support", "mean")
    printed = capsys.readouterr().out
    (ours,) = [each for each in mean["config"]["trainer"]["callbacks"] if each["class_path"].endswith("OneShot")]
    assert ours["init_args"]["support"] == "mean"
    pairs = list(zip(nearest["one_shot"]["sampled"], mean["one_shot"]["sampled"], strict=True))
    assert [row["k_shot"] for row, _ in pairs] == [1, 5, 1, 5]
    for row, by_mean in pairs:
        assert (row["rule"], by_mean["rule"]) == (NEAREST, MEAN)
        assert f", {NEAREST}, one view" in row["how"] and f", {MEAN}, one view" in by_mean["how"]
        if row["k_shot"] == 1:
            assert row["accuracy"] == by_mean["accuracy"] and "other_rule" not in row | by_mean
            continue
        for one, two in ((row, by_mean["other_rule"]), (by_mean, row["other_rule"])):
            assert {key: one[key] for key in two} == two
            assert two["low"] <= two["accuracy"] <= two["high"]
        assert row["accuracy"] != row["other_rule"]["accuracy"]
    methods = [results["methods"]["this network"] for results in (nearest, mean)]
    for figures, others, name in ((*methods, "class mean"), (*reversed(methods), "nearest support")):
        assert figures[f"across 5-way 5, {name}"] == others["across 5-way 5"]
    assert mean["methods_how"] == f"60 sampled episodes of each kind, by the {MEAN} where no other rule is named"
    assert nearest["baselines"] == mean["baselines"]
    assert MEAN in page and NEAREST in page
    assert f"by the {NEAREST}" in printed and MEAN in " ".join(printed.split())


def test_the_rule_holds_for_evaluators_of_a_configuration_beside_the_checkpoints(best, tmp_path, capsys):
    """Such as experiments/mnist_one_shot.yaml: its evaluators take the place of those of the checkpoint."""
    arguments = {"n_way": [5], "k_shot": [5], "protocols": ["across"], "episodes": 5, "val_episodes": 5, "val_n_way": 5}
    kinds = {"class_path": "siamese.evaluation.OneShot", "init_args": arguments}
    for name, callbacks in (("list", [kinds]), ("alone", kinds), ("none", [])):
        overlay = tmp_path / f"{name}.yaml"
        overlay.write_text(yaml.safe_dump({"trainer": {"callbacks": callbacks}}))
        options = ["--config", str(overlay), "--support", "mean"]
        if name == "none":
            assert main(["evaluate", "--checkpoint", str(best), "--runs", str(tmp_path / name), *options]) == 2
            assert "it has no siamese.evaluation.OneShot" in capsys.readouterr().err
            assert not (tmp_path / name).exists()
            continue
        found, _ = evaluated(best, tmp_path / name, *options)
        (row,) = found["one_shot"]["sampled"]
        assert (row["rule"], row["other_rule"]["rule"]) == (MEAN, NEAREST), name


def test_evaluate_refuses_a_rule_where_there_is_nothing_to_answer(best, tmp_path, capsys):
    without = changed(best, tmp_path / "without.ckpt", None)
    arguments = ["--runs", str(tmp_path), "--support", "mean"]
    assert main(["evaluate", "--checkpoint", str(without), *arguments]) == 2
    assert "it has no siamese.evaluation.OneShot" in capsys.readouterr().err
    assert not [path for path in tmp_path.iterdir() if path.is_dir()]
    with pytest.raises(SystemExit, match="2"):
        main(["evaluate", "--checkpoint", str(best), "--runs", str(tmp_path), "--support", "median"])
    assert "median" in capsys.readouterr().err


@pytest.mark.parametrize("rule", ["nearest", "mean"])
def test_validation_and_headline_figures_are_answered_by_the_rule(tiny, rule):
    """Of three supports a class everywhere, so that the rules differ."""
    vectors, official = torch.randn(len(tiny), 4, generator=generator(1)), sample_episodes(tiny, 20, 5, 3, generator(2))
    system: Any = SimpleNamespace(embeddings=lambda split: vectors, similarity=Euclidean(), network=None)
    data: Any = SimpleNamespace(table=lambda split: tiny, official=official)
    expected, other = (
        float(credits(episode_scores(vectors, official, Euclidean(), by), official.target).mean())
        for by in (rule, "mean" if rule == "nearest" else "nearest")
    )
    assert expected != other
    evaluator = benchmark.OneShot((5,), (3,), ("within",), episodes=20, val_episodes=5, val_n_way=5, support=rule)
    evaluator.prepare(data)
    evaluator.validation, evaluator.sampled["within", 5, 3] = official, official
    assert evaluator.choose(system, data) == {"val/one_shot": pytest.approx(expected)}
    evaluator.report(system, data)
    found = evaluator.results["one_shot"]
    assert found["official"]["accuracy"] == pytest.approx(expected)
    assert found["official"]["how"].endswith(f"runs, {NEAREST if rule == 'nearest' else MEAN}, one view of each image")
    (row,) = found["sampled"]
    assert (row["accuracy"], row["other_rule"]["accuracy"]) == (pytest.approx(expected), pytest.approx(other))
    assert found["per_group"].keys() <= set(tiny.group_names)


def test_the_report_shows_both_rules_by_name(tmp_path: Path):
    shots = RESULTS["one_shot"] | {"sampled": [ONE, FIVE]}
    page = page_of(make_run(tmp_path, one_shot=shots))
    assert Loads(page).open == []
    text = " ".join(re.sub(r"<[^>]+>", " ", page).split())
    for shown in (
        "within 5-way 1-shot 98.12 97.9 – 98.3 1,000 5,000",
        f"within 20-way 5-shot, {NEAREST} 98.12 97.9 – 98.3 1,000 20,000",
        f"within 20-way 5-shot, {MEAN} 98.87 98.7 – 99.0 1,000 20,000",
        f"interval 97.9 – 98.3 %, by the {NEAREST}; 98.87 % by the {MEAN}",
        "by the mean of their embeddings (Snell et al. 2017)",
    ):
        assert shown in text, shown
    assert "Snell" not in page_of(make_run(tmp_path, one_shot=RESULTS["one_shot"]))


def test_the_terminal_shows_both_rules_by_name():
    lines = benchmark_table(RESULTS | {"one_shot": {"sampled": [ONE, FIVE]}}).splitlines()
    assert max(map(len, lines)) <= 100
    assert f"by the {NEAREST} where no other rule is named" in " ".join(" ".join(lines).split())
    place = next(i for i, line in enumerate(lines) if "20-way 5-shot" in line)
    assert re.search(r"within alphabets, 20-way 5-shot +98\.12 +97\.9 – 98\.3 +1,000 episodes, 20,000", lines[place])
    assert re.search(rf"    by the {MEAN} +98\.87 +98\.7 – 99\.0 +the same trials", lines[place + 1])
    assert "no other rule" not in benchmark_table(RESULTS)


def test_a_study_has_the_other_rule_in_a_column_of_its_own(tmp_path: Path):
    made = benchmark._methods({"sampled": [ONE, FIVE]}, [])
    assert made["methods"] == {
        "this network": {"within 5-way 1": 0.9812, "within 20-way 5": 0.9812, "within 20-way 5, class mean": 0.9887}
    }
    swapped = FIVE | {"rule": MEAN, "other_rule": FIVE["other_rule"] | {"rule": NEAREST}}
    figures = benchmark._methods({"sampled": [swapped]}, [])["methods"]["this network"]
    assert list(figures) == ["within 20-way 5", "within 20-way 5, nearest support"]
    run = Run(Arm("one", "a.yaml", 1), 0, tmp_path, [])
    (tmp_path / "results.json").write_text(json.dumps({"dataset": "omniglot", "train_seconds": 1.0, **made}))
    head, row = table(summary([run])).splitlines()[1:3]
    assert head.split("  ")[-1] == "within 20-way 5, class mean" and head.endswith("  within 20-way 5, class mean")
    assert len(head) == len(row) and row.endswith(" 98.87")
