"""Verification figures against brute force, scikit-learn and torchmetrics, on scores full of ties."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score, roc_curve
from torch import Tensor
from torchmetrics.functional.classification import binary_auroc, binary_eer, binary_roc

from siamese.evaluation.verification import accuracy, balanced_accuracy, best_threshold, rates, roc


@st.composite
def scored_pairs(draw) -> tuple[Tensor, Tensor]:
    """Scores, few or many of them equal, of at least one genuine and one impostor pair.

    None is denormal: a command, run by another test, flushes such numbers to zero for the whole process.
    """
    near = torch.nextafter(torch.tensor(1.0), torch.tensor(2.0)).item()
    value = (
        st.sampled_from([-1.0, 0.0, 0.5, 1.0, near])
        if draw(st.booleans())
        else st.floats(-50, 50, width=32, allow_subnormal=False)
    )
    same = [True, False, *draw(st.lists(st.booleans(), max_size=25))]
    scores = draw(st.lists(value, min_size=len(same), max_size=len(same)))
    return torch.tensor(scores, dtype=torch.float32), torch.tensor(same)


def counted(scores: Tensor, same: Tensor, threshold: float) -> tuple[float, float]:
    """FAR and TAR, counted."""
    accepted = [score >= threshold for score in scores.tolist()]
    genuine = [a for a, s in zip(accepted, same.tolist(), strict=True) if s]
    impostor = [a for a, s in zip(accepted, same.tolist(), strict=True) if not s]
    return sum(impostor) / len(impostor), sum(genuine) / len(genuine)


@settings(max_examples=200, deadline=None)
@given(scored_pairs())
def test_roc_by_brute_force(pairs):
    scores, same = pairs
    curve = roc(scores, same)
    thresholds = [math.inf, *sorted(set(scores.tolist()), reverse=True)]
    assert curve.thresholds.tolist() == thresholds
    points = [counted(scores, same, threshold) for threshold in thresholds]
    assert torch.stack([curve.far, curve.tar], dim=1).tolist() == [pytest.approx(point) for point in points]
    assert curve.frr.tolist() == pytest.approx([1 - tar for _, tar in points])

    genuine, impostor = scores[same].double(), scores[~same].double()
    wins = (genuine.unsqueeze(1) > impostor).double() + 0.5 * (genuine.unsqueeze(1) == impostor).double()
    assert curve.auc == pytest.approx(float(wins.mean()))

    for far in (0.0, 0.001, 0.1, 0.5, 1.0):
        assert curve.tar_at(far) == max(tar for each, tar in points if each <= far)

    # Along the curve FAR - FRR rises from -1 to 1; the error where it is 0 is that of the straight line there.
    dense = [
        (f0 + (f1 - f0) * part, t0 + (t1 - t0) * part)
        for (f0, t0), (f1, t1) in itertools.pairwise(points)
        for part in np.linspace(0, 1, 401)
    ]
    gap, far = min((abs(far - (1 - tar)), far) for far, tar in dense)
    assert gap < 0.01
    assert curve.eer == pytest.approx(far, abs=0.01)


@settings(max_examples=200, deadline=None)
@given(scored_pairs())
def test_roc_is_scikit_learns(pairs):
    scores, same = pairs
    curve = roc(scores, same)
    far, tar, thresholds = roc_curve(same.numpy(), scores.double().numpy(), drop_intermediate=False)
    np.testing.assert_allclose(curve.far, far)
    np.testing.assert_allclose(curve.tar, tar)
    np.testing.assert_allclose(curve.thresholds, thresholds)
    assert curve.auc == pytest.approx(roc_auc_score(same.numpy(), scores.double().numpy()))


@settings(max_examples=200, deadline=None)
@given(scored_pairs())
def test_roc_is_torchmetrics(pairs):
    scores, same = pairs
    scores = scores.double() / 200 + 0.5  # it takes other scores for logits
    curve, target = roc(scores, same), same.long()
    far, tar, _ = binary_roc(scores, target)
    torch.testing.assert_close(curve.far, far.double(), atol=1e-6, rtol=0)
    torch.testing.assert_close(curve.tar, tar.double(), atol=1e-6, rtol=0)
    assert curve.auc == pytest.approx(float(binary_auroc(scores, target)), abs=1e-6)
    # Its equal error rate is the mean of FAR and FRR at the point where they are nearest, not on the line between two.
    steps = (curve.far.diff() + curve.tar.diff()).max()
    assert curve.eer == pytest.approx(float(binary_eer(scores, target)), abs=float(steps) / 2 + 1e-6)


@settings(max_examples=200, deadline=None)
@given(scored_pairs(), st.sampled_from([0.0, 0.01, 0.1, 0.25, 1 / 3, 0.5, 0.99]))
def test_the_threshold_at_a_rate_is_the_lowest_that_keeps_to_it(pairs, far):
    scores, same = pairs
    threshold = roc(scores, same).threshold_at(far)
    assert math.isfinite(threshold)
    kept, tar = counted(scores, same, threshold)
    assert kept <= far
    assert rates(scores, same, threshold) == pytest.approx((kept, tar))
    assert tar == roc(scores, same).tar_at(far)
    below = [score for score in scores.tolist() if score < threshold]
    assert below and counted(scores, same, max(below))[0] > far, "the next score below it would let in too many"
    above = [score for score in scores.tolist() if score >= threshold]
    assert threshold not in scores.tolist() or threshold == min(above)
    if above:
        assert threshold == pytest.approx((max(below) + min(above)) / 2), "halfway between two scores"
    else:
        assert threshold > max(scores.tolist())


def test_a_threshold_between_neighbouring_floats_still_parts_them():
    lower = 1.0
    upper = math.nextafter(lower, 2.0)
    scores = torch.tensor([upper, lower], dtype=torch.float64)
    assert counted(scores, torch.tensor([True, False]), roc(scores, torch.tensor([True, False])).threshold_at(0.0)) == (
        0,
        1,
    )


@settings(max_examples=200, deadline=None)
@given(scored_pairs())
def test_no_threshold_is_better_balanced_than_the_best(pairs):
    scores, same = pairs
    threshold = roc(scores, same).best_threshold(0.5)
    tried = [counted(scores, same, t) for t in (-math.inf, *scores.tolist(), math.inf)]
    assert balanced_accuracy(scores, same, threshold) == pytest.approx(max((tar + 1 - far) / 2 for far, tar in tried))


@settings(max_examples=200, deadline=None)
@given(scored_pairs())
def test_no_threshold_is_better_than_the_best(pairs):
    scores, same = pairs
    threshold = best_threshold(scores, same)
    tried = [-math.inf, *scores.tolist(), math.inf]
    best = max(np.mean([(s >= t) == g for s, g in zip(scores.tolist(), same.tolist(), strict=True)]) for t in tried)
    assert accuracy(scores, same, threshold) == pytest.approx(best)
    assert math.isfinite(threshold)


HALF = torch.arange(20) < 10


def test_a_perfect_scorer():
    curve = roc(HALF.float(), HALF)
    assert (curve.auc, curve.eer, curve.tar_at(0.0), curve.threshold_at(0.0)) == (1.0, 0.0, 1.0, 0.5)
    assert best_threshold(HALF.float(), HALF) == 0.5
    assert accuracy(HALF.float(), HALF, 0.5) == 1.0


def test_a_constant_scorer_knows_nothing():
    curve = roc(torch.full((20,), 0.7), HALF)
    assert (curve.auc, curve.eer, curve.tar_at(0.01), curve.tar_at(1.0)) == (0.5, 0.5, 0.0, 1.0)
    threshold = best_threshold(torch.full((20,), 0.7), HALF)
    assert accuracy(torch.full((20,), 0.7), HALF, threshold) == 0.5


def test_a_reversed_scorer_is_wrong_everywhere():
    curve = roc(-HALF.float(), HALF)
    assert (curve.auc, curve.eer, curve.tar_at(0.5)) == (0.0, 1.0, 0.0)
    threshold = best_threshold(-HALF.float(), HALF)
    assert accuracy(-HALF.float(), HALF, threshold) == 0.5, "accept all or nothing, but no better"


@pytest.mark.parametrize("same", [torch.ones(3).bool(), torch.zeros(3).bool()])
def test_one_kind_of_pairs_has_no_roc(same):
    with pytest.raises(ValueError, match="both genuine and impostor"):
        roc(torch.rand(3), same)


def test_nan_is_told():
    with pytest.raises(ValueError, match="NaN"):
        roc(torch.tensor([0.1, torch.nan]), torch.tensor([True, False]))
