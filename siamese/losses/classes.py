"""Losses that know classes, or hand the batch to pytorch-metric-learning."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from siamese.errors import UserError
from siamese.losses.base import CosineLoss
from siamese.similarity import Cosine, Similarity


class MetricLearning(CosineLoss):
    """Any loss, and if wanted any miner, of pytorch-metric-learning. It compares all pairs of the batch.

    Args:
        loss: for instance ``pytorch_metric_learning.losses.SupConLoss``, on normalised embeddings.
        miner: for instance ``pytorch_metric_learning.miners.MultiSimilarityMiner``, or None.
    """

    def __init__(self, loss: nn.Module, miner: nn.Module | None = None) -> None:
        super().__init__()
        self.loss, self.miner = loss, miner

    def forward(
        self, similarity: Similarity, embeddings: Tensor, labels: Tensor, pairs: Tensor | None = None
    ) -> Tensor:
        if pairs is not None:
            raise ValueError("pytorch-metric-learning's losses form their own pairs; use ClassBatches, not PairBatches")
        embeddings = embeddings.float()
        with torch.autocast(embeddings.device.type, enabled=False):  # like all similarities, in float32
            mined = None if self.miner is None else self.miner(embeddings, labels)
            try:
                return self.loss(embeddings, labels, mined)
            except (IndexError, RuntimeError) as error:
                _check_known(self.loss, getattr(self.loss, "num_classes", None), labels, error)
                raise

    def logits(self, embeddings: Tensor) -> Tensor | None:
        if hasattr(self.loss, "get_logits"):
            return self.loss.get_logits(embeddings)  # type: ignore[operator]
        proxies = getattr(self.loss, "proxies", None)
        return None if proxies is None else Cosine()(embeddings, proxies)


class Softmax(CosineLoss):
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
        self.embedding_size = embedding_size

    def logits(self, embeddings: Tensor) -> Tensor:
        return self.linear(embeddings)

    def forward(
        self, similarity: Similarity, embeddings: Tensor, labels: Tensor, pairs: Tensor | None = None
    ) -> Tensor:
        """The loss of a batch. Raises UserError for a label beyond the classes, which a GPU finds out in its own way."""
        try:
            return F.cross_entropy(self.logits(embeddings).float(), labels, label_smoothing=self.smoothing)
        except IndexError as error:
            _check_known(self, self.linear.out_features, labels, error)
            raise


def _check_known(loss: nn.Module, classes: int | None, labels: Tensor, error: Exception) -> None:
    """Raises UserError where a label is beyond the classes that a loss was made for."""
    if classes is not None and int(labels.max()) >= classes:
        raise UserError(
            f"{type(loss).__name__} knows {classes} classes, and label {int(labels.max())} is beyond them; say as many classes "
            "as the data set has, those that do not teach too, times data.symmetries"
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
