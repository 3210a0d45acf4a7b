"""Verification and the map of embeddings: evaluators over the embedded test split."""

from __future__ import annotations

import torch
from sklearn.manifold import TSNE

from siamese.evaluation.evaluator import Evaluator, ink
from siamese.evaluation.intervals import wilson
from siamese.evaluation.verification import accuracy, best_threshold, roc
from siamese.plots import roc as roc_picture
from siamese.plots import score_histogram
from siamese.plots_images import embedding_map
from siamese.sampling.pairs import sample_pairs
from siamese.sampling.seeds import generator
from siamese.systems.data import FewShotData
from siamese.systems.siamese import Siamese

VALIDATION, TEST = 1, 2  # streams of random numbers


class Verification(Evaluator):
    """Same or different, on balanced pairs of test classes, at the threshold that is best on pairs of validation classes.

    Args:
        pairs: how many of each, half of them genuine (Koch et al. 2015: 10,000).
        within: share of the impostors that are of one group, an alphabet.
        sources: test pairs are of these sources only, counted from 0 (Koch et al.: the last 4 of 20 drawers).
        seed: of the pairs.
    """

    def __init__(
        self, pairs: int = 10_000, within: float = 0.5, sources: list[int] | None = None, seed: int = 0
    ) -> None:
        super().__init__()
        self.pairs, self.within, self.sources, self.seed = pairs, within, sources, seed

    def prepare(self, data: FewShotData) -> None:
        test = data.table("test")
        kept = torch.arange(len(test))
        if self.sources is not None:
            kept = torch.isin(test.sources, torch.tensor(self.sources)).nonzero().flatten()
            test = test.of_sources(self.sources)
        rows, same = sample_pairs(test, self.pairs, self.within, generator(self.seed, TEST))
        self.test = kept[rows], same
        self.val = sample_pairs(data.table("val"), self.pairs, self.within, generator(self.seed, VALIDATION))

    def report(self, system: Siamese, data: FewShotData) -> None:
        def scored(split: str, rows: torch.Tensor) -> torch.Tensor:
            first, second = system.embeddings(split).cpu()[rows].unbind(1)
            return torch.cat(
                [
                    system.similarity.cpu().paired(a, b)
                    for a, b in zip(first.split(1024), second.split(1024), strict=False)
                ]
            )

        with torch.no_grad():
            val, test = scored("val", self.val[0]), scored("test", self.test[0])
        same = self.test[1]
        threshold = best_threshold(val, self.val[1])
        right = accuracy(test, same, threshold)
        low, high = wilson(right * len(same), len(same))
        curve = roc(test, same)
        self.results = {
            "verification": {
                "accuracy": right, "low": low, "high": high, "threshold": threshold, "auc": curve.auc, "eer": curve.eer,
                "tar_at_far": {str(far): curve.tar_at(far) for far in (0.01, 0.001)}, "pairs": len(same),
                "interval": "Wilson 95 %",
                "how": f"balanced pairs of test classes, {self.within:.0%} of the impostors within one group; the threshold "
                "is the best of as many pairs of validation classes",
            }
        }  # fmt: skip
        self.pictures["roc.png"] = roc_picture({"test pairs": (curve.far.numpy(), curve.tar.numpy())}, "Verification")
        scores = test.numpy()
        self.pictures["scores.png"] = score_histogram(
            scores[same.numpy()], scores[~same.numpy()], threshold, "Similarity of genuine and impostor pairs"
        )


class EmbeddingMap(Evaluator):
    """A t-SNE picture of test embeddings (van der Maaten, Hinton 2008).

    Args:
        classes: classes of each of the groups shown.
        groups: how many groups.
        images: of each class.
        seed: of the choice and of t-SNE.
    """

    def __init__(self, classes: int = 6, groups: int = 10, images: int = 12, seed: int = 0) -> None:
        super().__init__()
        self.classes, self.groups, self.images, self.seed = classes, groups, images, seed

    def report(self, system: Siamese, data: FewShotData) -> None:
        table, draw = data.table("test"), generator(self.seed)
        chosen: list[int] = []
        groups = table.groups.unique()
        for group in groups[torch.randperm(len(groups), generator=draw)[: self.groups]]:
            labels = table.labels[table.groups == group].unique()
            for label in labels[torch.randperm(len(labels), generator=draw)[: self.classes]]:
                chosen += (table.labels == label).nonzero().flatten()[: self.images].tolist()
        if len(chosen) < 10:
            return
        rows = torch.tensor(chosen)
        vectors = system.embeddings("test").cpu()[rows]
        distances = -system.similarity.cpu()(vectors, vectors)
        # t-SNE asks for distances: zero for an image and itself, none below.
        distances = (distances - distances.diagonal().mean()).clamp_min(0).fill_diagonal_(0)
        perplexity = min(15.0, (len(rows) - 1) / 3)
        points = TSNE(metric="precomputed", init="random", perplexity=perplexity, random_state=self.seed).fit_transform(
            ((distances + distances.T) / 2).detach().numpy()
        )
        self.pictures["embedding_map.png"] = embedding_map(
            points, table.groups[rows].numpy(), table.group_names, ink(table.images[rows]), "Test embeddings, t-SNE"
        )
