"""Probabilities: against a fit by another optimiser, brute force and torchmetrics; and what a checkpoint stores of them."""

import dataclasses
import io
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from torch import Tensor
from torchmetrics.functional.classification import binary_calibration_error

from siamese.evaluation import calibration
from siamese.evaluation.calibration import (
    OperatingPoint,
    choose_operating_point,
    expected_calibration_error,
    platt,
    reliability,
)
from siamese.evaluation.verification import rates, roc

# No denormal numbers: a command, run by a test before, flushes them to zero for the whole process.
SCORE = st.floats(-20, 20, width=32, allow_subnormal=False)
WHERE = {"dataset": "att-faces", "fingerprint": "f1", "classes": 5}


def normal_scores(genuine: int, impostors: int, apart: float, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Scores of two normal distributions of variance 1, ``apart`` apart; the log odds are apart * score - apart^2 / 2."""
    same = torch.arange(genuine + impostors) < genuine
    return torch.randn(len(same), generator=torch.Generator().manual_seed(seed)) + apart * same, same


def test_the_operating_point_says_where_it_is_from_and_survives_a_checkpoint():
    scores, same = normal_scores(450, 4500, 2.0)
    point = choose_operating_point(scores, same, 0.01, **WHERE)
    assert point.source == "FAR 1 % on 4,950 pairs of 5 validation classes of att-faces"
    assert point.threshold == roc(scores, same).threshold_at(0.01)
    assert 0.009 < rates(scores, same, point.threshold)[0] <= 0.01
    file = io.BytesIO()
    torch.save(dataclasses.asdict(point), file)
    file.seek(0)
    assert OperatingPoint(**torch.load(file, weights_only=True)) == point


@pytest.mark.parametrize(("genuine", "impostors"), [(4000, 4000), (400, 20000)])
def test_the_probability_is_for_a_prior_of_one_half_however_many_pairs_there_are(genuine: int, impostors: int):
    slope, intercept = platt(*normal_scores(genuine, impostors, 2.0))
    assert slope == pytest.approx(2.0, rel=0.15)
    assert intercept == pytest.approx(-2.0, rel=0.15)


def test_the_fit_is_the_minimum_of_platts_loss():
    scores, same = normal_scores(40, 160, 1.5)
    weight = torch.where(same, 0.5 / 40, 0.5 / 160).numpy()
    target = torch.where(same, 41 / 42, 1 / 162).numpy()

    def loss(line: np.ndarray) -> float:
        odds = line[0] * scores.numpy() + line[1]
        return float((weight * (np.logaddexp(0, odds) - target * odds)).sum())

    assert platt(scores, same) == pytest.approx(minimize(loss, [0.0, 0.0], tol=1e-12).x, rel=1e-3)


@pytest.mark.parametrize("apart", [1e-6, 1.0, 1e6])
def test_scores_without_an_error_keep_the_slope_finite(apart: float):
    same = torch.arange(100) < 50
    slope, intercept = platt(apart * same.double(), same)
    assert math.isfinite(slope) and slope > 0
    for score, probability in ((apart, 51 / 52), (0.0, 1 / 52)):  # Platt's targets themselves
        assert 1 / (1 + math.exp(-slope * score - intercept)) == pytest.approx(probability, abs=1e-4)


@pytest.mark.parametrize("scores", [torch.full((20,), 0.7), -(torch.arange(20) < 10).float()])
def test_scores_that_know_nothing_or_the_contrary_get_one_half(scores: Tensor):
    point = choose_operating_point(scores, torch.arange(20) < 10, 0.01, **WHERE)
    assert point.probability(torch.tensor([-5.0, 0.7, 9.0])).tolist() == [0.5, 0.5, 0.5]


def test_many_scores_are_summarised_without_another_fit(monkeypatch: pytest.MonkeyPatch):
    scores, same = normal_scores(3000, 9000, 2.0)
    whole = platt(scores, same)
    monkeypatch.setattr(calibration, "MOST_QUANTILES", 1000)
    assert platt(scores, same) != whole
    assert platt(scores, same) == pytest.approx(whole, rel=0.01)


@settings(max_examples=50, deadline=None)
@given(st.lists(SCORE, min_size=4, max_size=30), SCORE, SCORE)
def test_the_probability_never_falls_with_the_score(values: list[float], one: float, other: float):
    same = torch.arange(len(values)) % 2 == 0
    point = choose_operating_point(torch.tensor(values), same, 0.1, **WHERE)
    low, high = point.probability(torch.tensor(sorted([one, other])))
    assert 0 <= low <= high <= 1 and low.dtype == torch.float64


@pytest.mark.parametrize("far", [-0.1, 1.0, math.nan])
def test_no_such_rate(far: float):
    with pytest.raises(ValueError, match="false accept rate"):
        choose_operating_point(*normal_scores(5, 5, 1.0), far, **WHERE)


@st.composite
def judged(draw) -> tuple[Tensor, Tensor]:
    """Probabilities, some of them on the edges of bins, and kinds of at least one pair of either kind."""
    size = draw(st.integers(2, 40))
    edges = st.sampled_from([0.0, 0.2, 0.4, 0.5, 1.0])
    values = draw(st.lists(st.one_of(edges, st.floats(0, 1, allow_subnormal=False)), min_size=size, max_size=size))
    kinds = [True, False, *draw(st.lists(st.booleans(), min_size=size - 2, max_size=size - 2))]
    return torch.tensor(values, dtype=torch.float64), torch.tensor(kinds)


@settings(max_examples=200, deadline=None)
@given(judged(), st.sampled_from([1, 5, 10]), st.sampled_from([None, 0.5, 0.1]))
def test_the_calibration_error_by_brute_force(pairs: tuple[Tensor, Tensor], bins: int, prior: float | None):
    probabilities, same = pairs
    genuine = int(same.sum())
    of_kind = {True: 1 / len(same), False: 1 / len(same)}
    if prior is not None:
        of_kind = {True: prior / genuine, False: (1 - prior) / (len(same) - genuine)}
    edges = torch.linspace(0, 1, bins + 1, dtype=torch.float64).tolist()
    error = 0.0
    for low, high in zip(edges, [*edges[1:-1], math.inf], strict=False):
        inside = [(p, s) for p, s in zip(probabilities.tolist(), same.tolist(), strict=True) if low <= p < high]
        weight = sum(of_kind[s] for _, s in inside)
        if inside:
            promised = sum(of_kind[s] * p for p, s in inside) / weight
            kept = sum(of_kind[s] * s for _, s in inside) / weight
            error += weight * abs(kept - promised)
    assert expected_calibration_error(probabilities, same, bins, prior) == pytest.approx(error)
    diagram = reliability(probabilities, same, bins, prior)
    assert float(diagram.weight.sum()) == pytest.approx(1)
    assert (diagram.probability.diff() > 0).all()


def test_unweighted_it_is_torchmetrics():
    same = torch.rand(5000, generator=torch.Generator().manual_seed(0)) < 0.3
    probabilities = torch.rand(5000, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    theirs = binary_calibration_error(probabilities, same.long(), n_bins=15, norm="l1")
    assert expected_calibration_error(probabilities, same, 15, prior=None) == pytest.approx(float(theirs), abs=1e-6)


def test_known_calibration_errors():
    half = torch.arange(1000) % 2 == 0
    assert expected_calibration_error(torch.full((1000,), 0.5), half) == pytest.approx(0.0)
    assert expected_calibration_error(torch.full((1000,), 0.9), half) == pytest.approx(0.4, abs=1e-6)
    assert expected_calibration_error((~half).double(), half) == 1.0
    few = torch.arange(1000) < 10
    assert expected_calibration_error(torch.full((1000,), 0.5), few) == pytest.approx(0.0), "for a prior of one half"
    assert expected_calibration_error(torch.full((1000,), 0.5), few, prior=None) == pytest.approx(0.49)


def test_what_is_fitted_on_some_pairs_is_calibrated_on_others():
    point = choose_operating_point(*normal_scores(2000, 20000, 2.0, seed=0), 0.01, **WHERE)
    scores, same = normal_scores(2000, 20000, 2.0, seed=1)
    assert expected_calibration_error(point.probability(scores), same) < 0.03
    assert expected_calibration_error(point.probability(scores + 1), same) > 0.1, "shifted scores are not"


@pytest.mark.parametrize("values", [[], [0.5, 1.5], [0.5, math.nan]])
def test_no_probabilities(values: list[float]):
    with pytest.raises(ValueError, match="probabilities in"):
        reliability(torch.tensor(values), torch.ones(len(values), dtype=torch.bool))
