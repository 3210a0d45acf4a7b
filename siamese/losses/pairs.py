"""Losses of pairs, this project's own subject: binary (Koch) and contrastive (Hadsell)."""

from __future__ import annotations

from abc import abstractmethod

import torch
import torch.nn.functional as F
from torch import Tensor

from siamese.losses.base import Loss
from siamese.similarity import Euclidean, Similarity, WeightedL1


class PairLoss(Loss):
    """A loss of each pair by itself. Genuine and impostor pairs weigh one half each, however many there are of either,
    as half of Koch's explicit pairs are genuine; in a batch of 32 classes x 4 images 2 % are."""

    @abstractmethod
    def each(self, scores: Tensor, same: Tensor) -> Tensor:
        """Losses ``[P]`` of pairs with similarities ``[P]``, genuine where ``same`` (``bool [P]``) is true."""

    def forward(
        self, similarity: Similarity, embeddings: Tensor, labels: Tensor, pairs: Tensor | None = None
    ) -> Tensor:
        if pairs is None:
            first, second = torch.triu_indices(len(labels), len(labels), 1, device=labels.device)
            scores = similarity(embeddings, embeddings)[first, second]
        else:
            first, second = pairs.unbind(1)
            scores = similarity.paired(embeddings[first], embeddings[second])
        same = labels[first] == labels[second]
        losses = self.each(scores, same)
        kinds = [losses[kind].mean() for kind in (same, ~same) if kind.any()]
        return torch.stack(kinds).mean()


class Binary(PairLoss):
    """Cross-entropy of ``sigmoid(similarity)`` against same (1) or different (0) (Koch et al. 2015, section 3.2)."""

    def similarity(self, embedding_size: int) -> Similarity:
        return WeightedL1(embedding_size)

    def each(self, scores: Tensor, same: Tensor) -> Tensor:
        return F.binary_cross_entropy_with_logits(scores, same.to(scores.dtype), reduction="none")


class Contrastive(PairLoss):
    """Squared distance of genuine pairs, squared shortfall from the margin of impostors: ``d^2 / 2`` and
    ``max(0, margin - d)^2 / 2`` (Hadsell, Chopra, LeCun 2006, Dimensionality Reduction by Learning an Invariant Mapping,
    equation 4). Here ``d`` is the negative similarity.

    Args:
        margin: distance beyond which impostors are left alone.
    """

    def __init__(self, margin: float = 1.0) -> None:
        super().__init__()
        self.margin = margin

    def similarity(self, embedding_size: int) -> Similarity:
        return Euclidean()

    def teaches(self, similarity: Similarity) -> bool:
        return isinstance(similarity, Euclidean)  # anything else is no negative distance

    def each(self, scores: Tensor, same: Tensor) -> Tensor:
        distance = -scores
        return 0.5 * torch.where(same, distance, (self.margin - distance).clamp_min(0)).square()
