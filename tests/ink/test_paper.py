"""Ink is found on any paper, and what is no drawing is refused with a reason."""

import numpy as np
import pytest
from scipy import ndimage

from siamese.datasets.cartoons import Cartoons
from siamese.ink import Ink, NoInk
from siamese.ink.paper import KEPT_SIDE, ink_on_paper
from tests.ink.pages import drawing, noise, page, photographed

SHAPE = (240, 320)
PLAIN = {"shape": SHAPE, "corner": (90, 60), "side": 120, "pen": 5}


def likeness(one: np.ndarray, other: np.ndarray) -> float:
    """Cosine of two images."""
    one, other = one.astype(np.float64), other.astype(np.float64)
    return float((one * other).sum() / np.sqrt((one**2).sum() * (other**2).sum()))


def alike(picture: np.ndarray, **options) -> float:
    """How alike the drawing found in a picture is to that on plain white paper."""
    blur = {"sigma": 1.5, "axes": (1, 2)}
    found = (Ink().page(each, 48) for each in (picture, page(drawing(**PLAIN | options))))
    return likeness(*(ndimage.gaussian_filter(each.astype(float), **blur) for each in found))


@pytest.mark.parametrize("paper, level", [(255, 0), (250, 0), (240, 0), (160, 0), (200, 60), (0, 255), (40, 200)])
def test_the_level_of_the_paper_does_not_matter(paper, level):
    found = Ink().page(page(drawing(**PLAIN), paper, level), 48)
    assert np.abs(found.astype(int) - Ink().page(page(drawing(**PLAIN)), 48)).max() <= 3


def test_white_on_black_is_exactly_black_on_white():
    plain = page(drawing(**PLAIN))
    assert np.array_equal(ink_on_paper(plain), ink_on_paper(255 - plain))
    assert np.array_equal(ink_on_paper(plain), (255 - plain.astype(np.float32)) / 255) is (max(SHAPE) <= KEPT_SIDE)


@pytest.mark.parametrize("darkest", [1.0, 0.7, 0.4])
def test_shading_and_grain_are_removed(darkest):
    assert alike(photographed(drawing(**PLAIN), darkest)) > 0.97


def test_chalk_on_a_dark_board():
    board = (60 + 140 * drawing(**PLAIN) + 3 * noise(SHAPE)).clip(0, 255).astype(np.uint8)
    assert alike(board) > 0.97


def test_pencil():
    ink = drawing(**PLAIN) * (0.35 + 0.1 * noise(SHAPE, 1)).clip(0.1, 0.6)
    assert alike((240 * (1 - ink) + 1.5 * noise(SHAPE)).clip(0, 255).astype(np.uint8)) > 0.95


@pytest.mark.parametrize("sides", ["all", "two"])
@pytest.mark.parametrize("grain", [0.0, 2.0])
def test_the_border_of_a_scan_is_cut_off(sides, grain):
    scan = page(drawing(**PLAIN)).astype(float)
    scan[:4], scan[:, :4] = 10, 10
    if sides == "all":
        scan[-4:], scan[:, -4:] = 10, 10
    assert alike((scan + grain * noise(SHAPE)).clip(0, 255).astype(np.uint8)) > 0.97


@pytest.mark.parametrize("level", [60, 200])
def test_ruled_paper(level):
    ruled = np.full(SHAPE, 255.0)
    ruled[20::32], ruled[21::32] = level, level
    seen = np.minimum(ruled, page(drawing(**PLAIN))) + 1.5 * noise(SHAPE)
    assert alike(seen.clip(0, 255).astype(np.uint8)) > 0.93


def test_specks_are_left_out_and_the_dots_of_a_drawing_stay():
    ink = drawing(**PLAIN) + drawing(**PLAIN | {"points": ((1.1, 0.1), (1.1, 0.1)), "pen": 7})
    clean = photographed(ink.clip(0, 1), 1.0)
    specked = clean.copy()
    specked[30, 30] = specked[200, 290] = 60
    assert likeness(Ink().page(clean, 48), Ink().page(specked, 48)) > 0.99
    assert likeness(Ink().page(clean, 48), Ink().page(photographed(drawing(**PLAIN), 1.0), 48)) < 0.97


@pytest.mark.parametrize(
    "blank", [np.full(SHAPE, 255), np.zeros(SHAPE), 235 + 2 * noise(SHAPE), np.full((20, 20), 128)]
)
def test_a_blank_page_has_no_ink(blank):
    with pytest.raises(NoInk, match="is blank"):
        ink_on_paper(blank.clip(0, 255).astype(np.uint8))


def test_an_empty_ruled_page_has_no_ink():
    ruled = np.full(SHAPE, 250.0)
    ruled[20::32], ruled[21::32] = 120, 120
    with pytest.raises(NoInk, match="ruled lines"):
        ink_on_paper((ruled + 1.5 * noise(SHAPE)).clip(0, 255).astype(np.uint8))


def test_photographs_are_refused():
    """Drawn faces with light on them; real photographs of faces in tests/ink/test_ink.py."""
    faces = Cartoons().load().images.float().mean(1).round().byte().numpy()[::40]
    refused = 0
    for face in faces:
        try:
            ink_on_paper(face)
        except NoInk as reason:
            refused += "photograph" in str(reason)
    assert refused >= 0.95 * len(faces)


@pytest.mark.parametrize(
    "shape, side, pen", [((20, 20), 14, 1.5), ((60, 50), 40, 2), ((700, 900), 300, 9), ((1600, 1600), 200, 5)]
)
def test_pages_of_any_size(shape, side, pen):
    corner = (shape[1] / 4, shape[0] / 5)
    assert alike(page(drawing(shape, corner, side, pen)), pen=120 * pen / side) > 0.9
    if min(shape) > 50:
        assert alike(photographed(drawing(shape, corner, side, pen), 0.7), pen=120 * pen / side) > 0.9


def test_ink_may_touch_the_edge():
    whole = drawing((200, 200), (20, 20), 120, 5)
    touching = page(whole[30:, 30:])
    assert alike(touching) > 0.9
