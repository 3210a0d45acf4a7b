"""The pairs of a split, drawn or all there are, and their scores."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from siamese.errors import UserError
from siamese.sampling.pairs import sample_pairs
from siamese.similarity import Similarity
from siamese.tables import Table

MOST_PAIRS = 20_000_000  # of a table; their scores and sorting take about a gigabyte
AT_ONCE = 1 << 22  # numbers in a block of scores or gathered embeddings


class SplitPairs:
    """Which pairs of a table are compared. Raises UserError where there are none, or too many.

    Args:
        table: of the split.
        pairs: how many, half of them genuine; None for every pair of two images.
        within: share of the drawn impostors within one group.
        sources: only pairs of images of these; None for all.
        generator: of the draw.
    """

    def __init__(
        self,
        table: Table,
        pairs: int | None,
        within: float,
        sources: Sequence[int] | None,
        generator: torch.Generator,
    ) -> None:
        self.labels, self._kept = table.labels, torch.arange(len(table))
        if sources is not None:
            self._kept = torch.isin(table.sources, torch.tensor(list(sources))).nonzero().flatten()
            table = table.of_sources(sources)
        self.classes = len(table.classes)
        self._drawn: Tensor | None = None
        if pairs is not None:
            self._drawn = self._kept[sample_pairs(table, pairs, within, generator)[0]]
            return
        images = len(table)
        if images * (images - 1) // 2 > MOST_PAIRS:
            raise UserError(
                f"{images:,} images of {table.name} make {images * (images - 1) // 2:,} pairs, too many to compare all; say "
                "how many to draw, with the evaluation's pairs, for instance pairs: 10000"
            )
        if not 1 < self.classes < images:
            raise UserError(
                f"all pairs of {images} images of {self.classes} classes of {table.name} are of one kind; verification takes "
                "genuine and impostor pairs"
            )

    @property
    def rows(self) -> Tensor:
        """``int64 [P, 2]`` rows of the table. All pairs are made anew each time: they may be a few hundred megabytes."""
        if self._drawn is not None:
            return self._drawn
        return self._kept[torch.triu_indices(len(self._kept), len(self._kept), 1).T]

    def identities(self, rows: Tensor) -> Tensor:
        """``int64 [P, 2]``: the classes of both images of ``rows``; a pair is genuine where they are equal."""
        return self.labels[rows]

    def scores(self, embeddings: Tensor, similarity: Similarity) -> Tensor:
        """``float32 [P]``, in order of ``rows``, from the table's embeddings ``[N, D]``."""
        if self._drawn is not None:
            first, second = self._drawn.unbind(1)
            step = max(1, AT_ONCE // embeddings.shape[1])
            return torch.cat(
                [
                    similarity.paired(embeddings[a], embeddings[b])
                    for a, b in zip(first.split(step), second.split(step), strict=True)
                ]
            )
        kept = embeddings[self._kept]
        step = max(1, AT_ONCE // len(kept))
        blocks = []
        for start in range(0, len(kept), step):
            block = similarity(kept[start : start + step], kept[start:])
            blocks.append(block[torch.ones_like(block, dtype=torch.bool).triu(1)])  # each pair once, none of itself
        return torch.cat(blocks)
