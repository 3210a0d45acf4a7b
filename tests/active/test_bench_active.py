"""The benchmark of active learning on a small table: what it prints and draws."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from siamese.active import STRATEGIES
from siamese.errors import DataUnavailable

EXPERIMENTS = Path(__file__).parents[2] / "experiments"


@pytest.fixture
def bench(monkeypatch, make_table, tmp_path):
    """With 4 classes of 20 images as MNIST, each class of a brightness of its own."""
    monkeypatch.syspath_prepend(str(EXPERIMENTS))
    import bench_active

    table = make_table([4], sources=20)
    table.images.copy_(table.images // 8 + (60 * table.labels).byte()[:, None, None, None])
    rows = np.arange(len(table))
    monkeypatch.setattr(bench_active, "COMPONENTS", 5)
    monkeypatch.setattr(bench_active, "DATA", {"mnist": lambda: (table, lambda seed: (rows[::2], rows[1::2]), 4)})
    monkeypatch.chdir(tmp_path)  # where no network has been trained
    yield bench_active
    sys.modules.pop("bench_active")


def test_it_tells_the_labels_each_strategy_needs_beside_random(bench, tmp_path, capsys):
    options = ["--seeds", "2", "--step", "4", "--budget", "16", "--classifiers", "nearest", "--out", str(tmp_path)]
    assert bench.main(options) == 0
    _, head, full, columns, *lines, picture = capsys.readouterr().out.splitlines()
    assert head == "tiny, PCA of pixels, nearest, 2 seeds"
    assert full == "all 40 labels: 100.0 % (100.0-100.0)"
    assert columns.split()[0] == "strategy"
    assert [line.split()[0] for line in lines] == list(STRATEGIES)
    assert all(line.split() == [line.split()[0], "4", "(4-4)", "4", "100.0", "%", "(100.0-100.0)"] for line in lines)
    assert picture == str(tmp_path / "tiny-pca-nearest.png")
    assert Path(picture).read_bytes().startswith(b"\x89PNG")


def test_strategies_that_do_not_get_there_are_not_said_to(bench):
    asked, curves = np.array([4, 8, 12]), [np.array([0.2, 0.96, 0.9]), np.array([0.2, 0.3, 0.4])]
    needed = bench._needed(asked, curves, [1.0, 1.0])
    assert needed.tolist() == [8, np.inf]
    assert bench._told(needed, 12) == "> 12 (1 of 2 seeds)"
    assert bench._told(np.array([8.0, 8.0]), 12) == "8 (8-8)"


def test_each_seed_of_omniglot_keeps_drawers_apart(bench, monkeypatch, make_table):
    monkeypatch.setattr(bench.Omniglot, "load", lambda self: make_table([40, 30], sources=20, size=4))
    monkeypatch.setattr(bench.Omniglot, "split", lambda self, table: type("", (), {"val": table}))
    table, drawn, start = bench._omniglot()
    pool, test = drawn(0)
    assert (start, len(pool), len(test)) == (50, 50 * 14, 50 * 6)
    assert len(table.labels[torch.from_numpy(pool)].unique()) == 50
    assert not set(table.sources[pool].tolist()) & set(table.sources[test].tolist())
    assert not np.array_equal(pool, drawn(1)[0])


def test_bad_questions(bench, monkeypatch, capsys):
    assert bench.main(["--seeds", "1"]) == 2
    assert "at least two seeds" in capsys.readouterr().err

    def missing():
        raise DataUnavailable("mnist is out of reach")

    monkeypatch.setitem(bench.DATA, "mnist", missing)
    assert bench.main([]) == 2
    assert "error: mnist is out of reach" in capsys.readouterr().err
