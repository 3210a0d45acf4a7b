"""Embeddings in which what tells classes apart weighs more than what varies within a class."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from siamese.errors import UserError
from siamese.networks.committee import Committee


class Whitened(nn.Module):
    """A network whose embedding, once it is trained, is made of its features, or of what teaches, whitened within classes.

    The last layer of a network that learned from few classes has learned to tell these apart; the layers below it see more
    of what tells others apart. So the layer that teaches is left out once it has taught, as is usual with contrastive losses
    (Chen et al. 2020, A Simple Framework for Contrastive Learning of Visual Representations, section 4.2), and one that is
    fitted in closed form takes its place. Where many classes have taught, that layer's own embedding is the better one to
    start from (``of``). Either way, directions in which images of one class differ are scaled down, so that the
    covariance within classes becomes the identity (Hatch, Kajarekar, Stolcke 2006, Within-class Covariance Normalization).

    The features of every member of a committee are whitened by themselves: the covariance of all together would grow with the
    square of their number.

    Args:
        network: with ``features`` and ``feature_size`` beside its ``embedding_size``, such as ``Compact`` or a ``Committee``.
        shrinkage: this share of the mean variance is added to that in every direction, so that directions in which the few
            training images happen not to differ do not count beyond measure.
        of: what is whitened, the network's ``features`` or its ``embedding``.

    Attributes:
        embedding_size: D, the number of features, or of the network's own embedding.
        head_size: size of the network's own embedding, which teaches.
        feature_size: of ``features``, where these are not whitened; 0 where they are, or where there are none.
    """

    centre: Tensor
    whitening: Tensor

    def __init__(
        self, network: nn.Module, shrinkage: float = 0.1, of: Literal["features", "embedding"] = "features"
    ) -> None:
        super().__init__()
        features, own = int(getattr(network, "feature_size", 0)), int(network.embedding_size)  # type: ignore[arg-type]
        size = features if of == "features" else own
        if not size:
            raise UserError(f"{type(network).__name__} has no features to whiten; Compact and committees of it have")
        if shrinkage <= 0:
            raise UserError(f"shrinkage must be above 0, not {shrinkage}")
        self.network, self.shrinkage, self.of = network, shrinkage, of
        self.embedding_size, self.head_size = size, own
        self.feature_size = 0 if of == "features" else features
        parts = len(network.members) if isinstance(network, Committee) else 1
        self.register_buffer("centre", torch.zeros(size))
        self.register_buffer("whitening", torch.eye(size // parts).repeat(parts, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        """Embeddings ``float32 [B, D]`` of length 1 of images ``[B, C, H, W]``."""
        features = self._seen(images)
        with torch.autocast(features.device.type, enabled=False):  # directions of little variance are scaled up a lot
            return F.normalize(self.whiten(features.float()), dim=1)

    def whiten(self, features: Tensor) -> Tensor:
        """Features ``[B, D]``, centred, and each part of them whitened: ``[B, D]``."""
        return (self._parts(features - self.centre) @ self.whitening).movedim(0, 1).flatten(1)

    def head(self, images: Tensor) -> Tensor:
        """What teaches: the network's own embeddings ``[B, head_size]`` of images ``[B, C, H, W]``."""
        return self.network(images)

    def features(self, images: Tensor) -> Tensor:
        """The network's features ``[B, feature_size]`` of images ``[B, C, H, W]``, as they are."""
        return self.network.features(images)  # type: ignore[operator]

    @torch.no_grad()
    def fit(self, views: Iterable[tuple[Tensor, Tensor]], originals: Iterable[Tensor]) -> None:
        """Fit whitening and centre to the network as it is now.

        Args:
            views: batches of training images ``[B, C, H, W]``, distorted as those it learned from, and their labels
                ``int64 [B]``: what varies within a class.
            originals: batches of training images ``[B, C, H, W]`` as they are: their mean is the centre.

        Raises:
            UserError: no batch has two images of a class, or there are no originals.
        """
        size = self.whitening.shape[1]
        scatter = torch.zeros(len(self.whitening), size, size, dtype=torch.float64)
        total = torch.zeros(self.embedding_size, dtype=torch.float64)
        freedom = counted = 0
        training = self.training
        self.eval()  # for the network's batch norms
        for images, labels in views:
            features = self._counted(images)
            _, index = labels.cpu().unique(return_inverse=True)
            counts = index.bincount()
            means = features.new_zeros(len(counts), len(total)).index_add_(0, index, features) / counts.unsqueeze(1)
            inner = self._parts(features - means[index])
            scatter += inner.mT @ inner
            freedom += len(features) - len(counts)
        for images in originals:
            total += self._counted(images).sum(0)
            counted += len(images)
        self.train(training)
        if not freedom or not counted:
            raise UserError("whitening within classes needs batches with several images of a class")
        within = scatter / freedom
        variances = within.diagonal(dim1=1, dim2=2)
        variances.add_(self.shrinkage * variances.mean(1, keepdim=True) + torch.finfo(torch.float32).tiny)
        # Any factor of the inverse gives the same distances; this one needs no decomposition into eigenvectors.
        lower = torch.linalg.cholesky(within)
        self.whitening.copy_(torch.linalg.solve_triangular(lower, torch.eye(size).double(), upper=False).mT)
        self.centre.copy_(total / counted)

    def _parts(self, features: Tensor) -> Tensor:
        """``[P, B, D / P]`` of features ``[B, D]``: what is whitened together."""
        return features.unflatten(1, (len(self.whitening), -1)).movedim(1, 0)

    def _counted(self, images: Tensor) -> Tensor:
        """What is whitened, ``float64 [B, D]`` on the CPU: some devices have no such numbers."""
        return self._seen(images).cpu().double()

    def _seen(self, images: Tensor) -> Tensor:
        return self.network(images) if self.of == "embedding" else self.features(images)
