"""From scores to decisions and probabilities: an operating point of validation pairs, and how well it is calibrated."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from siamese.evaluation.verification import Roc, roc

MOST_QUANTILES = 10_000  # of either kind of score, to fit to: more would not move a curve of two parameters
BINS = 15  # as in Guo et al. 2017


@dataclass(frozen=True)
class OperatingPoint:
    """The decision a trained network is used with, and the probability it gives; plain values, so that a checkpoint holds
    it as ``dataclasses.asdict`` gives it.

    Attributes:
        threshold: two images show the same if their score is at least this.
        far: the share of impostors that was to be accepted at most; the threshold is the lowest that keeps to it.
        slope, intercept: of the log odds of "same", ``slope * score + intercept`` (Platt 1999), where genuine and
            impostor pairs are equally likely beforehand. ``slope`` is not negative.
        dataset, fingerprint: of the data whose validation classes it was chosen on.
        classes, pairs: how many of them, and how many pairs.
    """

    threshold: float
    far: float
    slope: float
    intercept: float
    dataset: str
    fingerprint: str
    classes: int
    pairs: int

    def probability(self, scores: Tensor) -> Tensor:
        """The probability that pairs with scores ``float [...]`` are genuine, ``float64 [...]``.

        It is for a prior of one half. Where a share ``p`` of the pairs to be judged is genuine, add ``log(p / (1 - p))``
        to the log odds.
        """
        return (self.slope * scores.double() + self.intercept).sigmoid()

    @property
    def source(self) -> str:
        """Where the threshold is from, in words."""
        return (
            f"FAR {100 * self.far:g} % on {self.pairs:,} pairs of {self.classes:,} validation classes of {self.dataset}"
        )


def choose_operating_point(
    scores: Tensor,
    same: Tensor,
    far: float,
    dataset: str,
    fingerprint: str,
    classes: int,
    curve: Roc | None = None,
) -> OperatingPoint:
    """The operating point of validation pairs.

    Args:
        scores: float ``[P]``.
        same: ``bool [P]``, true for genuine pairs.
        far: the share of impostors that may be accepted, in [0, 1).
        dataset, fingerprint, classes: where the pairs are from.
        curve: ``roc(scores, same)``, where it is known: millions of pairs take seconds to sort.

    Raises:
        ValueError: ``far`` is no such share, a score is NaN, or there are no genuine or no impostor pairs.
    """
    if not 0 <= far < 1:
        raise ValueError(f"a false accept rate to choose by is at least 0 and below 1, not {far}")
    threshold = (curve or roc(scores, same)).threshold_at(far)
    slope, intercept = platt(scores, same)
    return OperatingPoint(threshold, float(far), slope, intercept, dataset, fingerprint, classes, len(same))


def platt(scores: Tensor, same: Tensor) -> tuple[float, float]:
    """Slope and intercept of the log odds of "same" given a score ``float [P]``, fitted to ``bool [P]`` (Platt 1999).

    Logistic regression in which genuine and impostor pairs weigh one half each, however many there are: the odds are for
    a prior of one half. Platt's targets, (G + 1) / (G + 2) for G genuine and 1 / (I + 2) for I impostor pairs instead of 1
    and 0, keep the slope finite where the scores tell all pairs apart. Scores that do not tell them apart, or the wrong way
    round, give slope and intercept 0: the probability is then one half, whatever the score.
    """
    from sklearn.linear_model import LogisticRegression  # slow to load, and applying a fitted point needs none of it

    kinds = [np.sort(scores[kind].double().numpy()) for kind in (same, ~same)]
    shown = [_quantiles(kind) for kind in kinds]
    values = np.concatenate(shown)
    centre, spread = float(values.mean()), float(values.std())
    if spread == 0:
        return 0.0, 0.0
    targets = (len(kinds[0]) + 1) / (len(kinds[0]) + 2), 1 / (len(kinds[1]) + 2)
    # A target between 0 and 1 is an observation of either label with that weight.
    share = [np.full(len(each), target) for each, target in zip(shown, targets, strict=True)]
    weight = np.concatenate([np.full(len(each), 0.5 / len(each)) for each in shown])
    target = np.concatenate(share)
    model = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000)
    model.fit(
        np.tile((values - centre) / spread, 2)[:, None],
        np.repeat([1, 0], len(values)),
        sample_weight=np.concatenate([weight * target, weight * (1 - target)]),
    )
    slope = float(model.coef_[0, 0]) / spread
    return (slope, float(model.intercept_[0]) - slope * centre) if slope > 0 else (0.0, 0.0)


def _quantiles(values: np.ndarray) -> np.ndarray:
    """Sorted values, or evenly many quantiles of them where there are very many."""
    if len(values) <= MOST_QUANTILES:
        return values
    return values[((np.arange(MOST_QUANTILES) + 0.5) * len(values) / MOST_QUANTILES).astype(int)]


@dataclass(frozen=True)
class Reliability:
    """What probabilities promise and what comes true, by bin; bins in which no probability lies are left out.

    Attributes:
        probability: ``float64 [B]``, the mean probability of "same" in a bin, rising.
        observed: ``float64 [B]``, the share of genuine pairs in it.
        weight: ``float64 [B]``, its share of all pairs; the sum is 1.
    """

    probability: Tensor
    observed: Tensor
    weight: Tensor

    @property
    def error(self) -> float:
        """The expected calibration error: the mean of ``|observed - probability|`` over the bins by their weight."""
        return float((self.weight * (self.observed - self.probability).abs()).sum())


def reliability(probabilities: Tensor, same: Tensor, bins: int = BINS, prior: float | None = 0.5) -> Reliability:
    """The bins of a reliability diagram: equally wide ones of [0, 1], each with its lower and without its upper end.

    Equally wide as in Naeini et al. 2015 and Guo et al. 2017, and over the probability of "same", not of the likelier
    answer: what is judged is the probability that is shown.

    Args:
        probabilities: float ``[P]`` in [0, 1].
        same: ``bool [P]``.
        bins: how many.
        prior: pairs weigh so that this share of them is genuine, as the probabilities suppose; None: equally.

    Raises:
        ValueError: a probability is not in [0, 1], or there are no pairs, or with a prior none of one kind.
    """
    values = probabilities.double()
    if not len(values) or not bool(((values >= 0) & (values <= 1)).all()):
        raise ValueError("a reliability diagram is of one or more probabilities in [0, 1]")
    weight = torch.full_like(values, 1 / len(values))
    if prior is not None:
        if not same.any() or same.all():
            raise ValueError("pairs of one kind cannot be weighted to a prior")
        weight = same.double() * (prior / int(same.sum())) + (~same).double() * ((1 - prior) / int((~same).sum()))
    inner = torch.linspace(0, 1, bins + 1, dtype=torch.float64)[1:-1]
    place = torch.bucketize(values, inner, right=True)

    def total(of: Tensor) -> Tensor:
        return torch.zeros(bins, dtype=torch.float64).index_add_(0, place, of)

    mass = total(weight)
    there = mass > 0
    return Reliability(
        (total(weight * values) / mass)[there], (total(weight * same) / mass)[there], (mass / mass.sum())[there]
    )


def expected_calibration_error(
    probabilities: Tensor, same: Tensor, bins: int = BINS, prior: float | None = 0.5
) -> float:
    """How far the probabilities of "same" are from the share of genuine pairs, on average (Naeini et al. 2015).

    Arguments and errors are those of ``reliability``. A constant one half on equally many pairs of both kinds errs by 0.
    """
    return reliability(probabilities, same, bins, prior).error
