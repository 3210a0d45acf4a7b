"""Thousands of test images as points: what the network makes of the pixels, seen by t-SNE."""

from __future__ import annotations

import numpy as np
import torch
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from torch import Tensor

from siamese.evaluation.evaluator import Evaluator
from siamese.plots.classification import point_map
from siamese.sampling.seeds import generator
from siamese.systems.data import FewShotData
from siamese.systems.siamese import Siamese

COMPONENTS = 50  # to which vectors are reduced first, as van der Maaten and Hinton do


class PointMap(Evaluator):
    """t-SNE (van der Maaten, Hinton 2008) of test images, once of their pixels and once of their embeddings.

    Args:
        points: how many images at most, drawn at random.
        seed: of the draw and of t-SNE.
        pixels: also the map of the raw pixels, which no training changes.
    """

    def __init__(self, points: int = 10_000, seed: int = 0, pixels: bool = True) -> None:
        super().__init__()
        self.points, self.seed, self.pixels = points, seed, pixels

    def report(self, system: Siamese, data: FewShotData) -> None:
        table = data.table("test")
        rows = torch.randperm(len(table), generator=generator(self.seed))[: self.points].sort().values
        if len(rows) < 10:
            return
        labels, names = table.labels[rows].numpy(), table.class_names
        maps = {"embeddings": system.embeddings("test").cpu()[rows]}
        if self.pixels:
            maps["pixels"] = table.images[rows].flatten(1).float() / 255
        for what, vectors in maps.items():
            title = f"t-SNE of the {what} of {len(rows):,} test images"
            self.pictures[f"tsne_{what}.png"] = point_map(places(vectors, self.seed), labels, names, title)


def places(vectors: Tensor, seed: int) -> np.ndarray:
    """``float32 [N, 2]``: where t-SNE puts vectors ``float32 [N, D]``, beginning with their first principal components."""
    found = vectors.numpy()
    if found.shape[1] > COMPONENTS:
        found = PCA(min(COMPONENTS, len(found)), random_state=seed).fit_transform(found)
    perplexity = min(30.0, (len(found) - 1) / 3)
    return TSNE(init="pca", perplexity=perplexity, random_state=seed, n_jobs=-1).fit_transform(found)
