"""Losses over embeddings. Binary and contrastive are this project's own subject; of the others, pytorch-metric-learning's.

A loss names the similarity it teaches; the same similarity then answers every question asked of the embeddings.
"""

from siamese.losses.base import Loss
from siamese.losses.classes import MetricLearning, Softmax, least_radius
from siamese.losses.labels import (
    AsymmetricLabels,
    BinaryLabels,
    CategoricalLabels,
    FocalLabels,
    LabelLoss,
    SquaredLabels,
)
from siamese.losses.pairs import Binary, Contrastive, PairLoss
from siamese.losses.parts import PartLabels

__all__ = [
    "AsymmetricLabels",
    "Binary",
    "BinaryLabels",
    "CategoricalLabels",
    "Contrastive",
    "FocalLabels",
    "LabelLoss",
    "Loss",
    "MetricLearning",
    "PairLoss",
    "PartLabels",
    "Softmax",
    "SquaredLabels",
    "least_radius",
]
