"""Pure metrics, and the evaluators, callbacks listed in a YAML, that run them."""

from siamese.evaluation.benchmark import OneShot
from siamese.evaluation.verify import EmbeddingMap, Verification

__all__ = ["EmbeddingMap", "OneShot", "Verification"]
