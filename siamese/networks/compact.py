"""A small network in the spirit of Koch et al. (2015) that learns in minutes on two CPU cores."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from siamese.errors import UserError


class Compact(nn.Module):
    """Blocks of 3x3 convolution, 2x2 max-pool, batch norm and ReLU, and further convolutions with norm and ReLU where
    ``depths`` says so; then one linear layer to the embedding.

    The pool comes before the norm: the same maxima for a quarter of the work, and on a CPU norm and pool, not the
    convolutions, are what takes the time.

    Args:
        widths: channels of the blocks. Every block halves the image.
        depths: convolutions of each block, those beyond the first after the pool; None for one in each.
        embedding_size: D.
        channels: of the images, 1 for grey.
        image_size: side of the images in pixels.
        average: the mean over all positions goes into the linear layer, not each position by itself: fewer parameters, and
            features count wherever they are.
        standardise: subtract each image's mean and divide by its deviation first, which takes the exposure out.
        radius: embeddings are scaled to this length, so that Euclidean distances are at most twice it whatever the loss does.
            With ``Softmax`` it is the L2 constraint, see ``siamese.losses.least_radius``. None leaves them as they are.
        mirrored: when not training, the embedding is the mean of the image's and its mirror image's, for things that have no
            left and right, such as faces.
        front: a fixed layer before the blocks, such as ``Directions``. It has ``channels``, those of its result, which has
            half the side of the images. None for none.
        places: of each block, the side of a grid in each of whose cells ``features`` are averaged as well, so that they say
            where something is; 1 for no grid, None for none anywhere.
    """

    def __init__(
        self,
        widths: Sequence[int] = (64, 128, 256, 256),
        embedding_size: int = 256,
        channels: int = 1,
        image_size: int = 35,
        average: bool = False,
        standardise: bool = False,
        radius: float | None = None,
        mirrored: bool = False,
        places: Sequence[int] | None = None,
        depths: Sequence[int] | None = None,
        front: nn.Module | None = None,
    ) -> None:
        super().__init__()
        if front is not None and (channels != 1 or image_size % 2):
            raise UserError(
                f"a front takes grey images of an even side, not {channels} channels of {image_size} pixels"
            )
        depths = [1] * len(widths) if depths is None else depths
        if len(depths) != len(widths) or min(depths) < 1:
            raise UserError(
                f"depths has a number of at least 1 for each of the {len(widths)} blocks, not {list(depths)}"
            )
        self.places = [1] * len(widths) if places is None else list(places)
        if len(self.places) != len(widths) or min(self.places) < 1:
            raise UserError(
                f"places has a number of at least 1 for each of the {len(widths)} blocks, not {self.places}"
            )
        self.embedding_size = embedding_size
        grids = [side**2 if side > 1 else 0 for side in self.places]
        self.feature_size = sum(width * (1 + cells) for width, cells in zip(widths, grids, strict=True))
        self.standardise, self.radius, self.mirrored = standardise, radius, mirrored
        self.image_shape = (channels, image_size, image_size)
        self.front = nn.Identity() if front is None else front
        seen = channels if front is None else int(front.channels)  # type: ignore[arg-type]
        side = (image_size if front is None else image_size // 2) >> len(widths)
        if side < 1:
            raise UserError(f"{len(widths)} blocks halve an image of {image_size} pixels to nothing; use fewer widths")
        self.blocks = nn.Sequential(
            *(
                _block(before, after, depth)
                for before, after, depth in zip([seen, *widths[:-1]], widths, depths, strict=True)
            )
        )
        self.average = average
        self.embed = nn.Linear(widths[-1] * (1 if average else side * side), embedding_size)

    def forward(self, images: Tensor) -> Tensor:
        """Embeddings ``[B, D]`` of images ``[B, channels, image_size, image_size]`` in [0, 1]."""
        if images.shape[1:] != self.image_shape:
            expected, given = ("x".join(map(str, shape)) for shape in (self.image_shape, images.shape[1:]))
            raise UserError(
                f"this compact network takes images of {expected}, not {given}; its image_size and channels "
                "must be those of the data"
            )
        images = self._prepared(images)
        embeddings = self._embed(images)
        if self.mirrored and not self.training:
            embeddings = self._scaled((embeddings + self._embed(images.flip(3))) / 2)
        return embeddings

    def features(self, images: Tensor) -> Tensor:
        """What the blocks see in images ``[B, channels, image_size, image_size]``.

        Returns:
            ``float32 [B, feature_size]``: of each block the mean over positions, scaled to length 1, and the means in its
            ``places``, together scaled to length 1; if ``mirrored``, the mean of the image's and its mirror image's.
        """
        images = self._prepared(images)
        features = self._features(images)
        return (features + self._features(images.flip(3))) / 2 if self.mirrored else features

    def _prepared(self, images: Tensor) -> Tensor:
        if not self.standardise:
            return self.front(images)
        centred = images - images.mean((1, 2, 3), keepdim=True)
        # An image of one colour has no deviation to divide by.
        return self.front(centred / (centred.square().mean((1, 2, 3), keepdim=True).sqrt() + 0.05))

    def _features(self, images: Tensor) -> Tensor:
        means = []
        for block, side in zip(self.blocks, self.places, strict=True):
            images = block(images)
            for cells in (1, side) if side > 1 else (1,):
                means.append(F.normalize(F.adaptive_avg_pool2d(images.float(), cells).flatten(1), dim=1))
        return torch.cat(means, dim=1)

    def _embed(self, images: Tensor) -> Tensor:
        features = self.blocks(images)
        return self._scaled(self.embed(features.mean((2, 3)) if self.average else features.flatten(1)))

    def _scaled(self, embeddings: Tensor) -> Tensor:
        return embeddings if self.radius is None else self.radius * F.normalize(embeddings.float(), dim=1)


def _block(before: int, after: int, depth: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for number in range(depth):
        layers.append(nn.Conv2d(after if number else before, after, 3, padding=1, bias=False))
        layers.extend([] if number else [nn.MaxPool2d(2)])
        layers.extend([nn.BatchNorm2d(after), nn.ReLU(inplace=True)])
    return nn.Sequential(*layers)
