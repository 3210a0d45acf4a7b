"""The figure that a widespread tutorial calls accuracy, beside what that word means."""

from __future__ import annotations

import torch

from siamese.evaluation.evaluator import Evaluator
from siamese.evaluation.verification import accuracy, rates
from siamese.sampling.pairs import sample_pairs
from siamese.sampling.seeds import generator
from siamese.systems.data import FewShotData
from siamese.systems.siamese import Siamese


class TutorialAccuracy(Evaluator):
    """The mean label of the pairs nearer than 0.5: their precision, which says nothing of the genuine pairs beyond.

    Args:
        pairs: half of them genuine.
        distance: below which a pair is called the same.
        seed: of the pairs.
    """

    def __init__(self, pairs: int = 5000, distance: float = 0.5, seed: int = 0) -> None:
        super().__init__()
        self.pairs, self.distance, self.seed = pairs, distance, seed

    def prepare(self, data: FewShotData) -> None:
        self.drawn = sample_pairs(data.table("test"), self.pairs, 0.5, generator(self.seed))

    def report(self, system: Siamese, data: FewShotData) -> None:
        (first, second), same = system.embeddings("test").cpu()[self.drawn[0]].unbind(1), self.drawn[1]
        with torch.no_grad():
            scores = system.similarity.cpu().paired(first, second)
        nearer = scores > -self.distance
        far, tar = rates(scores, same, -self.distance)
        self.results = {
            "tutorial": {
                "precision": float(same[nearer].double().mean()) if nearer.any() else 0.0,
                "accuracy": accuracy(scores, same, -self.distance),
                "far": far,
                "tar": tar,
                "pairs": self.pairs,
                "how": f"pairs nearer than {self.distance}; the tutorial prints the precision as accuracy",
            }
        }
