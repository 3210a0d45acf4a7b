"""How alike two embeddings are: higher is more alike. Every similarity scores all pairs of two sets, or given pairs."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Similarity(nn.Module, ABC):
    """Scores embeddings, always in float32: in bfloat16 near scores would tie."""

    @abstractmethod
    def forward(self, queries: Tensor, supports: Tensor) -> Tensor:
        """All pairs: embeddings ``[..., Q, D]`` and ``[..., S, D]`` to similarities ``float32 [..., Q, S]``."""

    @abstractmethod
    def paired(self, first: Tensor, second: Tensor) -> Tensor:
        """Given pairs: embeddings ``[..., D]`` and ``[..., D]`` to similarities ``float32 [...]``."""


class WeightedL1(Similarity):
    """Koch's head: the logit ``b + sum_j alpha_j |x_j - y_j|`` with learned ``alpha`` and ``b`` (Koch et al. 2015, 3.1).

    All pairs are scored without a tensor of Q x S x D: weights enter an L1 distance as a factor of the embeddings, and
    as ``alpha`` has both signs, the score is the difference of two distances.

    Args:
        embedding_size: D.
    """

    def __init__(self, embedding_size: int) -> None:
        super().__init__()
        # Every coordinate that differs speaks against "same" from the first step; the paper does not tell its start.
        self.alpha = nn.Parameter(torch.full((embedding_size,), -1.0 / embedding_size**0.5))
        self.bias = nn.Parameter(torch.ones(()))

    def forward(self, queries: Tensor, supports: Tensor) -> Tensor:
        queries, supports = queries.float(), supports.float()
        for_same, for_other = self.alpha.clamp_min(0), (-self.alpha).clamp_min(0)
        same = torch.cdist(queries * for_same, supports * for_same, p=1)
        other = torch.cdist(queries * for_other, supports * for_other, p=1)
        return self.bias + same - other

    def paired(self, first: Tensor, second: Tensor) -> Tensor:
        # Not a matrix product, which autocast would compute in bfloat16.
        return self.bias + ((first.float() - second.float()).abs() * self.alpha).sum(dim=-1)


class Euclidean(Similarity):
    """The negative Euclidean distance (Hadsell, Chopra, LeCun 2006)."""

    def forward(self, queries: Tensor, supports: Tensor) -> Tensor:
        # Exact differences: the matrix-product shortcut loses small distances, and with them the ties of equal images.
        return -torch.cdist(queries.float(), supports.float(), compute_mode="donot_use_mm_for_euclid_dist")

    def paired(self, first: Tensor, second: Tensor) -> Tensor:
        return -torch.linalg.vector_norm(first.float() - second.float(), dim=-1)


class Cosine(Similarity):
    """The cosine of the angle between two embeddings, in [-1, 1]."""

    def forward(self, queries: Tensor, supports: Tensor) -> Tensor:
        queries, supports = F.normalize(queries.float(), dim=-1), F.normalize(supports.float(), dim=-1)
        # 1 - d^2 / 2 of unit vectors. A matrix product may round equal pairs differently, which breaks their tie, and
        # autocast would compute it in bfloat16.
        distance = torch.cdist(queries, supports, compute_mode="donot_use_mm_for_euclid_dist")
        nothing = ~queries.any(dim=-1, keepdim=True) | ~supports.any(dim=-1).unsqueeze(-2)
        return (1 - distance.square() / 2).masked_fill(nothing, 0.0)

    def paired(self, first: Tensor, second: Tensor) -> Tensor:
        return F.cosine_similarity(first.float(), second.float(), dim=-1)
