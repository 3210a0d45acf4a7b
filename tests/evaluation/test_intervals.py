"""Intervals against published and independently computed values, and against simulation."""

import numpy as np
import pytest
import torch
from scipy.stats import binomtest, ttest_1samp

from siamese.evaluation.intervals import mean_interval, wilson


@pytest.mark.parametrize(("successes", "trials"), [(0, 10), (1, 10), (81, 263), (368, 400), (400, 400), (0, 1)])
def test_wilson_is_scipys(successes, trials):
    expected = binomtest(successes, trials).proportion_ci(0.95, method="wilson")
    assert wilson(successes, trials) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_wilson_as_published():
    """Newcombe (1998), table I: 81 of 263 and 15 of 148."""
    assert [round(bound, 4) for bound in wilson(81, 263)] == [0.2553, 0.3662]
    assert [round(bound, 4) for bound in wilson(15, 148)] == [0.0624, 0.1605]


@pytest.mark.parametrize("successes", [0.0, 0.05, 7.25, 20.0])
def test_wilson_takes_shares_of_a_trial_and_stays_within_0_and_1(successes):
    low, high = wilson(successes, 20)
    assert 0 <= low <= successes / 20 <= high <= 1
    assert high - low > 0.05


def test_more_trials_are_surer():
    widths = [high - low for low, high in (wilson(0.9 * trials, trials) for trials in (10, 100, 1000))]
    assert widths == sorted(widths, reverse=True)


def test_mean_interval_is_scipys():
    values = torch.rand(17, generator=torch.Generator().manual_seed(0))
    expected = ttest_1samp(values.double().numpy(), 0).confidence_interval(0.95)
    assert mean_interval(values) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_mean_interval_covers_95_percent():
    random = np.random.default_rng(0)
    episodes = torch.from_numpy(random.binomial(20, 0.7, (2000, 30)) / 20)
    covered = [low <= 0.7 <= high for low, high in map(mean_interval, episodes)]
    assert 0.93 < np.mean(covered) < 0.97


def test_mean_interval_of_what_does_not_vary_and_of_one():
    assert mean_interval(torch.full((5,), 0.25)) == (0.25, 0.25)
    assert mean_interval(torch.tensor([0.5])) == (0.5, 0.5)
    assert mean_interval(torch.tensor([0.0, 1.0])) == (0.0, 1.0)
