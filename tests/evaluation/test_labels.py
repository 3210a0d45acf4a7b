"""Figures of several labels an image against brute force and scikit-learn, with ties and labels that nobody carries."""

import math
import warnings
from itertools import pairwise, permutations

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sklearn import metrics
from torch import Tensor

from siamese.evaluation.labels import (
    average_precisions,
    best_threshold,
    chance_precisions,
    decision_figures,
    label_thresholds,
    log_loss,
    mean_average_precision,
    resampled,
    top_labels,
)

Case = tuple[Tensor, Tensor]
FEW = settings(max_examples=150, deadline=None)


@st.composite
def cases(draw, most: int = 8) -> Case:
    """Probabilities ``float64 [N, L]`` and targets ``bool [N, L]`` of few images and labels, full of ties."""
    images, labels = draw(st.integers(1, most)), draw(st.integers(1, 4))
    values = st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.75, 1 - 2**-24, 1.0])
    flat = draw(
        st.lists(
            st.one_of(values, st.floats(0, 1, allow_subnormal=False)),
            min_size=images * labels,
            max_size=images * labels,
        )
    )
    there = draw(st.lists(st.booleans(), min_size=images * labels, max_size=images * labels))
    shape = (images, labels)
    return torch.tensor(flat, dtype=torch.float64).view(shape), torch.tensor(there).view(shape)


def candidates(probabilities: Tensor) -> list[float]:
    """Thresholds between 0 and 1 of which one decides like any other there is: all values, and one between any two."""
    ends = sorted({0.0, 1.0, *probabilities.flatten().tolist()})
    return ends + [(low + high) / 2 for low, high in pairwise(ends)]


def wholly_right(probabilities: Tensor, targets: Tensor, threshold: float) -> int:
    return sum(
        all((p >= threshold) == there for p, there in zip(row, truth, strict=True))
        for row, truth in zip(probabilities.tolist(), targets.tolist(), strict=True)
    )


def f1(scores: list[float], there: list[bool], threshold: float) -> float:
    said = [score >= threshold for score in scores]
    right = sum(a and b for a, b in zip(said, there, strict=True))
    return 2 * right / max(1, sum(said) + sum(there))


@FEW
@given(cases())
@example((torch.tensor([[1.0]]), torch.tensor([[False]])))  # no threshold refuses what is certain
@example((torch.tensor([[1.0], [0.3]]).double(), torch.tensor([[False], [False]])))
@example((torch.tensor([[0.0]]).double(), torch.tensor([[True]])))
def test_no_threshold_gets_more_images_wholly_right_than_the_best(case):
    probabilities, targets = case
    threshold = best_threshold(probabilities, targets)
    assert 0 <= threshold <= 1
    most = max(wholly_right(probabilities, targets, each) for each in candidates(probabilities))
    assert wholly_right(probabilities, targets, threshold) == most


def test_the_best_threshold_keeps_its_distance():
    """Anything above 0.2 and up to 0.6 is right; where nothing can be right it is one half."""
    probabilities, targets = torch.tensor([[0.2, 0.6], [0.1, 0.9]]), torch.tensor([[False, True], [False, True]])
    assert best_threshold(probabilities, targets) == pytest.approx(0.4)
    assert best_threshold(probabilities, ~targets) == 0.5


@FEW
@given(cases())
def test_no_threshold_of_a_label_has_a_higher_f1(case):
    probabilities, targets = case
    thresholds = label_thresholds(probabilities, targets)
    assert thresholds.dtype == torch.float64
    for label, threshold in enumerate(thresholds.tolist()):
        assert 0 <= threshold <= 1
        scores, there = probabilities[:, label].tolist(), targets[:, label].tolist()
        if not any(there):
            assert threshold == 0.5
            continue
        most = max(f1(scores, there, each) for each in candidates(probabilities))
        assert f1(scores, there, threshold) == pytest.approx(most)


@pytest.mark.parametrize("low", [0.25, 0.75])
def test_neighbouring_probabilities_are_told_apart(low):
    """Half-way between two numbers that have none between them is one of them; the threshold is never the lower one."""
    probabilities = torch.tensor([[low], [math.nextafter(low, 2.0)]], dtype=torch.float64)
    targets = torch.tensor([[False], [True]])
    assert best_threshold(probabilities, targets) == label_thresholds(probabilities, targets) == probabilities[1, 0]


def test_the_smallest_probability_is_told_from_none_where_the_processor_flushes_to_zero():
    """Some libraries set the processor so; half of the smallest normal number is nothing then."""
    smallest = float(np.finfo(np.float64).tiny)
    probabilities, targets = torch.tensor([[0.0], [smallest]], dtype=torch.float64), torch.tensor([[False], [True]])
    if not torch.set_flush_denormal(True):
        pytest.skip("this processor knows subnormal numbers only")
    try:
        found = best_threshold(probabilities, targets), label_thresholds(probabilities, targets).item()
    finally:
        torch.set_flush_denormal(False)
    assert found == (smallest, smallest)


def test_a_labels_threshold_lies_between_what_it_takes_and_what_it_leaves():
    probabilities = torch.tensor([[0.9], [0.6], [0.2], [0.1]])
    found = label_thresholds(probabilities, torch.tensor([[True], [True], [False], [False]]))
    assert found.tolist() == pytest.approx([0.4])
    assert label_thresholds(probabilities, torch.ones(4, 1).bool()).tolist() == pytest.approx([0.05])


@FEW
@given(cases(), st.integers(0, 4))
def test_top_labels_are_the_likeliest_and_of_equal_ones_the_first(case, count):
    probabilities, _ = case
    said = top_labels(probabilities, count)
    assert said.shape == probabilities.shape
    assert said.dtype == torch.bool
    for row, told in zip(probabilities.tolist(), said.tolist(), strict=True):
        ranked = sorted(range(len(row)), key=lambda label: (-row[label], label))
        assert [label for label, one in enumerate(told) if one] == sorted(ranked[:count])


@FEW
@given(cases(), st.data())
def test_figures_of_decisions_are_those_of_scikit_learn(case, data):
    _, targets = case
    flat = data.draw(st.lists(st.booleans(), min_size=targets.numel(), max_size=targets.numel()))
    said = torch.tensor(flat).view(targets.shape)
    found = decision_figures(said, targets)
    truth, told = targets.int().numpy(), said.int().numpy()
    assert set(found) == {"exact_match", "label_accuracy", "f1_micro", "f1_macro"}
    assert all(isinstance(each, float) for each in found.values())
    assert found["exact_match"] == pytest.approx(sum((truth == told).all(1)) / len(truth))
    assert found["label_accuracy"] == pytest.approx((truth == told).mean())
    both, some = (truth & told).sum(0), truth.sum(0) + told.sum(0)
    assert found["f1_micro"] == pytest.approx(2 * both.sum() / max(1, some.sum()))
    assert found["f1_macro"] == pytest.approx(np.mean(2 * both / np.maximum(1, some)))
    if truth.shape[1] > 1:  # of one label scikit-learn thinks as of two classes
        assert found["exact_match"] == pytest.approx(metrics.accuracy_score(truth, told))
        for average in ("micro", "macro"):
            expected = metrics.f1_score(truth, told, average=average, zero_division=0)
            assert found[f"f1_{average}"] == pytest.approx(expected)


def test_a_label_neither_there_nor_said_counts_nothing_in_the_macro_f1():
    targets = torch.tensor([[True, False], [True, False]])
    assert decision_figures(targets, targets)["f1_macro"] == 0.5
    assert decision_figures(targets, targets)["f1_micro"] == 1.0


@FEW
@given(cases(most=12))
def test_average_precision_is_that_of_scikit_learn(case):
    probabilities, targets = case
    found = average_precisions(probabilities, targets)
    carried = targets.any(0)
    assert found.dtype == torch.float64
    assert torch.equal(found.isnan(), ~carried), "a label that nobody carries has none"
    for label in carried.nonzero().flatten().tolist():
        expected = metrics.average_precision_score(targets[:, label].numpy(), probabilities[:, label].numpy())
        if len(probabilities[:, label].unique()) == 1:
            expected = chance_precisions(targets)[label].item()
        assert found[label].item() == pytest.approx(expected, abs=1e-6)
    if carried.any():
        mean = float(found[carried].mean())
        assert mean_average_precision(probabilities, targets) == pytest.approx(mean)


def test_labels_that_nobody_carries_are_no_matter_of_warnings():
    probabilities, targets = torch.rand(6, 3), torch.tensor([[True, False, True]]).expand(6, 3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = average_precisions(probabilities, targets)
        assert found[[0, 2]].tolist() == [1, 1], "all images carry them"
        assert mean_average_precision(probabilities, targets) == 1
        assert math.isnan(mean_average_precision(probabilities, torch.zeros(6, 3).bool()))


def test_a_random_order_has_the_mean_average_precision_of_all_orders():
    """Of six images in all 720 orders, and of one."""
    targets = torch.arange(6).unsqueeze(1) < torch.tensor([1, 2, 5, 6])
    every = (torch.tensor(order).view(6, 1).expand(6, 4) / 6 for order in permutations(range(6)))
    orders = [average_precisions(order, targets) for order in every]
    torch.testing.assert_close(chance_precisions(targets), torch.stack(orders).mean(0), atol=1e-6, rtol=0)
    torch.testing.assert_close(average_precisions(torch.full((6, 4), 0.3), targets), chance_precisions(targets))
    assert chance_precisions(torch.ones(1, 1, dtype=torch.bool)).tolist() == [1]


def test_a_network_of_noise_beats_nobody():
    """Of few images a random order has more than the share that carries a label, and so must a predictor without any order."""
    draw, beaten = torch.Generator().manual_seed(0), 0
    for _ in range(20):
        targets = torch.rand(100, 8, generator=draw) < 0.06
        noise, rates = torch.rand(100, 8, generator=draw), targets.double().mean(0).expand(100, 8)
        found = resampled([noise, rates], targets, 60)
        beaten += int(np.percentile(found[:, 0] - found[:, 1], 2.5) > 0)
    assert beaten <= 3


@FEW
@given(cases())
def test_log_loss_is_that_of_scikit_learn(case):
    probabilities, targets = case
    found = log_loss(probabilities, targets)
    sure = probabilities.clamp(1e-7, 1 - 1e-7).numpy()
    each = [metrics.log_loss(targets[:, n].numpy(), sure[:, n], labels=[0, 1]) for n in range(targets.shape[1])]
    assert found == pytest.approx(np.mean(each), rel=1e-6)


def test_no_probability_is_taken_to_be_certain():
    said, targets = torch.tensor([[1.0, 0.0]]), torch.tensor([[False, True]])
    assert log_loss(said, targets) == pytest.approx(-math.log(1e-7))
    assert log_loss(said, ~targets) == pytest.approx(1e-7, rel=0.01)


@pytest.fixture
def drawn() -> Case:
    draw = torch.Generator().manual_seed(0)
    return torch.rand(60, 4, generator=draw), torch.rand(60, 4, generator=draw) < 0.3


def test_resampling_is_the_same_again_and_another_with_another_seed(drawn):
    probabilities, targets = drawn
    found = resampled([probabilities], targets, 7)
    assert found.shape == (7, 1)
    assert np.array_equal(found, resampled([probabilities], targets, 7))
    assert np.array_equal(found[:4], resampled([probabilities], targets, 4))
    assert not np.array_equal(found, resampled([probabilities], targets, 7, seed=1))
    assert len(np.unique(found)) == 7


def test_predictors_are_judged_on_the_same_images(drawn):
    """What ranks alike has no difference in any draw, and what ranks better has one of one sign."""
    probabilities, targets = drawn
    better = probabilities / 2 + targets / 2
    found = resampled([probabilities, probabilities / 4, better, better.square()], targets, 20)
    assert np.array_equal(found[:, 0], found[:, 1])
    assert np.array_equal(found[:, 2], found[:, 3])
    assert (found[:, 2] > found[:, 0]).all()
    assert np.array_equal(found[:, :1], resampled([probabilities], targets, 20)), "whoever else is judged"


def test_every_draw_is_of_as_many_images_with_replacement(drawn):
    probabilities, targets = drawn
    rows = torch.randint(60, (60,), generator=torch.Generator().manual_seed(5))
    assert len(rows.unique()) < 60
    expected = np.mean(
        [metrics.average_precision_score(targets[rows, n].numpy(), probabilities[rows, n].numpy()) for n in range(4)]
    )
    assert resampled([probabilities], targets, 1, seed=5)[0, 0] == pytest.approx(expected, abs=1e-6)
    many = resampled([probabilities], targets, 300)
    assert abs(many.mean() - mean_average_precision(probabilities, targets)) < 0.05
    assert 0.005 < many.std() < 0.1
