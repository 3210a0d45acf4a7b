"""Tiles: four images of different classes side by side, whose label is the set of the four."""

from __future__ import annotations

import dataclasses

from torch import Tensor

from siamese.datasets.base import DataSet, Splits
from siamese.datasets.cifar10 import Cifar10
from siamese.datasets.pictures import Preprocessing
from siamese.errors import UserError
from siamese.sampling.seeds import generator
from siamese.sampling.tiles import SIDE, draw_tiles
from siamese.tables import Table


class ImageTiles(DataSet):
    """Tiles of the images of another data set, 2x2 of them. The tables are that data set's; a tile is four rows, and no pixel
    of it is kept. Those that teach are drawn by the sampler ``Tiles``, of training images; those that choose and report are
    always the same, of validation and of test images.

    Args:
        of: a data set of closed splits, whose images are of one class each.
        val_tiles, test_tiles: how many tiles choose and report.
        frozen: seed of those.
    """

    def __init__(self, of: DataSet, val_tiles: int = 5000, test_tiles: int = 10_000, frozen: int = 0) -> None:
        if min(val_tiles, test_tiles) < 1:
            raise UserError(
                f"there is at least one tile to choose by and to report on, not {val_tiles} and {test_tiles}"
            )
        self.of, self.counts, self.frozen = of, {"val": val_tiles, "test": test_tiles}, frozen

    def load(self) -> Table:
        return self.of.load()

    def split(self, table: Table) -> Splits:
        """Those of the data set. Raises UserError where they are not closed, or its images carry several labels already."""
        splits = self.of.split(dataclasses.replace(table, name=f"{table.name} tiles"))
        if not splits.closed or table.targets is not None:
            raise UserError(f"tiles take closed splits of images of one class each; {table.name} has others")
        return splits

    def tiles(self, split: str, table: Table) -> Tensor:
        place = list(self.counts).index(split)
        return draw_tiles(table, self.counts[split], generator(self.frozen, place))

    def preprocessing(self, table: Table) -> Preprocessing:
        part = self.of.preprocessing(table)
        return dataclasses.replace(part, height=SIDE * part.height, width=SIDE * part.width)

    def stand_in(self) -> DataSet | None:
        instead = self.of.stand_in()
        return None if instead is None else ImageTiles(instead, self.counts["val"], self.counts["test"], self.frozen)


class CifarTiles(ImageTiles):
    """Tiles of CIFAR-10 photographs, in 64x64 pixels.

    Args:
        val: how many of the training images choose, and make the validation tiles: the last ones.
        val_tiles, test_tiles, frozen: as of ``ImageTiles``.
    """

    def __init__(self, val: int = 5000, val_tiles: int = 5000, test_tiles: int = 10_000, frozen: int = 0) -> None:
        super().__init__(Cifar10(val), val_tiles, test_tiles, frozen)
