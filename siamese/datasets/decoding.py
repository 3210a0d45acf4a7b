"""Image files of every kind to upright grey or RGB images of 8 bits, and plain reasons why some are none."""

from __future__ import annotations

import re
import stat
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image, UnidentifiedImageError

from siamese.errors import DataError

MOST_PIXELS = 100_000_000  # A header that says more is refused before anything is decoded.
_ORIENTATION = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # fmt: skip

Picture = str | Path | Image.Image | np.ndarray


class BadImage(DataError):
    """An image that cannot be read; the message names it and says why.

    Attributes:
        where: the file, or what stands for an image without one.
        reason: short, such as ``truncated``.
    """

    def __init__(self, where: str, reason: str) -> None:
        super().__init__(where, reason)
        self.where, self.reason = where, reason

    def __str__(self) -> str:
        # A file name that is no UTF-8 can be opened but not printed.
        return f"{self.where}: {self.reason}".encode("utf-8", "backslashreplace").decode()


class _Refused(Exception):
    """Not to be decoded; the message is the reason."""


def decode(picture: Picture, mode: Literal["L", "RGB"], enough: int, contrast: bool = False) -> Image.Image:
    """The picture as an upright image of this mode, of an animation the first; transparency is laid on white.

    Grey values of more than 8 bits are scaled: 16-bit formats by their range, 0 to 65,535; 32-bit integers by the least of
    0 to 255, 0 to 65,535, their own range, that holds them; floats likewise, beginning with 0 to 1.

    Args:
        picture: a file's path, a Pillow image, or an array ``uint8 [H, W]`` or ``[H, W, 3]``.
        mode: grey or RGB.
        enough: a JPEG whose sides are at least twice as many pixels may be decoded at a fraction of its size.
        contrast: transparency is laid on black where what is opaque is light, so that light ink is seen.

    Raises:
        BadImage: whatever it is that makes the picture unreadable.
    """
    try:
        if isinstance(picture, np.ndarray):
            return _plain(_from_array(picture), mode, contrast)
        if isinstance(picture, Image.Image):
            return _plain(picture, mode, contrast)
        _check_file(Path(picture))
        with Image.open(picture) as opened:
            if opened.format == "EPS":  # which would be run, by Ghostscript
                raise _Refused("is EPS, which is not read")
            _check_size(opened)
            opened.draft(None, (enough, enough))  # of no effect but on JPEG
            return _plain(opened, mode, contrast)
    except Exception as error:  # damaged files make Pillow's readers raise nearly anything
        raise BadImage(picture_name(picture), _reason(error)) from error


@contextmanager
def quiet() -> Iterator[None]:
    """Without Pillow's warnings of large or slightly damaged files: such are read, or refused with a reason.

    Python's warning filters are of the whole process; the first thread that enters sets them, the last one sets them back.
    """
    global _inside, _filters
    with _lock:
        if _inside == 0:
            _filters = warnings.catch_warnings()
            _filters.__enter__()
            warnings.filterwarnings("ignore", module=r"PIL\.")
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0:
                _filters.__exit__(None, None, None)


_lock, _inside = threading.Lock(), 0
_filters = warnings.catch_warnings()


def _check_file(path: Path) -> None:
    """Refuse what cannot be an image file before it is opened: opening a pipe would wait."""
    status = path.stat()
    if stat.S_ISDIR(status.st_mode):
        raise _Refused("is a folder, not an image")
    if not stat.S_ISREG(status.st_mode):
        raise _Refused("is not a file")
    if status.st_size == 0:
        raise _Refused("is empty")


def _check_size(image: Image.Image) -> None:
    if image.width * image.height > MOST_PIXELS:
        raise _Refused(f"{image.width}x{image.height} pixels are more than {MOST_PIXELS:,}")
    if not image.width * image.height:
        raise _Refused("has no pixels")


def _from_array(array: np.ndarray) -> Image.Image:
    if array.dtype != np.uint8 or not (array.ndim == 2 or (array.ndim == 3 and array.shape[2] == 3)):
        raise _Refused(f"an array must be uint8 [H, W] or [H, W, 3], not {array.dtype} {list(array.shape)}")
    if not array.size:
        raise _Refused("has no pixels")
    return Image.fromarray(np.ascontiguousarray(array))


def _plain(image: Image.Image, mode: str, contrast: bool = False) -> Image.Image:
    _check_size(image)
    image.load()  # before the orientation is asked for: some readers turn the image themselves
    turn = _turn(image)
    if image.mode[0] in "IF":
        image = Image.fromarray(_eight_bits(np.asarray(image)))
    elif image.has_transparency_data:
        image = image.convert("RGBA")
        behind = "black" if contrast and _light(image) else "white"
        image = Image.alpha_composite(Image.new("RGBA", image.size, behind), image)
    image = image.convert(mode)
    return image if turn is None else image.transpose(turn)


def _light(image: Image.Image) -> bool:
    """Whether what is opaque of an RGBA image is light rather than dark; where nothing is transparent, it does not matter."""
    grey, alpha = np.asarray(image.convert("L"), np.float64), np.asarray(image.getchannel("A"), np.float64)
    return float((grey * alpha).sum()) > 127.5 * float(alpha.sum())


def _turn(image: Image.Image) -> Image.Transpose | None:
    """What sets a photo upright, as its EXIF says; a damaged EXIF says nothing."""
    try:
        return _UPRIGHT.get(image.getexif().get(_ORIENTATION, 1))
    except Exception:
        return None


def _eight_bits(values: np.ndarray) -> np.ndarray:
    """``uint8`` of grey values ``[H, W]`` of another type, as ``decode`` says; what is not finite counts as 0."""
    exact = np.nan_to_num(values.astype(np.float64), posinf=0, neginf=0)
    low, high = float(exact.min()), float(exact.max())
    ranges = [65535.0] if values.dtype.itemsize == 2 else [255.0, 65535.0]
    if values.dtype.kind == "f":
        ranges.insert(0, 1.0)
    top = next((each for each in ranges if low >= 0 and high <= each), None)
    scaled = exact * (255 / top) if top else (exact - low) * (255 / (high - low or 1))
    return scaled.round().astype(np.uint8)


def picture_name(picture: Picture) -> str:
    """How a picture is called in what is said of it: its file, or ``the image``."""
    if isinstance(picture, str | Path):
        return str(picture)
    return str(getattr(picture, "filename", "") or "the image")


def _reason(error: Exception) -> str:
    text = next(iter(str(error).strip().splitlines()), "")
    if isinstance(error, _Refused):
        return text
    if isinstance(error, FileNotFoundError):
        return "there is no such file"
    if isinstance(error, UnidentifiedImageError):
        return "is not an image Pillow can read"
    if isinstance(error, Image.DecompressionBombError):
        number = re.search(r"\d+", text)  # Pillow counts before it tells the size
        return f"{int(number[0]) if number else 2 * MOST_PIXELS:,} pixels are more than {MOST_PIXELS:,}"
    if isinstance(error, MemoryError):
        return "does not fit into memory"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, EOFError) or "truncated" in text.lower():
        return "truncated"
    return f"is damaged ({text or type(error).__name__})"
