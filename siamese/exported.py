"""What of a trained network goes into an ONNX file."""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from siamese.losses import LabelLoss
from siamese.model import Model


class Exported(nn.Module):
    """From pixels as ``Preprocessing.pixels`` gives them to embeddings: resizing, scaling to [0, 1], network. Of a network
    trained on ink, from ink as ``Preprocessing.found_ink`` gives it: it is normalised first.

    Args:
        model: whose network, and loss if it knows classes or labels, copied to the CPU, it takes.
    """

    down: Tensor
    across: Tensor
    rows: Tensor
    columns: Tensor

    def __init__(self, model: Model) -> None:
        super().__init__()
        height, width, side = model.preprocessing.height, model.preprocessing.width, model.image_size
        self.ink, self.frame = model.preprocessing.ink, height
        self.network = copy.deepcopy(model.network).cpu().to(memory_format=torch.contiguous_format)
        self.loss = None if outcomes(model) is None else copy.deepcopy(model.loss).cpu()
        self.resizes = side is not None and (height, width) != (side, side)
        if side is None:
            return
        if side <= min(height, width):
            # Sums of whole numbers are exact, so that a mean halfway between two numbers is rounded as the table's is.
            down, across = _bins(height, side), _bins(width, side)
        else:
            down, across = _weights(height, side), _weights(width, side)
        self.register_buffer("down", down)
        self.register_buffer("across", across.T.contiguous())
        self.register_buffer("rows", down.sum(1, keepdim=True).round())
        self.register_buffer("columns", across.sum(1).round())

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Embeddings ``float32 [N, D]``, and probabilities ``float32 [N, L]`` if the loss knows classes or labels, of pixels
        ``uint8 [N, C, height, width]``, or of ink ``float32 [N, 1, H, W]``."""
        pixels = self.ink.levels(images, self.frame) if self.ink else images.float()
        if self.resizes:
            pixels = (self.down @ pixels @ self.across / self.rows / self.columns).round()
        embeddings = self.network(pixels / 255).float()
        if self.loss is None:
            return (embeddings,)
        logits = self.loss.logits(embeddings)
        assert logits is not None
        said = self.loss.probabilities(logits) if isinstance(self.loss, LabelLoss) else logits.softmax(1)
        return embeddings, said.float()


def outcomes(model: Model) -> int | None:
    """How many classes or labels have a probability; None where there are none."""
    found = probabilities(model, torch.zeros(1, model.embedding_size))
    return None if found is None else found.shape[1]


def probabilities(model: Model, embeddings: Tensor) -> Tensor | None:
    """``float64 [N, L]`` of classes or labels, of embeddings ``[N, D]``; None where the loss knows none, or was taught by
    another embedding than the network gives."""
    if getattr(model.network, "head_size", None) is not None:
        return None
    found = model.label_probabilities(embeddings)
    return model.class_probabilities(embeddings) if found is None else found


def _bins(before: int, after: int) -> Tensor:
    """``float32 [after, before]``: 1 where a pixel before goes into the mean that is a pixel after, as in F.interpolate."""
    place, pixel = torch.arange(after).unsqueeze(1), torch.arange(before)
    first, end = place * before // after, ((place + 1) * before + after - 1) // after
    return ((first <= pixel) & (pixel < end)).float()


def _weights(before: int, after: int) -> Tensor:
    """``float32 [after, before]``: what F.interpolate does, which is linear, to each pixel by itself."""
    one = torch.eye(before)[None, None]
    return F.interpolate(one, size=(after, before), mode="bilinear", align_corners=False)[0, 0]
