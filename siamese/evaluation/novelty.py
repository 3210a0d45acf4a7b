"""Whether an image shows anything that is known: detectors fitted on the embeddings of known images."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import LocalOutlierFactor, NearestNeighbors

NEIGHBOURS = 20


class Detector(Protocol):
    """Fitted on known vectors; the higher the score of a vector, the more like the known ones it is."""

    def fit(self, known: np.ndarray) -> Any:
        """Learn ``float32 [N, D]``."""

    @property
    def known_scores(self) -> np.ndarray:
        """``float64 [N]``: scores of the known vectors themselves, none its own neighbour."""

    def score(self, vectors: np.ndarray) -> np.ndarray:
        """``float64 [M]`` of vectors ``float32 [M, D]``."""


class LocalOutliers:
    """Local Outlier Factor (Breunig et al. 2000, LOF: Identifying Density-Based Local Outliers): how much thinner the known
    vectors lie around this one than around its neighbours. The score is minus the factor: about -1 inside, less outside.

    Args:
        neighbours: how many are looked at.
    """

    def __init__(self, neighbours: int = NEIGHBOURS) -> None:
        self.neighbours = neighbours

    def fit(self, known: np.ndarray) -> LocalOutliers:
        # All are compared with all: trees do not help beyond a dozen dimensions.
        count = min(self.neighbours, len(known) - 1)
        self.model = LocalOutlierFactor(count, algorithm="brute", novelty=True, n_jobs=-1).fit(known)
        return self

    @property
    def known_scores(self) -> np.ndarray:
        """``float64 [N]``: scores of the known vectors themselves, none its own neighbour."""
        return self.model.negative_outlier_factor_

    def score(self, vectors: np.ndarray) -> np.ndarray:
        return self.model.score_samples(vectors)


class NearestKnown:
    """Minus the distance to the k-th nearest known vector (Sun et al. 2022, Out-of-Distribution Detection with Deep Nearest
    Neighbors).

    Args:
        neighbours: k.
    """

    def __init__(self, neighbours: int = NEIGHBOURS) -> None:
        self.neighbours = neighbours

    def fit(self, known: np.ndarray) -> NearestKnown:
        count = min(self.neighbours, len(known) - 1)
        self.model = NearestNeighbors(n_neighbors=count, algorithm="brute", n_jobs=-1).fit(known)
        self.known_scores = -self.model.kneighbors()[0][:, -1].astype(float)
        return self

    def score(self, vectors: np.ndarray) -> np.ndarray:
        return -self.model.kneighbors(vectors)[0][:, -1].astype(float)


def threshold(known_scores: np.ndarray, contamination: float) -> float:
    """The score below which a vector is novel: this share of the known scores lies below it, as scikit-learn counts."""
    return float(np.percentile(known_scores, 100 * contamination))


def separation(known: np.ndarray, novel: np.ndarray) -> dict[str, float]:
    """How well scores of known images ``[K]`` and of novel ones ``[M]`` are told apart.

    Returns:
        ``auroc``: the chance that a known image scores above a novel one, ties half. ``fpr95``: the share of novel images
        that is taken for known where 95 % of the known ones are.
    """
    truth = np.concatenate([np.ones(len(known)), np.zeros(len(novel))])
    least = np.sort(known)[len(known) // 20]  # 95 % score as much, or more where scores are equal
    return {
        "auroc": float(roc_auc_score(truth, np.concatenate([known, novel]))),
        "fpr95": float((novel >= least).mean()),
    }
