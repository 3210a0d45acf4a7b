"""What linear subspaces of the pixels reach: the classical bars to beat in face verification."""

from __future__ import annotations

import torch
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from torch import Tensor

from siamese.similarity import Cosine, Euclidean, Similarity
from siamese.tables import Table

COMPONENTS = 100  # of the PCA, as far as there are training images


def subspaces(train: Table, test: Table) -> dict[str, tuple[Tensor, Similarity]]:
    """Vectors ``float32 [N, D]`` of the test images and what compares them, by the method's name.

    Pixels as they are; eigenfaces (Turk, Pentland 1991); Fisherfaces, PCA then LDA (Belhumeur et al. 1997). What is
    fitted is fitted on ``train``.
    """
    known, new = (table.images.flatten(1).float().numpy() / 255 for table in (train, test))
    eigen = PCA(min(COMPONENTS, len(known) - 1), svd_solver="full").fit(known)
    fisher = LinearDiscriminantAnalysis().fit(eigen.transform(known), train.labels.numpy())
    faces = eigen.transform(new)
    return {
        "PCA + LDA, cosine": (_tensor(fisher.transform(faces)), Cosine()),
        "PCA, cosine": (_tensor(faces), Cosine()),
        "Pixels, L2": (_tensor(new), Euclidean()),
    }


def _tensor(vectors) -> Tensor:
    return torch.from_numpy(vectors).float()
