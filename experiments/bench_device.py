"""How much of the device's matrix rate training uses, and what beside the network takes time.

    make bench-device [ARGS="--compile"]     # on the GPU if there is one, otherwise the CPU

For the paper's network (``koch``, 105x105) and the compact one (48x48), with the recipes, data and number format of
``make train-omniglot``:

training         images/s of whole training steps, as Lightning runs them: drawing, gathering and distorting the batch, network,
                 loss and optimizer.
alone            images/s of network and loss, forward and backward, on one batch that lies on the device. What training has
                 less, data and optimizer take.
matrix rate      multiplications and additions a second of large square matrices in the same number format, the best of ten.
share of it      what convolutions and linear layers do in a second of training, forward and backward, as torch counts it;
                 norms, pools and the distances of a batch's pairs count as nothing.
compiled         alone, by ``torch.compile``, and the seconds until its first step is done (--compile; takes minutes).
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bench_ours
import torch
from bench_files import loaded, recipe
from bench_measures import enough, step_seconds
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from siamese.datasets.base import DataSet
from siamese.precision import best_precision
from siamese.run import commit, hardware, make_run_folder, point_latest
from siamese.systems import Siamese
from siamese.systems.data import Batch

NETWORKS = ("koch", "compact")
ROWS = {
    "images": "images of a step",
    "training": "training, images/s",
    "alone": "network and loss alone, images/s",
    "gigaflops": "GFLOP an image, forward and backward",
    "share": "share of the matrix rate in training, %",
    "compiled": "alone, compiled, images/s",
    "compiling": "compiling and first step, s",
}


def parsed(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=NETWORKS, help="which (all)")
    parser.add_argument("--compile", action="store_true", help="measure torch.compile as well")
    parser.add_argument("--seconds", type=float, default=15.0, help="of each measurement (15)")
    parser.add_argument("--out", type=Path, default=Path("runs"), help="folder of the folder bench-device (runs)")
    return parser.parse_args(arguments)


def main(given: argparse.Namespace) -> Path:
    """Measure, print a table, and leave it as ``runs/bench-device/<time>/results.json``, whose folder is returned."""
    torch.set_flush_denormal(True)
    device, precision = torch.device("cuda" if torch.cuda.is_available() else "cpu"), best_precision()
    source, table = loaded()
    folder = make_run_folder(given.out, "bench-device")
    rate = matrix_rate(device, precision)
    results: dict[str, Any] = {"hardware": hardware(precision), "data": table.name, "commit": commit()}
    results |= {"matrix_rate": rate, "networks": {}}
    print(f"{results['hardware']}; {table.name}; matrix rate {rate / 1e9:,.0f} GFLOP/s", flush=True)
    for name in given.networks:
        results["networks"][name] = measured(name, source, device, rate, given.seconds, given.compile)
        (folder / "results.json").write_text(json.dumps(results, indent=2))
    print(shown(results["networks"]))
    point_latest(folder)
    print(f"\n{folder}")
    return folder


def matrix_rate(device: torch.device, precision: str, side: int | None = None) -> float:
    """Floating-point operations a second of the product of two square matrices, the best of ten."""
    side = side or (8192 if device.type == "cuda" else 2048)
    number = torch.bfloat16 if precision == "bf16-mixed" else torch.float32
    first, second = torch.randn(2, side, side, device=device).to(number)
    seconds = [_seconds(lambda: first @ second, device) for _ in range(12)]
    return 2 * side**3 / min(seconds[2:])


def measured(
    name: str, source: DataSet, device: torch.device, rate: float, seconds: float, compiled: bool
) -> dict[str, float]:
    """The figures of ROWS of one network."""
    torch.manual_seed(0)
    system, data = bench_ours.built(recipe(name, source))
    seen: list[Batch] = []
    whole = bench_ours.train(
        system, data, 10**6, lambda stamps: enough(stamps, seconds), accelerator=device.type, seen=seen
    )
    (batch,) = seen
    network = bench_ours.learner(system.network)
    step = _step(system.to(device).train(), network, batch, best_precision())
    with FlopCounterMode(display=False) as counter:
        step()
    images, flops = len(batch.images), counter.get_total_flops() / len(batch.images)
    training = images / step_seconds(whole)
    found = {"images": images, "training": training, "alone": images / _repeated(step, seconds, device)}
    found |= {"gigaflops": flops / 1e9, "share": 100 * flops * training / rate}
    if compiled:
        network.compile()
        found["compiling"] = _seconds(step, device)
        found["compiled"] = images / _repeated(step, seconds, device)
    return found


def _step(system: Siamese, network: nn.Module, batch: Batch, precision: str) -> Callable[[], None]:
    """Forward and backward of a training step, without data and optimizer."""

    def step() -> None:
        system.zero_grad()
        with torch.autocast(batch.images.device.type, torch.bfloat16, enabled=precision == "bf16-mixed"):
            embeddings: Tensor = network(batch.images)
            assert batch.labels is not None
            loss = system.loss(system.taught or system.similarity, embeddings, batch.labels, batch.pairs)
        loss.backward()

    return step


def _repeated(step: Callable[[], None], seconds: float, device: torch.device) -> float:
    """The seconds of a step, as they are measured of a training."""
    stamps: list[float] = []
    while not stamps or not enough(stamps, seconds):
        _seconds(step, device)
        stamps.append(time.perf_counter())
    return step_seconds(stamps)


def _seconds(work: Callable[[], object], device: torch.device) -> float:
    """Until the device is done with it, too."""
    began = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - began


def shown(networks: dict[str, dict[str, float]]) -> str:
    """In markdown."""
    lines = [f"\n| | {' | '.join(networks)} |", "|---|" + "---|" * len(networks)]
    for key, words in ROWS.items():
        cells = [f"{found[key]:,.{0 if found[key] >= 100 else 2}f}" for found in networks.values() if key in found]
        lines += [f"| {words} | {' | '.join(cells)} |"] if cells else []
    return "\n".join(lines)


if __name__ == "__main__":
    main(parsed(sys.argv[1:]))
