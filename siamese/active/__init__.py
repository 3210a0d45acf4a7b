"""Active learning on frozen embeddings: which images of a pool to ask a person about, and what that saves.

A network is not trained again; a small classifier of scikit-learn learns from the embeddings of the labelled images, and
what it is least sure of is asked next.
"""

from siamese.active.classifiers import CLASSIFIERS, fitted
from siamese.active.curve import learning_curve
from siamese.active.strategies import (
    STRATEGIES,
    UNCERTAINTY,
    certainty,
    coreset,
    entropy,
    least_confident,
    margin,
    next_rows,
    plain_margin,
)

__all__ = [
    "CLASSIFIERS",
    "STRATEGIES",
    "UNCERTAINTY",
    "certainty",
    "coreset",
    "entropy",
    "fitted",
    "learning_curve",
    "least_confident",
    "margin",
    "next_rows",
    "plain_margin",
]
