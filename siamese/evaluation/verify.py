"""Verification: an evaluator over the embedded test split."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor

from siamese.errors import UserError
from siamese.evaluation.bootstrap import bootstrap, percentile_interval
from siamese.evaluation.calibration import BINS, OperatingPoint, choose_operating_point, reliability
from siamese.evaluation.evaluator import Evaluator, visible
from siamese.evaluation.split_pairs import SplitPairs
from siamese.evaluation.verification import Roc, accuracy, balanced_accuracy, rates, roc
from siamese.plots.verification import MOST_PAIRS, JudgedPair, det, pair_sheet, score_histogram
from siamese.plots.verification import reliability as reliability_picture
from siamese.plots.verification import roc as roc_picture
from siamese.sampling.seeds import generator
from siamese.systems.data import FewShotData
from siamese.systems.siamese import Siamese
from siamese.tables import Table

VALIDATION, TEST, RESAMPLED = 1, 2, 3  # streams of random numbers
FARS = (0.01, 0.001)  # at which TAR is reported


class Verification(Evaluator):
    """Same or different: on pairs of test classes, with thresholds and probabilities from pairs of validation classes.

    While validating it logs ``val/eer`` and ``val/auc``, by which checkpoints can be chosen, and chooses the operating
    point that the checkpoint stores. When testing it chooses it again from the weights that are tested, which is the same one.

    Args:
        pairs: how many of each, half of them genuine (Koch et al. 2015: 10,000); None for all pairs of either split.
        within: share of the drawn impostors that are of one group, an alphabet.
        sources: test pairs are of these sources only, counted from 0 (Koch et al.: the last 4 of 20 drawers).
        seed: of the pairs and of the resampling.
        far: the share of impostors that the operating point may accept, on validation pairs.
        bootstrap: replicates of the intervals; 0 for none.
    """

    def __init__(
        self,
        pairs: int | None = 10_000,
        within: float = 0.5,
        sources: list[int] | None = None,
        seed: int = 0,
        far: float = 0.01,
        bootstrap: int = 1000,
    ) -> None:
        super().__init__()
        if not 0 <= far < 1:
            raise UserError(f"the false accept rate of verification is at least 0 and below 1, not {far}")
        if (pairs is not None and pairs < 2) or bootstrap < 0:
            raise UserError("verification takes two pairs or more, and no less than 0 bootstrap replicates")
        self.pairs, self.within, self.sources, self.seed = pairs, within, sources, seed
        self.far, self.bootstrap = far, bootstrap
        self.operating_point: OperatingPoint | None = None

    def prepare(self, data: FewShotData) -> None:
        test, val = data.table("test"), data.table("val")
        self.test = SplitPairs(test, self.pairs, self.within, self.sources, generator(self.seed, TEST))
        self.val = SplitPairs(val, self.pairs, self.within, None, generator(self.seed, VALIDATION))

    def choose(self, system: Siamese, data: FewShotData) -> dict[str, float]:
        curve = self._choose(system, data)[0]
        return {"val/eer": curve.eer, "val/auc": curve.auc}

    def stored(self) -> dict[str, Any]:
        return {} if self.operating_point is None else {"operating_point": asdict(self.operating_point)}

    def _choose(self, system: Siamese, data: FewShotData) -> tuple[Roc, float, OperatingPoint]:
        """ROC and best threshold of the validation pairs, and the operating point that follows from them, which is kept."""
        table = data.table("val")
        scores, same, _ = _scored(self.val, system, "val")
        curve, where = roc(scores, same), (table.name, table.fingerprint, self.val.classes)
        point = choose_operating_point(scores, same, self.far, *where, curve)
        self.operating_point = point
        share = 0.5 if self.pairs is None else float(same.double().mean())
        return curve, curve.best_threshold(share), point

    def report(self, system: Siamese, data: FewShotData) -> None:
        _, threshold, point = self._choose(system, data)
        scores, same, rows = _scored(self.test, system, "test")
        every = self.pairs is None
        name, right = ("balanced_accuracy", balanced_accuracy) if every else ("accuracy", accuracy)
        far, tar = rates(scores, same, point.threshold)
        curve, probability = roc(scores, same), point.probability(scores)
        bins = reliability(probability, same)
        fars = sorted({*FARS, self.far}, reverse=True)
        section = {
            name: right(scores, same, threshold), "threshold": threshold, "auc": curve.auc, "eer": curve.eer,
            "tar_at_far": {str(each): curve.tar_at(each) for each in fars}, "ece": bins.error,
            "ece_how": f"{BINS} equally wide bins of the probability, genuine and impostor pairs weighing one half each",
            "operating_point": asdict(point) | {"source": point.source, "measured": {"far": far, "tar": tar}},
            "pairs": len(same), "genuine": int(same.sum()), "classes": self.test.classes, "how": self._how(),
        }  # fmt: skip
        if self.bootstrap:
            self._add_intervals(section, scores, same, rows, fars, every)
        self._draw(data.table("test"), section, scores, same, rows, curve, point)
        bars = (bins.probability.numpy(), bins.observed.numpy(), bins.weight.numpy())
        self.pictures["reliability.png"] = reliability_picture(*bars, "What the probability promises, and what is true")
        self.results = {"verification": section}

    def _how(self) -> str:
        of = "" if self.sources is None else f" by sources {', '.join(map(str, self.sources))}"
        if self.pairs is None:
            return (
                f"all pairs of images of test classes{of}; the threshold has the best balanced accuracy on all pairs of "
                "validation classes"
            )
        return (
            f"balanced pairs of test classes{of}, {self.within:.0%} of the impostors within one group; the threshold is the "
            "best of as many pairs of validation classes"
        )

    def _add_intervals(
        self, section: dict[str, Any], scores: Tensor, same: Tensor, rows: Tensor, fars: Sequence[float], every: bool
    ) -> None:
        thresholds = [section["threshold"], section["operating_point"]["threshold"]]
        found = bootstrap(
            scores, same, self.test.identities(rows), fars, thresholds, self.bootstrap, generator(self.seed, RESAMPLED)
        )
        genuine = 0.5 if every else float(same.double().mean())
        right = genuine * found.tar[:, 0] + (1 - genuine) * (1 - found.far[:, 0])
        section["low"], section["high"] = percentile_interval(right)
        section["intervals"] = {
            "auc": percentile_interval(found.auc),
            "eer": percentile_interval(found.eer),
            "tar_at_far": {str(far): percentile_interval(found.tar_at[:, i]) for i, far in enumerate(fars)},
            "measured": {"far": percentile_interval(found.far[:, 1]), "tar": percentile_interval(found.tar[:, 1])},
        }
        section["interval"] = (
            f"95 % intervals from {self.bootstrap:,} resamplings of the {self.test.classes:,} test classes"
        )

    def _draw(
        self,
        table: Table,
        section: dict[str, Any],
        scores: Tensor,
        same: Tensor,
        rows: Tensor,
        curve: Roc,
        point: OperatingPoint,
    ) -> None:
        far, tar = section["operating_point"]["measured"].values()
        self.pictures["roc.png"] = roc_picture({"test pairs": (curve.far.numpy(), curve.tar.numpy())}, "Verification")
        self.pictures["det.png"] = det(
            {"test pairs": (curve.far.numpy(), curve.frr.numpy())},
            "Verification errors",
            {"stored threshold": (far, 1 - tar)},
        )
        genuine, impostor = scores[same].numpy(), scores[~same].numpy()
        self.pictures["scores.png"] = score_histogram(
            genuine, impostor, point.threshold, "Similarity of genuine and impostor pairs"
        )
        accepted = scores.double() >= point.threshold
        section["failures"] = {}
        for kind, wrong, sign in (("accepts", accepted & ~same, -1), ("rejects", ~accepted & same, 1)):
            worst = _worst(wrong, sign * scores, rows)
            shown = [_judged(table, rows[each], float(scores[each]), point) for each in worst]
            section["failures"][f"false_{kind}"] = [
                {
                    "first": pair.first_name,
                    "second": pair.second_name,
                    "score": pair.score,
                    "probability": pair.probability,
                }
                for pair in shown
            ]
            if shown:
                title = f"False {kind} at the stored threshold, the surest first"
                self.pictures[f"false_{kind}.png"] = pair_sheet(shown, title, int(wrong.sum()))


@torch.inference_mode(False)  # Lightning validates in it, but a module copied in it cannot be moved to another device
@torch.no_grad()
def _scored(pairs: SplitPairs, system: Siamese, split: str) -> tuple[Tensor, Tensor, Tensor]:
    """Scores ``float32 [P]``, kinds ``bool [P]`` and rows ``int64 [P, 2]`` of a split's pairs.

    Always on the CPU, with a copy of the similarity, which a training goes on with where it is: so that the operating
    point of a validation and that of a test of the same weights are the same to the last bit.
    """
    rows = pairs.rows
    first, second = pairs.identities(rows).unbind(1)
    scores = pairs.scores(system.embeddings(split).cpu(), copy.deepcopy(system.similarity).cpu())
    return scores, first == second, rows


def _worst(wrong: Tensor, scores: Tensor, rows: Tensor) -> list[int]:
    """Places of the pairs of lowest score among ``wrong``, ``bool [P]``; each two images once, however often drawn."""
    places = wrong.nonzero().flatten()
    kept: dict[tuple[int, ...], int] = {}
    for place in places[scores[places].argsort(stable=True)].tolist():
        kept.setdefault(tuple(sorted(rows[place].tolist())), place)
        if len(kept) == MOST_PAIRS:
            break
    return list(kept.values())


def _judged(table: Table, rows: Tensor, score: float, point: OperatingPoint) -> JudgedPair:
    images, (first, second) = visible(table, rows), rows.tolist()
    probability = float(point.probability(torch.tensor(score)))
    return JudgedPair(images[0], images[1], table.file_names[first], table.file_names[second], score, probability)
