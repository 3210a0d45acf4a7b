"""Distortions on the training device: one draw per image, one resampling for all of them together."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from siamese.errors import UserError


class Affine(nn.Module):
    """A random affine map of each image: rotation, shear, scale and shift, each drawn uniformly from ±its range.

    The defaults suit Omniglot. ``experiments/omniglot_koch.yaml`` has the distribution of Koch et al. (2015): rotation
    10, shear 0.3, scale 0.2, shift 0.019 (2 of 105 pixels), probability 0.5.

    Args:
        rotation: degrees.
        shear: horizontal and vertical shear, a fraction of the height or width.
        scale: horizontal and vertical scale beyond 1, drawn separately.
        shift: horizontal and vertical shift, a fraction of the width or height.
        probability: with which each of the four is applied to an image, drawn separately.
        outside: what enters from beyond the image: ``zeros`` (paper) or its nearest ``border`` pixel (photographs).
        whole_pixels: shift by those alone, which leaves an image that is only shifted as sharp as it was.
    """

    def __init__(
        self,
        rotation: float = 10.0,
        shear: float = 0.15,
        scale: float = 0.15,
        shift: float = 0.05,
        probability: float = 1.0,
        outside: Literal["zeros", "border"] = "zeros",
        whole_pixels: bool = False,
    ) -> None:
        super().__init__()
        self.rotation, self.shear, self.scale, self.shift = rotation, shear, scale, shift
        self.probability, self.outside, self.whole_pixels = probability, outside, whole_pixels

    def forward(
        self,
        images: Tensor,
        turns: Tensor,
        distort: Tensor,
        generator: torch.Generator,
        warp: Tensor | None = None,
    ) -> Tensor:
        """Turn and distort images.

        Args:
            images: float ``[B, C, H, W]``, square where there are quarter turns.
            turns: ``int64 [B]``, quarter turns, plus 4 if mirrored first.
            distort: ``bool [B]``; the others are only turned.
            generator: on the device of the images.
            warp: what is done to them then, as ``ClassWarp`` gives it; all of it in one resampling.
        """
        matrix = _symmetry(turns) @ self.drawn(distort, generator, images.shape[2], images.shape[3])
        if warp is None:
            grid = F.affine_grid(matrix, list(images.shape), align_corners=False)
        else:
            grid = (warp.flatten(1, 2) @ matrix[:, :, :2].mT + matrix[:, None, :, 2]).view_as(warp)
        return F.grid_sample(images, grid, padding_mode=self.outside, align_corners=False)

    def drawn(self, distort: Tensor, generator: torch.Generator, height: int, width: int) -> Tensor:
        """``float [B, 2, 3]``: for each image the map from output to input coordinates, which are in [-1, 1] on both sides."""
        count, device = len(distort), distort.device

        def uniform(size: float, values: int) -> Tensor:
            """``[B, values]`` uniform in ±size, 0 where this distortion is not applied."""
            draw = (2 * torch.rand(count, values, device=device, generator=generator) - 1) * size
            applied = torch.rand(count, 1, device=device, generator=generator) < self.probability
            return draw * (applied & distort.unsqueeze(1))

        angle = uniform(math.radians(self.rotation), 1).squeeze(1)
        stretch = 1 + uniform(self.scale, 2)
        linear = _linear(angle, uniform(self.shear, 2), stretch, height, width)
        shift = uniform(2 * self.shift, 2)  # coordinates span 2
        if self.whole_pixels:
            sides = torch.tensor([width, height], device=device) / 2
            shift = (shift * sides).round() / sides
        return torch.cat([linear, shift.unsqueeze(2)], dim=2)


class ClassWarp:
    """One random smooth map for all images of a *class* in a batch, which makes another class of it: other characters, drawn
    by the same people. Of few classes it makes as many as training asks for. It is for losses that compare the images of a
    batch, not for those that know the classes, nor for those that remember earlier batches.

    Args:
        rotation, shear, scale: as of ``Affine``, each uniform in ±its range.
        bend: elastic deformation: how far each of 4x4 places is moved along either axis, the standard deviation, a fraction
            of the width or height; what lies between them follows smoothly.
        share: of the classes that are warped; the others stay as they are.

    Raises:
        UserError: the bend is negative, or the share is none.
    """

    def __init__(
        self, rotation: float = 20.0, shear: float = 0.25, scale: float = 0.15, bend: float = 0.04, share: float = 1.0
    ) -> None:
        if bend < 0 or not 0 <= share <= 1:
            raise UserError(
                f"a warp bends by 0 or more, and a share from 0 to 1 of the classes, not {bend} and {share}"
            )
        self.rotation, self.shear, self.scale, self.bend, self.share = rotation, shear, scale, bend, share

    def __call__(
        self, labels: Tensor, distort: Tensor, height: int, width: int, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Draw a map for each class.

        Args:
            labels: ``int64 [B]``, the classes of the images.
            distort: ``bool [B]``; the others stay as they are.
            height, width: of the images.
            generator: on the device of the labels.

        Returns:
            ``float [B, H, W, 2]``, where each pixel comes from, coordinates in [-1, 1] on both sides; and ``bool [B]``, which
            images are warped.

        Raises:
            UserError: the images carry several labels each.
        """
        if labels.ndim > 1:
            raise UserError("data.warp takes images of one class each")
        present, index = labels.unique(return_inverse=True)
        count, device = len(present), labels.device
        warped = distort & (torch.rand(count, device=device, generator=generator) < self.share)[index]
        draw = 2 * torch.rand(count, 5, device=device, generator=generator) - 1
        places = torch.randn(count, 2, 4, 4, device=device, generator=generator)
        linear = _linear(
            math.radians(self.rotation) * draw[:, 0],
            self.shear * draw[:, 1:3],
            1 + self.scale * draw[:, 3:],
            height,
            width,
        )
        grid = F.affine_grid(F.pad(linear, (0, 1)), [count, 1, height, width], align_corners=False)
        bent = F.interpolate(places, size=(height, width), mode="bicubic", align_corners=True)
        warps = grid + 2 * self.bend * bent.permute(0, 2, 3, 1)  # coordinates span 2
        still = F.affine_grid(torch.eye(2, 3, device=device)[None], [1, 1, height, width], align_corners=False)
        return torch.where(warped.view(-1, 1, 1, 1), warps[index], still), warped


class Distortion(nn.Module, ABC):
    """What else is done to images, once ``Affine`` has turned and moved them."""

    @abstractmethod
    def forward(self, images: Tensor, distort: Tensor, generator: torch.Generator) -> Tensor:
        """Float images ``[B, C, H, W]``, distorted where ``distort`` (``bool [B]``) is true.

        ``generator`` is on the device of the images.
        """


class Cutout(Distortion):
    """A square of each image hidden, wherever its centre falls (DeVries, Taylor 2017, Improved Regularization of
    Convolutional Neural Networks with Cutout).

    Args:
        size: side of the square, a fraction of the shorter side of the image.
        value: of the pixels that hide it.
    """

    def __init__(self, size: float = 0.5, value: float = 0.47) -> None:
        super().__init__()
        self.size, self.value = size, value

    def forward(self, images: Tensor, distort: Tensor, generator: torch.Generator) -> Tensor:
        """Float images ``[B, C, H, W]`` with a square hidden where ``distort`` (``bool [B]``) is true."""
        height, width = images.shape[2:]
        centre = torch.rand(2, len(images), 1, device=images.device, generator=generator)
        reach = self.size * min(height, width) / 2
        down, across = (
            (torch.arange(side, device=images.device) + 0.5 - place * side).abs() < reach
            for side, place in zip((height, width), centre, strict=True)
        )
        hidden = (down & distort.unsqueeze(1)).unsqueeze(2) & across.unsqueeze(1)
        return images.masked_fill(hidden.unsqueeze(1), self.value)


class Thickness(Distortion):
    """Thicker ink: each image's is spread by a width drawn uniformly, as another pen would. Ink is bright, paper dark.

    Args:
        most: the greatest width by which a line grows to each side, a fraction of the shorter side of the image.
    """

    def __init__(self, most: float = 0.06) -> None:
        super().__init__()
        self.most = most

    def forward(self, images: Tensor, distort: Tensor, generator: torch.Generator) -> Tensor:
        """Float images ``[B, C, H, W]``, the brightest within reach of each pixel, where ``distort`` (``bool [B]``) is true."""
        pixels = self.most * min(images.shape[2:])
        width = pixels * torch.rand(len(images), 1, 1, 1, device=images.device, generator=generator)
        width = width * distort.view(-1, 1, 1, 1)
        for ring in range(math.ceil(pixels)):
            images = images.lerp(F.max_pool2d(images, 3, stride=1, padding=1), (width - ring).clamp(0, 1))
        return images


class Light(Distortion):
    """Other light on each image: brightness, contrast and a gradient across it, each drawn uniformly from ±its range.

    Args:
        contrast: factor beyond 1 of the values.
        brightness: what is added to the values, which are in [0, 1].
        gradient: how much brighter, as a factor beyond 1, one side is than the middle, drawn separately for left to right
            and for top to bottom.
    """

    def __init__(self, contrast: float = 0.3, brightness: float = 0.15, gradient: float = 0.3) -> None:
        super().__init__()
        self.contrast, self.brightness, self.gradient = contrast, brightness, gradient

    def forward(self, images: Tensor, distort: Tensor, generator: torch.Generator) -> Tensor:
        """Float images ``[B, C, H, W]`` in other light where ``distort`` (``bool [B]``) is true; they may leave [0, 1]."""
        draw = 2 * torch.rand(len(images), 4, 1, 1, 1, device=images.device, generator=generator) - 1
        contrast, brightness, across, down = (draw * distort.view(-1, 1, 1, 1, 1)).unbind(1)
        x, y = (torch.linspace(-1, 1, side, device=images.device) for side in (images.shape[3], images.shape[2]))
        slope = self.gradient * (across * x + down * y.unsqueeze(1))
        return images * (1 + self.contrast * contrast + slope) + self.brightness * brightness


def _linear(angle: Tensor, shear: Tensor, stretch: Tensor, height: int, width: int) -> Tensor:
    """``float [B, 2, 2]`` of angles ``[B]`` in radians, shears and stretches ``[B, 2]``, horizontal and vertical. Turned and
    sheared are pixels, not coordinates, of which both sides have as many."""
    cos, sin = angle.cos(), angle.sin()
    rotation = torch.stack([torch.stack([cos, -sin], dim=1), torch.stack([sin, cos], dim=1)], dim=1)
    skew = torch.eye(2, device=angle.device) + torch.diag_embed(shear).flip(2)
    sides = torch.tensor([[1.0, height / width], [width / height, 1.0]], device=angle.device)
    return (rotation @ skew @ torch.diag_embed(stretch)) * sides


def _symmetry(turns: Tensor) -> Tensor:
    """``float [B, 2, 2]`` rotations by quarter turns, mirrored left to right for 4 to 7."""
    quarter = turns % 4
    cos = torch.tensor([1.0, 0.0, -1.0, 0.0], device=turns.device)[quarter]
    sin = torch.tensor([0.0, 1.0, 0.0, -1.0], device=turns.device)[quarter]
    mirror = 1.0 - 2.0 * (turns >= 4).float()
    return torch.stack([torch.stack([mirror * cos, -mirror * sin], dim=1), torch.stack([sin, cos], dim=1)], dim=1)
