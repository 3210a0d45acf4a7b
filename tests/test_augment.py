"""Augmentation: exact symmetries, one draw per image, and parameters recovered from what it does to coordinates."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from siamese.augment import Affine, Cutout, Light, Thickness
from siamese.sampling.seeds import generator

NOTHING = {"rotation": 0.0, "shear": 0.0, "scale": 0.0, "shift": 0.0}
MANY = 400


def ramps(count: int, size: int = 41) -> Tensor:
    """``[count, 3, size, size]``: x and y in [-1, 1] at every pixel, and 1 where the image is."""
    line = torch.arange(size) * 2 / size + 1 / size - 1
    x, y = torch.meshgrid(line, line, indexing="xy")
    return torch.stack([x, y, torch.ones(size, size)]).expand(count, -1, -1, -1).contiguous()


def maps(affine: Affine, count: int = MANY, seed: int = 0) -> tuple[Tensor, Tensor]:
    """The linear part ``[count, 2, 2]`` (to x, y from x, y) and the shift ``[count, 2]`` of the maps that it draws."""
    images = ramps(count)
    untouched = torch.zeros(count, dtype=torch.int64)
    moved = affine(images, untouched, torch.ones(count, dtype=torch.bool), generator(seed))
    centre, step = 20, 4  # near the centre nothing comes from outside
    here = moved[:, :2, centre, centre]
    to_x = (moved[:, :2, centre, centre + step] - here) / (2 * step / 41)
    to_y = (moved[:, :2, centre + step, centre] - here) / (2 * step / 41)
    return torch.stack([to_x, to_y], dim=2), here


@pytest.mark.parametrize("turn", range(8))
@pytest.mark.parametrize("size", [28, 35])
def test_undistorted_images_are_turned_exactly(turn, size):
    images = torch.rand(3, 2, size, size, generator=generator(0))
    turned = Affine()(images, torch.full((3,), turn), torch.zeros(3, dtype=torch.bool), generator(1))
    mirrored = images.flip(3) if turn >= 4 else images
    torch.testing.assert_close(turned, torch.rot90(mirrored, turn % 4, (2, 3)), atol=2e-5, rtol=0)


def test_every_image_has_its_own_draw_and_its_own_turn():
    image = torch.rand(1, 1, 28, 28, generator=generator(0)).expand(16, -1, -1, -1).contiguous()
    same = torch.zeros(16, dtype=torch.int64)
    moved = Affine()(image, same, torch.ones(16, dtype=torch.bool), generator(1)).flatten(1)
    assert torch.pdist(moved).min() > 0.5
    mixed = Affine()(image, torch.arange(16) % 8, torch.arange(16) >= 8, generator(1))
    torch.testing.assert_close(mixed[1], torch.rot90(image[1], 1, (1, 2)), atol=2e-5, rtol=0)
    torch.testing.assert_close(mixed[6], torch.rot90(image[6].flip(2), 2, (1, 2)), atol=2e-5, rtol=0)
    assert (mixed[8] - mixed[0]).abs().max() > 0.1, "distort is per image"


def test_a_distortion_is_the_same_in_every_symmetry():
    """First turned, then distorted: the draw does not depend on the turn."""
    image = torch.rand(1, 1, 28, 28, generator=generator(0))
    distort = torch.ones(1, dtype=torch.bool)
    for turn in range(8):
        turned = Affine()(image, torch.tensor([turn]), torch.zeros(1, dtype=torch.bool), generator(5))
        once = Affine()(image, torch.tensor([turn]), distort, generator(1))
        torch.testing.assert_close(once, Affine()(turned, torch.tensor([0]), distort, generator(1)), atol=1e-4, rtol=0)


@pytest.mark.parametrize("option", ["rotation", "shear", "scale", "shift"])
def test_each_option_changes_the_result(option):
    images, turns = torch.rand(4, 1, 28, 28, generator=generator(0)), torch.zeros(4, dtype=torch.int64)
    distort = torch.ones(4, dtype=torch.bool)
    unmoved = Affine(**NOTHING)(images, turns, distort, generator(1))
    torch.testing.assert_close(unmoved, images, atol=2e-5, rtol=0)
    for value in (0.1, 0.3):
        moved = Affine(**NOTHING | {option: 100 * value if option == "rotation" else value})
        again = moved(images, turns, distort, generator(1))
        assert (again - images).abs().amax(dim=(1, 2, 3)).min() > 0.01
        assert torch.equal(again, moved(images, turns, distort, generator(1)))
        assert not torch.equal(again, moved(images, turns, distort, generator(2)))


def assert_uniform(values: Tensor, limit: float) -> None:
    assert values.abs().max() <= limit * 1.01 + 1e-4
    assert values.max() > 0.95 * limit
    assert values.min() < -0.95 * limit
    assert abs(float(values.mean())) < 0.12 * limit
    assert abs(float(values.std()) / (limit / math.sqrt(3)) - 1) < 0.12


def test_rotation_keeps_to_its_range():
    linear, shift = maps(Affine(**NOTHING | {"rotation": 30.0}))
    assert_uniform(torch.atan2(linear[:, 1, 0], linear[:, 0, 0]).rad2deg(), 30.0)
    torch.testing.assert_close(linear @ linear.mT, torch.eye(2).expand(MANY, -1, -1), atol=1e-3, rtol=0)
    assert shift.abs().max() < 1e-4


def test_shear_keeps_to_its_range():
    linear, shift = maps(Affine(**NOTHING | {"shear": 0.3}))
    assert_uniform(linear[:, 0, 1], 0.3)
    assert_uniform(linear[:, 1, 0], 0.3)
    assert abs(float(torch.corrcoef(torch.stack([linear[:, 0, 1], linear[:, 1, 0]]))[0, 1])) < 0.15
    torch.testing.assert_close(linear.diagonal(dim1=1, dim2=2), torch.ones(MANY, 2), atol=1e-3, rtol=0)
    assert shift.abs().max() < 1e-4


def test_scale_keeps_to_its_range():
    linear, shift = maps(Affine(**NOTHING | {"scale": 0.2}))
    assert_uniform(linear[:, 0, 0] - 1, 0.2)
    assert_uniform(linear[:, 1, 1] - 1, 0.2)
    assert abs(float(torch.corrcoef(linear.diagonal(dim1=1, dim2=2).T)[0, 1])) < 0.15
    assert linear[:, [0, 1], [1, 0]].abs().max() < 1e-3
    assert shift.abs().max() < 1e-4


def test_shift_keeps_to_its_range():
    """As a fraction of the width: 2 of 105 pixels are 0.019; the picture's coordinates span 2."""
    linear, shift = maps(Affine(**NOTHING | {"shift": 0.1}))
    assert_uniform(shift[:, 0] / 2, 0.1)
    assert_uniform(shift[:, 1] / 2, 0.1)
    torch.testing.assert_close(linear, torch.eye(2).expand(MANY, -1, -1), atol=1e-3, rtol=0)


def test_probability_is_of_each_distortion_by_itself():
    for probability in (0.0, 0.25, 1.0):
        linear, shift = maps(Affine(0.0, 0.0, 0.2, 0.1, probability=probability), 1000)
        scaled, shifted = (linear - torch.eye(2)).abs().amax(dim=(1, 2)) > 1e-3, shift.abs().amax(dim=1) > 1e-3
        for share, expected in (
            (scaled, probability),
            (shifted, probability),
            (scaled & shifted, probability**2),
        ):
            assert abs(float(share.float().mean()) - expected) < 0.06


def test_what_enters_from_outside_is_paper():
    images = torch.ones(50, 1, 28, 28)
    moved = Affine(**NOTHING | {"shift": 0.4})(images, torch.zeros(50).long(), torch.ones(50).bool(), generator(0))
    assert moved.min() == 0
    assert moved.max() <= 1 + 1e-6
    assert 0.3 < float(moved.mean()) < 0.9


def test_what_enters_is_paper_or_the_border():
    images, still = torch.ones(8, 1, 20, 20), torch.zeros(8, dtype=torch.int64)
    far = {**NOTHING, "shift": 0.5}
    assert Affine(**far)(images, still, still == 0, generator(0)).min() == 0
    torch.testing.assert_close(Affine(**far, outside="border")(images, still, still == 0, generator(0)), images)


def test_light_keeps_to_its_ranges_and_differs_from_image_to_image():
    images, all_of_them = torch.full((500, 1, 9, 9), 0.5), torch.ones(500, dtype=torch.bool)
    brighter = Light(0.0, 0.2, 0.0)(images, all_of_them, generator(0)) - 0.5
    assert (brighter == brighter[:, :, :1, :1]).all()
    assert -0.2 <= brighter.min() < -0.18
    assert 0.18 < brighter.max() <= 0.2
    contrast = Light(0.4, 0.0, 0.0)(images, all_of_them, generator(0)) / 0.5
    assert 0.6 <= contrast.min() < 0.62
    assert 1.38 < contrast.max() <= 1.4
    slope = Light(0.0, 0.0, 0.3)(images, all_of_them, generator(0)) / 0.5
    torch.testing.assert_close(slope[:, 0, 4, 4], torch.ones(500))  # the middle stays
    assert (slope[:, 0, 4, 8] - 1).abs().max() <= 0.3
    assert (slope[:, 0, 4, 8] - 1).abs().max() > 0.28
    torch.testing.assert_close(slope[:, 0, 0, 0] + slope[:, 0, 8, 8], torch.full((500,), 2.0))


def test_light_leaves_alone_what_is_not_to_be_distorted():
    images = torch.rand(6, 3, 8, 8, generator=generator(0))
    distort = torch.arange(6) % 2 == 0
    lit = Light()(images, distort, generator(1))
    assert torch.equal(lit[~distort], images[~distort])
    assert (lit[distort] - images[distort]).abs().amax((1, 2, 3)).min() > 0.01


def test_pixels_are_turned_not_coordinates():
    """A quarter turn of a wide image leaves a square in its middle a square."""
    images = torch.zeros(1, 1, 20, 40)
    images[:, :, 6:14, 16:24] = 1
    images[:, :, 8:10, 18:22] = 0.5
    still = torch.zeros(1, dtype=torch.int64)
    turn = Affine(**NOTHING | {"rotation": 180.0})
    linear = turn.drawn(still == 0, generator(3), 20, 40)[0, :, :2] * torch.tensor([[1.0, 40 / 20], [20 / 40, 1.0]])
    torch.testing.assert_close(linear @ linear.T, torch.eye(2), atol=1e-5, rtol=0)
    turned = turn(images, still, still == 0, generator(3))
    assert float(turned.sum()) == pytest.approx(float(images.sum()), rel=0.02)


def test_whole_pixels_are_moved_as_they_are():
    images, still = torch.rand(200, 1, 12, 20, generator=generator(0)), torch.zeros(200, dtype=torch.int64)
    still[100:] = 4
    shift = Affine(**NOTHING | {"shift": 0.1}, outside="border", whole_pixels=True)
    moved = shift(images, still, still >= 0, generator(1))
    images = torch.where(still.view(-1, 1, 1, 1) == 4, images.flip(3), images)
    padded, found = F.pad(images, (2, 2, 1, 1), mode="replicate"), set()
    for image, (row, result) in zip(padded, enumerate(moved), strict=True):
        places = [(down, right) for down in range(3) for right in range(5)
                  if torch.allclose(image[:, down : down + 12, right : right + 20], result, atol=2e-5)]  # fmt: skip
        assert len(places) == 1, f"image {row} is none of the fifteen"
        found.update(places)
    assert len(found) == 15


def test_cutout_hides_one_square_wherever_it_falls():
    images = torch.rand(600, 3, 16, 24, generator=generator(0))
    distort = torch.arange(600) < 500
    cut = Cutout(0.5, value=2.0)(images, distort, generator(1))
    hidden = cut == 2
    assert not hidden[500:].any()
    assert torch.equal(cut[~hidden], images[~hidden])
    hidden = hidden[:500]
    assert torch.equal(hidden, hidden[:, :1].expand_as(hidden)), "in all channels"
    rows, columns = hidden[:, 0].any(2), hidden[:, 0].any(1)
    assert torch.equal(hidden[:, 0], rows.unsqueeze(2) & columns.unsqueeze(1)), "a rectangle"
    assert int(rows.sum(1).max()) == int(columns.sum(1).max()) == 8
    assert int(rows.sum(1).min()) == int(columns.sum(1).min()) == 4, "half of it where its centre is at the border"
    shares = hidden[:, 0].float().mean(0)
    assert shares.min() > 0.02
    assert shares.max() < 0.25


def test_thickness_spreads_ink_by_another_width_for_every_image():
    images = torch.zeros(400, 1, 20, 24)
    images[:, :, 10] = 1  # a line
    distort = torch.arange(400) < 300
    thick = Thickness(0.15)(images, distort, generator(0))  # up to three pixels to each side
    assert torch.equal(thick[300:], images[300:])
    width = thick[:300, 0, :, 12].sum(1)
    assert 1 <= width.min() < 1.1
    assert 6.9 < width.max() <= 7
    assert width.mean() == pytest.approx(4, abs=0.3), "uniform"
    assert (thick >= images).all() and thick.max() == 1
    assert torch.equal(thick, thick.flip(3)), "a line stays a line"


def test_thickness_is_a_fraction_of_the_image():
    small, large = torch.zeros(1, 1, 20, 20), torch.zeros(1, 1, 60, 60)
    small[:, :, 10], large[:, :, 30:33] = 1, 1
    some = torch.ones(1, dtype=torch.bool)
    widths = [Thickness(0.15)(images, some, generator(3))[0, 0, :, 5].mean() for images in (small, large)]
    torch.testing.assert_close(*widths, atol=0.01, rtol=0)
