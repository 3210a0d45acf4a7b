"""Images are fitted into a frame as their data set asks for it; many are found and read, and the broken ones told."""

import unicodedata
import warnings

import numpy as np
import pytest
import torch
from PIL import Image

from siamese.datasets.base import DataSet
from siamese.datasets.folder import Folder
from siamese.datasets.omniglot import Omniglot
from siamese.datasets.pictures import Preprocessing, image_files, read_images
from siamese.errors import UserError

PLAIN = Preprocessing(8, 8)
RAMP = np.arange(64, dtype=np.uint8).reshape(8, 8) * 4


def noise(height: int, width: int, *channels: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, *channels), dtype=np.uint8)


@pytest.fixture(autouse=True)
def no_warning_leaks():
    """A warning that leaks out of the code under test is an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.mark.parametrize("colour", [False, True])
@pytest.mark.parametrize("invert", [False, True])
@pytest.mark.parametrize("shape", [(40, 30), (30, 40), (5, 3), (1, 1), (16, 16), (200, 3)])
def test_padding_fits_the_whole_image_and_leaves_the_rest_dark(tmp_path, colour, invert, shape):
    """The same pixels as this project has always made of a folder's images."""
    size = 16
    Image.fromarray(noise(*shape, 3)).save(tmp_path / "a.png")
    made = Preprocessing(size, size, colour, invert).pixels(tmp_path / "a.png")
    image = Image.open(tmp_path / "a.png").convert("RGB" if colour else "L")
    scale = size / max(image.size)
    width, height = (max(1, round(side * scale)) for side in image.size)
    kind = Image.Resampling.BOX if scale < 1 else Image.Resampling.BILINEAR
    pixels = np.atleast_3d(np.asarray(image.resize((width, height), kind)))
    expected = np.zeros((size, size, 3 if colour else 1), np.uint8)
    top, left = (size - height) // 2, (size - width) // 2
    expected[top : top + height, left : left + width] = 255 - pixels if invert else pixels
    assert made.dtype == np.uint8
    assert np.array_equal(made, expected.transpose(2, 0, 1))


def test_frames_need_not_be_square_and_stretching_fills_them():
    image = np.full((10, 40), 200, np.uint8)
    padded, stretched = (Preprocessing(20, 12, fit=fit).pixels(image) for fit in ("pad", "stretch"))
    assert padded.shape == stretched.shape == (1, 20, 12)
    assert (stretched == 200).all()
    assert (padded[0].max(axis=1) == 200).sum() == 3  # 12 pixels wide, so 3 high
    half = np.repeat([[0, 255]], 6, axis=0).astype(np.uint8).repeat(6, axis=1)
    assert np.array_equal(Preprocessing(3, 12, fit="stretch").pixels(half), half[None, :3])


def test_paths_images_and_arrays_are_the_same_to_it(tmp_path):
    array = noise(20, 15, 3)
    Image.fromarray(array).save(tmp_path / "a.png")
    for preprocessing in (Preprocessing(8, 9), Preprocessing(8, 9, colour=True)):
        made = [
            preprocessing.pixels(x)
            for x in (tmp_path / "a.png", str(tmp_path / "a.png"), Image.fromarray(array), array)
        ]
        assert all(np.array_equal(made[0], each) for each in made[1:])
    assert np.array_equal(PLAIN.pixels(RAMP)[0], RAMP)


def test_large_photos_are_decoded_at_a_fraction_of_their_size(tmp_path):
    smooth = np.linspace(0, 255, 4000).astype(np.uint8)[None].repeat(3000, 0)
    Image.fromarray(smooth).save(tmp_path / "a.jpg")
    Image.fromarray(smooth).save(tmp_path / "a.png")
    photo, exact = (PLAIN.pixels(tmp_path / name).astype(int) for name in ("a.jpg", "a.png"))
    assert np.abs(photo - exact).max() <= 2
    opened = Image.open(tmp_path / "a.jpg")
    PLAIN.pixels(opened)
    assert opened.size == (4000, 3000)  # an image handed over is left as it is


@pytest.mark.parametrize("options", [{"height": 0}, {"width": -1}, {"fit": "crop"}])
def test_preprocessings_that_cannot_be(options):
    with pytest.raises(UserError):
        Preprocessing(**{"height": 8, "width": 8} | options)


def test_finding_files(tmp_path):
    names = ["b.png", "a b/é.png", "a b/日本/x.jpg", "z.txt", unicodedata.normalize("NFD", "ü/a.png")]
    for name in [*names, ".hidden.png", ".cache/a.png", "Thumbs.db", "a b/desktop.ini"]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "a b" / "loop").symlink_to(tmp_path)
    assert image_files(tmp_path) == sorted(tmp_path / name for name in names)
    assert image_files(str(tmp_path / "b.png")) == [tmp_path / "b.png"]
    with pytest.raises(UserError, match="there is no file or folder"):
        image_files(tmp_path / "nowhere")


def test_reading_many_collects_what_is_broken_and_keeps_the_order(tmp_path, capsys):
    paths = [tmp_path / f"{number}.png" for number in range(150)]
    for number, path in enumerate(paths):
        Image.new("L", (4, 4), number).save(path)
    paths[7].write_bytes(b"")
    paths[140].write_bytes(b"text")
    said: list[str] = []
    pixels, kept, broken = read_images(paths, PLAIN, report=said.append)
    assert pixels.dtype == torch.uint8
    assert pixels.shape == (148, 1, 8, 8)
    assert kept == [path for path in paths if path not in (paths[7], paths[140])]
    assert pixels[:, 0, 4, 4].tolist() == [number for number in range(150) if number not in (7, 140)]
    assert [error.where for error in broken] == [str(paths[7]), str(paths[140])]
    assert said == [f"left out {broken[0]}", f"left out {broken[1]}", "left out 2 of 150 images"]
    assert capsys.readouterr() == ("", "")  # no bar where no terminal shows it
    pixels, kept, broken = read_images([], PLAIN, report=said.append)
    assert (pixels.shape, kept, broken, len(said)) == ((0, 1, 8, 8), [], [], 3)


class Own(DataSet):
    """A data set that says nothing of image files."""

    def load(self):
        raise NotImplementedError

    split = load


def test_what_data_sets_do_with_image_files(tmp_path, make_table):
    table = make_table([2])
    assert Own().preprocessing(table) == Preprocessing(28, 28, fit="stretch")
    assert Omniglot().preprocessing(table) == Preprocessing(28, 28, invert=True, fit="stretch")
    folder = Folder(str(tmp_path), size=20, colour=True, invert=True)
    assert folder.preprocessing(table) == Preprocessing(20, 20, True, True, "pad")
    colour = make_table([2])
    object.__setattr__(colour, "images", colour.images.repeat(1, 3, 1, 1))
    assert Own().preprocessing(colour).colour
    object.__setattr__(colour, "images", colour.images[:, :2])
    with pytest.raises(UserError, match="2 channels"):
        Own().preprocessing(colour)
