"""How many labels each strategy of active learning needs, beside labels of random images.

    make bench-active

The embeddings are those of the network of the latest `make train-omniglot`, which has seen no digit and none of the
characters; without one, or with --control, pixels reduced by PCA. Each seed draws its own pool and test images, and all
strategies of a seed start from the same images; intervals are Student's t over the seeds, 95 %.

mnist: halves of the 10,000 published test images. A network that was trained on MNIST (--model) has seen 55,000 labels of the
same classes, so its curves say what a further label is worth to it, not what it takes to learn the digits.
omniglot: 50 characters of the ten evaluation alphabets that no official run uses, 14 drawers in the pool, 6 in the test.
Networks of this project have not learned them; their checkpoints were chosen on them.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from sklearn.decomposition import PCA
from threadpoolctl import threadpool_limits

from siamese.active import CLASSIFIERS, STRATEGIES, fitted, learning_curve
from siamese.datasets.mnist import Mnist
from siamese.datasets.omniglot import Omniglot
from siamese.errors import UserError
from siamese.evaluation.intervals import mean_interval
from siamese.model import Model
from siamese.plots.active import CONTROL, Curve, learning_curves
from siamese.plots.style import save
from siamese.tables import Table

MODEL = Path("runs/omniglot/latest/checkpoints/best.ckpt")
COMPONENTS = 50
CHARACTERS, IN_POOL = 50, 14
SHARE = 0.95  # of the accuracy with all labels
Rows = tuple[np.ndarray, np.ndarray]  # of the pool and of the test


def main(arguments: list[str]) -> int:
    """Print a table and save a picture for each classifier; minutes, by the classifiers and the number of seeds."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--data", nargs="+", choices=DATA, default=list(DATA))
    parser.add_argument("--model", type=Path, default=MODEL, help=f"a checkpoint ({MODEL})")
    parser.add_argument("--control", action="store_true", help="pixels reduced by PCA instead of a network")
    parser.add_argument("--classifiers", nargs="+", choices=CLASSIFIERS, default=["forest2", "logistic"])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--step", type=int, default=20, help="labels asked for in a round")
    parser.add_argument("--budget", type=int, default=800, help="labels in all")
    parser.add_argument("--out", type=Path, default=Path("runs/active"), help="folder of the pictures")
    given = parser.parse_args(arguments)
    try:
        if given.seeds < 2:
            raise UserError("an interval takes at least two seeds")
        if given.control or (given.model == MODEL and not MODEL.exists()):
            given.model = None
        for data in given.data:
            table, drawn, start = DATA[data]()
            embedded = _embeddings(table, given.model)
            # The matrices are small: several threads would mostly wait for one another.
            with threadpool_limits(1):
                for name in given.classifiers:
                    _measure(given, name, embedded, table.labels.numpy(), drawn, start, table.name)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _mnist() -> tuple[Table, Callable[[int], Rows], int]:
    """Images, the rows of a seed, and how many images a start takes."""
    source = Mnist()
    table = source.split(source.load()).test

    def drawn(seed: int) -> Rows:
        pool, test = np.array_split(np.random.default_rng(seed).permutation(len(table)), 2)
        return pool, test

    return table, drawn, len(table.classes)


def _omniglot() -> tuple[Table, Callable[[int], Rows], int]:
    source = Omniglot()
    table = source.split(source.load()).val
    labels, drawers = table.labels.numpy(), table.sources.numpy()

    def drawn(seed: int) -> Rows:
        random = np.random.default_rng(seed)
        chosen = np.isin(labels, random.permutation(np.unique(labels))[:CHARACTERS])
        pooled = np.isin(drawers, random.permutation(np.unique(drawers))[:IN_POOL])
        return np.flatnonzero(chosen & pooled), np.flatnonzero(chosen & ~pooled)

    return table, drawn, CHARACTERS


DATA = {"mnist": _mnist, "omniglot": _omniglot}


def _embeddings(table: Table, checkpoint: Path | None) -> Callable[[np.ndarray, np.ndarray], Rows]:
    """From the rows of pool and test to their embeddings ``float32 [N, D]``."""
    if checkpoint is not None:
        every = Model.load(checkpoint).embed(table.images).numpy()
        return lambda pool, test: (every[pool], every[test])
    pixels = table.resized(28).images.flatten(1).numpy().astype(np.float32) / 255

    def reduced(pool: np.ndarray, test: np.ndarray) -> Rows:
        fitted = PCA(COMPONENTS, svd_solver="full").fit(pixels[pool])  # which takes no labels
        return fitted.transform(pixels[pool]), fitted.transform(pixels[test])

    return reduced


def _measure(
    given: argparse.Namespace,
    name: str,
    embedded: Callable[[np.ndarray, np.ndarray], Rows],
    labels: np.ndarray,
    drawn: Callable[[int], Rows],
    start: int,
    data: str,
) -> None:
    """The curves of a classifier: a table of them, and a picture."""
    full: list[float] = []
    accuracies: dict[str, list[np.ndarray]] = {strategy: [] for strategy in STRATEGIES}
    asked = np.empty(0, int)
    for seed in range(given.seeds):
        pool, test = drawn(seed)
        vectors, tests = embedded(pool, test)
        whole = fitted(name, seed, vectors, labels[pool])
        full.append(float((whole.predict(tests) == labels[test]).mean()))
        for strategy, curves in accuracies.items():
            asked, curve = learning_curve(
                vectors, labels[pool], tests, labels[test], strategy, name, start, given.step, given.budget, seed
            )
            curves.append(curve)
    how = "PCA of pixels" if given.model is None else str(given.model)
    mean, low, high = _interval(np.array(full))
    print(f"\n{data}, {how}, {name}, {given.seeds} seeds")
    print(f"all {len(pool):,} labels: {100 * mean:.1f} % ({100 * low:.1f}-{100 * high:.1f})")
    needed = {strategy: _needed(asked, curves, full) for strategy, curves in accuracies.items()}
    print(f"{'strategy':<17}{f'labels for {SHARE:.0%} of that':>30}{'random':>10}{f'accuracy at {asked[-1]}':>26}")
    for strategy, curves in accuracies.items():
        mean, low, high = _interval(np.array([curve[-1] for curve in curves]))
        at_end = f"{100 * mean:.1f} % ({100 * low:.1f}-{100 * high:.1f})"
        told = _told(needed[strategy], int(asked[-1]))
        beside = _told(needed[CONTROL], int(asked[-1])).split(" (")[0]
        print(f"{strategy:<17}{told:>30}{beside:>10}{at_end:>26}")
    drawing = {strategy: _curve(asked, np.stack(curves)) for strategy, curves in accuracies.items()}
    title = f"{data}, {'PCA of pixels' if given.model is None else 'network'}, {name}: {given.seeds} seeds"
    kind = "pca" if given.model is None else "network"
    picture = save(learning_curves(drawing, float(np.mean(full)), title), given.out / f"{data}-{kind}-{name}.png")
    print(picture)


def _needed(asked: np.ndarray, curves: list[np.ndarray], full: list[float]) -> np.ndarray:
    """``float64 [S]``: the fewest labels of each seed with which it has its share of the full accuracy; inf for never."""
    first = []
    for curve, whole in zip(curves, full, strict=True):
        there = curve >= SHARE * whole
        first.append(float(asked[there.argmax()]) if there.any() else np.inf)
    return np.array(first)


def _told(needed: np.ndarray, most: int) -> str:
    """Mean and interval of the seeds; where some never get there, only that it takes more."""
    if not np.isfinite(needed).all():
        return f"> {most} ({np.isfinite(needed).sum()} of {len(needed)} seeds)"
    mean, low, high = (most * share for share in _interval(needed / most))
    return f"{mean:.0f} ({low:.0f}-{high:.0f})"


def _interval(values: np.ndarray) -> tuple[float, float, float]:
    """Mean and 95 % interval of shares ``[S]``."""
    low, high = mean_interval(torch.from_numpy(values))
    return float(values.mean()), low, high


def _curve(asked: np.ndarray, accuracies: np.ndarray) -> Curve:
    """The mean of ``[S, R]`` over seeds, with its interval."""
    mean, low, high = np.array([_interval(column) for column in accuracies.T]).T
    return Curve(asked, mean, low, high)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
