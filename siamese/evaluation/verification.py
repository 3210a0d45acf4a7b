"""Verification figures from the scores of genuine and impostor pairs: pure functions, scores sorted once.

FAR is the share of impostors accepted, TAR the share of genuine pairs accepted, FRR = 1 - TAR; a pair is accepted if its
score is at least the threshold.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Roc:
    """Every operating point there is, from accepting nothing to accepting all.

    Attributes:
        far, tar: ``float64 [T]``, rising.
        thresholds: ``float64 [T]``, falling: accept if score >= threshold. The first is +inf.
    """

    far: Tensor
    tar: Tensor
    thresholds: Tensor

    @property
    def auc(self) -> float:
        """Area under the curve: the chance that a genuine pair scores above an impostor, ties counting one half."""
        return float(torch.trapezoid(self.tar, self.far))

    @property
    def eer(self) -> float:
        """Equal error rate: where FAR = FRR on the curve, its points joined by straight lines."""
        gap = self.far - (1 - self.tar)  # rises from -1 to 1
        after = int((gap >= 0).nonzero()[0])
        before = after - 1
        share = -gap[before] / (gap[after] - gap[before])
        return float(self.far[before] + share * (self.far[after] - self.far[before]))

    def tar_at(self, far: float) -> float:
        """The highest TAR reached at an operating point with no more than this FAR."""
        return float(self.tar[self.far <= far].max())


def roc(scores: Tensor, same: Tensor) -> Roc:
    """The ROC of pairs with scores ``[P]``, genuine where ``same`` (``bool [P]``) is true. Equal scores are one point.

    Raises:
        ValueError: a score is NaN, or there are no genuine or no impostor pairs.
    """
    if scores.isnan().any():
        raise ValueError("a score is NaN: the embeddings are broken")
    if not same.any() or same.all():
        raise ValueError("a ROC needs both genuine and impostor pairs")
    scores, order = scores.double().sort(descending=True)
    hits = same[order]
    last = torch.cat([scores[1:] != scores[:-1], torch.tensor([True])])  # of each run of equal scores
    tar = hits.cumsum(0)[last].double() / hits.sum()
    far = (~hits).cumsum(0)[last].double() / (~hits).sum()
    start = torch.zeros(1, dtype=torch.float64)
    infinite = torch.full((1,), torch.inf, dtype=torch.float64)
    return Roc(torch.cat([start, far]), torch.cat([start, tar]), torch.cat([infinite, scores[last]]))


def best_threshold(scores: Tensor, same: Tensor) -> float:
    """The threshold with the highest accuracy on these pairs, halfway to the next score below it.

    It is for pairs that choose. Accuracy at the best threshold of the pairs that report would flatter.
    """
    curve = roc(scores, same)
    genuine, impostors = int(same.sum()), int((~same).sum())
    best = int((curve.tar * genuine + (1 - curve.far) * impostors).argmax())
    if best == 0:
        return float(curve.thresholds[1]) + 1.0
    if best == len(curve.thresholds) - 1:
        return float(curve.thresholds[-1])
    return float(curve.thresholds[best : best + 2].mean())


def accuracy(scores: Tensor, same: Tensor, threshold: float) -> float:
    """Share of the pairs judged rightly at a threshold chosen elsewhere."""
    # In float64, in which the threshold is: rounded to float32 it could be the score that it stands above.
    return float(((scores.double() >= threshold) == same).double().mean())
