"""Warps: one map for a class, within its ranges, and in one resampling with the distortion of each image."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from siamese.augment import Affine, ClassWarp
from siamese.errors import UserError
from siamese.sampling.seeds import generator
from tests.test_augment import MANY, assert_uniform, ramps

STRAIGHT = {"rotation": 0.0, "shear": 0.0, "scale": 0.0, "bend": 0.0}


def warps(warp: ClassWarp, count: int = MANY) -> tuple[Tensor, Tensor]:
    """Of so many classes the maps' linear part ``[count, 2, 2]``, and how far they move each place, ``[count, 41, 41, 2]``."""
    grid, _ = warp(torch.arange(count), torch.ones(count, dtype=torch.bool), 41, 41, generator(0))
    middle, step = 20, 4
    to_x = (grid[:, middle, middle + step] - grid[:, middle, middle]) / (2 * step / 41)
    to_y = (grid[:, middle + step, middle] - grid[:, middle, middle]) / (2 * step / 41)
    return torch.stack([to_x, to_y], dim=2), grid - ramps(count)[:, :2].permute(0, 2, 3, 1)


def test_a_warp_is_of_the_class():
    labels, distort = torch.tensor([7, 3, 7, 9, 3]), torch.ones(5, dtype=torch.bool)
    grid, _ = ClassWarp()(labels, distort, 20, 20, generator(0))
    assert grid.shape == (5, 20, 20, 2)
    assert torch.equal(grid[0], grid[2]) and torch.equal(grid[1], grid[4])
    for one, other in ((0, 1), (0, 3), (1, 3)):
        assert (grid[one] - grid[other]).abs().max() > 0.02
    assert torch.equal(grid, ClassWarp()(labels, distort, 20, 20, generator(0))[0])
    assert not torch.equal(grid, ClassWarp()(labels, distort, 20, 20, generator(1))[0]), "another batch, other classes"
    some, warped = ClassWarp()(labels, torch.arange(5) < 2, 20, 20, generator(0))
    assert warped.tolist() == [True, True, False, False, False]
    assert torch.equal(some[:2], grid[:2])
    torch.testing.assert_close(
        some[2:], F.affine_grid(torch.eye(2, 3).expand(3, 2, 3), [3, 1, 20, 20], align_corners=False)
    )


def test_a_warp_keeps_to_its_ranges():
    linear, _ = warps(ClassWarp(**STRAIGHT | {"rotation": 30.0}))
    assert_uniform(torch.atan2(linear[:, 1, 0], linear[:, 0, 0]).rad2deg(), 30.0)
    torch.testing.assert_close(linear @ linear.mT, torch.eye(2).expand(MANY, -1, -1), atol=1e-3, rtol=0)
    linear, _ = warps(ClassWarp(**STRAIGHT | {"scale": 0.2}))
    assert_uniform(linear[:, 0, 0] - 1, 0.2)
    assert_uniform(linear[:, 1, 1] - 1, 0.2)
    assert linear[:, [0, 1], [1, 0]].abs().max() < 1e-3
    linear, _ = warps(ClassWarp(**STRAIGHT | {"shear": 0.3}))
    assert_uniform(linear[:, 0, 1], 0.3)
    assert_uniform(linear[:, 1, 0], 0.3)


def test_a_bend_moves_places_by_a_fraction_of_the_image_and_smoothly():
    _, moved = warps(ClassWarp(**STRAIGHT | {"bend": 0.05}))
    corners = moved[:, [0, 0, -1, -1], [0, -1, 0, -1]].flatten() / 2  # coordinates span 2
    assert abs(float(corners.mean())) < 0.005
    assert float(corners.std()) == pytest.approx(0.05, rel=0.1), "the corners are four of the places"
    assert (moved.diff(dim=1).abs().max() / 2) < 0.05, "from one pixel to the next"
    assert warps(ClassWarp(**STRAIGHT))[1].abs().max() < 1e-5


def test_a_share_of_the_classes_is_warped():
    _, moved = warps(ClassWarp(share=0.3), 1000)
    warped = moved.abs().amax((1, 2, 3)) > 1e-3
    assert 0.25 < float(warped.float().mean()) < 0.35
    assert moved[~warped].abs().max() < 1e-5


@pytest.mark.parametrize("wrong", [{"bend": -0.1}, {"share": 1.5}, {"share": -0.5}])
def test_a_warp_of_other_ranges_is_refused(wrong):
    with pytest.raises(UserError, match="a share from 0 to 1"):
        ClassWarp(**wrong)


@pytest.mark.parametrize("turn", range(8))
def test_turned_distorted_warped_are_one_resampling(turn):
    """Turned first, warped last: a warp that is a quarter turn turns what was turned; one that does nothing changes nothing."""
    images, distort = torch.rand(2, 1, 28, 28, generator=generator(0)), torch.ones(2, dtype=torch.bool)
    turns, still = torch.full((2,), turn), torch.zeros(2, dtype=torch.bool)
    nothing, _ = ClassWarp(**STRAIGHT)(turns, distort, 28, 28, generator(2))
    once = Affine()(images, turns, distort, generator(1))
    torch.testing.assert_close(Affine()(images, turns, distort, generator(1), nothing), once, atol=1e-4, rtol=0)
    quarter = torch.stack([-nothing[..., 1], nothing[..., 0]], dim=-1)
    turned = Affine()(images, turns, still, generator(1))
    expected = Affine()(turned, torch.ones_like(turns), still, generator(1))
    torch.testing.assert_close(Affine()(images, turns, still, generator(1), quarter), expected, atol=1e-4, rtol=0)


def test_warped_pixels_are_turned_not_coordinates():
    linear, _ = ClassWarp(**STRAIGHT | {"rotation": 90.0})(
        torch.arange(50), torch.ones(50, dtype=torch.bool), 21, 41, generator(0)
    )
    across, down = linear[:, 10, 21] - linear[:, 10, 20], linear[:, 11, 20] - linear[:, 10, 20]
    pixels = torch.stack([across, down], dim=2) * torch.tensor([41.0, 21.0]).view(2, 1) / 2
    torch.testing.assert_close(pixels @ pixels.mT, torch.eye(2).expand(50, -1, -1), atol=1e-3, rtol=0)
