"""What the loaders hand out: integers that say which images of which split, never pixels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

from siamese.sampling.batches import BatchStream, IndexBatch


class RowBatch(NamedTuple):
    """Images of a split to embed as they are: ``int64 [B]``, of its rows or its tiles."""

    split: str
    rows: Tensor


class RowStream(IterableDataset):
    """All images of a split in order, in every process: of a list Lightning would give each process a share only."""

    def __init__(self, split: str, images: int, batch: int) -> None:
        self.batches = [RowBatch(split, chunk) for chunk in torch.arange(images).split(batch) if images]

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[RowBatch]:
        return iter(self.batches)


class SplitStream(IterableDataset):
    """A stream whose batches say which split they are of."""

    def __init__(self, split: str, stream: BatchStream) -> None:
        self.split, self.stream = split, stream

    def __len__(self) -> int:
        return len(self.stream)

    def __iter__(self) -> Iterator[tuple[str, IndexBatch]]:
        return ((self.split, batch) for batch in self.stream)


def loader(batches: IterableDataset) -> DataLoader:
    """A loader of what comes in batches. A generator of its own keeps it from drawing from the one that dropout draws from."""
    return DataLoader(batches, batch_size=None, generator=torch.Generator())
