"""What a strategy saves: accuracy against the number of labels asked for, where all labels are known beforehand."""

from __future__ import annotations

import numpy as np

from siamese.active.classifiers import fitted
from siamese.active.strategies import UNCERTAINTY, next_rows
from siamese.errors import UserError


def learning_curve(
    embeddings: np.ndarray,
    labels: np.ndarray,
    test_embeddings: np.ndarray,
    test_labels: np.ndarray,
    strategy: str,
    classifier: str,
    start: int,
    step: int,
    budget: int,
    seed: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Ask for labels of the pool in rounds, train anew after each, and measure on the test images.

    For one seed all strategies start from the same images, so that their curves can be compared pair by pair.

    Args:
        embeddings, labels: the pool, ``float [N, D]`` and ``int [N]``.
        test_embeddings, test_labels: ``float [M, D]`` and ``int [M]``; they choose nothing.
        strategy: one of ``siamese.active.STRATEGIES``.
        classifier: one of ``siamese.active.CLASSIFIERS``.
        start: images labelled in the beginning: one random image of each class, the others random ones of the pool.
        step: labels asked for in a round; the last round may ask for fewer.
        budget: labels in all, those of the start included; at most the pool.
        seed: of the starting images, of ties and of the classifier.

    Returns:
        ``int64 [R]`` labels known, the first of them ``start``, and ``float64 [R]`` accuracy with them.

    Raises:
        UserError: the pool is of one class, or the start has fewer images than there are classes, or the budget fewer than
            the start; no such strategy or classifier.
    """
    classes = len(np.unique(labels))
    if classes < 2:
        raise UserError(f"there is nothing to learn from a pool of {classes} class")
    if not classes <= start <= min(budget, len(labels)):
        raise UserError(
            f"the start needs one image of each of the {classes} classes, and no more than the budget ({budget}) and the "
            f"pool ({len(labels)}), not {start}"
        )
    if step < 1:
        raise UserError(f"a round asks for at least one label, not {step}")
    known = _start(labels, start, seed)
    asked: list[int] = []
    accuracies: list[float] = []
    while True:
        learned = fitted(classifier, seed, embeddings[known], labels[known])
        asked.append(len(known))
        accuracies.append(float((learned.predict(test_embeddings) == test_labels).mean()))
        k = min(step, min(budget, len(labels)) - len(known))
        if k == 0:
            return np.array(asked), np.array(accuracies)
        left = np.setdiff1d(np.arange(len(labels)), known)
        p = learned.predict_proba(embeddings[left]) if strategy in UNCERTAINTY else None
        rows = next_rows(strategy, k, (seed, len(asked)), embeddings[left], p, embeddings[known])
        known = np.append(known, left[rows])


def _start(labels: np.ndarray, start: int, seed: int) -> np.ndarray:
    """``int64 [start]`` rows: the first of each class in a random order, then the first of the others."""
    order = np.random.default_rng((seed, 0)).permutation(len(labels))
    _, first = np.unique(labels[order], return_index=True)
    rest = np.delete(order, first)
    return np.append(order[first], rest[: start - len(first)])
