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
    def frr(self) -> Tensor:
        """``float64 [T]``, falling: against ``far`` it is the DET curve (Martin et al. 1997)."""
        return 1 - self.tar

    @property
    def auc(self) -> float:
        """Area under the curve: the chance that a genuine pair scores above an impostor, ties counting one half."""
        return float(torch.trapezoid(self.tar, self.far))

    @property
    def eer(self) -> float:
        """Equal error rate: where FAR = FRR on the curve, its points joined by straight lines."""
        return float(equal_errors(self.far, self.tar))

    def tar_at(self, far: float) -> float:
        """The highest TAR reached at an operating point with no more than this FAR."""
        return float(self.tar[self.far <= far].max())

    def threshold_at(self, far: float) -> float:
        """The lowest threshold at which these pairs have no more than this FAR, moved halfway to the next score below it.

        So no score lies on it, and rounding cannot make it another. Where even the highest score is too many impostors'
        it stands above that, and accepts nothing.
        """
        return self._threshold(int((self.far <= far).nonzero()[-1]))

    def best_threshold(self, genuine: float) -> float:
        """The threshold of the highest accuracy where this share of the pairs is genuine, halfway to the next score below.

        With one half it is that of the highest balanced accuracy, in which impostors do not outvote genuine pairs.
        """
        return self._threshold(int((self.tar * genuine + (1 - self.far) * (1 - genuine)).argmax()))

    def _threshold(self, point: int) -> float:
        """A finite threshold that makes this operating point, halfway to the next score below."""
        if point == 0:
            return float(self.thresholds[1]) + 1.0
        upper = float(self.thresholds[point])
        if point == len(self.thresholds) - 1:
            return upper
        lower = float(self.thresholds[point + 1])
        middle = lower + (upper - lower) / 2
        return middle if lower < middle else upper  # of neighbouring float64 the middle may be the lower


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


def equal_errors(far: Tensor, tar: Tensor) -> Tensor:
    """Equal error rates ``float64 [...]`` of curves ``float64 [..., T]`` that rise from (0, 0) to (1, 1)."""
    gap = far - (1 - tar)  # rises from -1 to 1
    after = (gap >= 0).byte().argmax(dim=-1, keepdim=True)  # the first; not 0, where the gap is -1
    (g0, g1), (f0, f1) = ([each.gather(-1, place) for place in (after - 1, after)] for each in (gap, far))
    return (f0 - g0 / (g1 - g0) * (f1 - f0)).squeeze(-1)


def best_threshold(scores: Tensor, same: Tensor) -> float:
    """The threshold with the highest accuracy on these pairs, halfway to the next score below it.

    It is for pairs that choose. Accuracy at the best threshold of the pairs that report would flatter.
    """
    return roc(scores, same).best_threshold(float(same.double().mean()))


def rates(scores: Tensor, same: Tensor, threshold: float) -> tuple[float, float]:
    """FAR and TAR of pairs with scores ``[P]`` at a threshold chosen elsewhere; NaN where there are none of a kind."""
    # In float64, in which the threshold is: rounded to float32 it could be the score that it stands above.
    accepted = (scores.double() >= threshold).double()
    return float(accepted[~same].mean()), float(accepted[same].mean())


def accuracy(scores: Tensor, same: Tensor, threshold: float) -> float:
    """Share of the pairs judged rightly at a threshold chosen elsewhere."""
    return float(((scores.double() >= threshold) == same).double().mean())


def balanced_accuracy(scores: Tensor, same: Tensor, threshold: float) -> float:
    """The mean of TAR and 1 - FAR at a threshold chosen elsewhere: accuracy if both kinds of pairs were as many."""
    far, tar = rates(scores, same, threshold)
    return (tar + 1 - far) / 2
