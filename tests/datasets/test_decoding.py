"""Any image file is decoded to the same kind of pixels; one that cannot be is named with a short reason."""

import io
import os
import struct
import threading
import time
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from siamese.datasets.decoding import BadImage, quiet
from siamese.datasets.pictures import Preprocessing
from siamese.errors import DataError

PLAIN = Preprocessing(8, 8)
RAMP = np.arange(64, dtype=np.uint8).reshape(8, 8) * 4


def noise(height: int, width: int, *channels: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, *channels), dtype=np.uint8)


def png_saying(width: int, height: int) -> bytes:
    """A PNG whose header says it is this large."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")


@pytest.fixture(autouse=True)
def no_warning_leaks():
    """A warning that leaks out of the code under test is an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_photos_are_set_upright(tmp_path, orientation, suffix):
    """However the camera was held, the dark quarter is at the top left."""
    upright = np.full((16, 16), 255, np.uint8)
    upright[:8, :4] = 0
    turns = [lambda x: x, np.fliplr, lambda x: np.rot90(x, 2), np.flipud, np.transpose,
             lambda x: np.rot90(x, 1), lambda x: np.rot90(x.T, 2), lambda x: np.rot90(x, -1)]  # fmt: skip
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = Image.fromarray(np.ascontiguousarray(turns[orientation - 1](upright)))
    image.save(tmp_path / f"a.{suffix}", exif=exif)
    made = Preprocessing(16, 16).pixels(tmp_path / f"a.{suffix}")
    assert np.abs(made[0].astype(int) - upright).mean() < 12


def test_a_damaged_exif_is_no_reason_to_refuse(tmp_path):
    Image.fromarray(RAMP).save(tmp_path / "a.png", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\x05\x01\x12")
    assert np.array_equal(PLAIN.pixels(tmp_path / "a.png")[0], RAMP)


def test_transparency_is_laid_on_white(tmp_path):
    alpha = np.zeros((8, 8), np.uint8)
    alpha[:4] = 255
    rgba = np.dstack([RAMP, RAMP, RAMP, alpha])
    Image.fromarray(rgba).save(tmp_path / "rgba.png")
    Image.fromarray(np.dstack([RAMP, alpha]), "LA").save(tmp_path / "la.png")
    white = RAMP.copy()
    white[4:] = 255
    for name in ("rgba.png", "la.png"):
        assert np.array_equal(PLAIN.pixels(tmp_path / name)[0], white)
    assert not Preprocessing(8, 8, invert=True).pixels(tmp_path / "rgba.png")[0, 4:].any()
    palette = Image.fromarray(np.repeat([[0, 1]], 8, axis=0).repeat(4, axis=1).astype(np.uint8), "P")
    palette.putpalette([10, 10, 10, 90, 90, 90])
    palette.save(tmp_path / "p.png", transparency=b"\xff\x00")
    assert np.array_equal(PLAIN.pixels(tmp_path / "p.png")[0, 0], [10] * 4 + [255] * 4)


def test_palettes_bits_cmyk_and_animations(tmp_path):
    Image.fromarray(RAMP).convert("P").save(tmp_path / "p.png")
    assert np.array_equal(PLAIN.pixels(tmp_path / "p.png")[0], RAMP)
    bits = RAMP > 100
    Image.fromarray(bits).save(tmp_path / "1.png")
    assert np.array_equal(PLAIN.pixels(tmp_path / "1.png")[0], bits * np.uint8(255))
    Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save(tmp_path / "cmyk.jpg", quality=100)
    red = Preprocessing(8, 8, colour=True).pixels(tmp_path / "cmyk.jpg")
    assert (red[0] > 240).all()
    assert (red[1:] < 15).all()
    frames = [Image.new("L", (8, 8), value) for value in (40, 160)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert (PLAIN.pixels(tmp_path / "a.gif") == 40).all()


@pytest.mark.parametrize(
    ("values", "name"),
    [
        (RAMP.astype(np.uint16) * 257, "a.png"),
        (RAMP.astype(np.uint16) * 257, "a.tif"),
        (RAMP.astype(np.int32) * 257, "a.tif"),
        (RAMP.astype(np.int32), "a.tif"),
        (RAMP.astype(np.float32) / 255, "a.tif"),
        (RAMP.astype(np.float32), "a.tif"),
    ],
    ids=["16-bit png", "16-bit tiff", "32-bit of 16", "32-bit of 8", "float to 1", "float to 255"],
)
def test_grey_values_of_more_bits_are_scaled_and_not_clipped(tmp_path, values, name):
    Image.fromarray(values).save(tmp_path / name)
    assert np.array_equal(PLAIN.pixels(tmp_path / name)[0], RAMP)


def test_a_dark_16_bit_image_stays_dark_and_odd_ranges_are_stretched():
    assert np.array_equal(PLAIN.pixels(Image.fromarray(np.full((8, 8), 257, np.uint16))), np.full((1, 8, 8), 1))
    wide = np.full((8, 8), -1e6, np.float32)
    wide[:4], wide[0, 0] = 1e6, np.nan
    made = PLAIN.pixels(Image.fromarray(wide))[0]
    assert made[0, 0] == 128  # not finite counts as 0, here the middle
    assert (made[1:4] == 255).all()
    assert (made[4:] == 0).all()
    assert not PLAIN.pixels(Image.fromarray(np.full((8, 8), -5.0, np.float32))).any()


def refused(path, preprocessing: Preprocessing = PLAIN) -> str:
    """The reason; the message names the file, once."""
    with pytest.raises(BadImage) as caught:
        preprocessing.pixels(path)
    assert str(caught.value) == f"{path}: {caught.value.reason}"
    assert str(caught.value).count(Path(path).name) == 1
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value, DataError)
    return caught.value.reason


@pytest.mark.parametrize("suffix", ["jpg", "png", "gif", "bmp", "webp", "tif"])
def test_files_cut_off(tmp_path, suffix):
    whole = io.BytesIO()
    Image.fromarray(noise(64, 64, 3)).save(whole, {"jpg": "jpeg", "tif": "tiff"}.get(suffix, suffix))
    for share in (0.5, 0.9):
        (tmp_path / f"a.{suffix}").write_bytes(whole.getvalue()[: int(share * len(whole.getvalue()))])
        reason = refused(tmp_path / f"a.{suffix}")
    if suffix in ("jpg", "png", "bmp", "gif"):
        assert reason == "truncated"


def test_files_that_are_no_images(tmp_path):
    (tmp_path / "nothing.png").touch()
    (tmp_path / "text.png").write_text("hello")
    (tmp_path / "folder.png").mkdir()
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "vector.eps").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\n")
    assert refused(tmp_path / "nothing.png") == "is empty"
    assert refused(tmp_path / "text.png") == "is not an image Pillow can read"
    assert refused(tmp_path / "folder.png") == "is a folder, not an image"
    assert refused(tmp_path / "pipe.png") == "is not a file"
    assert refused(tmp_path / "vector.eps") == "is EPS, which is not read"
    assert refused(tmp_path / "none.png") == "there is no such file"
    assert "too long" in refused(tmp_path / ("a" * 300))


@pytest.mark.parametrize("size", [(10_001, 10_000), (12_000, 9_000), (20_000, 20_000), (2**31 - 1, 2**31 - 1)])
def test_headers_that_say_too_much_are_refused_before_decoding(tmp_path, size):
    (tmp_path / "a.png").write_bytes(png_saying(*size))
    began = time.perf_counter()
    assert "pixels are more than 100,000,000" in refused(tmp_path / "a.png")
    assert time.perf_counter() - began < 1
    (tmp_path / "b.png").write_bytes(png_saying(9_500, 9_500))  # Pillow would warn, but it is only cut off
    assert "pixels" not in refused(tmp_path / "b.png")


@pytest.mark.parametrize(
    "array",
    [np.zeros((4, 4)), np.zeros((4, 4, 2), np.uint8), np.zeros(4, np.uint8), np.zeros((0, 4), np.uint8)],
    ids=["float", "two channels", "one dimension", "empty"],
)
def test_arrays_that_are_no_images(array):
    with pytest.raises(BadImage, match=r"^the image: "):
        PLAIN.pixels(array)


def test_a_name_that_is_no_utf8_can_be_said(tmp_path):
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.png"))
    path.touch()
    with pytest.raises(BadImage) as caught:
        PLAIN.pixels(path)
    assert "is empty" in str(caught.value).encode("utf-8").decode()


def test_warning_filters_are_set_back_however_threads_overlap():
    before = list(warnings.filters)
    first_is_in, second_is_in = threading.Event(), threading.Event()

    def second() -> None:
        first_is_in.wait()
        with quiet():
            second_is_in.set()
            time.sleep(0.05)

    thread = threading.Thread(target=second)
    thread.start()
    with quiet():
        first_is_in.set()
        second_is_in.wait()
    thread.join()
    assert warnings.filters == before
