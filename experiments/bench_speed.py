"""What each part of the quick default brings: seconds of training, accuracy and memory with and without it.

    make bench-speed                                                  # all variants, three seeds each: about 35 minutes
    make bench-speed ARGS="--variants '40 pixels' --seeds 5"

Every variant is experiments/omniglot.yaml but for a few options. No test alphabet is used: 22 of the 30 background alphabets
train. The accuracy is that of 20-way one-shot classification in 2,000 episodes within the ten validation alphabets and in
2,000 within the eight background alphabets that are left out, the same for all variants and seeds.

p is of a paired t-test: for each of the 18 alphabets, the accuracy with the variant and with the quick default, each the mean
over the seeds. Every training has a process of its own. What is measured stays in ``--out``; a training found there, of the
same commit and hardware, is not run again, so that a run that was stopped goes on.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import torch
import yaml
from bench_files import YAML, recipe_steps
from bench_measures import in_a_process, peak_memory
from scipy import stats

from siamese.datasets import omniglot_lists
from siamese.evaluation.one_shot import credits, episode_scores
from siamese.precision import best_precision
from siamese.run import commit, hardware
from siamese.sampling.episodes import sample_episodes
from siamese.sampling.seeds import generator
from siamese.tables import Table

LEFT_OUT = (
    "Anglo-Saxon_Futhorc", "Arcadian", "Balinese", "Cyrillic", "Gujarati", "Korean", "Malay_(Jawi_-_Arabic)", "Tifinagh",
)  # fmt: skip
EPISODES = 2000
BASE = "quick default"
NETWORK = "model.network.init_args.network.init_args.network.init_args"
DESCRIPTOR = "model.network.init_args.descriptor.init_args.network.init_args"
SAMPLER = "data.sampler.init_args"
WITHOUT: dict[str, Any] = {"data.ink": None, "data.augment.shift": 0.05, "data.augment.scale": 0.15}
VARIANTS: dict[str, dict[str, Any]] = {
    BASE: {},
    "ink as it is": WITHOUT,
    "pixels, no direction maps": {f"{NETWORK}.front": None},
    "no descriptor": {"model.network.init_args.weight": 0.0},
    "AdamW, not Muon": {"model.optimization": {"class_path": "siamese.systems.optimization.OneCycle"}},
    "1 symmetry, not 8": {"data.symmetries": 1},
    "one convolution in each block": {f"{NETWORK}.depths": [1, 1, 1]},
    "40 pixels": {
        "data.image_size": 40, f"{NETWORK}.image_size": 40, f"{DESCRIPTOR}.image_size": 40, f"{DESCRIPTOR}.cells": 10,
    },
    "half the classes a batch, twice the steps": {f"{SAMPLER}.classes": 0.5, f"{SAMPLER}.steps": 2},
    "twice the classes a batch, half the steps": {f"{SAMPLER}.classes": 2, f"{SAMPLER}.steps": 0.5},
    "half the steps": {f"{SAMPLER}.steps": 0.5},
    "twice the steps": {f"{SAMPLER}.steps": 2},
}  # fmt: skip


def recipe(variant: str, seed: int) -> dict[str, Any]:
    """``experiments/omniglot.yaml`` with the variant's options. Of the sampler they are factors of what it has."""
    config = yaml.safe_load(YAML.read_text())
    for path, value in VARIANTS[variant].items():
        *way, last = path.split(".")
        place = config
        for key in way:
            place = place[key]
        place[last] = round(value * place[last]) if path.startswith(SAMPLER) else value
    source = config["data"]["source"]["init_args"]
    source["train"] = [name for name in omniglot_lists.LISTS["background"] if name not in LEFT_OUT]
    source["val"] = [*source["val"], *LEFT_OUT]
    config["data"]["seed"] = seed
    return config


def measured(variant: str, seed: int) -> dict[str, Any]:
    """Seconds and megabytes of a training, and its accuracy in % by alphabet."""
    import bench_ours

    torch.set_flush_denormal(True)
    config = recipe(variant, seed)
    steps = recipe_steps(config)
    torch.manual_seed(seed)
    system, data = bench_ours.built(config)
    data.setup("fit")
    began = time.perf_counter()
    bench_ours.train(system, data, steps, lambda _: False)
    taken = time.perf_counter() - began
    table = data.resized["val"]
    embeddings = bench_ours.embedded(system.network, table.images, data.eval_batch, best_precision())
    accuracy: dict[str, float] = {}
    validation = [name for name in table.group_names if name not in LEFT_OUT]
    for names in (validation, list(LEFT_OUT)):
        accuracy |= by_alphabet(table, embeddings, names)
    return {"seconds": taken, "steps": steps, "memory": peak_memory(), "accuracy": accuracy}


def by_alphabet(table: Table, embeddings: torch.Tensor, names: list[str]) -> dict[str, float]:
    """The accuracy in % of each of these alphabets, in episodes drawn among them."""
    from siamese.similarity import Cosine

    here = torch.isin(table.groups, torch.tensor([table.group_names.index(name) for name in names]))
    few = table.rows(here)
    episodes = sample_episodes(few, EPISODES, 20, 1, generator(0))
    right = credits(episode_scores(embeddings[here], episodes, Cosine()), episodes.target).mean(1)
    alphabets = few.groups[episodes.query[:, 0]]
    return {
        few.group_names[index]: 100 * float(right[alphabets == index].mean()) for index in alphabets.unique().tolist()
    }


def rows(found: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """Of every variant: means over its seeds, and how it differs from the quick default with the same seeds."""
    runs = {
        name: {key.partition("/")[0]: run for key, run in found.items() if key.partition("/")[2] == name}
        for name in VARIANTS
    }
    made = []
    for name, of_seeds in runs.items():
        if not of_seeds:
            continue
        mean = lambda key, given=of_seeds: sum(run[key] for run in given.values()) / len(given)  # noqa: E731
        both = [seed for seed in of_seeds if seed in runs[BASE]]
        ours, base = (_alphabets([runs[each][seed] for seed in both]) for each in (name, BASE))
        own = _alphabets(list(of_seeds.values()))
        row = {"variant": name, "seeds": len(of_seeds), "seconds": mean("seconds"), "memory": mean("memory")}
        row |= {"validation": _mean(own, False), "left_out": _mean(own, True)}
        row["difference"] = row["p"] = None
        if name != BASE and both:
            differences = [ours[alphabet] - base[alphabet] for alphabet in ours]
            row["difference"] = sum(differences) / len(differences)
            row["p"] = float(stats.ttest_1samp(differences, 0.0).pvalue)
        made.append(row)
    return made


def _alphabets(runs: list[dict[str, Any]]) -> dict[str, float]:
    """The mean over runs of the accuracy of each alphabet."""
    return (
        {name: sum(run["accuracy"][name] for run in runs) / len(runs) for name in runs[0]["accuracy"]} if runs else {}
    )


def _mean(accuracy: dict[str, float], left_out: bool) -> float:
    chosen = [value for name, value in accuracy.items() if (name in LEFT_OUT) == left_out]
    return sum(chosen) / len(chosen)


def told(made: list[dict[str, Any]]) -> str:
    """In markdown."""
    lines = [
        "| what differs | seeds | training, s | memory, MB | validation | left out | difference | p |",
        "|---" * 8 + "|",
    ]
    for row in made:
        differs = "" if row["p"] is None else f"{row['difference']:+.2f}"
        p = "" if row["p"] is None else "< 0.001" if row["p"] < 0.001 else f"{row['p']:.3f}"
        figures = f"{row['seconds']:.0f} | {row['memory']:.0f} | {row['validation']:.2f} | {row['left_out']:.2f}"
        lines.append(f"| {row['variant']} | {row['seeds']} | {figures} | {differs} | {p} |")
    return "\n".join(lines)


def main(given: argparse.Namespace) -> None:
    """Run what is not in ``--out`` yet, keep it there, and print the table."""
    about = {"hardware": hardware(best_precision()), "commit": commit()}
    found = json.loads(given.out.read_text()) if given.out.exists() else {}
    kept = {key: run for key, run in found.items() if about.items() <= run.items()}
    for seed in range(given.seeds):
        for name in given.variants:
            key = f"{seed}/{name}"
            if key not in kept:
                kept[key] = in_a_process(__file__, json.dumps([name, seed])) | about
                print(f"{key}: {kept[key]['seconds']:.0f} s", file=sys.stderr, flush=True)
                given.out.parent.mkdir(parents=True, exist_ok=True)
                given.out.write_text(json.dumps(kept, indent=1))
    print(f"{about['hardware']}\n\n{told(rows(kept))}")


def parsed(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS), metavar="NAME", help="of the list"
    )
    parser.add_argument("--seeds", type=int, default=3, help="of each variant (3)")
    parser.add_argument("--out", type=Path, default=Path("runs/bench/speed.json"), help="what was measured")
    given = parser.parse_args(arguments)
    given.variants = list(dict.fromkeys([BASE, *given.variants]))
    return given


if __name__ == "__main__":
    if len(sys.argv) == 2 and sys.argv[1].startswith("["):
        print(json.dumps(measured(*json.loads(sys.argv[1]))))
    else:
        main(parsed(sys.argv[1:]))
