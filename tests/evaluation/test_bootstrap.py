"""Intervals by identity: replicates against brute force, their width and their coverage."""

import math
import statistics
import time

import pytest
import torch
from torch import Tensor

from siamese.evaluation import bootstrap as module
from siamese.evaluation.bootstrap import SortedPairs, bootstrap, percentile_interval
from siamese.evaluation.verification import rates, roc

FARS = (0.1, 0.01, 0.0)


def random_pairs(identities: int, pairs: int, ties: bool, draw: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Scores, kinds and identities of pairs, half of them genuine."""
    who = torch.randint(identities, (pairs, 2), generator=draw)
    who[: pairs // 2, 1] = who[: pairs // 2, 0]
    same = who[:, 0] == who[:, 1]
    scores = torch.randn(pairs, generator=draw) + same
    return (scores * 3).round() if ties else scores, same, who


@pytest.mark.parametrize("ties", [True, False])
def test_a_replicate_is_the_figures_of_a_table_with_repeated_identities(ties: bool):
    draw = torch.Generator().manual_seed(0)
    known = 0
    for _ in range(100):
        scores, same, who = random_pairs(5, 40, ties, draw)
        numbers = who.unique()
        pairs = SortedPairs(scores, same, who, FARS, [0.5, 1.0])
        copies = torch.bincount(torch.randint(len(numbers), (len(numbers),), generator=draw), minlength=len(numbers))
        found, some = pairs.figures(copies[None].float())
        # By hand: every pair once for each choice of a copy of its one and a copy of its other identity.
        place = torch.searchsorted(numbers, who)
        times = torch.where(same, copies[place[:, 0]], copies[place].prod(dim=1))
        again, kinds = scores.repeat_interleave(times), same.repeat_interleave(times)
        assert bool(some) == (bool(kinds.any()) and not bool(kinds.all()))
        if not some:
            continue
        known += 1
        curve = roc(again, kinds)
        assert found.auc.item() == pytest.approx(curve.auc)
        assert found.eer.item() == pytest.approx(curve.eer)
        assert found.tar_at[0].tolist() == pytest.approx([curve.tar_at(far) for far in FARS])
        for place, threshold in enumerate((0.5, 1.0)):
            assert (found.far[0, place].item(), found.tar[0, place].item()) == pytest.approx(
                rates(again, kinds, threshold)
            )
    assert known > 80


def test_every_identity_once_is_the_data_itself():
    scores, same, who = random_pairs(30, 500, False, torch.Generator().manual_seed(1))
    found, _ = SortedPairs(scores, same, who, FARS, [0.0]).figures(torch.ones(1, 30))
    assert (found.auc.item(), found.eer.item()) == pytest.approx((roc(scores, same).auc, roc(scores, same).eer))


def test_replicates_without_one_kind_of_pairs_are_drawn_again():
    # Of two identities every second draw is of one of them only, and has no impostors.
    who = torch.tensor([[0, 0], [1, 1], [0, 1]])
    found = bootstrap(
        torch.tensor([3.0, 1.0, 2.0]), torch.tensor([True, True, False]), who, FARS, [0.0], 200, torch.Generator()
    )
    assert len(found.auc) == 200
    assert found.auc.tolist() == [0.5] * 200


def simulated(identities: int, draw: torch.Generator, images: int = 5) -> tuple[Tensor, Tensor, Tensor]:
    """Identities that are more or less easily recognised, and more or less easily taken for others."""
    easy, alike = torch.randn(2, identities, generator=draw)
    own = torch.arange(identities).repeat_interleave(images)
    one, other = torch.triu_indices(identities, identities, 1)
    genuine = 2 + easy[own] + 0.5 * torch.randn(len(own), generator=draw)
    impostors = 0.7 * (alike[one] + alike[other]) + 0.5 * torch.randn(len(one), generator=draw)
    who = torch.cat([torch.stack([own, own], 1), torch.stack([one, other], 1)])
    return torch.cat([genuine, impostors]), who[:, 0] == who[:, 1], who


# The difference of a genuine and an impostor score is normal.
TRUE_AUC = statistics.NormalDist().cdf(2 / math.sqrt(1 + 0.25 + 2 * 0.49 + 0.25))


def pair_bootstrap(scores: Tensor, same: Tensor, replicates: int, draw: torch.Generator) -> tuple[float, float]:
    found = []
    while len(found) < replicates:
        rows = torch.randint(len(same), (len(same),), generator=draw)
        found.append(roc(scores[rows], same[rows]).auc)
    return percentile_interval(torch.tensor(found))


def test_it_is_wider_than_resampling_pairs_where_identities_differ():
    draw = torch.Generator().manual_seed(2)
    for _ in range(3):
        scores, same, who = simulated(30, draw)
        by_identity = percentile_interval(bootstrap(scores, same, who, FARS, [0.0], 400, draw).auc)
        by_pair = pair_bootstrap(scores, same, 400, draw)
        assert by_identity[1] - by_identity[0] > 1.5 * (by_pair[1] - by_pair[0])


def test_about_as_many_intervals_hold_the_truth_as_they_say():
    draw = torch.Generator().manual_seed(3)
    trials, held, held_by_pairs = 150, 0, 0
    for _ in range(trials):
        scores, same, who = simulated(40, draw)
        low, high = percentile_interval(bootstrap(scores, same, who, FARS, [0.0], 200, draw).auc)
        held += low <= TRUE_AUC <= high
        low, high = pair_bootstrap(scores, same, 60, draw)
        held_by_pairs += low <= TRUE_AUC <= high
    # 95 % is what it aims at with many identities; binomial deviations of 150 trials are two points.
    assert 0.87 <= held / trials <= 0.99
    assert held_by_pairs / trials < 0.8


def test_chunks_and_seeds(monkeypatch: pytest.MonkeyPatch):
    given = random_pairs(20, 300, True, torch.Generator().manual_seed(4))

    def replicates(seed: int) -> Tensor:
        return bootstrap(*given, FARS, [0.0], 50, torch.Generator().manual_seed(seed)).auc

    first = replicates(0)
    assert torch.equal(first, replicates(0))
    assert not torch.equal(first, replicates(1))
    monkeypatch.setattr(module, "CHUNK", 1000)
    assert len(replicates(0)) == 50
    torch.testing.assert_close(replicates(0), first)  # however many are computed at once


def test_of_very_many_pairs_some_are_drawn_and_say_nearly_the_same(monkeypatch: pytest.MonkeyPatch):
    given = random_pairs(20, 8000, False, torch.Generator().manual_seed(5))
    low, high = percentile_interval(bootstrap(*given, FARS, [0.0], 300, torch.Generator().manual_seed(0)).auc)
    monkeypatch.setattr(module, "MOST_PAIRS", 2000)
    some = percentile_interval(bootstrap(*given, FARS, [0.0], 300, torch.Generator().manual_seed(0)).auc)
    assert some != (low, high)
    assert some == pytest.approx((low, high), abs=0.02)


def test_ten_thousand_pairs_take_a_moment():
    given = random_pairs(659, 10_000, False, torch.Generator().manual_seed(6))
    began = time.process_time()
    bootstrap(*given, (0.01, 0.001), [0.5], 1000, torch.Generator())
    assert time.process_time() - began < 3


def test_identities_must_fit_the_kinds():
    who = torch.tensor([[0, 0], [0, 1]])
    with pytest.raises(ValueError, match="if and only if"):
        SortedPairs(torch.rand(2), torch.tensor([True, True]), who, FARS, [])
    with pytest.raises(ValueError, match="both genuine and impostor"):
        SortedPairs(torch.rand(1), torch.tensor([True]), who[:1], FARS, [])
