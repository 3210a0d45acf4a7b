"""Direction maps: how much of an image's edges runs in each of several directions, and where."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from siamese.errors import UserError

CHUNK = 16  # images at a time on a CPU: what is between image and maps stays in its cache, for a third of the time


class Directions(nn.Module):
    """A fixed first layer: the gradient of a grey image, divided by its direction into maps of half the image's side.

    Handwriting recognition has used such maps for decades (Liu, Nakashima, Sako, Fujisawa 2004, Handwritten digit recognition:
    investigation of normalization and feature extraction techniques); as the input of a convolutional network they are the
    "directMap" of Zhang, Bengio, Liu (2017, Online and offline handwritten Chinese character recognition, arXiv 1606.05763).
    A map has the part of each gradient g that points its way, ``relu(g·d - |g| cos(2π / directions))`` for the unit vector d of
    the map, so that a gradient is shared between the two or three nearest directions. The maps are blurred, every second pixel
    of them is kept, and square roots are taken, so that faint lines count as well.

    Args:
        directions: how many, evenly around the circle.
        blur: standard deviation of the Gaussian in pixels of the image.

    Attributes:
        channels: of the result, as many as there are directions.

    Raises:
        UserError: there are fewer than four directions, or the blur is not above 0.
    """

    filters: Tensor
    gaussian: Tensor

    def __init__(self, directions: int = 8, blur: float = 1.5) -> None:
        super().__init__()
        if directions < 4 or blur <= 0:
            raise UserError(f"direction maps take 4 directions or more and a blur above 0, not {directions} and {blur}")
        self.channels, self.least = directions, math.cos(2 * math.pi / directions)
        sobel = torch.tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]]) / 8
        angles = torch.arange(directions).view(-1, 1, 1) * (2 * math.pi / directions)
        towards = angles.cos() * sobel + angles.sin() * sobel.T
        # The last two are the gradient itself, for its length. What is fixed is no part of a checkpoint's weights.
        self.register_buffer("filters", torch.stack([*towards, sobel, sobel.T]).unsqueeze(1), persistent=False)
        reach = torch.arange(-math.ceil(2.5 * blur), math.ceil(2.5 * blur) + 1.0)
        gaussian = torch.exp(-reach.square() / (2 * blur**2))
        self.register_buffer("gaussian", gaussian / gaussian.sum(), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Maps ``float32 [B, directions, H / 2, W / 2]`` of grey images ``[B, 1, H, W]``; H and W are even."""
        with torch.autocast(images.device.type, enabled=False):
            rows, columns = (self._blurring(side) for side in images.shape[2:])
            # An export has any number of images, and a GPU is quick with all of them at once.
            if torch.compiler.is_compiling() or images.device.type != "cpu":
                return self._maps(images, rows, columns)
            return torch.cat([self._maps(few, rows, columns) for few in images.split(CHUNK)])

    def _maps(self, images: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
        towards = F.conv2d(images.float().contiguous(), self.filters, padding=1)
        along, gradient = towards[:, : self.channels], towards[:, self.channels :]
        length = (gradient.square().sum(1, keepdim=True) + 1e-12).sqrt()
        maps = (along - self.least * length).clamp_min(0)
        # The Gaussian is separable: two matrix products are several times faster than a convolution of each map.
        return (rows @ maps @ columns.T + 1e-6).sqrt()

    def _blurring(self, side: int) -> Tensor:
        """``float32 [side / 2, side]``: what blurs a line of pixels and keeps every second."""
        pixels = torch.eye(side, device=self.gaussian.device).unsqueeze(1)
        kernel = self.gaussian.view(1, 1, -1)
        return F.conv1d(pixels, kernel, stride=2, padding=kernel.shape[2] // 2)[:, 0].T
