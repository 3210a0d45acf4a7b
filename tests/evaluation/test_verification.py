"""Verification figures against brute force and scikit-learn, on scores full of ties."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score, roc_curve
from torch import Tensor

from siamese.evaluation.evaluator import Evaluator
from siamese.evaluation.verification import accuracy, best_threshold, roc
from siamese.evaluation.verify import Verification
from siamese.similarity import Euclidean


@st.composite
def scored_pairs(draw) -> tuple[Tensor, Tensor]:
    """Scores, few or many of them equal, of at least one genuine and one impostor pair."""
    near = torch.nextafter(torch.tensor(1.0), torch.tensor(2.0)).item()
    value = st.sampled_from([-1.0, 0.0, 0.5, 1.0, near]) if draw(st.booleans()) else st.floats(-50, 50, width=32)
    same = [True, False, *draw(st.lists(st.booleans(), max_size=25))]
    scores = draw(st.lists(value, min_size=len(same), max_size=len(same)))
    return torch.tensor(scores, dtype=torch.float32), torch.tensor(same)


def rates(scores: Tensor, same: Tensor, threshold: float) -> tuple[float, float]:
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
    points = [rates(scores, same, threshold) for threshold in thresholds]
    assert torch.stack([curve.far, curve.tar], dim=1).tolist() == [pytest.approx(point) for point in points]

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
    assert (curve.auc, curve.eer, curve.tar_at(0.0)) == (1.0, 0.0, 1.0)
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


class Scores:
    """A system and data whose embeddings are points on a line, given by split."""

    def __init__(self, table, val: Tensor, test: Tensor) -> None:
        self.of_split, self.similarity, self.rows = {"val": val, "test": test}, Euclidean(), table

    def table(self, _: str):
        return self.rows

    def embeddings(self, split: str) -> Tensor:
        return self.of_split[split]


def reported(table, val: Tensor, test: Tensor, **options) -> dict:
    evaluator: Evaluator = Verification(pairs=200, **options)
    given = Scores(table, val, test)
    evaluator.prepare(given)
    evaluator.report(given, given)
    return evaluator.results["verification"]


def test_the_threshold_comes_from_validation_and_not_from_test(tiny):
    known = tiny.labels.float().unsqueeze(1)
    first = reported(tiny, known, known)
    assert first["accuracy"] == first["auc"] == 1.0
    assert first["threshold"] == -0.5
    shrunk = reported(tiny, known, 0.01 * known)
    assert shrunk["threshold"] == first["threshold"], "the test embeddings have no say"
    assert shrunk["auc"] == 1.0
    assert shrunk["accuracy"] == pytest.approx(0.5, abs=0.01), "at that threshold all are accepted"
    assert reported(tiny, 10 * known, known)["threshold"] == -5.0


def test_test_pairs_are_of_the_sources_asked_for(tiny):
    evaluator = Verification(pairs=100, sources=[3, 4])
    evaluator.prepare(Scores(tiny, torch.empty(0), torch.empty(0)))
    rows, same = evaluator.test
    assert set(tiny.sources[rows].flatten().tolist()) == {3, 4}
    assert torch.equal(same, tiny.labels[rows[:, 0]] == tiny.labels[rows[:, 1]])
