"""Which of several labels an image carries: an evaluator for losses that know labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from siamese.errors import UserError
from siamese.evaluation.evaluator import NETWORK, Evaluator, visible_images
from siamese.evaluation.intervals import wilson
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
from siamese.evaluation.linear import handmade_features, linear_predictions, network_features
from siamese.losses import LabelLoss
from siamese.losses.labels import HALF
from siamese.plots.labels import label_bars, label_sheet
from siamese.systems.data import FewShotData
from siamese.systems.siamese import Siamese

BASE_RATES, HANDMADE, FROZEN = "base rates", "hand-made features", "frozen"
AT_HALF, AT_ONE, AT_EACH, LIKELIEST = "at 0.5", "at one threshold", "at a threshold a label", "the likeliest set"
SHOWN = 24  # images of the sheet
DRAWS = 200  # bootstrap samples


class Labels(Evaluator):
    """How well the labels of images are told, where an image carries several.

    The temperature of probabilities is chosen on validation images. Decisions are made at 0.5, at one threshold for all labels
    and at one for each label, both chosen there as well; by the likeliest set of labels, where the loss knows labels that
    depend on each other; and where all validation images carry equally many labels, by taking that many. Beside the network
    stands the predictor that gives every image the base rates. On validation images it logs ``val/map``, mean average
    precision, ``val/exact_match`` (at the best threshold) and ``val/label_accuracy`` (at the same).

    Args:
        handmade: also what logistic regression makes of hand-made features: a thumbnail and histograms of gradients.
        frozen: also what it makes of the embeddings of this network, as it is, of the images as the data set has them.
        intervals: bootstrap intervals of mean average precision, and of its difference from the other predictors'.
    """

    several = True

    def __init__(self, handmade: bool = False, frozen: nn.Module | None = None, intervals: bool = True) -> None:
        super().__init__()
        self.handmade, self.frozen, self.intervals = handmade, frozen, intervals
        self._stored: dict[str, Any] = {}

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Raise UserError where the weights know labels of other names than the data has."""
        known = checkpoint.get("siamese", {}).get("labels", {}).get("names")
        table = trainer.datamodule.table("val")  # type: ignore[attr-defined]
        if known and tuple(known) != table.class_names:
            other = next((pair for pair in zip(known, table.class_names, strict=False) if len({*pair}) > 1), None)
            raise UserError(
                f"the checkpoint tells {len(known)} labels and {table.name} has {len(table.class_names)}"
                + (f"; the first that differ are {other[0]!r} and {other[1]!r}" if other else "")
            )

    def prepare(self, data: FewShotData) -> None:
        if (self.handmade or self.frozen) and data.targets("train") is None:
            raise UserError(
                "logistic regression, the baseline, learns from images that carry several labels themselves; "
                f"{data.table('train').name} has none to teach it, so handmade is false, and nothing frozen"
            )

    def choose(self, system: Siamese, data: FewShotData) -> dict[str, float]:
        targets = _targets(data, "val")
        _loss(system, data, "val").calibrate(system.embeddings("val"), targets)
        probabilities = _said(system, data, "val")
        threshold = best_threshold(probabilities, targets)
        self._stored = {
            "names": list(data.table("val").class_names),
            "threshold": threshold,
            "thresholds": label_thresholds(probabilities, targets).tolist(),
        }
        found = decision_figures(probabilities >= threshold, targets)
        return {
            "val/map": mean_average_precision(probabilities, targets),
            "val/exact_match": found["exact_match"],
            "val/label_accuracy": found["label_accuracy"],
        }

    def stored(self) -> dict[str, Any]:
        return {"labels": self._stored}

    def report(self, system: Siamese, data: FewShotData) -> None:
        table, targets = data.table("test"), _targets(data, "test")
        chosen = _targets(data, "val")
        taught = data.targets("train")
        rates = (chosen if taught is None else taught).double().mean(0)
        said = {NETWORK: (_said(system, data, "val"), _said(system, data, "test"))}
        if self.handmade:
            said[HANDMADE] = linear_predictions(data, handmade_features)
        if self.frozen:
            features = network_features(self.frozen, system.device)
            height, width = table.images.shape[2:]
            name = f"{FROZEN} {type(self.frozen).__name__} of {height}x{width} pixels"
            said[name] = linear_predictions(data, features)
        said[BASE_RATES] = rates.expand(chosen.shape), rates.expand(targets.shape)
        predictors = {name: _predictor(*each, chosen, targets) for name, each in said.items()}
        loss = _loss(system, data, "test")
        if loss.together:
            likeliest = loss.likeliest(system.embeddings("test")).cpu()
            predictors[NETWORK]["decisions"][LIKELIEST] = _decided(likeliest, targets)
        if self.intervals:
            self._add_intervals(predictors, [test for _, test in said.values()], targets)
        probabilities = said[NETWORK][1]
        precisions = average_precisions(probabilities, targets)
        thresholds = predictors[NETWORK]["thresholds"]
        decided = probabilities >= torch.tensor(thresholds, dtype=torch.float64)
        per_label = {
            name: {
                "images": int(targets[:, label].sum()),
                "taught": None if taught is None else int(taught[:, label].sum()),
                "average_precision": float(precisions[label]) if targets[:, label].any() else None,
                "accuracy": float((decided[:, label] == targets[:, label]).double().mean()),
                "threshold": thresholds[label],
                **_f1(decided[:, label], targets[:, label]),
            }
            for label, name in enumerate(table.class_names)
        }
        self.results = {
            "labels": {
                "how": f"{len(targets):,} test images of {targets.shape[1]} labels, {targets.sum(1).double().mean():.2f} an "
                "image; thresholds chosen on validation images",
                "images": len(targets), "predictors": predictors, "per_label": per_label,
                "interval": f"exact match: Wilson 95 %; mean average precision: 95 % of {DRAWS} bootstraps of the images, less "
                "their bias",
            },
            "methods": {
                f"{name}, {how}": {key: each[key] for key in ("exact_match", "label_accuracy", "f1_macro")}
                | {"map": predictor["map"]}
                for name, predictor in predictors.items()
                for how, each in predictor["decisions"].items()
            },
            "methods_how": f"{len(targets):,} test images of {targets.shape[1]} labels",
        }  # fmt: skip
        self._draw(data, probabilities, targets, decided, per_label)

    def _add_intervals(self, predictors: Mapping[str, Any], tests: list[Tensor], targets: Tensor) -> None:
        found = resampled(tests, targets, DRAWS)
        # An image that is drawn twice stands beside itself, and a label that is not drawn is left out: of few images both raise
        # the mean of the draws above the figure itself. This bias is taken off (Efron, Tibshirani 1993, section 10.3).
        found += np.array([predictor["map"] for predictor in predictors.values()]) - found.mean(0)
        for place, predictor in enumerate(predictors.values()):
            low, high = np.percentile(found[:, place], [2.5, 97.5]).clip(0, 1).tolist()
            predictor["map_low"], predictor["map_high"] = low, high
            if place:  # how much more the network has, on the same images
                ends = np.percentile(found[:, 0] - found[:, place], [2.5, 97.5])
                predictor["network_ahead"] = ends.tolist()

    def _draw(
        self,
        data: FewShotData,
        probabilities: Tensor,
        targets: Tensor,
        decided: Tensor,
        per_label: Mapping[str, Any],
    ) -> None:
        names, table = data.table("test").class_names, data.table("test")
        bars = {
            name: (each["average_precision"], float(chance))
            for (name, each), chance in zip(per_label.items(), chance_precisions(targets), strict=True)
            if each["average_precision"] is not None
        }
        self.pictures["labels.png"] = label_bars(bars)
        rows = torch.linspace(0, len(targets) - 1, min(SHOWN, len(targets)), dtype=torch.float64).round().long()
        shown = visible_images(table, data.as_loaded("test", rows))
        lines = [
            [
                (names[label], float(probabilities[row, label]), bool(targets[row, label]), bool(decided[row, label]))
                for label in probabilities[row].argsort(descending=True).tolist()
                if decided[row, label] or targets[row, label]
            ]
            for row in rows.tolist()
        ]
        self.pictures["label_examples.png"] = label_sheet(shown, lines)


def _predictor(val: Tensor, test: Tensor, chosen: Tensor, targets: Tensor) -> dict[str, Any]:
    """All figures of probabilities ``[N, L]`` of validation and test images, whose labels are ``bool [N, L]``."""
    one, each = best_threshold(val, chosen), label_thresholds(val, chosen)
    decisions = {AT_HALF: test >= HALF, AT_ONE: test >= one, AT_EACH: test >= each}
    if len(counts := chosen.sum(1).unique()) == 1:
        decisions[f"the {int(counts)} likeliest"] = top_labels(test, int(counts))
    return {
        "decisions": {name: _decided(said, targets) for name, said in decisions.items()},
        "map": mean_average_precision(test, targets),
        "log_loss": log_loss(test, targets),
        "threshold": one,
        "thresholds": each.tolist(),
    }


def _decided(said: Tensor, targets: Tensor) -> dict[str, float]:
    """All figures of decisions ``bool [N, L]``, and the interval of exact match."""
    low, high = wilson(int((said == targets).all(1).sum()), len(targets))
    return decision_figures(said, targets) | {"low": low, "high": high}


def _f1(said: Tensor, there: Tensor) -> dict[str, float]:
    """Precision, recall and F1 of one label's decisions ``bool [N]``; 0 where they have no meaning."""
    right, all_said, all_there = int((said & there).sum()), int(said.sum()), int(there.sum())
    return {
        "precision": right / max(1, all_said),
        "recall": right / max(1, all_there),
        "f1": 2 * right / max(1, all_said + all_there),
    }


def _said(system: Siamese, data: FewShotData, split: str) -> Tensor:
    """``float64 [N, L]`` on the CPU, so that no threshold between two is rounded to one of them: the probabilities of each
    label."""
    loss = _loss(system, data, split)
    return loss.probabilities(loss.logits(system.embeddings(split)).float()).cpu().double()


def _loss(system: Siamese, data: FewShotData, split: str) -> LabelLoss:
    """The system's. Raises UserError for one that knows no labels, or others than the data has."""
    loss = system.loss
    if not isinstance(loss, LabelLoss):
        raise UserError(
            f"{type(loss).__name__} knows no labels; Labels takes a loss such as siamese.losses.BinaryLabels"
        )
    if loss.labels != (labels := _targets(data, split).shape[1]):
        raise UserError(f"the network tells {loss.labels} labels of an image; {data.table(split).name} has {labels}")
    return loss


def _targets(data: FewShotData, split: str) -> Tensor:
    targets = data.targets(split)
    assert targets is not None, "Evaluator.setup has asked"
    return targets
