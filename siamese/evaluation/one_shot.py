"""N-way K-shot classification by nearest support embedding: pure functions of embeddings and episodes."""

from __future__ import annotations

import torch
from torch import Tensor

from siamese.sampling.episodes import Episodes
from siamese.similarity import Similarity

CHUNK = 2**24  # similarities computed at a time: 64 MB


@torch.no_grad()
def episode_scores(embeddings: Tensor, episodes: Episodes, similarity: Similarity) -> Tensor:
    """How alike each query is to each class: that of the nearest of the class's supports.

    Args:
        embeddings: ``[rows, D]``, every image of the table embedded once.

    Returns:
        ``float32 [E, Q, N]``.
    """
    ways, shots = episodes.n_way, episodes.k_shot
    at_once = max(1, CHUNK // (ways * shots * max(episodes.query.shape[1], embeddings.shape[1])))
    scores = [
        similarity(embeddings[query], embeddings[support.flatten(1)]).unflatten(-1, (ways, shots)).amax(dim=-1)
        for query, support in zip(episodes.query.split(at_once), episodes.support.split(at_once), strict=True)
    ]
    return torch.cat(scores)


def credits(scores: Tensor, target: Tensor) -> Tensor:
    """What each trial earns: 1 if the target alone has the top score, 1/n if it shares it with n - 1 others, else 0.

    So a network that embeds everything alike earns exactly 1/N, wherever the target stands.

    Args:
        scores: float ``[..., N]``, higher is nearer.
        target: ``int64 [...]``.

    Returns:
        ``float32 [...]``. NaN scores earn 0.
    """
    top = scores == scores.amax(dim=-1, keepdim=True)
    hit = top.gather(-1, target.unsqueeze(-1)).squeeze(-1)
    return hit.float() / top.sum(dim=-1).clamp_min(1)
