"""A descriptor of drawings that learns nothing by gradients: direction maps, averaged in cells."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from siamese.errors import UserError
from siamese.networks.directions import Directions


class Descriptor(nn.Module):
    """Direction maps of a grey image averaged in a grid of cells, the classical features of handwriting recognition (Liu,
    Nakashima, Sako, Fujisawa 2004, see ``Directions``).

    Within ``Whitened``, which is fitted in closed form, it is an embedding without one step of gradient descent.

    Args:
        image_size: side of the images in pixels.
        cells: side of the grid; a divisor of half of the image's side.
        directions, blur: as of ``Directions``.

    Raises:
        UserError: the maps cannot be divided into so many cells.
    """

    def __init__(self, image_size: int = 48, cells: int = 12, directions: int = 8, blur: float = 1.5) -> None:
        super().__init__()
        if image_size % 2 or cells < 1 or (image_size // 2) % cells:
            raise UserError(
                f"direction maps of images of {image_size} pixels cannot be divided into {cells} cells a side"
            )
        self.maps, self.cells = Directions(directions, blur), cells
        self.image_shape = (1, image_size, image_size)
        self.embedding_size = directions * cells * cells

    def forward(self, images: Tensor) -> Tensor:
        """Embeddings ``float32 [B, embedding_size]`` of grey images ``[B, 1, image_size, image_size]`` in [0, 1]."""
        if images.shape[1:] != self.image_shape:
            expected, given = ("x".join(map(str, shape)) for shape in (self.image_shape, images.shape[1:]))
            raise UserError(
                f"this descriptor takes images of {expected}, not {given}; its image_size must be that of the data"
            )
        maps = self.maps(images)
        return F.avg_pool2d(maps, maps.shape[2] // self.cells).flatten(1)
