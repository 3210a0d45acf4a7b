"""Few-shot classification: chance is exactly chance, ties are shared, and no shortcut changes a score."""

import pytest
import torch
from torch import Tensor

from siamese.evaluation import one_shot
from siamese.evaluation.one_shot import Rule, credits, episode_scores
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
RULES: tuple[Rule, ...] = ("nearest", "mean")


def vectors(rows: int) -> Tensor:
    return torch.randn(rows, D, generator=generator(4))


@pytest.mark.parametrize("make", SIMILARITIES)
@pytest.mark.parametrize(("n_way", "k_shot"), [(2, 1), (3, 4), (5, 1), (6, 2)])
@pytest.mark.parametrize("size", [D, 255])
@pytest.mark.parametrize("rule", RULES)
def test_a_constant_network_earns_exactly_one_in_n(tiny, make, n_way, k_shot, size, rule):
    similarity = WeightedL1(size) if make is weighted else make()
    for protocol in ("within", "across"):
        drawn = sample_episodes(tiny, 30, n_way, k_shot, generator(0), protocol)
        same = torch.randn(size, generator=generator(5)).expand(len(tiny), -1).contiguous()
        earned = credits(episode_scores(same, drawn, similarity, rule), drawn.target)
        assert (earned == torch.tensor(1.0) / n_way).all()


@pytest.mark.parametrize("make", [Euclidean, Cosine])
@pytest.mark.parametrize("rule", RULES)
def test_an_oracle_earns_one(tiny, make, rule):
    drawn = sample_episodes(tiny, 50, 12, 3, generator(0), "across")
    known = torch.nn.functional.one_hot(tiny.labels).float()
    assert (credits(episode_scores(known, drawn, make(), rule), drawn.target) == 1).all()


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


def brute_force(embeddings: Tensor, episodes: Episodes, similarity: Similarity, rule: Rule) -> Tensor:
    """Every query against every support, one at a time, of which the nearest of a class counts; or against their mean."""
    scores = torch.empty(len(episodes), episodes.query.shape[1], episodes.n_way)
    for e in range(len(episodes)):
        for q, query in enumerate(episodes.query[e]):
            for slot, support in enumerate(episodes.support[e]):
                shots = [embeddings[row] for row in support]
                if rule == "mean":
                    scores[e, q, slot] = similarity.paired(embeddings[query], sum(shots, torch.zeros(D)) / len(shots))
                else:
                    scores[e, q, slot] = max(similarity.paired(embeddings[query], shot) for shot in shots)
    return scores


@torch.no_grad()
@pytest.mark.parametrize("make", SIMILARITIES)
@pytest.mark.parametrize("k_shot", [1, 3])
@pytest.mark.parametrize("rule", RULES)
def test_scores_are_those_of_the_nearest_support_or_of_the_class_mean(tiny, make, k_shot, rule):
    embeddings, similarity = vectors(len(tiny)), make()
    drawn = sample_episodes(tiny, 6, 5, k_shot, generator(0))
    before = embeddings.clone()
    scores = episode_scores(embeddings, drawn, similarity, rule)
    assert scores.dtype == torch.float32
    assert torch.equal(embeddings, before)
    torch.testing.assert_close(scores, brute_force(embeddings, drawn, similarity, rule), atol=2e-6, rtol=1e-5)


@pytest.mark.parametrize("make", SIMILARITIES)
def test_of_one_support_both_rules_are_the_same_and_of_several_they_are_not(tiny, make):
    embeddings, similarity = vectors(len(tiny)), make()
    one, three = (sample_episodes(tiny, 20, 5, shots, generator(0)) for shots in (1, 3))
    assert torch.equal(*(episode_scores(embeddings, one, similarity, rule) for rule in RULES))
    nearest, mean = (episode_scores(embeddings, three, similarity, rule) for rule in RULES)
    assert torch.equal(nearest, episode_scores(embeddings, three, similarity))  # the default
    assert not torch.allclose(nearest, mean)


def test_the_rules_by_hand():
    """One class around the query and far from it, the other nearer than each of them."""
    episodes = Episodes(torch.tensor([[[0, 1], [2, 3]]]), torch.tensor([[4]]), torch.tensor([[0]]))
    points = torch.tensor([[-3.0], [3.0], [2.0], [2.0], [0.0]])
    assert episode_scores(points, episodes, Euclidean()).tolist() == [[[-3, -2]]]
    assert episode_scores(points, episodes, Euclidean(), "mean").tolist() == [[[0, -2]]]


def test_another_rule_is_refused(tiny):
    drawn = sample_episodes(tiny, 2, 5, 1, generator(0))
    with pytest.raises(ValueError, match="one of nearest, mean, not by median"):
        episode_scores(vectors(len(tiny)), drawn, Euclidean(), "median")  # type: ignore[arg-type]


@pytest.mark.parametrize("make", SIMILARITIES)
@pytest.mark.parametrize("chunk", [1, 300, 5000])
@pytest.mark.parametrize("rule", RULES)
def test_chunks_change_nothing(tiny, make, chunk, rule, monkeypatch):
    embeddings, similarity = vectors(len(tiny)), make()
    drawn = sample_episodes(tiny, 37, 6, 2, generator(0))
    whole = episode_scores(embeddings, drawn, similarity, rule)
    monkeypatch.setattr(one_shot, "CHUNK", chunk)
    torch.testing.assert_close(episode_scores(embeddings, drawn, similarity, rule), whole, atol=1e-6, rtol=0)


def test_scores_of_bfloat16_embeddings_are_float32(tiny):
    drawn = sample_episodes(tiny, 5, 5, 2, generator(0))
    for rule in RULES:
        assert episode_scores(vectors(len(tiny)).bfloat16(), drawn, Cosine(), rule).dtype == torch.float32


def test_broken_embeddings_earn_nothing(tiny):
    drawn = sample_episodes(tiny, 5, 5, 2, generator(0))
    broken = torch.full((len(tiny), D), torch.nan)
    for similarity in (weighted(), Euclidean(), Cosine()):
        for rule in RULES:
            assert (credits(episode_scores(broken, drawn, similarity, rule), drawn.target) == 0).all()


def test_queries_need_not_be_as_many_as_ways():
    episodes = Episodes(torch.tensor([[[0], [1]]]), torch.tensor([[2, 3, 1]]), torch.tensor([[0, 1, 1]]))
    points = torch.tensor([[0.0], [10.0], [4.0], [6.0]])
    scores = episode_scores(points, episodes, Euclidean())
    assert scores.tolist() == [[[-4, -6], [-6, -4], [-10, 0]]]
    assert credits(scores, episodes.target).tolist() == [[1, 1, 1]]
