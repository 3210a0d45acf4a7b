"""Two other libraries beside this project: each trains by its own sampler and loss, and all are asked the same episodes."""

import itertools
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import yaml

from siamese.datasets import Glyphs

ROOT = Path(__file__).parents[1]
MODULES = ("files", "measures", "ours", "plain", "way", "sides", "peers")
CONFIG = {key: yaml.safe_load((ROOT / "tests/tiny.yaml").read_text())[key] for key in ("model", "data")}


@pytest.fixture
def bench(monkeypatch):
    """The modules of the benchmark, by the last part of their names, with batches for six small alphabets."""
    monkeypatch.syspath_prepend(str(ROOT / "experiments"))
    found = SimpleNamespace(**{name: __import__(f"bench_{name}") for name in MODULES})
    for name, value in {"CLASSES": 4, "IMAGES": 2, "WAYS": 3, "SHOTS": 1, "QUERIES": 2, "EPISODES": 30}.items():
        monkeypatch.setattr(found.peers, name, value)
    yield found
    for name in MODULES:
        sys.modules.pop(f"bench_{name}")


@pytest.fixture
def task(bench, tmp_path):
    source = Glyphs(**CONFIG["data"]["source"]["init_args"])
    bench.files.unpack(source.split(source.load()), None, tmp_path, n_way=5, peers=30)
    return lambda way, **more: bench.way.Task(way, CONFIG, str(tmp_path), 0, 1e-3, **more)


def test_the_episodes_are_of_validation_classes_and_not_those_that_choose(bench, task):
    asked = task("ours")
    episodes = bench.way.episodes_of(asked, "peers")
    assert len(episodes) == 30 and episodes.n_way == 5
    assert not torch.equal(episodes.support, bench.way.episodes_of(asked, "validation").support[:30])
    assert int(episodes.support.max()) < len(list(Path(asked.folder, "val").glob("*/*.png")))


@pytest.mark.parametrize("way", ["METRIC", "EASY"])
def test_a_library_learns_and_is_looked_at_in_time(way, bench, task, monkeypatch, capsys):
    torch.manual_seed(0)
    seconds = itertools.count()  # each step takes one, however busy the machine is
    monkeypatch.setattr(bench.measures, "time", SimpleNamespace(perf_counter=lambda: float(next(seconds))))
    looks = bench.peers.peer(task(getattr(bench.peers, way), looks=(1.0, 2.0, 4.0)))["looks"]
    assert [(look["seconds"], look["steps"]) for look in looks] == [(1.0, 1), (2.0, 2), (4.0, 4)]
    assert all(0 < look["accuracy"] <= 1 for look in looks)
    assert capsys.readouterr().err.count("steps in") == len(looks)


def test_a_task_has_as_many_classes_and_images_as_asked_for(bench, task):
    images = bench.peers.Characters(Path(task("x").folder, "train"), 28)
    sampler = bench.peers.tasks(images, 3, 1, 2, length=4)
    drawn = list(sampler)
    assert len(drawn) == len(sampler) == 4
    for rows in drawn:
        labels = [images.labels[row] for row in rows]
        assert len(set(rows)) == 9 and [labels.count(label) for label in set(labels)] == [3, 3, 3]


def test_both_libraries_move_every_weight(bench, task):
    images = bench.peers.Characters(Path(task("x").folder, "train"), 32)
    for train in (bench.peers.by_metric_learning, bench.peers.by_easyfsl):
        network = bench.peers.conv4(4)
        before = [weights.clone() for weights in network.parameters()]
        next(train(network, images, 0))
        moved = [not torch.equal(a, b) for a, b in zip(before, network.parameters(), strict=True)]
        assert all(moved[index] for index in range(len(moved)) if index % 4 != 1), "all but biases before a batch norm"


def test_ours_is_scored_after_its_steps(bench, task):
    found = bench.peers.ours(task("ours", steps=3))
    (look,) = found["looks"]
    assert look["steps"] == 3 and look["seconds"] > 0 and 0 < look["accuracy"] <= 1
    assert found["descriptor"] is None, "the recipe of tests/tiny.yaml has none"


def test_the_table_says_when_the_better_library_is_met(bench, monkeypatch, tmp_path, capsys):
    source = Glyphs(alphabets=3, characters=(20, 20), drawers=2, size=28)
    monkeypatch.setattr(bench.peers, "loaded", lambda: (source, source.load()))
    accuracies = {bench.peers.METRIC: 0.8, bench.peers.EASY: 0.81, "short": 0.82, "long": 0.9}
    asked = []

    def measured(task, script):
        asked.append(task)
        if task.way != "ours":
            look = {"seconds": 300.2, "spent": 300.2, "steps": 9, "accuracy": accuracies[task.way]}
            return {"looks": [look]}
        short = task.steps == 40
        look = {"seconds": 6.0 if short else 40.0, "accuracy": accuracies["short" if short else "long"]}
        return {"looks": [look], "descriptor": {"seconds": 1.5, "accuracy": 0.7}}

    monkeypatch.setattr(bench.peers, "measured", measured)
    found = bench.peers.main(tmp_path, 40)
    assert [task.steps for task in asked[2:]] == [40, bench.files.recipe_steps()]
    said = capsys.readouterr().out
    assert "| easyfsl | 300.2 | 81.0 |" in said and "descriptor alone, no gradient step | 1.5 | 70.0 |" in said
    assert "What the better library has after 300 s, 81.0 %, this project has after 6.0 s." in said
    assert json.loads(next(tmp_path.glob("bench/*/peers.json")).read_text())["ways"] == found["ways"]
    accuracies |= {"short": 0.5, "long": 0.6}
    bench.peers.main(tmp_path, 40)
    assert "this project does not reach." in capsys.readouterr().out
