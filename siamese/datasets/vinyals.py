"""Omniglot in the split of Vinyals et al. (2016), Matching Networks for One Shot Learning, as later papers use it: by
characters, not by alphabets, and every character turned by 0, 90, 180 and 270 degrees is four classes.

Teaching and choosing take 1,200 characters, among them most of four alphabets of the official runs: a network that it has
taught must not be reported on those.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import torch

from siamese.datasets.base import DataSet, Splits
from siamese.datasets.glyphs import Glyphs
from siamese.datasets.omniglot import Omniglot
from siamese.datasets.pictures import Preprocessing
from siamese.tables import Table

TAUGHT = 1200  # of the characters by their published numbers; the others are tested
VAL = ("Armenian", "Bengali", "Early_Aramaic", "Hebrew", "Mkhedruli_(Georgian)")  # with 172 characters
TURNS = 4


class Vinyals(DataSet):
    """1,028 characters teach, turned by the data module's ``symmetries``; 172, turned, choose; 423, turned, are tested.

    The lists are those of Snell, Swersky, Zemel (2017), Prototypical Networks for Few-shot Learning.
    """

    def load(self) -> Table:
        """Omniglot's table, ``uint8 [32460, 1, 105, 105]``."""
        return Omniglot().load()

    def split(self, table: Table) -> Splits:
        """Raises DataError where the table lacks an alphabet."""
        tested = table.rows(table.labels >= TAUGHT)
        taught = table.rows(table.labels < TAUGHT)
        val = taught.of_groups(VAL)
        train = taught.rows(~torch.isin(taught.labels, val.classes))
        return Splits(train, turned(val), turned(tested))

    def preprocessing(self, table: Table) -> Preprocessing:
        return Omniglot().preprocessing(table)

    def stand_in(self) -> DataSet:
        return Glyphs()


def turned(table: Table) -> Table:
    """The images of a table turned by 0, 90, 180 and 270 degrees, each class four classes of its group."""
    columns: dict[str, Any] = {
        "images": torch.cat([table.images.rot90(turns, (2, 3)) for turns in range(TURNS)]),
        "labels": torch.cat([table.labels * TURNS + turns for turns in range(TURNS)]),
        "groups": table.groups.repeat(TURNS),
        "sources": table.sources.repeat(TURNS),
    }
    # What is not turned keeps its name, by which it would be found in training.
    marks = ["", *(f", turned by {90 * turns}" for turns in range(1, TURNS))]
    return dataclasses.replace(
        table,
        **columns,
        class_names=tuple(f"{name}{mark}" for name in table.class_names for mark in marks),
        file_names=tuple(f"{name}{mark}" for mark in marks for name in table.file_names),
    )
