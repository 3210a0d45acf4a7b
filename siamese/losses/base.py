"""Losses over embeddings. Binary and contrastive are this project's own subject; all others are pytorch-metric-learning's.

A loss names the similarity it teaches; the same similarity then answers every question asked of the embeddings.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from siamese.errors import UserError
from siamese.similarity import Cosine, Euclidean, Similarity, WeightedL1


class Loss(nn.Module, ABC):
    """A loss over the embeddings of a batch."""

    @abstractmethod
    def similarity(self, embedding_size: int) -> Similarity:
        """The similarity this loss teaches."""

    def teaches(self, similarity: Similarity) -> bool:
        """Whether training with this loss makes this similarity meaningful."""
        return True

    def logits(self, embeddings: Tensor) -> Tensor | None:
        """What the loss thinks of each class, ``[B, C]`` before the softmax, of embeddings ``[B, D]``; None if it knows no
        classes."""
        return None

    @abstractmethod
    def forward(
        self, similarity: Similarity, embeddings: Tensor, labels: Tensor, pairs: Tensor | None = None
    ) -> Tensor:
        """The loss of a batch, a scalar.

        Args:
            similarity: what scores the pairs.
            embeddings: ``[B, D]``.
            labels: ``int64 [B]``.
            pairs: ``int64 [P, 2]``, the pairs to compare; None for all ``B (B - 1) / 2`` of the batch.
        """


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


class MetricLearning(Loss):
    """Any loss, and if wanted any miner, of pytorch-metric-learning. It compares all pairs of the batch.

    Args:
        loss: for instance ``pytorch_metric_learning.losses.SupConLoss``, on normalised embeddings.
        miner: for instance ``pytorch_metric_learning.miners.MultiSimilarityMiner``, or None.
    """

    def __init__(self, loss: nn.Module, miner: nn.Module | None = None) -> None:
        super().__init__()
        self.loss, self.miner = loss, miner

    def similarity(self, embedding_size: int) -> Similarity:
        return Cosine()

    def teaches(self, similarity: Similarity) -> bool:
        return not any(True for _ in similarity.parameters())  # these losses have a distance of their own

    def forward(
        self, similarity: Similarity, embeddings: Tensor, labels: Tensor, pairs: Tensor | None = None
    ) -> Tensor:
        if pairs is not None:
            raise ValueError("pytorch-metric-learning's losses form their own pairs; use ClassBatches, not PairBatches")
        embeddings = embeddings.float()
        with torch.autocast(embeddings.device.type, enabled=False):  # like all similarities, in float32
            mined = None if self.miner is None else self.miner(embeddings, labels)
            return self.loss(embeddings, labels, mined)

    def logits(self, embeddings: Tensor) -> Tensor | None:
        if hasattr(self.loss, "get_logits"):
            return self.loss.get_logits(embeddings)  # type: ignore[operator]
        proxies = getattr(self.loss, "proxies", None)
        return None if proxies is None else Cosine()(embeddings, proxies)


class Softmax(Loss):
    """Cross-entropy of a linear layer's logits: the usual way to teach classes, and with embeddings of a fixed length (the
    network's ``radius``) the L2-constrained softmax (Ranjan, Castillo, Chellappa 2017, L2-constrained Softmax Loss for
    Discriminative Face Verification, equation 2).

    Args:
        classes: C.
        embedding_size: D.
        smoothing: of the labels: this share of the probability is spread over all classes.
    """

    def __init__(self, classes: int, embedding_size: int, smoothing: float = 0.0) -> None:
        super().__init__()
        self.linear, self.smoothing = nn.Linear(embedding_size, classes), smoothing

    def similarity(self, embedding_size: int) -> Similarity:
        return Cosine()

    def teaches(self, similarity: Similarity) -> bool:
        return not any(True for _ in similarity.parameters())

    def logits(self, embeddings: Tensor) -> Tensor:
        return self.linear(embeddings)

    def forward(
        self, similarity: Similarity, embeddings: Tensor, labels: Tensor, pairs: Tensor | None = None
    ) -> Tensor:
        """The loss of a batch. Raises UserError for a label beyond the classes, which a GPU finds out in its own way."""
        try:
            return F.cross_entropy(self.logits(embeddings).float(), labels, label_smoothing=self.smoothing)
        except IndexError as error:
            raise UserError(
                f"Softmax knows {self.linear.out_features} classes, and label {int(labels.max())} is beyond them; say as many "
                "classes as teach, times data.symmetries"
            ) from error


def least_radius(probability: float, classes: int) -> float:
    """The least length of embeddings by which a softmax can give an image's class this probability.

    With embeddings of length r and class weights of length 1 that are as far apart as pairs of opposites, the logit of an
    image that lies on its class's weight is r, that of the opposite class -r, that of the C - 2 others 0. So its class has the
    probability exp(r) / (exp(r) + exp(-r) + C - 2), and as exp(-r) is next to nothing, it reaches p at
    r = ln(p (C - 2) / (1 - p)) (Ranjan et al. 2017, equation 4). A radius below it holds the loss above -ln p however well
    the classes are told apart; one far above it no longer constrains anything.

    Raises:
        UserError: the probability is not between 0 and 1, or there are fewer than three classes.
    """
    if not 0 < probability < 1 or classes < 3:
        raise UserError(f"a probability between 0 and 1 of at least three classes, not {probability} of {classes}")
    return math.log(probability * (classes - 2) / (1 - probability))
