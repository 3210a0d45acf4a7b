"""95 % intervals of verification figures, resampled by identity.

Pairs are not independent: a person who is hard to recognise is in many of them, and so is each of their images. Drawing
pairs anew leaves all those people in every replicate, and its intervals, like Wilson's, say only how the figures would
vary for *these* people; they are too narrow for others. So identities are drawn, with replacement, and take all their
pairs with them: the subset bootstrap of Bolle, Ratha, Pankanti ("Error analysis of pattern recognition systems: the subsets
bootstrap", CVIU 93, 2004), which for impostors, who are pairs of two identities, is the vertex bootstrap of Snijders, Borgatti
("Non-parametric standard errors and tests for network statistics", Connections 22, 1999).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from siamese.evaluation.verification import equal_errors

MOST_PAIRS = (
    250_000  # of either kind; of more, this many drawn at random, which widens the intervals by next to nothing
)
CHUNK = 1 << 18  # weights at once, 1 MiB a tensor: what stays in the cache is summed several times faster


@dataclass(frozen=True)
class Replicates:
    """Figures of ``R`` replicates, ``float64``.

    Attributes:
        auc, eer: ``[R]``.
        tar_at: ``[R, F]``, the highest TAR with no more than each FAR asked for.
        far, tar: ``[R, T]``, at each threshold given.
    """

    auc: Tensor
    eer: Tensor
    tar_at: Tensor
    far: Tensor
    tar: Tensor


class SortedPairs:
    """Pairs sorted once, to be weighted many times: a replicate costs one cumulative sum, and O(G + log P) beside it for
    G genuine pairs.

    Args:
        scores: float ``[P]``.
        same: ``bool [P]``, true for genuine pairs.
        identities: ``int64 [P, 2]``, the identity (class) of either image; the two of a genuine pair are equal.
        fars: rates at which TAR is asked for, each in [0, 1).
        thresholds: at which FAR and TAR are asked for.

    Raises:
        ValueError: ``same`` is not where identities are equal, or there are no genuine or no impostor pairs.
    """

    def __init__(
        self, scores: Tensor, same: Tensor, identities: Tensor, fars: Sequence[float], thresholds: Sequence[float]
    ) -> None:
        if not torch.equal(same, identities[:, 0] == identities[:, 1]):
            raise ValueError("a pair is genuine if and only if its identities are equal")
        if not same.any() or same.all():
            raise ValueError("intervals need both genuine and impostor pairs")
        scores, order = scores.double().sort(descending=True)
        same = same[order]
        names, places = identities[order].unique(return_inverse=True)
        self.identities = len(names)
        # Before the first pair of a kind stands one of an identity that never occurs: cumulative sums begin at 0.
        nobody = torch.tensor([self.identities])
        self.genuine = torch.cat([nobody, places[same, 0]])
        self.one, self.other = (torch.cat([nobody, side]) for side in places[~same].T)
        last = torch.cat([scores[1:] != scores[:-1], torch.tensor([True])])  # of each run of equal scores
        counts = [torch.cat([torch.tensor([0]), kind.cumsum(0)]) for kind in (same, ~same)]
        ends = torch.cat([torch.tensor([0]), last.nonzero().flatten() + 1])
        self.genuine_at, self.impostors_at = (count[ends] for count in counts)  # at each operating point of the ROC
        run = torch.cat([torch.tensor([0]), last.cumsum(0)])[:-1][same]  # of each genuine pair
        self.above, self.not_below = self.impostors_at[run], self.impostors_at[run + 1]
        accepted = torch.tensor([int((scores >= threshold).sum()) for threshold in thresholds], dtype=torch.int64)
        self.genuine_accepted, self.impostors_accepted = (count[accepted] for count in counts)
        self.fars = torch.tensor(list(fars), dtype=torch.float64)

    def figures(self, copies: Tensor) -> tuple[Replicates, Tensor]:
        """The figures where identity ``i`` occurs ``copies[i]`` times, and which replicates have any.

        A genuine pair of ``i`` weighs ``copies[i]``, an impostor pair of ``i`` and ``j`` weighs ``copies[i] * copies[j]``.
        Pairs of two copies of one identity are left out: they would be genuine pairs counted as impostors.

        Args:
            copies: ``float32 [R, identities]``, in order of the identities' numbers. Sums below 2^24 are exact.

        Returns:
            the figures of those replicates, and ``bool [R]``: whether a genuine and an impostor pair have weight.
        """
        copies = torch.nn.functional.pad(copies, (0, 1))
        weights = copies.index_select(1, self.genuine)
        genuine = weights.cumsum(1)
        impostors = copies.index_select(1, self.one).mul_(copies.index_select(1, self.other)).cumsum_(1)
        known = (genuine[:, -1] > 0) & (impostors[:, -1] > 0)
        weights, genuine, impostors = (each[known] for each in (weights, genuine, impostors))

        def share(sums: Tensor, place: Tensor) -> Tensor:
            chosen = sums.gather(1, place) if place.ndim == 2 else sums.index_select(1, place)
            return chosen.double() / sums[:, -1:].double()

        def far(point: Tensor) -> Tensor:
            return share(impostors, self.impostors_at[point])

        def tar(point: Tensor) -> Tensor:
            return share(genuine, self.genuine_at[point])

        # A genuine pair loses to the impostors above it, and half to those level with it.
        lost = (impostors.index_select(1, self.above) + impostors.index_select(1, self.not_below)) / 2
        auc = 1 - (weights[:, 1:].double() * lost).sum(dim=1) / (genuine[:, -1].double() * impostors[:, -1].double())
        after = self._first(lambda point: far(point) >= 1 - tar(point), len(auc), 1)
        around = torch.cat([after - 1, after], dim=1)
        beyond = self._first(lambda point: far(point) > self.fars, len(auc), len(self.fars))
        figures = Replicates(
            auc=auc,
            eer=equal_errors(far(around), tar(around)),
            tar_at=tar(beyond - 1),
            far=share(impostors, self.impostors_accepted),
            tar=share(genuine, self.genuine_accepted),
        )
        return figures, known

    def _first(self, holds: Callable[[Tensor], Tensor], replicates: int, questions: int) -> Tensor:
        """``int64 [R, questions]``: the first operating point at which ``holds``, which it does at the last, not at 0."""
        before = torch.zeros(replicates, questions, dtype=torch.int64)
        first = torch.full_like(before, len(self.impostors_at) - 1)
        for _ in range(len(self.impostors_at).bit_length()):
            middle = (before + first) // 2
            held = holds(middle) & (middle > before)
            before, first = torch.where(held, before, middle), torch.where(held, middle, first)
        return first


def bootstrap(
    scores: Tensor,
    same: Tensor,
    identities: Tensor,
    fars: Sequence[float],
    thresholds: Sequence[float],
    replicates: int,
    generator: torch.Generator,
) -> Replicates:
    """Figures of as many replicates, each of as many identities as there are, drawn with replacement.

    A replicate without a genuine or without an impostor pair, such as one of a single identity, is drawn again; with two
    identities or more at least one in five is kept. Of few identities, say below 20, the
    intervals are still too narrow, as those of every bootstrap: there is no one to draw who was not met.

    Args:
        scores, same, identities, fars, thresholds: as of ``SortedPairs``, and with its errors.
        replicates: how many; 1,000 for intervals of 95 %.
        generator: of the draws.
    """
    kept = torch.cat([_some(kind.nonzero().flatten(), generator) for kind in (same, ~same)])
    pairs = SortedPairs(scores[kept], same[kept], identities[kept], fars, thresholds)
    at_once = max(1, CHUNK // (len(kept) + pairs.identities))
    found: list[Replicates] = []
    missing = replicates
    while missing:
        draw = torch.randint(pairs.identities, (min(missing, at_once), pairs.identities), generator=generator)
        copies = torch.zeros(draw.shape).scatter_add_(1, draw, torch.ones(draw.shape))
        figures, known = pairs.figures(copies)
        missing -= int(known.sum())
        found.append(figures)
    return Replicates(
        *(torch.cat([getattr(each, name) for each in found]) for name in ("auc", "eer", "tar_at", "far", "tar"))
    )


def percentile_interval(values: Tensor) -> tuple[float, float]:
    """The middle 95 % of ``[R]`` replicates of a figure (Efron 1981)."""
    low, high = values.double().quantile(torch.tensor([0.025, 0.975], dtype=torch.float64)).tolist()
    return low, high


def _some(rows: Tensor, generator: torch.Generator) -> Tensor:
    if len(rows) <= MOST_PAIRS:
        return rows
    return rows[torch.randperm(len(rows), generator=generator)[:MOST_PAIRS]]
