"""This project beside the plain way: both score alike, and what is measured is what is said."""

import itertools
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import yaml

from siamese.datasets import Glyphs, Omniglot
from siamese.evaluation.one_shot import episode_scores
from siamese.losses import Binary
from siamese.networks import Compact, Koch
from siamese.sampling.episodes import sample_episodes
from siamese.sampling.seeds import generator

ROOT = Path(__file__).parents[1]
CONFIG = {key: yaml.safe_load((ROOT / "tests/tiny.yaml").read_text())[key] for key in ("model", "data")}
MODULES = ("files", "measures", "ours", "plain", "way", "sides")


@pytest.fixture
def bench(monkeypatch):
    """The modules of the benchmark, by the last part of their names."""
    monkeypatch.syspath_prepend(str(ROOT / "experiments"))
    yield SimpleNamespace(**{name: __import__(f"bench_{name}") for name in MODULES})
    for name in MODULES:
        sys.modules.pop(f"bench_{name}")


@pytest.fixture
def source():
    return Glyphs(**CONFIG["data"]["source"]["init_args"])


@pytest.fixture
def files(bench, source, tmp_path):
    """The folder of a task: the images of six small alphabets, and episodes of five ways."""
    splits = source.split(source.load())
    bench.files.unpack(splits, sample_episodes(splits.test, 4, 5, 1, generator(7)), tmp_path, n_way=5)
    return tmp_path


@pytest.fixture
def task(bench, files):
    """A task of the given way, on the network of tests/tiny.yaml."""
    return lambda way, **race: bench.way.Task(way, CONFIG, str(files), 18, 1e-3, seconds=0.01, **race)


@pytest.mark.parametrize("bits", [False, True])
def test_the_plain_way_scores_as_ours_does(bits, bench, make_table, tmp_path):
    table = make_table([6], sources=3, size=20)
    if bits:  # as the published images are
        table.images.copy_(255 * (table.images > 127))
    bench.files.unpack(SimpleNamespace(train=table, val=table, test=table), None, tmp_path, n_way=5)
    episodes = sample_episodes(table, 3, 5, 1, generator(1))
    torch.manual_seed(0)
    twin = bench.plain.Twin(Compact((4, 8), 6, image_size=20))
    files = bench.plain.files_by_row(tmp_path / "val")
    plain = bench.plain.evaluate(twin, bench.plain.Trials(files, 20, episodes.support, episodes.query), workers=0)
    embeddings = bench.ours.embedded(twin.network, table.images, 4, "32-true")
    ours = episode_scores(embeddings, episodes, bench.ours.weighted_l1(twin.out))
    assert ours.std() > 1e-3
    torch.testing.assert_close(plain.view(3, 5, 5), ours, atol=1e-6, rtol=0)
    best = (ours.argmax(dim=2) == episodes.target).float().mean()
    assert (
        bench.ours.score(twin.network, bench.ours.weighted_l1(twin.out), table.images, episodes, 4, "32-true") == best
    )
    assert not (tmp_path / "official.pt").exists()


def test_every_other_plain_pair_is_of_one_class(bench, files, monkeypatch):
    pairs = bench.plain.Pairs(files / "train", 28, length=60)
    assert pairs[0][0].shape == (1, 28, 28) and 0 <= pairs[0][0].min() < pairs[0][0].max() <= 1
    monkeypatch.setattr(bench.plain, "opened", lambda path, transform: path)
    for first, second, same in pairs[0], pairs[1], pairs[2], pairs[3], pairs[58], pairs[59]:
        assert first != second
        assert (first.parent == second.parent) == bool(same)
    assert [float(pairs[index][2]) for index in range(4)] == [0, 1, 0, 1]


@pytest.mark.parametrize("way", ["ours", "plain"])
@pytest.mark.parametrize("target", [0.01, 1.1])
def test_both_ways_race(way, target, bench, task, monkeypatch, capsys):
    monkeypatch.setattr(bench.way, "EVERY", 0.1)
    scored = []
    score = bench.ours.score
    monkeypatch.setattr(bench.ours, "score", lambda *of: scored.append(of[2].shape[0]) or score(*of))
    bench.way.main(task(way, target=target, limit=1.5, steps=3).dumped())
    output, progress = capsys.readouterr()
    found = json.loads(output.splitlines()[-1])
    looks = found["looks"]
    assert len(scored) == len(looks) + found["reached"]
    assert all(0 < look["accuracy"] <= 1 and look["steps"] > 0 for look in looks)
    assert progress.count(f"{way}: ") == len(looks)
    assert all(once["spent"] < later["spent"] for once, later in itertools.pairwise(looks))
    if target > 1:
        assert not found["reached"] and found["official"] is None
        assert looks[-1]["spent"] >= 1.5 and len(looks) > 1
        if way == "ours":
            assert [look["steps"] for look in looks[:-1]] == [3 * 2**n for n in range(len(looks) - 1)]
    else:
        assert found["reached"] and len(looks) == 1
        assert found["official"]["trials"] == 20
        assert found["official"]["low"] < found["official"]["accuracy"] < found["official"]["high"]


def test_rates_of_ours(bench, task):
    found = bench.way.our_rates(task("ours"))
    assert found["pairs_per_second"] == pytest.approx(found["images_per_second"] * 17 / 2)
    assert min(found.values()) > 0
    assert found["libraries_memory"] <= found["training_memory"] <= found["memory"]


def test_rates_of_plain_in_a_process_of_its_own(bench, task):
    given = task("plain")
    given.workers = 1
    found = bench.sides.measured(given)
    assert found["pairs_per_second"] == pytest.approx(found["images_per_second"] / 2)
    assert min(found.values()) > 0
    assert found["libraries_memory"] < found["training_memory"] <= found["memory"]


def test_recipes_are_those_of_the_experiment(bench):
    for name, network in (("compact", Compact), ("koch", Koch)):
        system, data = bench.ours.built(bench.files.recipe(name, Omniglot()))
        learner = bench.ours.learner(system.network)
        assert isinstance(learner, network)
        assert hasattr(system.network, "descriptor") == (name == "compact")
        assert isinstance(system.loss, Binary) == (name == "koch")
        assert isinstance(data.source, Omniglot)
        assert (data.symmetries, data.augment.rotation) == (8, 10.0)
        torch.manual_seed(0)
        alike = bench.way._twin(bench.way.Task("plain", bench.files.recipe(name, Omniglot()), "", 128, 1e-3))
        assert alike.network.state_dict().keys() == learner.state_dict().keys()
    _, data = bench.ours.built(bench.files.recipe("koch", Glyphs()))
    assert isinstance(data.source, Glyphs) and data.image_size == 105


def test_it_prints_tables_and_leaves_pictures(bench, monkeypatch, tmp_path, capsys):
    source = Glyphs(alphabets=3, characters=(20, 20), drawers=2, size=28)
    monkeypatch.setattr(bench.sides, "loaded", lambda: (source, source.load()))
    monkeypatch.setattr(bench.sides.os, "cpu_count", lambda: 2)
    asked = []

    def measured(task):
        asked.append(task)
        if task.target is not None:
            looks = [{"seconds": 30, "spent": 45, "steps": 200, "accuracy": 0.8 if task.way == "ours" else 0.3}]
            official = {"accuracy": 0.92, "low": 0.89, "high": 0.94, "trials": 400} if task.way == "ours" else None
            closed = {"seconds": 0.4, "accuracy": 0.84} if task.way == "ours" else None
            return {"reached": task.way == "ours", "looks": looks, "official": official, "closed_form": closed}
        speed = {("ours", 0): 12, ("plain", 0): 3, ("plain", 2): 4}[task.way, task.workers]
        return dict.fromkeys(bench.sides.MEASURES, speed)

    monkeypatch.setattr(bench.sides, "measured", measured)
    folder = bench.sides.main(bench.sides.parsed(["--race", "--out", str(tmp_path), "--limit", "2", "--target", "0.7"]))
    assert [(task.way, task.workers) for task in asked[-2:]] == [("ours", 0), ("plain", 2)]  # the better of the two
    assert [(task.target, task.limit) for task in asked[-2:]] == [(0.7, 120)] * 2
    assert [task.images for task in asked] == [128, 128, 128, 256, 128, 128, 256, 128]  # koch, compact, the race
    said = capsys.readouterr().out
    assert "| koch network | this project | plain, 0 workers | plain, 2 workers | ratio |" in said
    assert said.count("| images/s | 12.0 | 3.00 | 4.00 | 3.0× |") == 2
    assert said.count("| evaluation of 400 trials, s | 12.0 | 3.00 | 4.00 | 0.2× |") == 2
    assert "| training | 30 s, 200 steps (in all 45 s) | not reached after 2 minutes: 30.0 % at best |" in said
    assert "| 20 official runs, scored once | 92.00 % (89.0–94.0) |  |" in said
    assert "| the descriptor alone, no gradient step: validation accuracy | 84.0 %, 0.4 s |  |" in said
    results = json.loads((folder / "results.json").read_text())
    assert results["data"] == "glyphs" and results["target"] == 0.7
    assert results["rates"]["koch"]["plain, 2 workers"]["memory"] == 4
    for picture in ("rates.png", "race_compact.png"):
        assert (folder / picture).read_bytes().startswith(b"\x89PNG")


def test_options(bench, capsys):
    assert bench.sides.parsed([]).race == []
    assert bench.sides.parsed(["--race"]).race == ["compact"]
    assert bench.sides.parsed(["--race", "koch", "compact"]).race == ["koch", "compact"]
    for wrong in (["--target", "78"], ["--limit", "0"], ["--steps", "1"], ["--race", "vgg"]):
        with pytest.raises(SystemExit):
            bench.sides.parsed(wrong)
    assert "a target is a fraction" in capsys.readouterr().err
