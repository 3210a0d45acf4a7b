"""What a loss is: it teaches a network by its embeddings, and names the similarity that it teaches."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn

from siamese.similarity import Cosine, Similarity


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
        classes. Of several labels an image, ``[B, L]`` before ``LabelLoss.probabilities``."""
        return None

    @abstractmethod
    def forward(
        self, similarity: Similarity, embeddings: Tensor, labels: Tensor, pairs: Tensor | None = None
    ) -> Tensor:
        """The loss of a batch, a scalar.

        Args:
            similarity: what scores the pairs.
            embeddings: ``[B, D]``.
            labels: ``int64 [B]``, or ``bool [B, L]`` where an image carries several of L labels.
            pairs: ``int64 [P, 2]``, the pairs to compare; None for all ``B (B - 1) / 2`` of the batch.
        """


class CosineLoss(Loss):
    """A loss that compares embeddings by its own means. What it teaches is asked by the cosine, or by any similarity that has
    nothing to learn."""

    def similarity(self, embedding_size: int) -> Similarity:
        return Cosine()

    def teaches(self, similarity: Similarity) -> bool:
        return not any(True for _ in similarity.parameters())
