"""A small network in the spirit of Koch et al. (2015) that learns in minutes on two CPU cores."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from siamese.errors import UserError


class Compact(nn.Module):
    """Blocks of 3x3 convolution, 2x2 max-pool, batch norm and ReLU, then one linear layer to the embedding.

    The pool comes before the norm: the same maxima for a quarter of the work, and on a CPU norm and pool, not the
    convolutions, are what takes the time.

    Args:
        widths: channels of the blocks. Every block halves the image.
        embedding_size: D.
        channels: of the images, 1 for grey.
        image_size: side of the images in pixels.
    """

    def __init__(
        self,
        widths: Sequence[int] = (64, 128, 256, 256),
        embedding_size: int = 256,
        channels: int = 1,
        image_size: int = 35,
    ) -> None:
        super().__init__()
        self.embedding_size = embedding_size
        self.image_shape = (channels, image_size, image_size)
        side = image_size >> len(widths)
        if side < 1:
            raise UserError(f"{len(widths)} blocks halve an image of {image_size} pixels to nothing; use fewer widths")
        self.blocks = nn.Sequential(
            *(_block(before, after) for before, after in zip([channels, *widths[:-1]], widths, strict=True))
        )
        self.embed = nn.Linear(widths[-1] * side * side, embedding_size)

    def forward(self, images: Tensor) -> Tensor:
        """Embeddings ``[B, D]`` of images ``[B, channels, image_size, image_size]`` in [0, 1]."""
        if images.shape[1:] != self.image_shape:
            expected, given = ("x".join(map(str, shape)) for shape in (self.image_shape, images.shape[1:]))
            raise UserError(
                f"this compact network takes images of {expected}, not {given}; its image_size and channels "
                "must be those of the data"
            )
        return self.embed(self.blocks(images).flatten(1))


def _block(before: int, after: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, after, 3, padding=1, bias=False),
        nn.MaxPool2d(2),
        nn.BatchNorm2d(after),
        nn.ReLU(inplace=True),
    )
