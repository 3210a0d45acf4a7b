"""Baselines in which only a linear layer learns: logistic regression for each label, on features that are not trained here."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn

from siamese.evaluation.labels import mean_average_precision
from siamese.systems.data import FewShotData

THUMBNAIL, CELLS, DIRECTIONS = 8, 4, 8
PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1)  # C of the logistic regressions, of which validation chooses one
BATCH = 64  # images a frozen network takes at a time
PIXELS = 2**22  # of which the directions of change are found at a time


def handmade_features(images: Tensor) -> np.ndarray:
    """``float32 [N, 64 C + 128]`` of images ``uint8 [N, C, H, W]``: an 8x8 thumbnail, and in each of 4x4 cells a histogram of
    the directions in which the brightness changes, eight of them, weighted by how much (after Dalal, Triggs 2005, Histograms
    of Oriented Gradients for Human Detection)."""
    found = []
    for chunk in images.split(max(1, PIXELS // images[0, 0].numel())):
        values = chunk.float() / 255
        thumbnails = F.adaptive_avg_pool2d(values, THUMBNAIL).flatten(1)
        grey = F.pad(values.mean(1, keepdim=True), (1, 1, 1, 1), mode="replicate")
        across, down = grey[..., 1:-1, 2:] - grey[..., 1:-1, :-2], grey[..., 2:, 1:-1] - grey[..., :-2, 1:-1]
        turn = (torch.atan2(down, across) / torch.pi % 1 * DIRECTIONS).long().clamp_max(DIRECTIONS - 1)
        strength = (across.square() + down.square()).sqrt()
        each = torch.cat([strength * (turn == direction) for direction in range(DIRECTIONS)], dim=1)
        histograms = F.normalize(F.adaptive_avg_pool2d(each, CELLS).flatten(1), dim=1)
        found.append(torch.cat([thumbnails, histograms], dim=1))
    return torch.cat(found).numpy()


def network_features(network: nn.Module, device: torch.device) -> Callable[[Tensor], np.ndarray]:
    """What gives images ``uint8 [N, C, H, W]`` the embeddings ``float32 [N, D]`` of a network, as it is, on a device."""
    network = network.eval().to(device)

    @torch.no_grad()
    def features(images: Tensor) -> np.ndarray:
        each = [network(chunk.to(device).float() / 255).float().cpu() for chunk in images.split(BATCH)]
        return torch.cat(each).numpy()

    return features


def linear_predictions(data: FewShotData, features: Callable[[Tensor], np.ndarray]) -> tuple[Tensor, Tensor]:
    """``float64 [N, L]`` probabilities of validation and of test images. The penalty is the one that validation images prefer.

    Training images carry several labels each, and tiles have none that are drawn once.

    Args:
        data: splits of images.
        features: of images ``uint8 [N, C, H, W]``, ``float32 [N, F]``.
    """
    targets, chosen = data.targets("train"), data.targets("val")
    assert targets is not None and chosen is not None, "Labels.prepare has asked"
    # In float64, as scikit-learn then answers in that, and no threshold is rounded.
    train, val, test = (features(data.table(split).images).astype(np.float64) for split in ("train", "val", "test"))
    best: tuple[float, Tensor, Tensor] | None = None
    for penalty in PENALTIES:
        found = [_fitted(train, targets[:, label].numpy(), penalty, val, test) for label in range(targets.shape[1])]
        of_val, of_test = (torch.from_numpy(np.stack(columns, axis=1)) for columns in zip(*found, strict=True))
        precision = mean_average_precision(of_val, chosen)
        if best is None or precision > best[0]:
            best = precision, of_val, of_test
    assert best is not None
    return best[1], best[2]


def _fitted(train: np.ndarray, there: np.ndarray, penalty: float, *asked: np.ndarray) -> list[np.ndarray]:
    """``float64 [N]`` probabilities of one label for each set of features asked for; of a label that all training images or
    none of them carry, that share."""
    if there.all() or not there.any():
        return [np.full(len(each), float(there.mean())) for each in asked]
    model = make_pipeline(StandardScaler(), LogisticRegression(C=penalty, max_iter=500))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(train, there)
    return [model.predict_proba(each)[:, 1] for each in asked]
