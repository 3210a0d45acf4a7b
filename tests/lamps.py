"""Images that carry several labels, for tests: four lamps that burn or do not; and closed splits of any table."""

import torch
from torch import Tensor

from siamese.datasets.base import DataSet, Splits
from siamese.sampling.batches import Shuffled
from siamese.systems import FewShotData
from siamese.tables import Table

COUNTS = {"train": 60, "val": 40, "test": 50}
RATES = {"train": (0.3, 0.5, 0.7, 0.2), "val": (0.5, 0.5, 0.5, 0.2), "test": (0.6, 0.4, 0.2, 0.0)}
CORNERS = [(slice(top, top + 8), slice(left, left + 8)) for top in (0, 8) for left in (0, 8)]


class Lamps(DataSet):
    """Images of 16x16 in which up to four lamps burn, one a quarter; of test images none has the last one."""

    def __init__(self, **targets: Tensor) -> None:
        draw = torch.Generator().manual_seed(0)
        drawn = {split: torch.rand(n, 4, generator=draw) < torch.tensor(RATES[split]) for split, n in COUNTS.items()}
        self.targets = drawn | targets

    def load(self) -> Table:
        several = torch.cat([self.targets[split] for split in COUNTS])
        images = torch.randint(60, (len(several), 1, 16, 16), generator=torch.Generator().manual_seed(1))
        for label, (rows, columns) in enumerate(CORNERS):
            images[:, 0, rows, columns] += 150 * several[:, label].view(-1, 1, 1)
        zeros = torch.zeros(len(several), dtype=torch.int64)
        names = tuple(f"{row:03d}.png" for row in range(len(several)))
        return Table("lamps", images.byte(), zeros, zeros, zeros, tuple("abcd"), ("lamps",), names, several)

    def split(self, table: Table) -> Splits:
        first, second = COUNTS["train"], COUNTS["train"] + COUNTS["val"]
        row = torch.arange(len(table))
        parts = (row < first, (row >= first) & (row < second), row >= second)
        return Splits(*(table.rows(part) for part in parts), closed=True)


class Closed(DataSet):
    """Three sources teach, one chooses, one reports."""

    def __init__(self, table: Table) -> None:
        self.table = table

    def load(self) -> Table:
        return self.table

    def split(self, table: Table) -> Splits:
        parts = (table.sources < 3, table.sources == 3, table.sources == 4)
        return Splits(*(table.rows(part) for part in parts), closed=True)


def ready(source: DataSet, **options) -> FewShotData:
    options = {"sampler": Shuffled(8), "augment": None, "image_size": None} | options
    data = FewShotData(source, **options)
    data.setup("fit")
    return data
