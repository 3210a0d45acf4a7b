"""Two embeddings side by side, one of them learned and one fixed."""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from siamese.errors import UserError
from siamese.networks.whitened import Whitened


class Fused(nn.Module):
    """A learned embedding and that of a descriptor, whose cosines are added (score-level fusion: Kittler, Hatef, Duin, Matas
    1998, On combining classifiers). What the two mistake is not the same, so that both together are better than either.

    Args:
        network: learns; whitened within classes after every epoch.
        descriptor: learns nothing by gradients, and is only whitened, such as ``Whitened`` of a ``Descriptor``.
        weight: of the descriptor's cosine, where that of the network's is 1.

    Attributes:
        embedding_size: D, the sum of both.
        head_size: size of the network's own embedding, on which the loss works.
        feature_size: of ``features``, the network's.

    Raises:
        UserError: the weight is negative, or the descriptor has something to learn.
    """

    def __init__(self, network: Whitened, descriptor: Whitened, weight: float = 0.3) -> None:
        super().__init__()
        if weight < 0:
            raise UserError(f"the weight of a descriptor is 0 or more, not {weight}")
        if any(True for _ in descriptor.parameters()):
            raise UserError(
                f"a descriptor learns nothing, and {type(descriptor.network).__name__} has weights to learn"
            )
        self.network, self.descriptor, self.weight = network, descriptor, weight
        self.embedding_size = network.embedding_size + descriptor.embedding_size
        self.head_size, self.feature_size = network.head_size, network.feature_size

    def forward(self, images: Tensor) -> Tensor:
        """Embeddings ``float32 [B, D]`` of length 1 of images ``[B, C, H, W]``."""
        parts = [self.network(images), self.weight**0.5 * self.descriptor(images)]
        return F.normalize(torch.cat(parts, dim=1), dim=1)

    def head(self, images: Tensor) -> Tensor:
        """The network's own embeddings ``[B, head_size]`` of images ``[B, C, H, W]``, which the loss works on."""
        return self.network.head(images)

    def features(self, images: Tensor) -> Tensor:
        """The network's features ``[B, feature_size]`` of images ``[B, C, H, W]``."""
        return self.network.features(images)

    def fit(self, views: Iterable[tuple[Tensor, Tensor]], originals: Iterable[Tensor]) -> None:
        """Whiten both, see ``Whitened.fit``. Both iterables are gone through twice."""
        self.network.fit(views, originals)
        self.descriptor.fit(views, originals)
