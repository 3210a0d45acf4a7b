"""Learn on one data set, report on another."""

from __future__ import annotations

from siamese.datasets.base import DataSet, Splits
from siamese.datasets.pictures import Preprocessing
from siamese.sampling.episodes import Episodes
from siamese.tables import Table


class Transfer(DataSet):
    """Training and choosing use only ``teacher``; the test split and the official runs are those of ``target``.

    Args:
        teacher: the data set that teaches and chooses, such as generated glyphs.
        target: the data set that is reported on, such as Omniglot.
    """

    def __init__(self, teacher: DataSet, target: DataSet) -> None:
        self.teacher, self.target = teacher, target

    def load(self) -> Table:
        """The target's table: what figures are measured on."""
        return self.target.load()

    def split(self, table: Table) -> Splits:
        taught = self.teacher.split(self.teacher.load())
        return Splits(taught.train, taught.val, self.target.split(table).test)

    def official_runs(self, test: Table) -> Episodes | None:
        return self.target.official_runs(test)

    def preprocessing(self, table: Table) -> Preprocessing:
        return self.target.preprocessing(table)
