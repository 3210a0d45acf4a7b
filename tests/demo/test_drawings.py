"""What the page sends becomes what each network expects."""

import numpy as np
import pytest
import torch

from siamese.datasets.pictures import Preprocessing
from siamese.demo import drawings
from tests.demo.hand_drawn import DIGITS, OTHERS


def ink_of(pixels: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Centre of mass and size of the ink of ``uint8 [1, 1, H, W]``, in pixels (x, y)."""
    ink = pixels[0, 0].double().numpy()
    places = np.arange(ink.shape[0]) + 0.5
    centre = np.array([(ink.sum(0) * places).sum(), (ink.sum(1) * places).sum()]) / ink.sum()
    rows, columns = (np.flatnonzero((ink > 64).any(axis)) for axis in (1, 0))
    return centre, np.array([np.ptp(columns) + 1, np.ptp(rows) + 1])


@pytest.mark.parametrize("digit", range(10))
def test_a_digit_small_in_a_corner_is_that_of_the_whole_canvas(digit):
    large = drawings.digit_pixels(DIGITS[digit])
    assert large.shape == (1, 1, 28, 28) and large.dtype == torch.uint8
    centre, size = ink_of(large)
    assert abs(centre - 14).max() < 0.5, "centred by the centre of mass"
    assert 19 <= size.max() <= 21, "a box of 20, not quite on the grid"
    small = [[(0.7 + 0.25 * x, 0.02 + 0.25 * y) for x, y in stroke] for stroke in DIGITS[digit]]
    assert (drawings.digit_pixels(small).int() - large.int()).abs().max() <= 2


def test_drawn_digits_have_as_much_ink_as_those_of_mnist():
    ink = torch.cat([drawings.digit_pixels(strokes) for strokes in DIGITS]).double().mean() / 255
    assert 0.11 < ink < 0.15  # the mean of MNIST's training images is 0.1307


def test_a_dot_stays_a_dot():
    for strokes in ([[(0.3, 0.3)]], [[(0.3, 0.3), (0.301, 0.3)]]):
        assert max(ink_of(drawings.digit_pixels(strokes))[1]) <= 5


def test_a_symbol_is_a_file_for_the_preprocessing():
    dark = drawings.symbol_picture(OTHERS["star"], Preprocessing(105, 105, invert=True))
    bright = drawings.symbol_picture(OTHERS["star"], Preprocessing(80, 105))
    assert dark.shape == bright.shape == (105, 105) and dark.dtype == np.uint8
    assert dark.mean() > 200 and bright.mean() < 55
    assert (255 - dark == bright).all()
