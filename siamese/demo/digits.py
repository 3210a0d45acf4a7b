"""Reading a drawn digit, and refusing what is none."""

from __future__ import annotations

from typing import Any

import torch

from siamese.datasets.mnist import TRAIN, Mnist
from siamese.demo.drawings import Strokes, as_url, digit_pixels
from siamese.errors import DataUnavailable, UserError
from siamese.evaluation.novelty import LocalOutliers, threshold
from siamese.model import Model

KNOWN = 10_000  # training images that a drawing is compared with
CONTAMINATION = 0.05  # reads 99 % of digits drawn by mouse
TOP = 3


class Digits:
    """Names a drawing by the network's probabilities, unless it lies outside MNIST's digits by the local outlier factor.

    Args:
        model: taught MNIST's ten classes.
        contamination: the share of MNIST's own training images that lies below the threshold.

    Raises:
        UserError: the model does not know ten classes, or takes images of another shape.
    """

    def __init__(self, model: Model, contamination: float = CONTAMINATION) -> None:
        self.model = model
        blank = model.class_probabilities(model.embed(torch.zeros(1, 1, 28, 28, dtype=torch.uint8)))
        if model.dataset != Mnist.key or blank is None or blank.shape[1] != len(Mnist.class_names):
            raise UserError(
                f"{model.path} was trained on {model.dataset} and does not name MNIST's ten digits; "
                "`make train-mnist` makes one that does"
            )
        self.note = ""
        try:
            images = Mnist().load().images
        except DataUnavailable as error:
            self.detector = None
            self.note = f"Nothing can be refused, because MNIST's training digits are not here: {error}."
            return
        rows = torch.linspace(0, TRAIN - 1, KNOWN).long()  # evenly spread
        self.detector = LocalOutliers().fit(model.embed(images[rows]).numpy())
        self.threshold = threshold(self.detector.known_scores, contamination)

    def about(self) -> dict[str, Any]:
        """``model``: path of the checkpoint; ``note``: what the page has to say of it, or nothing."""
        return {"model": str(self.model.path), "note": self.note}

    def read(self, strokes: Strokes) -> dict[str, Any]:
        """What a drawing is.

        Returns:
            ``top``: the three most probable digits, [{``digit``, ``probability``}], the best first; ``refused``: whether it is
            no digit, ``factor``: its local outlier factor, about 1 among digits, ``most``: the greatest that is still a digit,
            all three None where the training digits are not here; ``seen``: what the network saw, a PNG as ``data:`` URL.
        """
        pixels = digit_pixels(strokes)
        embedding = self.model.embed(pixels)
        probabilities = self.model.class_probabilities(embedding)
        assert probabilities is not None  # the constructor has asked
        sure, digits = probabilities[0].topk(TOP)
        told: dict[str, Any] = {"refused": None, "factor": None, "most": None}
        if self.detector is not None:
            score = float(self.detector.score(embedding.numpy())[0])
            told = {"refused": score < self.threshold, "factor": -score, "most": -self.threshold}
        top = [
            {"digit": Mnist.class_names[digit], "probability": value}
            for digit, value in zip(digits.tolist(), sure.tolist(), strict=True)
        ]
        return {"top": top, **told, "seen": as_url(pixels[0, 0].numpy())}
