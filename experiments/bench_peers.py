"""Training by two other libraries beside this project, one after the other on the same machine.

    make bench ARGS="--peers"             # after the other tables; 11 minutes more
    python experiments/bench_peers.py     # without them

The task is 20-way one-shot classification within the ten validation alphabets of Omniglot, in 2,000 episodes that are the
same for all; no test alphabet is used. Each way has a process of its own, with all cores.

pytorch-metric-learning   ``SupConLoss`` on batches of 256 classes x 2 images by ``MPerClassSampler``.
easyfsl                   ``PrototypicalNetworks`` on tasks by ``TaskSampler``: 60 classes, one support and five queries each.
this project              experiments/omniglot.yaml, first with ``--peer-steps`` steps (here ``--steps``), then with its own
                          number. What is fitted in closed form after them (whitening, descriptor) is in the seconds.
descriptor alone          What of experiments/omniglot.yaml needs no gradient step, fitted in closed form.

Both libraries train four blocks of 64 convolutions ("conv4-64") on images of 36 pixels, which torchvision decodes and distorts
in as many worker processes as there are cores, by Adam at 1e-3, as is usual. The accuracy is measured after
60, 120 and 300 seconds of training; the seconds that this takes do not count.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from bench_files import loaded, recipe, recipe_steps, unpack
from bench_measures import Look, race, stops
from bench_way import Task, episodes_of, measured, tell
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from siamese.precision import best_precision
from siamese.run import commit, hardware, make_run_folder, point_latest

SIDE = 36
RATE = 1e-3
TEMPERATURE = 0.1  # as in experiments/omniglot.yaml
SECONDS = (60.0, 120.0, 300.0)
EPISODES = 2000
METRIC, EASY, OURS = "pytorch-metric-learning", "easyfsl", "this project"
CLASSES, IMAGES = 256, 2
WAYS, SHOTS, QUERIES = 60, 1, 5


class Characters(Dataset):
    """Images below ``folder/<class>/``, distorted as in ``bench_plain``, and the number of their class."""

    def __init__(self, folder: Path, size: int) -> None:
        import bench_plain

        self.files = sorted(folder.glob("*/*.png"))
        names = sorted({file.parent.name for file in self.files})
        self.labels = [names.index(file.parent.name) for file in self.files]
        self.transform, self.opened = bench_plain.distorting(size), bench_plain.opened

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.opened(self.files[index], self.transform), self.labels[index]

    def get_labels(self) -> list[int]:
        """As easyfsl asks for them."""
        return self.labels


def conv4(channels: int = 64) -> nn.Sequential:
    """The usual small network of the field (Vinyals et al. 2016): ``[B, 1, H, W]`` to ``[B, channels * (H // 16) ** 2]``."""
    blocks = []
    for given in (1, channels, channels, channels):
        blocks += [nn.Conv2d(given, channels, 3, padding=1), nn.BatchNorm2d(channels), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*blocks, nn.Flatten())


def by_metric_learning(network: nn.Module, images: Characters, workers: int) -> Iterator[None]:
    """Trains for ever; each ``next`` is a step."""
    from pytorch_metric_learning.losses import SupConLoss
    from pytorch_metric_learning.samplers import MPerClassSampler

    size = CLASSES * IMAGES
    sampler = MPerClassSampler(images.labels, IMAGES, size, len(images) // size * size)
    loader = DataLoader(images, size, sampler=sampler, num_workers=workers, persistent_workers=workers > 0)
    loss, optimizer = SupConLoss(TEMPERATURE), torch.optim.Adam(network.parameters(), RATE)
    while True:
        for batch, labels in loader:
            _stepped(network, optimizer, lambda a=batch, b=labels: loss(network(a), b))
            yield


def by_easyfsl(network: nn.Module, images: Characters, workers: int) -> Iterator[None]:
    """Trains for ever; each ``next`` is a task."""
    from easyfsl.methods import PrototypicalNetworks

    sampler = tasks(images, WAYS, SHOTS, QUERIES)
    loader = DataLoader(
        images,
        batch_sampler=sampler,
        num_workers=workers,
        persistent_workers=workers > 0,
        collate_fn=sampler.episodic_collate_fn,
    )
    learner = PrototypicalNetworks(network)
    criterion, optimizer = nn.CrossEntropyLoss(), torch.optim.Adam(network.parameters(), RATE)

    def loss(support: Tensor, names: Tensor, queries: Tensor, labels: Tensor) -> Tensor:
        learner.process_support_set(support, names)
        return criterion(learner(queries), labels)

    while True:
        for *task, _ in loader:
            _stepped(network, optimizer, lambda given=task: loss(*given))
            yield


def tasks(images: Characters, ways: int, shots: int, queries: int, length: int = 1000) -> Any:
    """easyfsl's sampler. Its constructor hands ``data_source`` on to torch's Sampler, which no longer takes it."""
    from easyfsl.samplers import TaskSampler

    sampler = TaskSampler.__new__(TaskSampler)
    sampler.n_way, sampler.n_shot, sampler.n_query, sampler.n_tasks = ways, shots, queries, length
    sampler.items_per_label = {}
    for row, label in enumerate(images.get_labels()):
        sampler.items_per_label.setdefault(label, []).append(row)
    return sampler


def _stepped(network: nn.Module, optimizer: torch.optim.Optimizer, loss: Any) -> None:
    network.train()  # it may have been evaluated in between
    optimizer.zero_grad()
    loss().backward()
    optimizer.step()


def peer(task: Task) -> dict[str, Any]:
    """The accuracies of one of the two libraries."""
    import bench_ours
    import bench_plain

    from siamese.similarity import Cosine, Euclidean

    network, images = conv4(), Characters(Path(task.folder, "train"), SIDE)
    train, similarity = (by_metric_learning, Cosine()) if task.way == METRIC else (by_easyfsl, Euclidean())
    transform, files = bench_plain.resizing(SIDE), bench_plain.files_by_row(Path(task.folder, "val"))
    validation = torch.stack([bench_plain.opened(file, transform) for file in files]).mul(255).round().byte()
    episodes = episodes_of(task, "peers")
    score = lambda: bench_ours.score(network, similarity, validation, episodes, 128, "32-true")  # noqa: E731
    steps = train(network, images, task.workers)
    _, looks = race(stops(steps, task.looks), score, 2.0, task.looks[-1], lambda look: tell(task, look))
    return {"looks": [look._asdict() for look in looks]}


def ours(task: Task) -> dict[str, Any]:
    """The accuracy of this project after one training of so many steps, and that of the descriptor alone."""
    import bench_ours

    from siamese.similarity import Cosine

    torch.manual_seed(0)
    system, data = bench_ours.built(task.config)
    data.setup("fit")
    episodes, precision = episodes_of(task, "peers"), best_precision()
    score = lambda network: bench_ours.score(  # noqa: E731
        network, Cosine(), data.resized["val"].images, episodes, data.eval_batch, precision
    )
    found: dict[str, Any] = {"descriptor": None}
    if closed := bench_ours.closed_form(task.config, data):
        found["descriptor"] = {"seconds": closed[1], "accuracy": score(closed[0])}
    began = time.perf_counter()
    bench_ours.train(system, data, task.steps, lambda _: False)
    taken = time.perf_counter() - began
    look = Look(taken, taken, task.steps, score(system.network))
    tell(task, look)
    return found | {"looks": [look._asdict()]}


def main(out: Path, steps: int, seconds: tuple[float, ...] = SECONDS) -> dict[str, Any]:
    """Measure all four, print the table and keep it in ``out/bench/<time>/peers.json``; returns what it holds."""
    source, table = loaded()
    config = recipe("compact", source)
    folder = make_run_folder(out, "bench")
    results: dict[str, Any] = {"hardware": hardware(best_precision()), "data": table.name, "commit": commit()}
    with tempfile.TemporaryDirectory(prefix="bench-") as files:
        unpack(source.split(table), None, Path(files), peers=EPISODES)
        workers = os.cpu_count() or 1
        asked = {name: Task(name, config, files, 0, RATE, workers, looks=seconds) for name in (METRIC, EASY)}
        asked |= {
            f"{OURS}, {count} steps": Task("ours", config, files, 0, RATE, steps=count)
            for count in (steps, recipe_steps())
        }
        results["ways"] = {name: measured(task, __file__) for name, task in asked.items()}
    (folder / "peers.json").write_text(json.dumps(results, indent=2))
    point_latest(folder)
    print(f"\n{results['hardware']}; {table.name}\n{told(results['ways'])}\n\n{folder / 'peers.json'}", flush=True)
    return results


def told(ways: dict[str, dict[str, Any]]) -> str:
    """In markdown: accuracies by seconds of training, and which training of this project has what the libraries end with."""
    lines = [
        f"| {EPISODES:,} episodes of validation alphabets, 20-way one-shot | seconds | accuracy, % |",
        "|---|---|---|",
    ]
    row = lambda name, found: f"| {name} | {found['seconds']:.1f} | {100 * found['accuracy']:.1f} |"  # noqa: E731
    lines += [row(name, look) for name, found in ways.items() for look in found["looks"]]
    without = next((found["descriptor"] for found in ways.values() if found.get("descriptor")), None)
    if without:
        lines.append(row(f"{OURS}, descriptor alone, no gradient step", without))
    best = max(ways[name]["looks"][-1]["accuracy"] for name in (METRIC, EASY))
    mine = [look for name, found in ways.items() if name.startswith(OURS) for look in found["looks"]]
    met = min(
        (look["seconds"] for look in [*mine, *([without] if without else [])] if look["accuracy"] >= best), default=None
    )
    end = ways[METRIC]["looks"][-1]["seconds"]
    lines.append(
        f"\nWhat the better library has after {end:.0f} s, {100 * best:.1f} %, this project "
        + (f"has after {met:.1f} s." if met else "does not reach.")
    )
    return "\n".join(lines)


if __name__ == "__main__":
    if len(sys.argv) == 2 and sys.argv[1].startswith("{"):
        asked = Task(**json.loads(sys.argv[1]))
        torch.set_flush_denormal(True)
        torch.manual_seed(0)
        print(json.dumps(ours(asked) if asked.way == "ours" else peer(asked)))
    else:
        parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
        parser.add_argument("--steps", type=int, default=60, help="of this project's short training (60)")
        parser.add_argument("--out", type=Path, default=Path("runs"), help="folder of the folder bench (runs)")
        given = parser.parse_args()
        main(given.out, given.steps)
