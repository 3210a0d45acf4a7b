"""CIFAR-10: 50,000 + 10,000 photographs of 32x32 in ten classes.

Krizhevsky (2009), Learning multiple layers of features from tiny images.
"""

from __future__ import annotations

import io
import pickle
import re
import tarfile
import zipfile
import zlib

import numpy as np
import pooch
import torch
from PIL import Image
from tqdm import tqdm

from siamese.datasets.base import DataSet, Splits, cached_table
from siamese.datasets.glyphs10 import Glyphs10
from siamese.datasets.registry import fetch, published_table, registry
from siamese.errors import DataError, DataUnavailable, UserError
from siamese.tables import Table

TRAIN, TEST, SIDE = 50_000, 10_000, 32
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
ORIGINAL, JPEGS = "cifar-10-python.tar.gz", "cifar10_images.zip"
BATCHES = (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch")


class Cifar10(DataSet):
    """CIFAR-10 in colour, with closed splits: the ten thousand published test images report.

    The table is ``cifar10``, the published numbers, where their file is in ``data/`` or can be had. Otherwise it is
    ``cifar10-jpeg``, a copy that was saved as JPEG, in another order: figures of one are none of the other.

    Args:
        val: how many of the training images choose: the last ones.
    """

    def __init__(self, val: int = 5000) -> None:
        if not 0 <= val < TRAIN:
            raise UserError(f"val is a part of the {TRAIN} training images, not {val}")
        self.val = val

    def load(self) -> Table:
        """All images as ``uint8 [60000, 3, 32, 32]``, the training images first."""
        checksum = registry()["cifar10"]["files"][ORIGINAL]["checksum"]
        try:
            return cached_table(f"cifar10-{checksum[:16].replace(':', '-')}", _original)
        except DataUnavailable as missing:
            try:
                return published_table("cifar10", _jpegs)
            except DataUnavailable:
                raise missing from None  # what it says of the original holds

    def split(self, table: Table) -> Splits:
        row = torch.arange(len(table))
        teach, test = row < TRAIN - self.val, row >= TRAIN
        return Splits(table.rows(teach), table.rows(~teach & ~test), table.rows(test), closed=True)

    def stand_in(self) -> DataSet:
        """As many drawings of ten generated characters, in colour."""
        val = -(-self.val // len(CLASSES))
        return Glyphs10(TRAIN // len(CLASSES) - val, val, TEST // len(CLASSES), SIDE, colour=True)


def _original() -> Table:
    """The published numbers in the published order."""
    path, checksum = fetch("cifar10", ORIGINAL), registry()["cifar10"]["files"][ORIGINAL]["checksum"]
    # There is no fingerprint to compare the table with, and a pickle may run code: only the published file is opened.
    if pooch.file_hash(str(path), alg="md5") != checksum.removeprefix("md5:"):
        raise DataError(f"{path} is not the published file ({checksum}); delete it and fetch it again")
    images, labels = [], []
    with tarfile.open(path) as archive:
        for name in BATCHES:
            batch = pickle.load(archive.extractfile(f"cifar-10-batches-py/{name}"), encoding="latin1")  # type: ignore[arg-type]
            images.append(batch["data"].reshape(-1, 3, SIDE, SIDE))
            labels += batch["labels"]
    names = [f"{part}/{number:05d}" for part, count in (("train", TRAIN), ("test", TEST)) for number in range(count)]
    return _table("cifar10", np.concatenate(images), labels, names)


def _jpegs() -> Table:
    """The copy, whose images are ``train/<class>/<number>.jpg`` and ``test/<class>/<number>.jpg``."""
    path = fetch("cifar10", JPEGS)
    found: list[tuple[bool, int, int, str]] = []
    try:
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                if match := re.search(r"(?:^|/)((train|test)/(\w+)/(\d+)\.jpg)$", name):
                    # Sorted by number before class, so that the last training images, which choose, are of all classes.
                    found.append((match[2] == "test", int(match[4]), CLASSES.index(match[3]), name))
            found.sort()
            if [sum(not test for test, *_ in found), sum(test for test, *_ in found)] != [TRAIN, TEST]:
                raise ValueError(f"it holds {len(found)} images")
            images = np.empty((len(found), 3, SIDE, SIDE), np.uint8)
            bar = tqdm(found, f"decoding {JPEGS}", unit="image", mininterval=0.5, leave=False)
            for row, (_, _, _, name) in enumerate(bar):
                with Image.open(io.BytesIO(archive.read(name))) as image:
                    images[row] = np.asarray(image.convert("RGB")).transpose(2, 0, 1)
    except (OSError, EOFError, SyntaxError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{path} is not the whole zip of CIFAR-10 ({error}); delete it and fetch it again") from error
    names = ["/".join(name.split("/")[-3:]) for *_, name in found]
    return _table("cifar10-jpeg", images, [label for _, _, label, _ in found], names)


def _table(name: str, images: np.ndarray, labels: list[int], names: list[str]) -> Table:
    """The table of images ``uint8 [N, 3, 32, 32]``. Raises DataError where they are not 60,000."""
    if images.shape != (TRAIN + TEST, 3, SIDE, SIDE):
        raise DataError(f"{name}: {images.shape} is not {TRAIN + TEST} images of 3x{SIDE}x{SIDE}")
    columns = torch.tensor(labels, dtype=torch.int64)
    zeros = torch.zeros_like(columns)
    return Table(name, torch.from_numpy(images), columns, zeros, zeros.clone(), CLASSES, (name,), tuple(names))
