"""The rows of every class, as one padded tensor, which all samplers draw from."""

from __future__ import annotations

import torch
from torch import Tensor

from siamese.tables import Table


def class_rows(table: Table) -> tuple[Tensor, Tensor, Tensor]:
    """The table by class, for the ``M`` classes that occur in it.

    Returns:
        ``int64 [M, S]`` rows of each class in order of source, padded with -1; ``int64 [M]`` how many rows each has;
        ``int64 [M]`` the group of each class.
    """
    order = torch.argsort(table.labels * (int(table.sources.max()) + 1) + table.sources, stable=True)
    _, counts = table.labels.unique(return_counts=True)
    first = counts.cumsum(0) - counts
    column = torch.arange(int(counts.max()))
    index = first.unsqueeze(1) + column
    rows = torch.where(column < counts.unsqueeze(1), order[index.clamp_max(len(order) - 1)], -1)
    return rows, counts, table.groups[order[first]]


def source_rows(table: Table) -> Tensor:
    """``int64 [M, sources]``: for each class that occurs the row that each source has made of it, -1 where none has."""
    classes, label = table.labels.unique(return_inverse=True)
    sources, source = table.sources.unique(return_inverse=True)
    rows = torch.full((len(classes), len(sources)), -1)
    rows[label, source] = torch.arange(len(table))
    return rows
