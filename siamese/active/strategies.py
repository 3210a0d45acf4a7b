"""Which images of a pool are the most worth asking a label of.

One direction for all: the higher, the more worth asking, from 0 (sure) to at most 1.

Lewis, Gale (1994), A sequential algorithm for training text classifiers: least confident. Scheffer, Decomain, Wrobel (2001),
Active hidden Markov models for information extraction: margin. Settles (2009), Active learning literature survey: entropy
and the rest. Sener, Savarese (2018), Active learning for convolutional neural networks, a core-set approach: coreset.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from scipy.special import entr
from sklearn.metrics import pairwise_distances_argmin_min

from siamese.errors import UserError


def least_confident(p: np.ndarray) -> np.ndarray:
    """``float64 [N]`` in [0, 1 - 1/C]: 1 minus the probability of the likeliest class, of probabilities ``float [N, C]``.

    Raises ValueError where a row is no distribution over at least two classes.
    """
    return 1 - _checked(p).max(1)


def margin(p: np.ndarray) -> np.ndarray:
    """``float64 [N]`` in [0, 1]: 1 minus the plain margin, of probabilities ``float [N, C]``. Raises as ``least_confident``."""
    return 1 - plain_margin(p)


def plain_margin(p: np.ndarray) -> np.ndarray:
    """``float64 [N]`` in [0, 1]: how much likelier the best class is than the second; **low** is worth asking.

    The other direction than everything else here, because this is the number that people know and set a threshold on.
    Raises as ``least_confident``.
    """
    second, best = np.partition(_checked(p), -2, axis=1)[:, -2:].T
    return best - second


def entropy(p: np.ndarray) -> np.ndarray:
    """``float64 [N]`` in [0, 1]: the entropy as a share of the greatest, log C, of probabilities ``float [N, C]``.

    Raises as ``least_confident``.
    """
    p = _checked(p)
    return np.clip(entr(p).sum(1) / np.log(p.shape[1]), 0, 1)


UNCERTAINTY: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "margin": margin,
    "least-confident": least_confident,
    "entropy": entropy,
}
STRATEGIES = (*UNCERTAINTY, "coreset", "random")


def certainty(strategy: str, p: np.ndarray) -> np.ndarray:
    """``float64 [N]``: 1 minus the uncertainty, which is what a threshold is set on.

    ``margin``: the plain margin; ``least-confident``: the top probability; ``entropy``: 1 minus the normalised entropy.
    Computed without the detour, which would round a value at the threshold to either side of it.
    """
    if strategy == "margin":
        return plain_margin(p)
    return _checked(p).max(1) if strategy == "least-confident" else 1 - entropy(p)


def coreset(embeddings: np.ndarray, k: int, centres: np.ndarray | None = None) -> np.ndarray:
    """Rows that spread over the pool: each is the one farthest from all centres so far (k-centre greedy, their algorithm 1).

    Args:
        embeddings: of the pool, ``float [N, D]``.
        k: how many rows; all N where there are fewer.
        centres: ``float [L, D]``, what is labelled already; without any, the first row is taken first.

    Returns:
        ``int64 [min(k, N)]`` distinct rows, in the order of choice; of equally far ones the first.
    """
    pool = np.asarray(embeddings, np.float64)
    nearest = np.full(len(pool), np.inf)
    if centres is not None and len(centres) and len(pool):
        nearest = pairwise_distances_argmin_min(pool, np.asarray(centres, np.float64))[1] ** 2
    rows = np.empty(min(k, len(pool)), np.int64)
    for place in range(len(rows)):
        rows[place] = row = int(nearest.argmax())
        nearest = np.minimum(nearest, ((pool - pool[row]) ** 2).sum(1))
        nearest[row] = -1  # never again, not even where all that is left lies on a centre
    return rows


def next_rows(
    strategy: str,
    k: int,
    seed: int | Sequence[int],
    embeddings: np.ndarray,
    probabilities: np.ndarray | None = None,
    labeled: np.ndarray | None = None,
) -> np.ndarray:
    """The ``k`` rows of the pool to ask next, the most worth asking first; ties come in a random order of the seed.

    Args:
        strategy: one of ``STRATEGIES``.
        k: how many; all N where there are fewer.
        seed: a whole number or several; equal calls give equal rows.
        embeddings: of the pool, ``float [N, D]``.
        probabilities: ``float [N, C]``, for margin, least-confident and entropy.
        labeled: ``float [L, D]``, the embeddings of what is labelled, for coreset.

    Returns:
        ``int64 [min(k, N)]``, distinct.

    Raises:
        UserError: there is no such strategy.
        ValueError: k is negative, or the probabilities are missing or none.
    """
    if strategy not in STRATEGIES:
        raise UserError(f"there is no strategy {strategy!r}; there are {', '.join(STRATEGIES)}")
    if k < 0:
        raise ValueError(f"k must not be negative, but is {k}")
    order = np.random.default_rng(seed).permutation(len(embeddings))
    if strategy == "random":
        return order[:k]
    if strategy == "coreset":
        return order[coreset(embeddings[order], k, labeled)]
    if probabilities is None or len(probabilities) != len(embeddings):
        raise ValueError(f"{strategy} needs the class probabilities of every row of the pool")
    worth = UNCERTAINTY[strategy](probabilities)[order]
    return order[np.argsort(-worth, kind="stable")[:k]]


def _checked(p: np.ndarray) -> np.ndarray:
    """``float64 [N, C]``."""
    p = np.asarray(p, np.float64)
    if p.ndim != 2 or p.shape[1] < 2:
        raise ValueError(f"probabilities must be [N, C] of at least two classes, not {list(p.shape)}")
    if not ((p >= 0).all() and np.allclose(p.sum(1), 1, atol=1e-3)):  # nan fails as well
        raise ValueError("every row of probabilities must be at least 0 and add up to 1")
    return p
