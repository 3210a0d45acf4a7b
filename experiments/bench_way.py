"""One way of training and evaluating, measured in a process of its own, which ``bench_sides.py`` starts.

The argument is a task in JSON, the last line of the output the figures in JSON. What a race says on its way goes to stderr.
"""

from __future__ import annotations

import dataclasses
import importlib
import json
import multiprocessing
import random
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from bench_measures import Look, cycles, enough, going_on, in_a_process, peak_memory, race, step_seconds
from torch import Tensor

from siamese.sampling.episodes import Episodes
from siamese.similarity import Cosine

PLAIN_EPISODES = 2  # of the 20 episodes of 20 trials: all pairs cost the same, so all take ten times as long
EVERY = 60.0  # seconds between two looks at a training that goes on at a constant rate


@dataclass
class Task:
    """What a process is to measure.

    Attributes:
        way: ``ours`` or ``plain``.
        config: ``model`` and ``data`` of an experiment's YAML.
        folder: image files as ``<split>/<class>/<row>.png`` and episodes as ``timed.pt``, ``validation.pt`` and, of data that
            has them, ``official.pt``.
        images: of a training step, the same for both ways.
        rate: learning rate of the plain way.
        workers: processes that load images, of the plain way; this project's has none.
        seconds: of training to measure.
        target, limit, steps: accuracy and seconds of the race, and steps of this project's first cycle; None without a race.
        looks: after how many seconds of training ``bench_peers`` measures the accuracy.
    """

    way: str
    config: dict[str, Any]
    folder: str
    images: int
    rate: float
    workers: int = 0
    seconds: float = 15.0
    target: float | None = None
    limit: float = 600.0
    steps: int = 100
    looks: Sequence[float] = ()

    def dumped(self) -> str:
        return json.dumps(dataclasses.asdict(self))


def measured(task: Task, script: str = __file__) -> dict[str, Any]:
    """What a process of its own finds."""
    return in_a_process(script, task.dumped())


def main(argument: str) -> None:
    """Print the figures of a task."""
    task = Task(**json.loads(argument))
    # Vanishing gradients would slow a CPU down several times. This project says so for itself; here it is a gift to both.
    torch.set_flush_denormal(True)
    torch.manual_seed(0)
    random.seed(0)
    ways = {"ours": our_rates, "plain": plain_rates} if task.target is None else {"ours": our_race, "plain": plain_race}
    print(json.dumps(ways[task.way](task)))


def plain_rates(task: Task) -> dict[str, float]:
    """It imports nothing of the project but the networks, since its memory is measured."""
    import bench_plain

    twin, size = _twin(task), task.config["data"]["image_size"]
    libraries, began = peak_memory(), time.perf_counter()
    pairs = bench_plain.Pairs(Path(task.folder, "train"), size)
    ready = time.perf_counter() - began
    steps = bench_plain.training(twin, pairs, task.images // 2, task.rate, task.workers)
    stamps: list[float] = []
    while not enough(stamps, task.seconds):
        next(steps)
        stamps.append(time.perf_counter())
    training = peak_memory(child.pid for child in multiprocessing.active_children() if child.pid)
    steps.close()
    timed, files = episodes_of(task, "timed"), bench_plain.files_by_row(Path(task.folder, "val"))
    few = bench_plain.Trials(files, size, timed.support[:PLAIN_EPISODES], timed.query[:PLAIN_EPISODES])
    began = time.perf_counter()
    bench_plain.evaluate(twin, few, task.workers)
    evaluation = (time.perf_counter() - began) * len(timed) / PLAIN_EPISODES
    return _figures(task.images, task.images / 2, step_seconds(stamps), evaluation, ready, training, libraries)


def our_rates(task: Task) -> dict[str, float]:
    import bench_ours

    system, data = bench_ours.built(task.config)
    libraries, began = peak_memory(), time.perf_counter()
    data.setup("fit")
    ready = time.perf_counter() - began
    stamps = bench_ours.train(system, data, 10**6, lambda stamps: enough(stamps, task.seconds))
    training, timed, taken = peak_memory(), episodes_of(task, "timed"), []
    for _ in range(4):
        began = time.perf_counter()
        images, precision = data.resized["val"].images, bench_ours.best_precision()
        bench_ours.score(system.network, system.similarity, images, timed, data.eval_batch, precision)
        taken.append(time.perf_counter() - began)
    pairs = task.images * (task.images - 1) / 2  # all of a batch
    return _figures(task.images, pairs, step_seconds(stamps), sorted(taken[1:])[1], ready, training, libraries)


def plain_race(task: Task) -> dict[str, Any]:
    """Adam at a constant rate. Its looks use that the score of a pair is one of two embeddings: they are not timed."""
    import bench_ours
    import bench_plain

    twin, size = _twin(task), task.config["data"]["image_size"]
    pairs = bench_plain.Pairs(Path(task.folder, "train"), size)
    steps = bench_plain.training(twin, pairs, task.images // 2, task.rate, task.workers)
    decoded: dict[str, Tensor] = {}

    def score(split: str, episodes: Episodes) -> float:
        if split not in decoded:
            files, transform = bench_plain.files_by_row(Path(task.folder, split)), bench_plain.resizing(size)
            decoded[split] = (
                torch.stack([bench_plain.opened(file, transform) for file in files]).mul(255).round().byte()
            )
        similarity = bench_ours.weighted_l1(twin.out)
        return bench_ours.score(twin.network, similarity, decoded[split], episodes, 128, "32-true")

    return _raced(task, going_on(steps, EVERY, task.limit), score)


def our_race(task: Task) -> dict[str, Any]:
    import bench_ours

    system, data = bench_ours.built(task.config)
    data.setup("fit")
    validation, precision = episodes_of(task, "validation"), bench_ours.best_precision()

    def cycle(steps: int, seconds: float) -> int:
        nonlocal system
        end = time.perf_counter() + seconds
        torch.manual_seed(0)
        system, _ = bench_ours.built(task.config)
        return len(bench_ours.train(system, data, steps, lambda _: time.perf_counter() >= end))

    def score(split: str, episodes: Episodes) -> float:
        images = data.resized[split].images
        return bench_ours.score(system.network, system.similarity, images, episodes, data.eval_batch, precision)

    # Told beside the race, and no part of it: nothing of it is trained.
    found, without = bench_ours.closed_form(task.config, data), None
    if found:
        network, seconds = found
        images = data.resized["val"].images
        accuracy = bench_ours.score(network, Cosine(), images, validation, data.eval_batch, precision)
        without = {"seconds": seconds, "accuracy": accuracy}
    return _raced(task, cycles(cycle, task.steps, task.limit), score) | {"closed_form": without}


def _raced(
    task: Task, training: Iterable[tuple[float, float, int]], score: Callable[[str, Episodes], float]
) -> dict[str, Any]:
    """Validation episodes are looked at on the way, the official runs once, when the target was reached."""
    from siamese.evaluation.intervals import wilson

    assert task.target is not None
    validation, official = episodes_of(task, "validation"), None
    reached, looks = race(
        training, lambda: score("val", validation), task.target, task.limit, lambda look: tell(task, look)
    )
    if reached and Path(task.folder, "official.pt").exists():
        runs = episodes_of(task, "official")
        accuracy, trials = score("test", runs), runs.trials
        low, high = wilson(accuracy * trials, trials)
        official = {"accuracy": accuracy, "low": low, "high": high, "trials": trials}
    return {"reached": reached, "looks": [look._asdict() for look in looks], "official": official}


def tell(task: Task, look: Look) -> None:
    words = f"{task.way}: {look.steps} steps in {look.seconds:.0f} s ({look.spent:.0f} s in all), {look.accuracy:.1%}"
    print(words, file=sys.stderr, flush=True)


def _twin(task: Task) -> Any:
    """Of the network that learns, its fixed front included, without what is fitted in closed form around it."""
    import bench_plain

    chosen = task.config["model"]["network"]
    while "network" in (given := chosen.get("init_args", {})):
        chosen = given["network"]
    return bench_plain.Twin(_made(chosen))


def _made(chosen: Any) -> Any:
    """An object from its ``class_path`` and ``init_args``: jsonargparse would count in the memory of the plain way."""
    if not (isinstance(chosen, dict) and "class_path" in chosen):
        return chosen
    module, _, name = chosen["class_path"].rpartition(".")
    given = {key: _made(value) for key, value in chosen.get("init_args", {}).items()}
    return getattr(importlib.import_module(module), name)(**given)


def episodes_of(task: Task, name: str) -> Episodes:
    return Episodes(**torch.load(Path(task.folder, f"{name}.pt")))


def _figures(
    images: float, pairs: float, step: float, evaluation: float, ready: float, training: float, libraries: float
) -> dict[str, float]:
    """Of so many images and pairs a step, and memory as it was when the training had ended."""
    return {
        "images_per_second": images / step,
        "pairs_per_second": pairs / step,
        "evaluation_seconds": evaluation,
        "ready_seconds": ready,
        "training_memory": training,
        "memory": max(training, peak_memory()),
        "libraries_memory": libraries,
    }


if __name__ == "__main__":
    main(*sys.argv[1:])
