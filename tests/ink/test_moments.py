"""Normalised drawings have their ink's mass in the middle and its deviation at the stated share of the side."""

import math

import pytest
import torch

from siamese.ink.moments import WIDEST_PEN, normalised
from siamese.ink.pen import pen_width, with_pen
from tests.ink.pages import drawing


def ink(**options) -> torch.Tensor:
    return torch.from_numpy(drawing(**options)).float()[None, None]


def moments(image: torch.Tensor) -> tuple[float, float, float, float, float]:
    """Mean and deviation of x and of y, in sides of a square image ``[1, 1, S, S]``, and the covariance, by brute force."""
    side, mass = image.shape[-1], float(image.sum())
    place = (torch.arange(side) + 0.5) / side
    y, x = torch.meshgrid(place, place, indexing="ij")
    mean_x, mean_y = (float((image[0, 0] * each).sum()) / mass for each in (x, y))
    var_x, var_y = (float((image[0, 0] * (e - m).square()).sum()) / mass for e, m in ((x, mean_x), (y, mean_y)))
    both = float((image[0, 0] * (x - mean_x) * (y - mean_y)).sum()) / mass
    return mean_x, mean_y, math.sqrt(var_x), math.sqrt(var_y), both


@pytest.mark.parametrize("aspect", [0.0, 0.5, 1.0])
def test_mass_lies_in_the_middle_and_deviations_are_as_stated(aspect):
    flat = ((0.0, 0.4), (0.3, 0.2), (0.6, 0.5), (1.0, 0.3))  # wider than high
    before = ink(points=flat, shape=(120, 120))
    mean_x, mean_y, x, y, _ = moments(normalised(before, 64, aspect=aspect, spread=0.15))
    assert (mean_x, mean_y) == (pytest.approx(0.5, abs=0.01), pytest.approx(0.5, abs=0.01))
    # The scale of an axis is a mean of its own and the common one, weighed by the aspect: so are the logarithms of deviations.
    *_, wide, high, _ = moments(before)
    ratio = math.log(x / y) / math.log(wide / high)
    # What is added to every deviation, so that straight lines have a bound, keeps a little more of it.
    assert ratio == pytest.approx(aspect, abs=0.08)
    assert math.hypot(x, y) / math.sqrt(2) == pytest.approx(0.15, rel=0.2)


@pytest.mark.parametrize(
    "options", [{"corner": (70, 35)}, {"side": 40, "pen": 2}, {"shape": (300, 400), "side": 200, "pen": 10}]
)
def test_place_and_size_do_not_matter(options):
    one, other = normalised(ink(**options), 48).flatten(), normalised(ink(), 48).flatten()
    assert float(torch.cosine_similarity(one, other, dim=0)) > 0.98


def test_slant_is_removed_by_the_share_asked_for():
    leaning = ((0.2, 1.0), (0.4, 0.0), (0.6, 0.0), (0.4, 1.0))
    left = []
    for slant in (0.0, 0.5, 1.0):
        *_, y, both = moments(normalised(ink(points=leaning), 64, slant=slant, aspect=1.0))
        left.append(both / y**2)
    assert left[0] < -0.1
    assert left[1] == pytest.approx(left[0] / 2, abs=0.02)
    assert left[2] == pytest.approx(0, abs=0.01)


def test_an_empty_image_stays_empty():
    assert normalised(torch.zeros(2, 1, 30, 40), 36).sum() == 0


def test_a_dot_stays_a_dot_and_a_straight_line_is_not_stretched_without_bound():
    dot = normalised(ink(points=((0.5, 0.5), (0.5, 0.5)), pen=6), 48)
    across = (dot[0, 0] > 0.5).any(0).sum() / 48
    assert WIDEST_PEN < float(across) <= 2 * WIDEST_PEN + 0.05  # the width that is measured of a dot is its radius
    line = normalised(ink(points=((0.0, 0.5), (1.0, 0.5)), pen=3), 48)
    long, thick = ((line[0, 0] > 0.5).any(axis).sum() / 48 for axis in (0, 1))
    assert 0.6 < float(long) <= 1 and 0.04 < float(thick) < 0.25


def test_one_image_is_normalised_alike_by_itself_and_among_others():
    many = torch.cat([ink(), ink(side=50), ink(pen=9)])
    together = normalised(many, 48)
    for place in range(3):
        assert torch.equal(normalised(many[place : place + 1], 48)[0], together[place])


@pytest.mark.parametrize("pen", [2, 4, 8, 14])
def test_the_width_of_a_pen_is_measured(pen):
    assert float(pen_width(ink(pen=pen))[0]) == pytest.approx(pen, rel=0.2)


@pytest.mark.parametrize("pen", [1.5, 4, 9, 12])
def test_lines_are_brought_to_a_width(pen):
    image = ink(pen=pen)
    made = with_pen(image, torch.tensor([5.0]), pen_width(image))
    assert float(pen_width(made)[0]) == pytest.approx(5, rel=0.2)


def test_only_what_is_too_thin_or_too_thick_is_changed():
    many = torch.cat([ink(pen=1), ink(pen=7), ink(pen=14)])
    as_they_are, made = (normalised(many, 96, pen=pen) for pen in (None, (0.05, 0.09)))
    assert torch.equal(made[1], as_they_are[1])
    shares = pen_width(made) / 96
    assert float(shares[0]) == pytest.approx(0.05, rel=0.3) and float(shares[2]) == pytest.approx(0.09, rel=0.3)
    assert float(pen_width(as_they_are)[0]) / 96 < 0.03 and float(pen_width(as_they_are)[2]) / 96 > 0.11
