"""95 % confidence intervals, as ``(low, high)`` fractions."""

from __future__ import annotations

import math

from scipy.stats import t
from torch import Tensor

Z = 1.959963984540054  # two-sided 95 % of the standard normal


def wilson(successes: float, trials: int) -> tuple[float, float]:
    """Wilson's score interval of a proportion (Wilson 1927); sound near 0 and 1, where the normal interval is not."""
    p, z2 = successes / trials, Z * Z
    centre = (p + z2 / (2 * trials)) / (1 + z2 / trials)
    half = Z / (1 + z2 / trials) * math.sqrt(p * (1 - p) / trials + z2 / (4 * trials * trials))
    return max(0.0, centre - half), min(1.0, centre + half)


def mean_interval(values: Tensor) -> tuple[float, float]:
    """Student's t interval of the mean of ``[E]`` independent values, such as the accuracies of episodes."""
    values = values.double()
    mean, count = float(values.mean()), len(values)
    if count < 2:
        return mean, mean
    half = float(t.ppf(0.975, count - 1)) * float(values.std()) / math.sqrt(count)
    return max(0.0, mean - half), min(1.0, mean + half)
