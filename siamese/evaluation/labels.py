"""Several labels an image: from probabilities to decisions, and how good both are. Thresholds come from validation only."""

from __future__ import annotations

import warnings

import numpy as np
import torch
from sklearn.metrics import precision_recall_curve
from torch import Tensor
from torchmetrics.functional.classification import (
    multilabel_average_precision,
    multilabel_exact_match,
    multilabel_f1_score,
)

from siamese.losses.labels import HALF


def best_threshold(probabilities: Tensor, targets: Tensor) -> float:
    """The one threshold for all labels that gets most images wholly right; of those, one far from where images change.

    An image is wholly right where the threshold lies above all its labels that are not there, and at or below all that are.

    Args:
        probabilities: float ``[N, L]``.
        targets: ``bool [N, L]``.
    """
    beyond = probabilities.masked_fill(targets, -1.0).amax(1).double()  # the threshold is to be more than that
    within = probabilities.masked_fill(~targets, 1.0).amin(1).double()  # and no more than that
    can = beyond < within
    above, most = beyond[can].sort().values.numpy(), within[can].sort().values.numpy()
    if len(most) == 0:
        return HALF
    right = np.searchsorted(above, most, "left") - np.searchsorted(most, most, "left")
    best = most[right.argmax()]
    return _between(np.concatenate([above, most]), best)


def label_thresholds(probabilities: Tensor, targets: Tensor) -> Tensor:
    """``float64 [L]``: for each label the threshold of its highest F1; one half for a label that no image carries.

    Args:
        probabilities: float ``[N, L]``.
        targets: ``bool [N, L]``.
    """
    found = torch.full((targets.shape[1],), HALF, dtype=torch.float64)
    for label in targets.any(0).nonzero().flatten().tolist():
        scores = probabilities[:, label].double().numpy()
        precision, recall, at = precision_recall_curve(targets[:, label].numpy(), scores)
        best = at[(2 * precision * recall / np.maximum(precision + recall, 1e-12))[:-1].argmax()]
        found[label] = _between(scores, best)
    return found


def _between(scores: np.ndarray, best: float) -> float:
    """Half-way from the next lower of the scores, or 0, up to the best one; itself where no number lies between."""
    lower = scores[scores < best].max(initial=0.0)
    middle = (lower + best) / 2
    # Neighbours have no middle, nor has the smallest where the processor flushes what is below it to 0.
    return float(middle if middle > lower else best)


def top_labels(probabilities: Tensor, count: int) -> Tensor:
    """``bool [N, L]``: the ``count`` likeliest labels of each image, the first of equal ones."""
    order = probabilities.argsort(dim=1, descending=True, stable=True)[:, :count]
    return torch.zeros_like(probabilities, dtype=torch.bool).scatter(1, order, True)


def decision_figures(said: Tensor, targets: Tensor) -> dict[str, float]:
    """How good decisions ``bool [N, L]`` are: ``exact_match``, the share of images with all labels right (total accuracy);
    ``label_accuracy``, the share of labels; ``f1_micro`` over all labels; ``f1_macro``, the mean over labels, of which one
    that is neither there nor said counts 0."""
    told, there = _several(said.long()), _several(targets.long())
    labels = there.shape[1]
    return {
        "exact_match": float(multilabel_exact_match(told, there, labels)),
        "label_accuracy": float((said == targets).double().mean()),
        "f1_micro": float(multilabel_f1_score(told, there, labels, average="micro")),
        "f1_macro": float(multilabel_f1_score(told, there, labels, average="macro")),
    }


def average_precisions(probabilities: Tensor, targets: Tensor) -> Tensor:
    """``float64 [L]``: area under each label's precision-recall curve by steps; nan for a label that no image carries. Where
    all images are equally likely to carry a label, that of a random order, which is what it comes to on average."""
    said, there = _several(probabilities), _several(targets.long())
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*Average precision score for one or more classes")
        warnings.filterwarnings("ignore", message=".*No positive samples found")
        found = multilabel_average_precision(said, there, there.shape[1], average="none", thresholds=None)
    found = torch.where(
        (probabilities == probabilities[:1]).all(0), chance_precisions(targets), found[: targets.shape[1]]
    )
    return torch.where(targets.any(0), found, torch.nan)


def chance_precisions(targets: Tensor) -> Tensor:
    """``float64 [L]``: the average precision that images in a random order have on average (Bestgen 2015, Exact Expected
    Average Precision of the Random Baseline). Of few images it is well above the share that carries the label, which is the
    limit for many.

    Args:
        targets: ``bool [N, L]``.
    """
    count, there = len(targets), targets.sum(0).double()
    harmonic = (1 / torch.arange(1, count + 1, dtype=torch.float64)).sum()
    return ((there - 1) / max(1, count - 1) * (count - harmonic) + harmonic) / count


def _several(columns: Tensor) -> Tensor:
    """``[N, L]``, as torchmetrics has it with two labels or more: a single one twice, which changes no mean."""
    return columns if columns.shape[1] > 1 else columns.expand(-1, 2)


def mean_average_precision(probabilities: Tensor, targets: Tensor) -> float:
    """The mean over the labels that some image carries."""
    return float(average_precisions(probabilities, targets).nanmean())


def log_loss(probabilities: Tensor, targets: Tensor) -> float:
    """Binary cross-entropy in nats of probabilities ``[N, L]``, the mean over images and labels; no probability is taken to be
    nearer to 0 or 1 than 1e-7."""
    sure = probabilities.double().clamp(1e-7, 1 - 1e-7)
    return float(-torch.where(targets, sure.log(), (1 - sure).log()).mean())


def resampled(probabilities: list[Tensor], targets: Tensor, draws: int, seed: int = 0) -> np.ndarray:
    """``float64 [draws, P]``: mean average precision of each of P predictors on images drawn with replacement, the same
    images for all of them, so that their differences can be judged as well. A predictor to which all images are alike puts
    them in a random order, another in every draw.

    Args:
        probabilities: P times float ``[N, L]``.
        targets: ``bool [N, L]``.
        draws: how many times.
        seed: of the draws.
    """
    draw, order = torch.Generator().manual_seed(seed), torch.Generator().manual_seed(seed)
    alike = [(each == each[:1]).all(0) for each in probabilities]
    found = []
    for _ in range(draws):
        rows = torch.randint(len(targets), (len(targets),), generator=draw)
        while targets.any() and not targets[rows].any():  # such a sample has no average precision
            rows = torch.randint(len(targets), (len(targets),), generator=draw)
        random = torch.rand(targets.shape, generator=order, dtype=torch.float64)
        orders = [torch.where(same, random, each) for same, each in zip(alike, probabilities, strict=True)]
        found.append([mean_average_precision(each[rows], targets[rows]) for each in orders])
    return np.array(found)
