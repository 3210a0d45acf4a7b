"""MNIST and Fashion-MNIST: 60,000 + 10,000 grey images of 28x28 in ten classes.

LeCun, Bottou, Bengio, Haffner (1998), Gradient-based learning applied to document recognition; Xiao, Rasul, Vollgraf
(2017), Fashion-MNIST.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Sequence

import numpy as np
import torch

from siamese.datasets.base import DataSet, Splits
from siamese.datasets.glyphs10 import Glyphs10
from siamese.datasets.registry import fetch, published_table
from siamese.errors import DataError, UserError
from siamese.tables import Table

TRAIN, TEST, SIDE = 60_000, 10_000, 28


class Mnist(DataSet):
    """The handwritten digits, ink 255. The splits are closed: ten thousand published test images report.

    Args:
        val: how many of the training images choose: the last ones.
        unseen: classes left out of training and choosing, which are novel when the test comes; it keeps them.
    """

    key = "mnist"
    class_names: tuple[str, ...] = tuple("0123456789")

    def __init__(self, val: int = 5000, unseen: Sequence[int] = ()) -> None:
        if not 0 <= val < TRAIN:
            raise UserError(f"val is a part of the {TRAIN} training images, not {val}")
        if not set(unseen) < set(range(len(self.class_names))):
            raise UserError(f"unseen lists some, not all, of the classes 0 to 9, not {list(unseen)}")
        self.val, self.unseen = val, tuple(unseen)

    def load(self) -> Table:
        """All images as ``uint8 [70000, 1, 28, 28]``, the training images first, in the published order."""
        return published_table(self.key, self._decode)

    def split(self, table: Table) -> Splits:
        row = torch.arange(len(table))
        known = ~torch.isin(table.labels, torch.tensor(self.unseen, dtype=torch.int64))
        teach, choose = row < TRAIN - self.val, (row >= TRAIN - self.val) & (row < TRAIN)
        return Splits(table.rows(teach & known), table.rows(choose & known), table.rows(row >= TRAIN), closed=True)

    def stand_in(self) -> DataSet:
        """As many drawings of ten generated characters."""
        classes = len(self.class_names)
        val = -(-self.val // classes)
        return Glyphs10(TRAIN // classes - val, val, TEST // classes, SIDE, unseen=self.unseen)

    def _decode(self) -> Table:
        images, labels = [], []
        for part, count in (("train", TRAIN), ("t10k", TEST)):
            images.append(self._numbers(f"{part}-images-idx3-ubyte.gz", (count, SIDE, SIDE)))
            labels.append(self._numbers(f"{part}-labels-idx1-ubyte.gz", (count,)))
        columns = torch.from_numpy(np.concatenate(labels)).long()
        return Table(
            name=self.key.replace("_", "-"),
            images=torch.from_numpy(np.concatenate(images)).unsqueeze(1),
            labels=columns,
            groups=torch.zeros_like(columns),
            sources=torch.zeros_like(columns),
            class_names=self.class_names,
            group_names=(self.key.replace("_", "-"),),
            file_names=tuple(
                f"{part}/{n:05d}" for part, count in (("train", TRAIN), ("test", TEST)) for n in range(count)
            ),
        )

    def _numbers(self, file: str, shape: tuple[int, ...]) -> np.ndarray:
        """``uint8`` of this shape from an IDX file: a header of four bytes and four for each dimension, then the numbers."""
        path = fetch(self.key, file)
        try:
            content = gzip.decompress(path.read_bytes())
        except (OSError, EOFError, zlib.error) as error:
            raise DataError(f"{path} is not a whole gzip file ({error}); delete it and fetch it again") from error
        header = bytes([0, 0, 8, len(shape)]) + np.array(shape, ">i4").tobytes()
        if not content.startswith(header) or len(content) != len(header) + int(np.prod(shape)):
            raise DataError(f"{path} does not hold {' x '.join(map(str, shape))} bytes; delete it and fetch it again")
        return np.frombuffer(content, np.uint8, offset=len(header)).reshape(shape)


class FashionMnist(Mnist):
    """Articles of clothing in the shape of MNIST."""

    key = "fashion_mnist"
    class_names = (
        "T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot",
    )  # fmt: skip
