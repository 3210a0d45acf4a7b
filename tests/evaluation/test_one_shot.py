"""Few-shot classification: chance is exactly chance, ties are shared, and no shortcut changes a score."""

import pytest
import torch
from torch import Tensor

from siamese.evaluation import one_shot
from siamese.evaluation.one_shot import credits, episode_scores
from siamese.sampling.episodes import Episodes, sample_episodes
from siamese.sampling.seeds import generator
from siamese.similarity import Cosine, Euclidean, Similarity, WeightedL1

D = 9


def weighted() -> WeightedL1:
    similarity = WeightedL1(D)
    with torch.no_grad():
        similarity.alpha.copy_(torch.randn(D, generator=generator(8)))
    return similarity


SIMILARITIES = [pytest.param(make, id=make.__name__) for make in (weighted, Euclidean, Cosine)]


def vectors(rows: int) -> Tensor:
    return torch.randn(rows, D, generator=generator(4))


@pytest.mark.parametrize("make", SIMILARITIES)
@pytest.mark.parametrize(("n_way", "k_shot"), [(2, 1), (3, 4), (5, 1), (6, 2)])
@pytest.mark.parametrize("size", [D, 255])
def test_a_constant_network_earns_exactly_one_in_n(tiny, make, n_way, k_shot, size):
    similarity = WeightedL1(size) if make is weighted else make()
    for protocol in ("within", "across"):
        drawn = sample_episodes(tiny, 30, n_way, k_shot, generator(0), protocol)
        same = torch.randn(size, generator=generator(5)).expand(len(tiny), -1).contiguous()
        earned = credits(episode_scores(same, drawn, similarity), drawn.target)
        assert (earned == torch.tensor(1.0) / n_way).all()


@pytest.mark.parametrize("make", [Euclidean, Cosine])
def test_an_oracle_earns_one(tiny, make):
    drawn = sample_episodes(tiny, 50, 12, 3, generator(0), "across")
    known = torch.nn.functional.one_hot(tiny.labels).float()
    assert (credits(episode_scores(known, drawn, make()), drawn.target) == 1).all()


def test_an_oracle_that_points_to_another_class_earns_nothing(tiny):
    drawn = sample_episodes(tiny, 50, 6, 1, generator(0))
    known = torch.nn.functional.one_hot(tiny.labels).float()
    assert (credits(episode_scores(known, drawn, Euclidean()), (drawn.target + 1) % 6) == 0).all()


def test_what_is_credited():
    nan, inf = torch.nan, torch.inf
    scores = torch.tensor(
        [[1.0, 3, 2], [3, 3, 2], [3, 3, 3], [1, 3, 3], [nan, 1, 2], [1, nan, 1], [nan] * 3, [-inf] * 3, [0, inf, 5]]
    )
    assert credits(scores, torch.ones(9).long()).tolist() == pytest.approx([1, 1 / 2, 1 / 3, 1 / 2, 0, 0, 0, 1 / 3, 1])
    assert credits(scores, torch.zeros(9).long()).tolist() == pytest.approx([0, 1 / 2, 1 / 3, 0, 0, 0, 0, 1 / 3, 0])


def test_credits_of_a_trial_add_up_to_one():
    scores = torch.randint(4, (200, 7), generator=generator(1)).float()
    assert (
        torch.stack([credits(scores, torch.full((200,), slot)) for slot in range(7)]).sum(0).allclose(torch.ones(200))
    )


def brute_force(embeddings: Tensor, episodes: Episodes, similarity: Similarity) -> Tensor:
    """Every query against every support, one at a time; of a class counts the nearest."""
    scores = torch.empty(len(episodes), episodes.query.shape[1], episodes.n_way)
    for e in range(len(episodes)):
        for q, query in enumerate(episodes.query[e]):
            for slot, support in enumerate(episodes.support[e]):
                scores[e, q, slot] = max(similarity.paired(embeddings[query], embeddings[row]) for row in support)
    return scores


@torch.no_grad()
@pytest.mark.parametrize("make", SIMILARITIES)
@pytest.mark.parametrize("k_shot", [1, 3])
def test_scores_are_those_of_the_nearest_support(tiny, make, k_shot):
    embeddings, similarity = vectors(len(tiny)), make()
    drawn = sample_episodes(tiny, 6, 5, k_shot, generator(0))
    scores = episode_scores(embeddings, drawn, similarity)
    assert scores.dtype == torch.float32
    torch.testing.assert_close(scores, brute_force(embeddings, drawn, similarity), atol=2e-6, rtol=1e-5)


@pytest.mark.parametrize("make", SIMILARITIES)
@pytest.mark.parametrize("chunk", [1, 300, 5000])
def test_chunks_change_nothing(tiny, make, chunk, monkeypatch):
    embeddings, similarity = vectors(len(tiny)), make()
    drawn = sample_episodes(tiny, 37, 6, 2, generator(0))
    whole = episode_scores(embeddings, drawn, similarity)
    monkeypatch.setattr(one_shot, "CHUNK", chunk)
    torch.testing.assert_close(episode_scores(embeddings, drawn, similarity), whole, atol=1e-6, rtol=0)


def test_scores_of_bfloat16_embeddings_are_float32(tiny):
    drawn = sample_episodes(tiny, 5, 5, 1, generator(0))
    assert episode_scores(vectors(len(tiny)).bfloat16(), drawn, Cosine()).dtype == torch.float32


def test_broken_embeddings_earn_nothing(tiny):
    drawn = sample_episodes(tiny, 5, 5, 1, generator(0))
    broken = torch.full((len(tiny), D), torch.nan)
    for similarity in (weighted(), Euclidean(), Cosine()):
        assert (credits(episode_scores(broken, drawn, similarity), drawn.target) == 0).all()


def test_queries_need_not_be_as_many_as_ways():
    episodes = Episodes(torch.tensor([[[0], [1]]]), torch.tensor([[2, 3, 1]]), torch.tensor([[0, 1, 1]]))
    points = torch.tensor([[0.0], [10.0], [4.0], [6.0]])
    scores = episode_scores(points, episodes, Euclidean())
    assert scores.tolist() == [[[-4, -6], [-6, -4], [-10, 0]]]
    assert credits(scores, episodes.target).tolist() == [[1, 1, 1]]
