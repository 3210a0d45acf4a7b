"""Several trained networks, and several views of an image (test-time augmentation), as one embedding, reported apart from that
of one network."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from siamese.augment import Affine
from siamese.checkpoints import read_checkpoint
from siamese.errors import UserError
from siamese.rebuild import rebuild
from siamese.sampling.seeds import generator
from siamese.similarity import Cosine


class Ensemble(nn.Module):
    """The networks of some checkpoints, each with the mean of some views of an image, side by side; for evaluation alone.

    The cosine of two of its embeddings is the mean of the networks' cosines (Hansen, Salamon 1990, Neural Network Ensembles).

    Args:
        checkpoints: files of networks whose embeddings are compared by the cosine.
        views: how many views of each image; the first is the image as it is, the others the same affine maps of every image.
        affine: draws the other views; None for ``Affine()``.

    Attributes:
        about: what each checkpoint says about itself.
        how: what stands for an image, in words.

    Raises:
        UserError: there is no checkpoint or no view, a file is no checkpoint or given twice, its network knows classes, or its
            embeddings are compared otherwise.
    """

    def __init__(self, checkpoints: Sequence[str], views: int = 1, affine: Affine | None = None) -> None:
        super().__init__()
        if not checkpoints or views < 1:
            raise UserError(f"an ensemble has one or more checkpoints and views, not {len(checkpoints)} and {views}")
        if len({Path(path).resolve() for path in checkpoints}) < len(checkpoints):
            raise UserError("each checkpoint of an ensemble is given once")
        read = [read_checkpoint(Path(path)) for path in checkpoints]
        systems = [rebuild(one, Path(path)) for one, path in zip(read, checkpoints, strict=True)]
        for path, system in zip(checkpoints, systems, strict=True):
            if system.knows_classes:
                raise UserError(f"{path} tells classes; an ensemble is of networks whose embeddings are compared")
            if not isinstance(system.similarity, Cosine):
                raise UserError(
                    f"{path} compares embeddings by {type(system.similarity).__name__}; an ensemble is of cosines"
                )
        self.networks = nn.ModuleList(system.network for system in systems)
        self.embedding_size = sum(int(system.network.embedding_size) for system in systems)  # type: ignore[misc, arg-type]
        self.views, self.affine, self.about = views, affine or Affine(), [one.about for one in read]
        several = [f"{count} {word}" for count, word in ((len(read), "networks"), (views, "views")) if count > 1]
        self.eval()  # for batch norms
        self.how = f"{' and '.join(several) or 'one view'} of each image"

    def forward(self, images: Tensor) -> Tensor:
        """Embeddings ``float32 [B, D]`` of length 1 of images ``[B, C, H, W]``."""
        views = self._views(images)
        return F.normalize(torch.cat([_mean(network, views) for network in self.networks], dim=1), dim=1)

    def _views(self, images: Tensor) -> list[Tensor]:
        images = images.float()
        maps = self.affine.drawn(torch.arange(self.views) > 0, generator(0), *images.shape[2:]).to(images.device)
        grids = (
            F.affine_grid(one.expand(len(images), -1, -1), list(images.shape), align_corners=False) for one in maps[1:]
        )
        return [
            images,
            *(F.grid_sample(images, grid, padding_mode=self.affine.outside, align_corners=False) for grid in grids),
        ]


def _mean(network: nn.Module, views: list[Tensor]) -> Tensor:
    """``float32 [B, D]`` of length 1: the mean of the directions of the views' embeddings."""
    return F.normalize(torch.stack([F.normalize(network(view).float(), dim=1) for view in views]).mean(0), dim=1)
