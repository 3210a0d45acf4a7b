"""What a gallery holds: parallel columns, one row an enrolled image, and the model that made them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Header:
    """What made the embeddings.

    Attributes:
        fingerprint: of the model.
        dataset: what the model learned on.
        similarity: the name of its class.
        embedding_size: D.
    """

    fingerprint: str
    dataset: str
    similarity: str
    embedding_size: int


@dataclass(frozen=True, eq=False)
class Entries:
    """``N`` enrolled images.

    Attributes:
        names: whom or what each shows.
        files: where each was, below the folder it was enrolled from.
        hashes: ``uint8 [N, 32]``, SHA-256 of each file's content.
        embeddings: ``float32 [N, D]``.
        thumbnails: each as a small JPEG; empty where none was kept.
    """

    names: list[str]
    files: list[str]
    hashes: np.ndarray
    embeddings: np.ndarray
    thumbnails: list[bytes]

    @classmethod
    def none(cls, embedding_size: int) -> Entries:
        """No entries."""
        return cls([], [], np.empty((0, 32), np.uint8), np.empty((0, embedding_size), np.float32), [])

    def __len__(self) -> int:
        return len(self.names)

    @property
    def keys(self) -> list[tuple[bytes, str]]:
        """Content and name of each: no two entries have the same."""
        return list(zip(map(bytes, self.hashes), self.names, strict=True))

    def at(self, rows: Iterable[int]) -> Entries:
        """The entries at these rows."""
        index = np.fromiter(rows, np.int64)
        lists = [[each[row] for row in index.tolist()] for each in (self.names, self.files, self.thumbnails)]
        return Entries(lists[0], lists[1], self.hashes[index], self.embeddings[index], lists[2])

    def with_new(self, others: Entries) -> Entries:
        """These, and of the others those that are not there yet."""
        seen, new = set(self.keys), []
        for row, key in enumerate(others.keys):
            if key not in seen:
                seen.add(key)
                new.append(row)
        added = others.at(new)
        return Entries(
            self.names + added.names,
            self.files + added.files,
            np.concatenate([self.hashes, added.hashes]),
            np.concatenate([self.embeddings, added.embeddings]),
            self.thumbnails + added.thumbnails,
        )


@dataclass(frozen=True, eq=False)
class Content:
    """All that the file holds."""

    header: Header
    entries: Entries
