"""All pairs and one-shot identification of the test classes: the network beside classical methods on the same images."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from siamese.evaluation.evaluator import NETWORK, Evaluator
from siamese.evaluation.one_shot import credits, episode_scores
from siamese.evaluation.subspaces import subspaces
from siamese.evaluation.verification import roc
from siamese.sampling.episodes import Episodes, sample_episodes
from siamese.sampling.seeds import generator
from siamese.similarity import Similarity
from siamese.systems.data import FewShotData
from siamese.systems.siamese import Siamese
from siamese.tables import concatenated

FARS = torch.logspace(-3, 0, 61, dtype=torch.float64)  # where curves of several runs are averaged


class AllPairs(Evaluator):
    """Verification on every pair of test images, and N-way one-shot identification, by network and by subspace methods.

    The methods that have something to fit do so on all classes that are not test, those that choose included.

    Args:
        n_way: numbers of classes to identify among; those beyond the number of test classes are left out.
        episodes: of each kind, with one query a class.
        seed: of the episodes, the same for all methods and trainings.
    """

    def __init__(self, n_way: tuple[int, ...] = (5, 10, 20), episodes: int = 500, seed: int = 0) -> None:
        super().__init__()
        self.n_way, self.episodes, self.seed = n_way, episodes, seed

    def prepare(self, data: FewShotData) -> None:
        test = data.table("test")
        self.drawn = {
            n: sample_episodes(test, self.episodes, n, 1, generator(self.seed, n), "across")
            for n in self.n_way
            if n <= len(test.classes)
        }

    def report(self, system: Siamese, data: FewShotData) -> None:
        test = data.table("test")
        methods = {NETWORK: (system.embeddings("test").cpu(), system.similarity.cpu())}
        methods |= subspaces(concatenated(data.table("train"), data.table("val")), test)
        with torch.no_grad():
            figures = {name: _figures(*method, test.labels, self.drawn) for name, method in methods.items()}
        self.results = {
            "methods": figures,
            "methods_far": FARS.tolist(),
            "methods_how": f"all {len(test) * (len(test) - 1) // 2:,} pairs of {len(test)} images of {len(test.classes)} test "
            f"classes; {self.episodes} episodes of each N-way one-shot identification",
        }


def _figures(vectors: Tensor, similarity: Similarity, labels: Tensor, drawn: dict[int, Episodes]) -> dict[str, Any]:
    first, second = torch.triu_indices(len(labels), len(labels), 1)
    curve = roc(similarity(vectors, vectors)[first, second], labels[first] == labels[second])
    ways = {
        f"{n}-way": float(credits(episode_scores(vectors, episodes, similarity), episodes.target).double().mean())
        for n, episodes in drawn.items()
    }
    return {
        "eer": curve.eer,
        "auc": curve.auc,
        "tar_at_1": curve.tar_at(0.01),
        **ways,
        "curve": [curve.tar_at(far) for far in FARS.tolist()],
    }
