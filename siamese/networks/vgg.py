"""Plain convolutional networks for images of several labels, as references."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from siamese.errors import UserError


class Vgg13(nn.Module):
    """Four blocks of three 3x3 convolutions with batch norm and ReLU, of 32, 64, 128 and 256 channels; average pools between
    them, the mean over positions at the end. With the linear layer of the loss it has 13 layers.

    Args:
        channels: of the images.
        widths: channels of the blocks.
    """

    def __init__(self, channels: int = 3, widths: Sequence[int] = (32, 64, 128, 256)) -> None:
        super().__init__()
        self.embedding_size, layers = widths[-1], list[nn.Module]()
        self.channels, self.least = channels, 2 ** (len(widths) - 1)
        for before, after in pairwise([channels, *widths]):
            if len(layers):
                layers.append(nn.AvgPool2d(2))
            for inside in (before, after, after):
                layers += [nn.Conv2d(inside, after, 3, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU(True)]
        self.blocks = nn.Sequential(*layers)

    def forward(self, images: Tensor) -> Tensor:
        """Embeddings ``[B, 256]`` of images ``[B, channels, H, W]`` in [0, 1]. Raises UserError for fewer than 8x8 pixels, or
        other channels."""
        channels, height, width = images.shape[1:]
        if channels != self.channels or min(height, width) < self.least:
            raise UserError(
                f"this network takes {self.channels} channels and at least {self.least} pixels a side, not "
                f"{channels}x{height}x{width}"
            )
        return self.blocks(images).mean((2, 3))


class FourConv(nn.Module):
    """Four valid 5x5 convolutions of 16, 32, 64 and 64 filters, each with ReLU, 2x2 max-pool and dropout, then 128 and 64 units
    with dropout: the network of a widespread recipe for the genres of movie posters.

    Args:
        channels: of the images.
        height, width: of the images in pixels; the recipe has 400x400.
        dropout: of the convolutions; of the units it is twice that.
    """

    embedding_size = 64

    def __init__(self, channels: int = 3, height: int = 400, width: int = 400, dropout: float = 0.25) -> None:
        super().__init__()
        self.image_shape = (channels, height, width)
        layers: list[nn.Module] = []
        for before, after in pairwise([channels, 16, 32, 64, 64]):
            layers += [nn.Conv2d(before, after, 5), nn.ReLU(True), nn.MaxPool2d(2), nn.Dropout(dropout)]
            height, width = (height - 4) // 2, (width - 4) // 2
        if min(height, width) < 1:
            raise UserError(
                f"four 5x5 convolutions leave nothing of images of {self.image_shape[1]}x{self.image_shape[2]}"
            )
        layers += [nn.Flatten(), nn.Linear(64 * height * width, 128), nn.ReLU(True), nn.Dropout(2 * dropout)]
        layers += [nn.Linear(128, self.embedding_size), nn.ReLU(True), nn.Dropout(2 * dropout)]
        self.layers = nn.Sequential(*layers)

    def forward(self, images: Tensor) -> Tensor:
        """Embeddings ``[B, 64]`` of images ``[B, channels, height, width]`` in [0, 1]. Raises UserError for other sizes."""
        if images.shape[1:] != self.image_shape:
            expected, given = ("x".join(map(str, shape)) for shape in (self.image_shape, images.shape[1:]))
            raise UserError(
                f"this network was made for images of {expected}, not {given}; its height and width must be those"
            )
        return self.layers(images)
