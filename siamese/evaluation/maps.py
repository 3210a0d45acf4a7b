"""Test images on a plane: what the network makes of the pixels, seen by t-SNE (van der Maaten, Hinton 2008)."""

from __future__ import annotations

import numpy as np
import torch
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from torch import Tensor

from siamese.evaluation.evaluator import Evaluator, visible
from siamese.plots.classification import point_map
from siamese.plots.images import embedding_map
from siamese.sampling.seeds import generator
from siamese.systems.data import FewShotData
from siamese.systems.siamese import Siamese

COMPONENTS = 50  # to which vectors are reduced first, as van der Maaten and Hinton do


class EmbeddingMap(Evaluator):
    """t-SNE of test embeddings, each point a small picture of its image.

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
        dark = visible(table, rows)
        dark = dark if dark.ndim == 3 else 255 - dark.mean(axis=3)  # each thumbnail is drawn in one colour, its class's
        # In a table of one group it is the classes that have colours.
        shown, names = (table.groups, table.group_names) if len(groups) > 1 else (table.labels, table.class_names)
        self.pictures["embedding_map.png"] = embedding_map(
            points, shown[rows].numpy(), names, dark, "Test embeddings, t-SNE"
        )


class PointMap(Evaluator):
    """t-SNE of thousands of test images, once of their pixels and once of their embeddings.

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
