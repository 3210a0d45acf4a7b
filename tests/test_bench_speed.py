"""What each part of the quick default brings: variants are the recipe but for their options, and all are asked the same."""

import json
import sys
from pathlib import Path

import pytest
import torch
import yaml

from siamese.datasets import omniglot_lists

ROOT = Path(__file__).parents[1]
MODULES = ("speed", "files", "measures", "ours")


@pytest.fixture
def speed(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "experiments"))
    yield __import__("bench_speed")
    for name in MODULES:
        sys.modules.pop(f"bench_{name}", None)


def test_variants_are_the_recipe_but_for_their_options(speed):
    plain = speed.recipe(speed.BASE, 3)
    written = yaml.safe_load((ROOT / "experiments/omniglot.yaml").read_text())
    assert plain["model"] == written["model"] and plain["trainer"] == written["trainer"]
    assert plain["data"]["seed"] == 3
    for name in list(speed.VARIANTS)[1:]:
        assert speed.recipe(name, 3) != plain, name
        import bench_ours

        bench_ours.built(speed.recipe(name, 3))  # all of them can be trained
    sampler = lambda name: speed.recipe(name, 0)["data"]["sampler"]["init_args"]  # noqa: E731
    assert sampler("twice the classes a batch, half the steps")["classes"] == 2 * sampler(speed.BASE)["classes"]


def test_no_test_alphabet_is_used_and_none_that_is_left_out_trains(speed):
    source = speed.recipe(speed.BASE, 0)["data"]["source"]["init_args"]
    assert set(speed.LEFT_OUT) <= set(omniglot_lists.LISTS["background"])
    assert len(source["train"]) == 22 and not set(source["train"]) & set(source["val"])
    assert len(source["val"]) == 18 and not set(source["val"]) & set(omniglot_lists.LISTS["official"])


def test_accuracy_is_told_by_alphabet(speed, make_table, monkeypatch):
    monkeypatch.setattr(speed, "EPISODES", 40)
    table = make_table([20, 20, 20], sources=3, size=8)
    embeddings = torch.eye(60)[table.labels]
    names = list(table.group_names)
    assert speed.by_alphabet(table, embeddings, names[:2]) == {names[0]: 100.0, names[1]: 100.0}
    embeddings[table.groups == 1] = 1.0  # nothing tells these apart
    found = speed.by_alphabet(table, embeddings, names)
    assert found[names[0]] == found[names[2]] == 100.0 and found[names[1]] == pytest.approx(5, abs=1e-4)


def test_a_difference_is_of_alphabets_and_of_equal_seeds(speed):
    run = lambda *accuracy: {  # noqa: E731
        "seconds": 10.0, "steps": 5, "memory": 100.0,
        "accuracy": dict(zip(("Korean", "Arcadian", "Avesta"), accuracy, strict=True)),
    }  # fmt: skip
    found = {f"0/{speed.BASE}": run(80.0, 82.0, 90.0), f"1/{speed.BASE}": run(70.0, 70.0, 70.0)}
    found["0/half the steps"] = run(79.0, 80.0, 87.0)
    base, half = speed.rows(found)
    assert base["seeds"] == 2 and base["difference"] is None
    assert half["left_out"] == pytest.approx(79.5) and half["validation"] == pytest.approx(87.0)
    assert half["difference"] == pytest.approx(-2.0)
    assert half["p"] == pytest.approx(0.0742, abs=1e-4)  # t = -2 / (1 / sqrt(3)), two degrees of freedom
    assert "| half the steps | 1 | 10 | 100 | 87.00 | 79.50 | -2.00 | 0.074 |" in speed.told([base, half])


def test_what_was_measured_is_not_measured_again(speed, monkeypatch, tmp_path, capsys):
    asked = []

    def measured(script, argument):
        asked.append(json.loads(argument))
        return {"seconds": 1.0, "steps": 1, "memory": 1.0, "accuracy": {"Korean": 50.0, "Avesta": 60.0}}

    monkeypatch.setattr(speed, "in_a_process", measured)
    arguments = ["--variants", "40 pixels", "--out", str(tmp_path / "new" / "speed.json"), "--seeds"]
    speed.main(speed.parsed([*arguments, "1"]))
    assert asked == [["quick default", 0], ["40 pixels", 0]]
    speed.main(speed.parsed([*arguments, "2"]))
    assert asked[2:] == [["quick default", 1], ["40 pixels", 1]]
    monkeypatch.setattr(speed, "commit", lambda: "a later one")
    speed.main(speed.parsed([*arguments, "1"]))
    assert asked[4:] == asked[:2], "what another commit measured is not mixed in"
    assert "| 40 pixels | 2 | 1 | 1 | 60.00 | 50.00 | +0.00 | nan |" in capsys.readouterr().out
