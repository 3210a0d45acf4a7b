"""How much of the device's matrix rate is used: what is counted is what the network does."""

import json
import sys
from pathlib import Path

import pytest
import torch
import yaml
from torch import nn

from siamese.datasets import Glyphs

ROOT = Path(__file__).parents[1]
CONFIG = {key: yaml.safe_load((ROOT / "tests/tiny.yaml").read_text())[key] for key in ("model", "data")}
MODULES = ("bench_device", "bench_ours", "bench_files", "bench_measures")


@pytest.fixture
def bench(monkeypatch):
    """The benchmark, of the network of tests/tiny.yaml."""
    monkeypatch.syspath_prepend(str(ROOT / "experiments"))
    source = Glyphs(**CONFIG["data"]["source"]["init_args"])
    module = __import__("bench_device")
    monkeypatch.setattr(module, "loaded", lambda: (source, source.load()))
    monkeypatch.setattr(module, "recipe", lambda name, source: CONFIG)
    yield module
    for name in MODULES:
        sys.modules.pop(name, None)


def counted(network: nn.Module, side: int) -> float:
    """Operations of an image, forward and backward, of a compact network's 3x3 convolutions and its last layer.

    Backward takes as many again for the weights, and for what comes in, which the first layer does not need.
    """
    convolutions = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d)]
    total = 0
    for number, layer in enumerate(convolutions):
        total += (3 if number else 2) * 2 * side**2 * 9 * layer.in_channels * layer.out_channels
        side //= 2
    return total + 3 * 2 * network.embed.in_features * network.embed.out_features


def test_figures_are_of_the_network_and_hang_together(bench, tmp_path, capsys, monkeypatch):
    compiled: list[nn.Module] = []
    monkeypatch.setattr(nn.Module, "compile", lambda self: compiled.append(self))
    given = bench.parsed(["--networks", "compact", "--compile", "--seconds", "0.01", "--out", str(tmp_path)])
    results = json.loads((bench.main(given) / "results.json").read_text())
    found, (network,) = results["networks"]["compact"], compiled
    sampler = CONFIG["data"]["sampler"]["init_args"]
    assert found["images"] == sampler["classes"] * sampler["shots"]
    assert found["gigaflops"] * 1e9 == pytest.approx(counted(network, CONFIG["data"]["image_size"]))
    used = found["gigaflops"] * 1e9 * found["training"]
    assert found["share"] == pytest.approx(100 * used / results["matrix_rate"])
    assert min(found.values()) > 0
    out = capsys.readouterr().out
    assert "matrix rate" in out and "| alone, compiled, images/s |" in out


def test_without_compile_there_is_no_row_of_it(bench):
    found = {"images": 18, "training": 1000.0, "alone": 2000.0, "gigaflops": 0.001, "share": 12.5}
    assert (
        bench.shown({"koch": found, "compact": found}).splitlines()[-1]
        == "| share of the matrix rate in training, % | 12.50 | 12.50 |"
    )


def test_the_matrix_rate_counts_a_multiplication_and_an_addition_for_each_of_side_cubed(bench, monkeypatch):
    """Each product is said to take half a second."""
    monkeypatch.setattr(bench, "_seconds", lambda work, device: work() is None or 0.5)
    assert bench.matrix_rate(torch.device("cpu"), "32-true", side=10) == 2 * 10**3 / 0.5
