"""The nearest entries of many: exact, or found by a FAISS index and then scored exactly.

Whatever finds the candidates, their scores are the project's own similarity's, so a score never depends on the index.
FAISS is the extra ``gallery`` (``pip install 'siamese[gallery]'``); without it everything works, large searches slower.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import math
import sys
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from siamese.errors import UserError
from siamese.similarity import Cosine, Euclidean, Similarity

INDEXES = ("auto", "exact", "flat", "ivf", "hnsw")
EXACT_UP_TO = 100_000  # entries; below, an exact search of a thousand probes takes a second or two
# An index of a million entries takes about a minute to build, in which the exact search answers some thousand queries;
# for fewer it never pays, least of all for one photograph and a process that then ends.
PAYS_AFTER = 3_000
SMALLEST_IVF = 4_096  # entries; fewer are too few to train codes on, and quick to compare all
_NUMBERS = 2**24  # a step holds at most about so many float32: 64 MB
_SPARE = 32  # candidates of the matrix product beyond the k asked for, so that rounding can be told from order


def nearest(queries: Tensor, entries: Tensor, similarity: Similarity, k: int) -> tuple[Tensor, Tensor]:
    """The ``k`` most similar entries of every query, exactly, in bounded memory.

    For Euclidean and Cosine a matrix product finds candidates, the similarity scores them, and where rounding could have
    hidden a nearer entry the query is searched again with the similarity alone, as is every query of another similarity.

    Args:
        queries: float ``[Q, D]``.
        entries: float ``[S, D]``.
        similarity: scores ``[Q, D]`` and ``[S, D]``.
        k: how many; all ``S`` where there are fewer.

    Returns:
        Scores ``float32 [Q, min(k, S)]``, the highest first, and rows of ``entries`` ``int64 [Q, min(k, S)]``. Entries of
        equal score come in any order.
    """
    return Searcher(entries, similarity, "exact").nearest(queries, k)


class Searcher:
    """Entries made ready once, to be searched many times.

    Args:
        entries: float ``[S, D]``; kept, not copied where they are float32 on the similarity's device.
        similarity: what scores. WeightedL1 is always searched exactly: no index of FAISS knows its distance.
        index: ``exact`` (torch); ``flat`` (FAISS, all entries), ``ivf`` (FAISS, cells of product-quantized entries) or
            ``hnsw`` (FAISS, a graph: quick to search, slow to build), built at once; or ``auto``: exact up to 100,000
            entries or 3,000 queries, after that ``ivf`` if FAISS is installed.

    Raises:
        UserError: an unknown index, or one of FAISS without FAISS or for a similarity it does not know.
    """

    def __init__(self, entries: Tensor, similarity: Similarity, index: str = "auto") -> None:
        if index not in INDEXES:
            raise UserError(f"there is no index {index!r}; there are {', '.join(INDEXES)}")
        weight = next(similarity.parameters(), entries)
        self.entries, self.similarity = entries.to(weight.device, torch.float32), similarity
        self._auto, self._asked = index == "auto", 0
        self._index: Any = None
        if index in ("flat", "ivf", "hnsw"):
            if not isinstance(similarity, Euclidean | Cosine):
                raise UserError(f"FAISS has no index for {type(similarity).__name__}; it is searched exactly")
            if not has_faiss():
                raise UserError(f"the index {index} needs FAISS: pip install 'siamese[gallery]'")
            self._index = _build(self.entries, similarity, index)

    @torch.no_grad()
    def nearest(self, queries: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """As :func:`nearest`; with an index, a near entry may be missed, but no score is another."""
        queries, k = queries.to(self.entries.device, torch.float32), min(k, len(self.entries))
        self._asked += len(queries)
        if self._auto and self._index is None and self._worth_an_index():
            self._index = _build(self.entries, self.similarity, "ivf")
        if not len(queries) or not k:
            return queries.new_empty(len(queries), k), torch.empty(len(queries), k, dtype=torch.int64)
        scores, rows = self._by_index(queries, k) if self._index else self._exact(queries, k)
        return scores.cpu(), rows.cpu()

    def _worth_an_index(self) -> bool:
        many = len(self.entries) > EXACT_UP_TO and self._asked > PAYS_AFTER
        if many and isinstance(self.similarity, Euclidean | Cosine):
            if has_faiss():
                return True
            _advise()
        return False

    def _exact(self, queries: Tensor, k: int) -> tuple[Tensor, Tensor]:
        width = k + _SPARE
        if not isinstance(self.similarity, Euclidean | Cosine) or len(self.entries) < 8 * width:
            return _best(queries, self.entries, self.similarity, k)
        directions = isinstance(self.similarity, Cosine)
        distance = _angle if directions else _half_square
        close, rows = _best(queries, self.entries, lambda q, s: -distance(q, s), width)
        scores, rows = self._score(queries, rows, k)
        # What is not a candidate is no nearer than the last candidate, but for the rounding of a sum of D products.
        size = 2.0 if directions else queries.square().sum(1) + self.entries.square().sum(1).max()
        rounding = 4 * (queries.shape[1] + 8) * torch.finfo(torch.float32).eps * size
        last = 1 - scores[:, -1] if directions else scores[:, -1].square() / 2
        unsure = ~(last + rounding < -close[:, -1])
        if unsure.any():
            scores[unsure], rows[unsure] = _best(queries[unsure], self.entries, self.similarity, k)
        return scores, rows

    def _by_index(self, queries: Tensor, k: int) -> tuple[Tensor, Tensor]:
        asked = F.normalize(queries, dim=1) if isinstance(self.similarity, Cosine) else queries
        _, found = self._index.search(asked.cpu().numpy(), min(max(64, 8 * k), len(self.entries)))
        scores, rows = self._score(queries, torch.from_numpy(found).to(queries.device), k)
        short = scores[:, -1] == -torch.inf  # the cells that were looked into held fewer than k entries
        if short.any():
            scores[short], rows[short] = self._exact(queries[short], k)
        return scores, rows

    def _score(self, queries: Tensor, rows: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """The best k of candidate rows ``[Q, C]``, by the similarity itself; a row of -1 stands for none."""
        parts = []
        step = max(1, _NUMBERS // (rows.shape[1] * queries.shape[1]))
        for few, theirs in zip(queries.split(step), rows.split(step), strict=True):
            scores = self.similarity(few.unsqueeze(1), self.entries[theirs.clamp_min(0)]).squeeze(1)
            best = scores.masked_fill(theirs < 0, -torch.inf).topk(k)
            parts.append((best.values, theirs.gather(1, best.indices)))
        return torch.cat([scores for scores, _ in parts]), torch.cat([rows for _, rows in parts])


def _best(queries: Tensor, entries: Tensor, score: Callable[[Tensor, Tensor], Tensor], k: int) -> tuple[Tensor, Tensor]:
    """The best k of all entries by ``score``, chunk by chunk."""
    parts = []
    for few in queries.split(256):
        best, rows = few.new_empty(len(few), 0), torch.empty(len(few), 0, dtype=torch.int64, device=few.device)
        step = max(k, _NUMBERS // max(256, entries.shape[1]))
        for start in range(0, len(entries), step):
            scores = score(few, entries[start : start + step])
            # NaN would count as the highest of all.
            chunk = torch.where(scores.isnan(), -torch.inf, scores).topk(min(k, scores.shape[1]))
            best, rows = torch.cat([best, chunk.values], 1), torch.cat([rows, chunk.indices + start], 1)
            kept = best.topk(min(k, best.shape[1]))
            best, rows = kept.values, rows.gather(1, kept.indices)
        parts.append((best, rows))
    return torch.cat([scores for scores, _ in parts]), torch.cat([rows for _, rows in parts])


def _half_square(queries: Tensor, entries: Tensor) -> Tensor:
    """Half the squared Euclidean distance, by a matrix product: quick, and rounded differently from the similarity."""
    squares = queries.square().sum(1, keepdim=True) + entries.square().sum(1)
    return torch.addmm(squares, queries, entries.T, beta=0.5, alpha=-1)


def _angle(queries: Tensor, entries: Tensor) -> Tensor:
    """One less the cosine, by a matrix product."""
    return 1 - F.normalize(queries, dim=1) @ F.normalize(entries, dim=1).T


def has_faiss() -> bool:
    """Whether FAISS is installed."""
    return importlib.util.find_spec("faiss") is not None


@functools.cache
def _advise() -> None:
    """Said once a process."""
    print("a search as large as this is faster with FAISS: pip install 'siamese[gallery]'", file=sys.stderr)


def _build(entries: Tensor, similarity: Similarity, kind: str) -> Any:
    """A FAISS index of the entries; for Cosine of their directions.

    ``ivf``: about as many cells as the square root of the entries, an eighth of them looked into, where every entry is a
    row of 4-bit codes that FAISS's fast scan reads. Cells of whole embeddings take ten times as long for the same recall.
    """
    faiss = importlib.import_module("faiss")
    count, size = entries.shape
    metric = faiss.METRIC_INNER_PRODUCT if isinstance(similarity, Cosine) else faiss.METRIC_L2
    cells = 2 ** round(math.log2(max(1, count**0.5)))
    # Two numbers to a code; long embeddings more, and those without such a divisor a byte for each number.
    codes = next((codes for codes in range(min(256, size // 2), size // 16, -1) if size % codes == 0), None)
    if kind == "ivf" and count < SMALLEST_IVF:
        kind = "flat"
    cell = f"PQ{codes}x4fs" if codes else "SQ8"
    index = faiss.index_factory(size, {"flat": "Flat", "ivf": f"IVF{cells},{cell}", "hnsw": "HNSW32"}[kind], metric)
    if kind == "hnsw":
        index.hnsw.efConstruction, index.hnsw.efSearch = 40, 128

    def rows(chosen: Tensor) -> Any:
        return (F.normalize(chosen, dim=1) if isinstance(similarity, Cosine) else chosen).cpu().numpy()

    if not index.is_trained:
        sample = torch.randperm(count, generator=torch.Generator().manual_seed(0))[: max(64 * cells, SMALLEST_IVF)]
        index.cp.min_points_per_centroid, index.cp.niter = 10, 10
        index.train(rows(entries[sample.to(entries.device)]))
        index.nprobe = max(16, cells // 8)
    # A graph is not the same twice where several threads grow it; all else is.
    for chunk in entries.split(2**16):
        index.add(rows(chunk))
    return index
