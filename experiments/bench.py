"""How fast the hot paths are, each beside the plain way of doing the same, in one process on this machine.

    make bench

Every row is the median of several timed repeats of both ways in turn. What is compared gives the same scores, which is
checked first. Generated characters serve where Omniglot cannot be had. Then whole trainings and evaluations side by side,
see ``bench_sides.py``, whose options are those of this, too.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import bench_gallery
import bench_peers
import bench_sides
import torch
from bench_files import loaded
from torch import Tensor

from siamese.datasets import Glyphs
from siamese.datasets.base import DataSet
from siamese.evaluation.one_shot import credits, episode_scores
from siamese.losses import Binary
from siamese.networks import Compact, Koch
from siamese.precision import best_precision
from siamese.run import hardware
from siamese.sampling.episodes import Episodes, sample_episodes
from siamese.sampling.seeds import generator
from siamese.similarity import Cosine, Similarity, WeightedL1
from siamese.tables import Table

PLAIN_PAIRS = 320  # of the 8,000 of the official runs: the plain way takes minutes for all, its pairs all cost the same


def main(given: argparse.Namespace) -> None:
    precision = best_precision()
    source, table = loaded()
    print(f"{hardware(precision)}; {table.name}; medians of 3 repeats unless said otherwise\n")
    rows = [
        *_tables(source),
        _official(table, precision),
        _episodes(),
        *_training(precision),
    ]
    print(f"{'what':<66}{'this project':>16}{'plain':>16}{'ratio':>9}")
    for what, ours, plain, unit in rows:
        ratio = f"{plain / ours:8.1f}x" if plain else ""
        print(f"{what:<66}{ours:>12.3f} {unit:<3}{f'{plain:>12.3f} {unit:<3}' if plain else '':>16}{ratio:>9}")
    bench_gallery.main()
    bench_sides.main(given)
    if given.peers:
        bench_peers.main(given.out, given.peer_steps)


def _seconds(*ways: Callable[[], object], repeats: int = 3) -> list[float]:
    """The median seconds of each way, all of them run in turn, after one round that does not count."""
    taken: list[list[float]] = [[] for _ in ways]
    for repeat in range(repeats + 1):
        for way, times in zip(ways, taken, strict=True):
            began = time.perf_counter()
            way()
            if repeat:
                times.append(time.perf_counter() - began)
    return [statistics.median(times) for times in taken]


def _tables(source: DataSet) -> list[tuple[str, float, float, str]]:
    """The whole table from the cache, in a new process for its memory; and glyphs, drawn."""
    (loaded,) = _seconds(source.load)
    name = type(source).__name__
    # From the kernel, in a new process: what a process has ever used would count what its parent had.
    measure = (
        "import re, torch; from siamese.datasets import Glyphs, Omniglot\n"
        "used = lambda: int(re.search(r'VmRSS:\\s+(\\d+)', open('/proc/self/status').read())[1]) / 1024\n"
        f"before = used(); table = {name}().load(); table.images.max(); print(used() - before)"
    )
    memory = float(subprocess.run([sys.executable, "-c", measure], capture_output=True, text=True, check=True).stdout)
    began = time.perf_counter()
    Glyphs()._draw()
    drawn = time.perf_counter() - began
    return [
        ("the whole table from the cache, fingerprint checked", loaded, 0.0, "s"),
        ("its memory, above that of torch", memory, 0.0, "MB"),
        ("all glyphs drawn for the first time, once", drawn, 0.0, "s"),
    ]


def _official(table: Table, precision: str) -> tuple[str, float, float, str]:
    """400 20-way trials by the Koch network: embed 800 images once, or forward both images of each of 8,000 pairs."""
    network, similarity = Koch().eval(), WeightedL1(Koch.embedding_size)
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    runs = sample_episodes(table, 20, 20, 1, generator(0))
    rows = torch.cat([runs.support.flatten(), runs.query.flatten()])
    images = table.images[rows].float() / 255
    indexed = Episodes(torch.arange(400).view(20, 20, 1), torch.arange(400, 800).view(20, 20), runs.target)

    @torch.inference_mode()
    def ours() -> Tensor:
        with _autocast(precision):
            embeddings = torch.cat([network(chunk).float() for chunk in images.split(100)])
        return credits(episode_scores(embeddings, indexed, similarity), indexed.target)

    first = indexed.query.unsqueeze(2).expand(-1, -1, 20).flatten()
    second = indexed.support[:, :, 0].unsqueeze(1).expand(-1, 20, -1).flatten()

    @torch.inference_mode()
    def plain() -> Tensor:
        scores = []
        with _autocast(precision):
            for a, b in zip(first[:PLAIN_PAIRS].split(20), second[:PLAIN_PAIRS].split(20), strict=True):
                scores.append(similarity.paired(network(images[a]), network(images[b])))
        return torch.cat(scores)

    mine, theirs = _seconds(ours, plain)
    return "official evaluation, Koch network, 8,000 pairs", mine, theirs * len(first) / PLAIN_PAIRS, "s"


def _episodes() -> tuple[str, float, float, str]:
    """1,000 20-way episodes from embeddings: all at once, or one query of one episode after the other."""
    draw = generator(1)
    embeddings = torch.randn(13_180, 256, generator=draw)
    support = torch.randint(13_180, (1000, 20, 1), generator=draw)
    query = torch.randint(13_180, (1000, 20), generator=draw)
    target = torch.randint(20, (1000, 20), generator=draw)
    episodes, similarity = Episodes(support, query, target), Cosine()

    def ours() -> float:
        return float(credits(episode_scores(embeddings, episodes, similarity), target).mean())

    def plain() -> float:
        right = 0
        for e in range(1000):
            for q in range(20):
                scores = similarity(embeddings[query[e, q]].unsqueeze(0), embeddings[support[e, :, 0]])
                right += int(scores.argmax().item() == target[e, q].item())
        return right / 20_000

    assert abs(ours() - plain()) < 1e-4
    mine, theirs = _seconds(ours, plain)
    return "1,000 20-way episodes from embeddings", mine, theirs, "s"


def _training(precision: str) -> list[tuple[str, float, float, str]]:
    """A training step on 128 images: all 8,128 pairs of them, or 64 explicit pairs, each image forwarded in its pair."""
    rows = []
    labels = torch.arange(32).repeat_interleave(4)
    for name, network, size in (("compact", Compact(), 35), ("Koch", Koch(), 105)):
        network = network.to(memory_format=torch.channels_last)
        similarity: Similarity = WeightedL1(network.embedding_size)
        loss = Binary()
        images = torch.rand(128, 1, size, size, generator=generator(2))
        optimizer = torch.optim.SGD([*network.parameters(), *similarity.parameters()], lr=1e-4)

        def step(compute: Callable[[], Tensor], optimizer: torch.optim.Optimizer = optimizer) -> None:
            optimizer.zero_grad()
            compute().backward()
            optimizer.step()

        def ours(network=network, similarity=similarity, images=images, loss=loss) -> Tensor:
            with _autocast(precision):
                embeddings = network(images)
            return loss(similarity, embeddings, labels)

        def plain(network=network, similarity=similarity, images=images) -> Tensor:
            with _autocast(precision):
                scores = similarity.paired(network(images[:64]), network(images[64:]))
            same = (labels[:64] == labels[64:]).float()
            return torch.nn.functional.binary_cross_entropy_with_logits(scores, same)

        mine, theirs = _seconds(lambda: step(ours), lambda: step(plain), repeats=3 if size > 100 else 20)
        pairs = 128 * 127 / 2
        rows.append((f"training, {name}, microseconds a pair scored", mine / pairs * 1e6, theirs / 64 * 1e6, "us"))
    return rows


def _autocast(precision: str) -> torch.autocast:
    return torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16-mixed")


if __name__ == "__main__":
    main(bench_sides.parsed(sys.argv[1:]))
