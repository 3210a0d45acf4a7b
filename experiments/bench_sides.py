"""This project's training and evaluation beside a plain twin-forward implementation of the paper, in one run.

    make bench                          # with the other hot paths; these are the last tables
    make bench ARGS="--race"            # and how long each takes to reach an accuracy: up to twice --limit minutes more
    python experiments/bench_sides.py   # without the other hot paths

Each way runs in a process of its own on the CPU, with all cores, on the same networks: the paper's (``koch``, 105x105) and
the compact one (48x48).

ours   What ``make train-omniglot`` runs: rows gathered from a table in memory and distorted together, every image
       forwarded once, bfloat16 autocast where the hardware has it, the loss of all pairs of the batch: that of
       experiments/omniglot.yaml and its 256 images a step for the compact network, binary cross-entropy and
       128 images for the paper's.
plain  ``bench_plain.py``: 64 explicit pairs a step, each image decoded from its file and distorted by itself, two forwards,
       float32; images loaded by the training process (0 workers) and by as many more as there are cores, as tutorials do.

images/s, pairs/s   after two steps that warm up, the median of three thirds of 15 seconds of whole steps, loading included.
evaluation          400 20-way trials like the official ones, of validation alphabets: ours from 800 images, each embedded once,
                    median of 3; plain pair by pair, both images decoded again, one tenth of the trials times ten.
data ready          ours reads, checks and resizes the table from its cache; plain lists its files. Writing these is not timed.
memory              the largest resident set, imported libraries included, plus what workers hold for themselves. Ours counts
                    the memory-mapped table, pages of a file that the system may take back.

The race is for the seconds of *training alone* until the 20-way one-shot accuracy on the ten validation alphabets (500
episodes, those of ``val/one_shot``, the same for both) is at --target, which corresponds to 92 % on the official runs. Looks
at that accuracy are not timed. Plain goes on at a constant rate, with
the better number of workers, and is looked at every minute. Ours trains by one cycle of the learning rate, which is good only
at its end, so it is looked at then: a cycle of --steps, then anew one of twice as many, until one gets there. Told are the
seconds of that training, Lightning's own included, and those of all that were tried; --limit holds for all of them together.
Whoever reaches the target is scored once on the official runs; write it down in experiments/log.md, as every scoring of them.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from bench_files import loaded, recipe, unpack
from bench_way import Task, measured

from siamese.datasets.base import DataSet
from siamese.plots.style import save
from siamese.plots.ways import Curve, way_bars, way_race
from siamese.precision import best_precision
from siamese.run import commit, hardware, make_run_folder, point_latest

# What a network of the quick default has on the validation alphabets that gets 92 % on the official runs, as Koch et al. do: by
# a line through trainings of 20 and 40 steps (experiments/log.md). A race cannot watch the official runs, which only report.
TARGET = 0.85
RATES = {
    "koch": 6e-5,
    "compact": 1e-3,
}  # of plain Adam: what tutorials take for the paper's network, and Adam's default
PLAIN_PAIRS = 64  # of a plain step
MEASURES = {
    "images_per_second": "images/s",
    "pairs_per_second": "pairs/s whose loss is taken",
    "evaluation_seconds": "evaluation of 400 trials, s",
    "ready_seconds": "data ready, s",
    "training_memory": "peak memory of training alone, MB",
    "memory": "peak memory, MB",
    "libraries_memory": "memory of the libraries alone, MB",
}
DRAWN = ("images_per_second", "pairs_per_second", "evaluation_seconds", "memory")
OURS = "this project"
Figures = dict[str, dict[str, Any]]  # of each way, by its name


def parsed(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--race", nargs="*", choices=RATES, help="race to the target (of the compact network)")
    parser.add_argument("--target", type=float, default=TARGET, help=f"validation accuracy, a fraction ({TARGET})")
    parser.add_argument("--limit", type=float, default=10.0, help="minutes of training of each way (10)")
    parser.add_argument("--steps", type=int, default=60, help="of the first cycle of this project (60)")
    parser.add_argument(
        "--peers", action="store_true", help="two other libraries as well, see bench_peers.py (11 minutes)"
    )
    parser.add_argument("--peer-steps", type=int, default=60, help="of this project's short training beside them (60)")
    parser.add_argument("--out", type=Path, default=Path("runs"), help="folder of the folder bench (runs)")
    given = parser.parse_args(arguments)
    if not (0 < given.target <= 1 and given.limit > 0 and min(given.steps, given.peer_steps) > 1):
        parser.error("a target is a fraction, a limit more than 0 minutes, and a cycle or training more than 1 step")
    given.race = [] if given.race is None else given.race or ["compact"]
    return given


def main(given: argparse.Namespace) -> Path:
    """Measure both ways, print tables, and leave them with pictures in ``runs/bench/<time>/``, which is returned."""
    source, table = loaded()
    folder = make_run_folder(given.out, "bench")
    about = {"hardware": hardware(best_precision()), "data": table.name, "commit": commit()}
    results: dict[str, Any] = about | {"target": given.target, "limit": given.limit, "rates": {}, "race": {}}
    print(f"\n{about['hardware']}; {table.name}; each way in a process of its own")
    with tempfile.TemporaryDirectory(prefix="bench-") as files:
        splits = source.split(table)
        unpack(splits, source.official_runs(splits.test), Path(files))
        for name in RATES:
            tasks = _tasks(name, source, files)
            results["rates"][name] = {way: measured(task) for way, task in tasks.items()}
            print(rates_table(name, results["rates"][name]), flush=True)
        _keep(results, folder)
        for name in given.race:
            tasks = _tasks(name, source, files, target=given.target, limit=60 * given.limit, steps=given.steps)
            results["race"][name] = {way: measured(tasks[way]) for way in (OURS, _fastest(results["rates"][name]))}
            print(race_table(name, results["race"][name], given.target, given.limit), flush=True)
            _keep(results, folder)
    point_latest(folder)
    print(f"\n{folder}")
    return folder


def _tasks(network: str, source: DataSet, files: str, **race: Any) -> dict[str, Task]:
    config = recipe(network, source)
    sampler = config["data"]["sampler"]["init_args"]
    ours, plain = sampler["classes"] * sampler["shots"], 2 * PLAIN_PAIRS  # images of a step
    loading = {OURS: 0} | {f"plain, {workers} workers": workers for workers in (0, os.cpu_count() or 1)}
    return {
        way: Task("ours", config, files, ours, RATES[network], workers, **race)
        if way == OURS
        else Task("plain", config, files, plain, RATES[network], workers, **race)
        for way, workers in loading.items()
    }


def _fastest(rates: Figures) -> str:
    """The plain way with the number of workers that suits it better."""
    return max((way for way in rates if way != OURS), key=lambda way: rates[way]["images_per_second"])


def rates_table(network: str, rates: Figures) -> str:
    """In markdown; the ratio is to the better of the plain ways."""
    lines = [f"\n| {network} network | {' | '.join(rates)} | ratio |", "|---|" + "---|" * (len(rates) + 1)]
    for measure, words in MEASURES.items():
        figures = {way: found[measure] for way, found in rates.items()}
        mine, plain = figures[OURS], [value for way, value in figures.items() if way != OURS]
        # Of rates more is better, of seconds and megabytes less.
        ratio = mine / max(plain) if measure.endswith("_per_second") else min(plain) / mine
        told = f"{ratio:.1f}×" if measure in DRAWN else ""
        lines.append(f"| {words} | {' | '.join(_told(value) for value in figures.values())} | {told} |")
    return "\n".join(lines)


def race_table(network: str, races: Figures, target: float, limit: float) -> str:
    """In markdown: the seconds to the target, or what was reached instead."""
    lines = [
        f"\n| {network} network, until {100 * target:g} % on validation alphabets | {' | '.join(races)} |",
        "|---|" + "---|" * len(races),
    ]
    cells = []
    for found in races.values():
        last, best = found["looks"][-1], max(look["accuracy"] for look in found["looks"])
        official = found["official"]
        trained = f"{last['seconds']:.0f} s, {last['steps']:,} steps"
        tried = f" (in all {last['spent']:.0f} s)" if last["spent"] > last["seconds"] else ""
        scored = ""
        if official:
            interval = f"{100 * official['low']:.1f}–{100 * official['high']:.1f}"
            scored = f"{100 * official['accuracy']:.2f} % ({interval})"
        late = f"not reached after {limit:g} minutes: {100 * best:.1f} % at best"
        cells.append((trained + tried if found["reached"] else late, f"{100 * last['accuracy']:.1f} %", scored))
    words = ("training", "validation accuracy at the end", "20 official runs, scored once")
    lines += [f"| {what} | {' | '.join(row)} |" for what, row in zip(words, zip(*cells, strict=True), strict=True)]
    without = [found.get("closed_form") for found in races.values()]
    if any(without):
        told = [f"{100 * each['accuracy']:.1f} %, {each['seconds']:.1f} s" if each else "" for each in without]
        lines.append(f"| the descriptor alone, no gradient step: validation accuracy | {' | '.join(told)} |")
    return "\n".join(lines)


def _keep(results: Mapping[str, Any], folder: Path) -> None:
    """The figures, and pictures of them."""
    (folder / "results.json").write_text(json.dumps(results, indent=2))
    bars = {
        network: {MEASURES[each]: {way: found[each] for way, found in rates.items()} for each in DRAWN}
        for network, rates in results["rates"].items()
    }
    save(way_bars(bars, "Training and evaluation, this project and the plain way"), folder / "rates.png")
    for network, races in results["race"].items():
        curves = {
            f"{way}, each dot a training by one cycle" if way == OURS else way: Curve(
                np.array([look["seconds"] for look in found["looks"]]),
                np.array([look["accuracy"] for look in found["looks"]]),
                joined=way != OURS,
            )
            for way, found in races.items()
        }
        save(way_race(curves, results["target"], f"Learning, {network} network"), folder / f"race_{network}.png")


def _told(value: float) -> str:
    """With three digits, or all before the point."""
    return f"{value:,.{0 if value >= 100 else 1 if value >= 10 else 2}f}"


if __name__ == "__main__":
    main(parsed(sys.argv[1:]))
