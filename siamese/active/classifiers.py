"""The classifiers that learn from embeddings: scikit-learn's, by short names."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.special import softmax
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import pairwise_distances_argmin_min
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from siamese.errors import UserError

SHARPNESS = 10.0  # log odds for a difference of distances as large as that between neighbours of two classes


class NearestSupport:
    """The class of the nearest labelled embedding, as one-shot trials are answered; probabilities are a softmax of distances.

    scikit-learn's own 1-NN is always sure, so that there would be nothing to ask. Distances are measured in units of the
    mean one from a support to the nearest of another class, and a difference of one unit counts ``SHARPNESS`` in log odds.
    That is a choice, not a calibration: the order of the images by it is meaningful, the number itself less so.
    """

    def fit(self, vectors: np.ndarray, labels: np.ndarray) -> NearestSupport:
        """Keep ``float [L, D]`` by their labels ``[L]``."""
        self.classes_ = np.unique(labels)
        self.supports = [vectors[labels == label] for label in self.classes_]
        others = np.where(labels[:, None] == self.classes_, np.inf, self._distances(vectors)).min(1)
        between = float(others.mean())
        self.unit = between if 0 < between < np.inf else 1.0
        return self

    def predict_proba(self, vectors: np.ndarray) -> np.ndarray:
        """``float64 [N, C]``, in the order of ``classes_``, of ``float [N, D]``."""
        return softmax(-SHARPNESS * self._distances(vectors) / self.unit, axis=1)

    def predict(self, vectors: np.ndarray) -> np.ndarray:
        """``[N]`` labels."""
        return self.classes_[self._distances(vectors).argmin(1)]

    def _distances(self, vectors: np.ndarray) -> np.ndarray:
        """``float64 [N, C]`` to the nearest support of each class."""
        nearest = [pairwise_distances_argmin_min(vectors, supports)[1] for supports in self.supports]
        return np.stack(nearest, axis=1).astype(np.float64)


CLASSIFIERS: dict[str, Callable[[int], Any]] = {
    "forest2": lambda seed: RandomForestClassifier(max_depth=2, random_state=seed),
    "forest": lambda seed: RandomForestClassifier(random_state=seed),
    # Embeddings of length 1 are small numbers, which the penalty would keep all classes equally likely for.
    "logistic": lambda seed: make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000, random_state=seed)),
    "nearest": lambda seed: NearestSupport(),
}


def fitted(name: str, seed: int, vectors: np.ndarray, labels: np.ndarray) -> Any:
    """A classifier that has learned, with ``predict``, ``predict_proba`` and ``classes_``; deterministic by the seed.

    ``forest2``: a random forest of depth 2, the reference; ``forest``: one of scikit-learn's default depth; ``logistic``:
    logistic regression on standardised embeddings; ``nearest``: the nearest support.

    Args:
        name: one of ``CLASSIFIERS``.
        seed: of the forests.
        vectors: ``float [L, D]``.
        labels: ``[L]``, of at least two classes.

    Raises:
        UserError: there is none of this name.
    """
    if name not in CLASSIFIERS:
        raise UserError(f"there is no classifier {name!r}; there are {', '.join(CLASSIFIERS)}")
    with warnings.catch_warnings():
        # One image a class is how active learning begins, not a regression by mistake.
        warnings.filterwarnings("ignore", "The number of unique classes is greater than 50%")
        return CLASSIFIERS[name](seed).fit(vectors, labels)
