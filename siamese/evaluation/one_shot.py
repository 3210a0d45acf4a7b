"""N-way K-shot classification by the nearest support embedding or by class means: pure functions of embeddings and
episodes."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor

from siamese.sampling.episodes import Episodes
from siamese.similarity import Similarity

Rule = Literal["nearest", "mean"]  # what a class's supports are to a query: each for itself, or their mean
RULES: dict[Rule, str] = {"nearest": "nearest support embedding", "mean": "mean of the support embeddings"}  # in words
CHUNK = 2**24  # similarities computed at a time: 64 MB


@torch.no_grad()
def episode_scores(embeddings: Tensor, episodes: Episodes, similarity: Similarity, rule: Rule = "nearest") -> Tensor:
    """How alike each query is to each class.

    Args:
        embeddings: ``[rows, D]``, every image of the table embedded once.
        rule: ``nearest`` for the similarity to the nearest of the class's supports; ``mean`` for the similarity to the mean of
            their embeddings as they are, not scaled to length 1 (Snell et al. 2017, Prototypical networks for few-shot
            learning). Of one support both are the same.

    Returns:
        ``float32 [E, Q, N]``.
    """
    if rule not in get_args(Rule):
        raise ValueError(f"episodes are answered by one of {', '.join(get_args(Rule))}, not by {rule}")
    ways, shots = episodes.n_way, episodes.k_shot
    at_once = max(1, CHUNK // (ways * shots * max(episodes.query.shape[1], embeddings.shape[1])))
    scores = []
    for query, support in zip(episodes.query.split(at_once), episodes.support.split(at_once), strict=True):
        if rule == "mean" and shots > 1:
            # In float64, so that the mean of equal embeddings is exactly that embedding, and ties stay ties.
            means = embeddings[support].double().mean(dim=2).float()  # [episodes, N, D]
            scores.append(similarity(embeddings[query], means))
        else:
            each = similarity(embeddings[query], embeddings[support.flatten(1)])
            scores.append(each.unflatten(-1, (ways, shots)).amax(dim=-1))
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
