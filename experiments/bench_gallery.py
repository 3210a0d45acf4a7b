"""How fast a million embeddings are searched: by a FAISS index and exactly, with what is found compared.

    python experiments/bench_gallery.py [entries]

The embeddings are made, not learned: 50,000 identities are random directions in 256 dimensions, 20 entries of each and a
probe of every drawn identity are the identity plus half as much noise (a cosine of about 0.8 to it), on the unit sphere.
Identities and noise have the k-th coordinate shrunken by 1 / sqrt(k), as a learned space does not use its dimensions
alike: about 23 of them count (participation ratio). So an identity has near strangers, which makes the search hard.
"""

from __future__ import annotations

import statistics
import sys
import time

import torch
import torch.nn.functional as F
from torch import Tensor

from siamese.gallery.search import Searcher, has_faiss
from siamese.sampling.seeds import generator
from siamese.similarity import Cosine

SIZE, IDENTITIES_OF, PROBES, TOP = 256, 20, 1000, 5


def embeddings(entries: int) -> tuple[Tensor, Tensor]:
    """Entries ``float32 [S, 256]`` and probes ``float32 [1000, 256]``, made as told above."""
    draw = generator(0)
    spread = torch.arange(1, SIZE + 1).rsqrt()

    def directions(count: int) -> Tensor:
        return F.normalize(torch.randn(count, SIZE, generator=draw) * spread, dim=1)

    identities = directions(entries // IDENTITIES_OF)
    made = torch.empty(entries, SIZE)
    for chunk in made.split(len(identities)):
        chunk.copy_(F.normalize(identities[: len(chunk)] + 0.5 * directions(len(chunk)), dim=1))
    who = torch.randint(len(identities), (PROBES,), generator=draw)
    return made, F.normalize(identities[who] + 0.5 * directions(PROBES), dim=1)


def main(entries: int = 1_000_000) -> None:
    """Print build time, memory beside the embeddings, search time and recall of the top five; about two minutes."""
    threads = torch.get_num_threads()
    print(f"\ntop {TOP} of {PROBES:,} probes among {entries:,} made embeddings of {SIZE} numbers, {threads} threads")
    made, probes = embeddings(entries)
    exact, seconds = _timed(Searcher(made, Cosine(), "exact"), probes, 1)
    print(f"{'index':<8}{'build':>10}{'memory':>12}{'search':>11}{'recall@5':>11}")
    print(f"{'exact':<8}{'':>22}{seconds:>9.2f} s{1:>11.4f}")
    if not has_faiss():
        print("FAISS is not installed: pip install 'siamese[gallery]'")
        return
    before, began = _memory(), time.perf_counter()
    searcher = Searcher(made, Cosine(), "ivf")
    built, memory = time.perf_counter() - began, _memory() - before
    rows, seconds = _timed(searcher, probes, 5)
    recall = (rows.unsqueeze(2) == exact.unsqueeze(1)).any(1).float().mean().item()
    print(f"{'ivf':<8}{built:>8.1f} s{memory:>9.0f} MB{seconds:>9.2f} s{recall:>11.4f}")


def _timed(searcher: Searcher, probes: Tensor, repeats: int) -> tuple[Tensor, float]:
    """The rows found, and the median seconds that it takes."""
    taken = []
    for _ in range(repeats):
        began = time.perf_counter()
        _, rows = searcher.nearest(probes, TOP)
        taken.append(time.perf_counter() - began)
    return rows, statistics.median(taken)


def _memory() -> float:
    """Megabytes that this process holds now."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096 / 2**20


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
