"""Losses of images that carry several labels at once: a linear layer gives each label a logit."""

from __future__ import annotations

import math
from abc import abstractmethod

import torch
import torch.nn.functional as F
from scipy.optimize import minimize_scalar
from torch import Tensor, nn

from siamese.errors import UserError
from siamese.losses.base import CosineLoss
from siamese.similarity import Similarity

HALF = 0.5


class LabelLoss(CosineLoss):
    """A loss of images that carry several labels: a linear layer gives each label a logit.

    What it says of labels has a temperature, by which the layer's values are divided and which validation images choose
    (Guo, Pleiss, Sun, Weinberger 2017, On Calibration of Modern Neural Networks, section 4.2). It teaches without one.

    Args:
        labels: L.
        embedding_size: D.
    """

    temperature: Tensor
    together = False  # whether labels depend on each other, so that the likeliest set is not that of the likely ones

    def __init__(self, labels: int, embedding_size: int) -> None:
        super().__init__()
        self.labels, self.embedding_size = labels, embedding_size
        self.linear = nn.Linear(embedding_size, labels)
        self.register_buffer("temperature", torch.ones(()))

    @abstractmethod
    def losses(self, embeddings: Tensor, targets: Tensor) -> Tensor:
        """Losses ``float32 [B]`` of images with embeddings ``[B, D]`` and targets ``bool [B, L]``."""

    def probabilities(self, logits: Tensor) -> Tensor:
        """``[N, L]``: how likely each label is there, of logits ``[N, L]``, each by itself."""
        return logits.sigmoid()

    def logits(self, embeddings: Tensor) -> Tensor:
        return self.linear(embeddings) / self.temperature

    def likeliest(self, embeddings: Tensor) -> Tensor:
        """``bool [N, L]``: the likeliest set of labels of each image, of embeddings ``[N, D]``; where labels are independent of
        each other, that of those more likely there than not."""
        return self.probabilities(self.logits(embeddings).float()) >= HALF

    @torch.no_grad()
    def calibrate(self, embeddings: Tensor, targets: Tensor) -> None:
        """Choose the temperature, between 1/20 and 20, by which binary cross-entropy is least on images with embeddings
        ``[N, D]`` and targets ``bool [N, L]``. As they are few, nothing is taken to be certain: of n labels that are there each
        counts as there with (n + 1) / (n + 2), and likewise those that are not (Platt 1999, Probabilistic Outputs for Support
        Vector Machines, section 2.2)."""
        positive, negative = int(targets.sum()), int((~targets).sum())
        there = torch.where(targets.to(embeddings.device), (positive + 1) / (positive + 2), 1 / (negative + 2)).double()

        def error(logarithm: float) -> float:
            self.temperature.fill_(math.exp(logarithm))
            said = self.probabilities(self.logits(embeddings).float()).double().clamp(1e-7, 1 - 1e-7)
            return -float((there * said.log() + (1 - there) * (-said).log1p()).mean())

        self.temperature.fill_(math.exp(minimize_scalar(error, bounds=(-3, 3), method="bounded").x))

    def forward(
        self, similarity: Similarity, embeddings: Tensor, labels: Tensor, pairs: Tensor | None = None
    ) -> Tensor:
        """The mean over the batch. Raises UserError where ``labels`` are not ``bool [B, L]``."""
        if labels.shape != (len(embeddings), self.labels):
            raise UserError(
                f"{type(self).__name__} tells {self.labels} labels of an image; the data has "
                f"{labels.shape[1] if labels.ndim == 2 else 'one class an image'}"
            )
        return self.losses(embeddings, labels).mean()


class LogitLoss(LabelLoss):
    """A loss of the logits of an image's labels alone."""

    @abstractmethod
    def each(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Losses ``[B]`` of images with logits ``float32 [B, L]`` and targets ``float32 [B, L]``, 1 or 0."""

    def losses(self, embeddings: Tensor, targets: Tensor) -> Tensor:
        logits = self.linear(embeddings).float()
        return self.each(logits, targets.to(logits.dtype))


class BinaryLabels(LogitLoss):
    """Binary cross-entropy of every label, summed over the labels of an image: labels are independent questions."""

    def each(self, logits: Tensor, targets: Tensor) -> Tensor:
        return F.binary_cross_entropy_with_logits(logits, targets, reduction="none").sum(1)


class CategoricalLabels(LogitLoss):
    """Cross-entropy of one softmax over all labels, summed over those that are there. It is wrong, and kept for the lesson:
    a softmax has one unit of probability to give away, so labels that are there compete, and no probability says "is there"
    by itself. Its least value, for k labels, is ``k log k``, at ``1 / k`` each."""

    def each(self, logits: Tensor, targets: Tensor) -> Tensor:
        return -(targets * logits.log_softmax(1)).sum(1)

    def probabilities(self, logits: Tensor) -> Tensor:
        return logits.softmax(1)


class SquaredLabels(LogitLoss):
    """Squared error of the probabilities, summed over the labels of an image (the Brier score of each)."""

    def each(self, logits: Tensor, targets: Tensor) -> Tensor:
        return (logits.sigmoid() - targets).square().sum(1)


class FocalLabels(LogitLoss):
    """Binary cross-entropy in which what is nearly right weighs little: times ``(1 - p)^gamma``, p the probability of what is
    true (Lin, Goyal, Girshick, He, Dollar 2017, Focal Loss for Dense Object Detection, equations 4 and 5).

    Args:
        labels: L.
        embedding_size: D.
        gamma: 0 is binary cross-entropy.
        alpha: weight of labels that are there, ``1 - alpha`` that of the others; None weighs both 1.
    """

    def __init__(self, labels: int, embedding_size: int, gamma: float = 2.0, alpha: float | None = None) -> None:
        if gamma < 0 or not 0 <= (alpha or 0) <= 1:
            raise UserError(f"gamma is at least 0 and alpha a share, not {gamma} and {alpha}")
        super().__init__(labels, embedding_size)
        self.gamma, self.alpha = gamma, alpha

    def each(self, logits: Tensor, targets: Tensor) -> Tensor:
        true = logits * (2 * targets - 1)  # the logit of what is true
        # The power as an exponential of a logarithm: that of 0, which 1 - p is rounded to, may have no finite gradient.
        found = -F.logsigmoid(true) * (self.gamma * F.logsigmoid(-true)).exp()
        weight = 1.0 if self.alpha is None else self.alpha * targets + (1 - self.alpha) * (1 - targets)
        return (weight * found).sum(1)


class AsymmetricLabels(LogitLoss):
    """Focal, more so for labels that are not there, which are many, and those given less than ``margin`` left alone (Ridnik,
    Ben-Baruch, Zamir, Noy, Friedman, Protter, Zelnik-Manor 2021, Asymmetric Loss For Multi-Label Classification, equations
    4 to 7).

    Args:
        labels: L.
        embedding_size: D.
        positive, negative: gamma of labels that are there and that are not.
        margin: taken from the probability of labels that are not there.
    """

    def __init__(
        self, labels: int, embedding_size: int, positive: float = 0.0, negative: float = 4.0, margin: float = 0.05
    ) -> None:
        super().__init__(labels, embedding_size)
        if min(positive, negative, margin) < 0:
            raise UserError(f"positive, negative and margin are at least 0, not {positive}, {negative} and {margin}")
        self.positive, self.negative, self.margin = positive, negative, margin

    def each(self, logits: Tensor, targets: Tensor) -> Tensor:
        absent = F.logsigmoid(-logits)  # log (1 - p)
        found = (self.positive * absent).exp() * F.logsigmoid(logits)
        # Just above 0, where a power less than 1 still has a finite gradient; log (1 - shifted) is exact for p near 1.
        shifted = (logits.sigmoid() - self.margin).clamp_min(1e-12)
        refused = shifted**self.negative * absent.logaddexp(logits.new_tensor(self.margin).log()).clamp_max(0)
        return -(targets * found + (1 - targets) * refused).sum(1)
