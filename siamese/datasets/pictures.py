"""Your own image files as pixels of a table: how they are made comparable, found, and read many at a time."""

from __future__ import annotations

import os
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from siamese.datasets.decoding import BadImage, Picture, decode, picture_name, quiet
from siamese.errors import UserError
from siamese.ink import Ink, NoInk, SeveralSymbols
from siamese.ink.paper import KEPT_SIDE, MARGIN, MOST_SIDE, ink_on_paper
from siamese.ink.several import several_symbols

__all__ = [
    "VERSION", "BadImage", "Fit", "Picture", "Preprocessing", "each_picture", "image_files", "is_image_name", "read_images",
]  # fmt: skip

VERSION = 2  # To be raised whenever an equal file no longer gives equal pixels: tables are cached under it.
MANY = 100  # images, from which on a progress bar is shown
LEAST_RANGE = 2  # levels between the darkest and the lightest pixel of an image that shows anything
_ENOUGH = 4  # A JPEG is decoded at a fraction of its size as long as that is this many times the frame.
_AHEAD = 64  # images that may be decoded before they are taken
_LEFT_BEHIND = {"thumbs.db", "desktop.ini"}

Fit = Literal["pad", "stretch"]


@dataclass(frozen=True)
class Preprocessing:
    """How an image file becomes pixels of a table.

    Attributes:
        height, width: of the frame, in pixels.
        colour: three channels instead of grey.
        invert: for dark ink on light paper, so that ink is bright.
        fit: ``pad`` fits the whole image into the frame and fills the rest with 0; ``stretch`` gives it the frame's shape.
        ink: images are drawings, whose ink is found on any paper and normalised; ``invert`` and ``fit`` are of no effect then.
            None for photographs.

    Raises UserError for a frame without pixels, an unknown fit, or ink in colour or in a frame that is not square.
    """

    height: int
    width: int
    colour: bool = False
    invert: bool = False
    fit: Fit = "pad"
    ink: Ink | None = None

    def __post_init__(self) -> None:
        if min(self.height, self.width) < 1:
            raise UserError(f"images need at least 1x1 pixels, not {self.height}x{self.width}")
        if self.fit not in get_args(Fit):
            raise UserError(f"fit must be pad or stretch, not {self.fit!r}")
        if self.ink and (self.colour or self.height != self.width):
            raise UserError(f"ink is grey in a square frame, not {self.height}x{self.width}, colour {self.colour}")

    @classmethod
    def from_entry(cls, entry: dict[str, Any]) -> Preprocessing:
        """What ``entry`` gave. Raises TypeError or ValueError where it is something else."""
        ink = entry.get("ink")
        if ink is not None:
            ink = Ink(**ink | {"pen": ink.get("pen") and tuple(ink["pen"])})  # JSON and YAML have lists, no tuples
        return cls(**entry | {"ink": ink})

    def entry(self) -> dict[str, Any]:
        """The fields in plain values, for a checkpoint; without ``ink`` where there is none, as before there was any."""
        fields = asdict(self)
        if self.ink and self.ink.pen:
            fields["ink"]["pen"] = list(self.ink.pen)
        return fields if self.ink else {name: value for name, value in fields.items() if name != "ink"}

    @property
    def channels(self) -> int:
        """3 with colour, else 1."""
        return 3 if self.colour else 1

    @property
    def input_text(self) -> str:
        """One sentence on what an exported network takes, and how a file becomes it."""
        if self.ink:
            return (
                "images: float32 [N, 1, H, W] from 0 (paper) to 1 (ink), with any N, H and W, all images of a call of one size;"
                " of a file with dark ink on white paper it is (255 - grey level) / (255 - darkest level), and a page of more "
                f"than {KEPT_SIDE} pixels a side is then cut to its ink, shrunk by area averages until no side is longer than "
                f"that, and given {MARGIN} pixels of paper all around"
            )
        colours, ends = ("RGB", "as in the file") if self.colour else ("grey", "black is 0 and white 255")
        size = f"{self.height} x {self.width} (height x width) pixels"
        way = f"fit into {size}, with zeros around it" if self.fit == "pad" else f"exactly {size}"
        turned = "255 - level, so that dark ink is bright" if self.invert else f"its levels as they are, {ends}"
        return (
            f"images: uint8 [N, {self.channels}, {self.height}, {self.width}] from 0 to 255, with any N; a file is read as "
            f"{colours}, shrunk by area averages or enlarged bilinearly to {way}, and given as {turned}"
        )

    def found_ink(self, picture: Picture) -> np.ndarray:
        """The ink of a drawing before it is normalised, ``float32 [H, W]`` in [0, 1], 1 is ink; of anything that ``pixels``
        takes. Raises BadImage as that does."""
        with quiet():
            page = decode(picture, "L", MOST_SIDE, contrast=True)
        try:
            return np.asarray(ink_on_paper(np.asarray(page)), np.float32)
        except NoInk as reason:
            raise BadImage(picture_name(picture), str(reason)) from reason

    def pixels(self, image: Picture) -> np.ndarray:
        """``uint8 [C, height, width]`` of a file's path, a Pillow image, or an array ``uint8 [H, W]`` or ``[H, W, 3]``.

        A photo is turned as its EXIF says, transparency is laid on white (of a drawing on black, if the ink is light), of an
        animation the first image is taken, and grey values of more than 8 bits are scaled. Shrinking takes area averages,
        growing is bilinear.

        Raises:
            BadImage: whatever it is that makes the image unreadable; it is to be a drawing, and is blank or a photograph.
        """
        with quiet():
            return self._pixels(image)

    def _pixels(self, image: Picture, shown: bool = False) -> np.ndarray:
        if self.ink:
            found = self.found_ink(image)
            if several_symbols(found):
                name = picture_name(image)
                warnings.warn(
                    f"{name} seems to show several symbols; they are compared as one", SeveralSymbols, stacklevel=3
                )
            return self.ink.drawn(found, self.height)
        whole = decode(image, "RGB" if self.colour else "L", _ENOUGH * max(self.height, self.width))
        width, height = self.width, self.height
        if self.fit == "pad":
            scale = min(width / whole.width, height / whole.height)
            width, height = (max(1, round(side * scale)) for side in whole.size)
        shrinks = width <= whole.width and height <= whole.height
        resampling = Image.Resampling.BOX if shrinks else Image.Resampling.BILINEAR
        pixels = np.atleast_3d(np.asarray(whole.resize((width, height), resampling)))
        if shown and np.ptp(pixels, axis=(0, 1)).max() < LEAST_RANGE:
            raise BadImage(picture_name(image), "is blank: all of it has one colour")
        frame = np.zeros((self.height, self.width, self.channels), dtype=np.uint8)
        top, left = (self.height - height) // 2, (self.width - width) // 2
        frame[top : top + height, left : left + width] = 255 - pixels if self.invert else pixels
        return np.ascontiguousarray(frame.transpose(2, 0, 1))


def image_files(path: str | Path) -> list[Path]:
    """The files below a folder, sorted; hidden ones and those a file manager leaves behind are left out. A file: itself.

    Raises UserError where there is nothing, or a folder that may not be read.
    """
    path = Path(path)
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise UserError(f"there is no file or folder {path}")

    def refuse(error: OSError) -> None:
        raise UserError(f"{error.filename} cannot be read: {error.strerror}") from error

    found, seen = [], {path.resolve()}
    for folder, folders, files in os.walk(path, onerror=refuse, followlinks=True):
        inside = Path(folder)
        found += [inside / name for name in files if is_image_name(name)]
        # A link may lead back up: every folder is entered once.
        targets = {name: (inside / name).resolve() for name in sorted(folders) if is_image_name(name)}
        folders[:] = [name for name, target in targets.items() if target not in seen]
        seen.update(targets.values())
    return sorted(found)


def is_image_name(name: str) -> bool:
    """Whether a file of this name may be an image: neither hidden nor what a file manager leaves behind."""
    return not name.startswith(".") and name.lower() not in _LEFT_BEHIND


def read_images(
    paths: Sequence[str | Path],
    preprocessing: Preprocessing,
    report: Callable[[str], object] | None = None,
    shown: bool = False,
) -> tuple[Tensor, list[Path], list[BadImage]]:
    """Many image files, read by several threads. Those that cannot be read are left out.

    Args:
        paths: the files.
        preprocessing: what makes pixels of them.
        report: such as ``print``: is told of each image left out, and in a closing sentence how many they are.
        shown: images on which nothing is to be seen, because all of them has one colour, count as images that cannot be read.

    Returns:
        ``uint8 [N, C, height, width]`` of those that can be read; their paths, in the order given; what is wrong with the
        others.
    """
    pixels, kept, broken = read_pictures(paths, preprocessing, shown)
    if report and broken:
        for error in broken:
            report(f"left out {error}")
        report(f"left out {len(broken):,} of {len(paths):,} images")
    return pixels, [Path(paths[place]) for place in kept], broken


def read_pictures(
    pictures: Sequence[Picture], preprocessing: Preprocessing, shown: bool = False
) -> tuple[Tensor, list[int], list[BadImage]]:
    """As ``read_images``, of anything that ``Preprocessing.pixels`` takes, and with places instead of paths."""
    shape = (len(pictures), preprocessing.channels, preprocessing.height, preprocessing.width)
    pixels = torch.empty(shape, dtype=torch.uint8)
    kept: list[int] = []
    broken: list[BadImage] = []
    for place, result in enumerate(each_picture(pictures, preprocessing, shown)):
        if isinstance(result, BadImage):
            broken.append(result)
        else:
            pixels[len(kept)] = torch.from_numpy(result)
            kept.append(place)
    return pixels[: len(kept)], kept, broken


def each_picture(
    pictures: Sequence[Picture], preprocessing: Preprocessing, shown: bool = False
) -> Iterator[np.ndarray | BadImage]:
    """Of each picture, in the order given, its pixels ``uint8 [C, height, width]`` or what is wrong with it.

    Several threads read ahead, by a few pictures only: who takes them slowly, to write them to a disk, holds few in memory.
    """

    def read(picture: Picture) -> np.ndarray | BadImage:
        try:
            return preprocessing._pixels(picture, shown)
        except BadImage as error:
            return BadImage(error.where, error.reason)  # without its traceback, which would keep the image in memory

    def results() -> Iterator[np.ndarray | BadImage]:
        ahead: deque[Future[np.ndarray | BadImage]] = deque()
        for picture in pictures:
            if len(ahead) == _AHEAD:
                yield ahead.popleft().result()
            ahead.append(pool.submit(read, picture))
        while ahead:
            yield ahead.popleft().result()

    # Pillow decodes without holding the interpreter's lock.
    with quiet(), ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        try:
            hidden = None if len(pictures) >= MANY else True  # None: hidden where no terminal shows it
            yield from tqdm(results(), "reading", len(pictures), unit="image", leave=False, disable=hidden)
        except BaseException:  # Ctrl-C: what has not begun is not read
            pool.shutdown(cancel_futures=True)
            raise
