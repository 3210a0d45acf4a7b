"""CIFAR-10 tiles: four photographs of different classes side by side, whose label is the set of the four."""

from __future__ import annotations

import dataclasses

from torch import Tensor

from siamese.datasets.base import Splits
from siamese.datasets.cifar10 import SIDE as PART
from siamese.datasets.cifar10 import Cifar10
from siamese.datasets.pictures import Preprocessing
from siamese.errors import UserError
from siamese.sampling.seeds import generator
from siamese.sampling.tiles import SIDE, draw_tiles
from siamese.tables import Table


class CifarTiles(Cifar10):
    """Tiles of CIFAR-10 photographs, 2x2 of them in 64x64 pixels. The tables are CIFAR-10's; a tile is four rows, and no pixel
    of it is kept. Those that teach are drawn by the sampler ``Tiles``, of training images; those that choose and report are
    always the same, of validation and of test images.

    Args:
        val: how many of the training images choose, and make the validation tiles: the last ones.
        val_tiles, test_tiles: how many there are.
        frozen: seed of those.
    """

    def __init__(self, val: int = 5000, val_tiles: int = 5000, test_tiles: int = 10_000, frozen: int = 0) -> None:
        super().__init__(val)
        if min(val_tiles, test_tiles) < 1:
            raise UserError(
                f"there is at least one tile to choose by and to report on, not {val_tiles} and {test_tiles}"
            )
        self.counts, self.frozen = {"val": val_tiles, "test": test_tiles}, frozen

    def split(self, table: Table) -> Splits:
        return super().split(dataclasses.replace(table, name=f"{table.name} tiles"))

    def tiles(self, split: str, table: Table) -> Tensor:
        place = list(self.counts).index(split)
        return draw_tiles(table, self.counts[split], generator(self.frozen, place))

    def preprocessing(self, table: Table) -> Preprocessing:
        return Preprocessing(SIDE * PART, SIDE * PART, colour=True, fit="stretch")
