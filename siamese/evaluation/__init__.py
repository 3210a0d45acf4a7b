"""Pure metrics, and the evaluators, callbacks listed in a YAML, that run them."""

from siamese.evaluation.all_pairs import AllPairs
from siamese.evaluation.benchmark import OneShot
from siamese.evaluation.classification import Classification
from siamese.evaluation.maps import EmbeddingMap, PointMap
from siamese.evaluation.multilabel import Labels
from siamese.evaluation.novelty_benchmark import Novelty
from siamese.evaluation.tutorial import TutorialAccuracy
from siamese.evaluation.verify import Verification

__all__ = [
    "AllPairs",
    "Classification",
    "EmbeddingMap",
    "Labels",
    "Novelty",
    "OneShot",
    "PointMap",
    "TutorialAccuracy",
    "Verification",
]
