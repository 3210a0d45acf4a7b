"""What a training step sees, as integers: which rows of the table, in which symmetry, compared in which pairs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.data import IterableDataset

from siamese.errors import UserError
from siamese.sampling.classes import class_rows
from siamese.sampling.pairs import sample_pairs
from siamese.sampling.seeds import generator
from siamese.tables import Table

# The symmetries of the square that are classes of their own, by how many there are: quarter turns, plus 4 if mirrored.
SYMMETRIES = {1: (0,), 2: (0, 4), 4: (0, 1, 2, 3), 8: (0, 1, 2, 3, 4, 5, 6, 7)}
MOST_CLASSES = 32  # of a batch that is to hold all
PAIR_SET = 2**32 - 1  # stands for the epoch in the seed of what is drawn once for a whole training


class IndexBatch(NamedTuple):
    """A batch of ``B`` images before any pixel is touched. A sampler gives a whole epoch, ``[S, B]`` for ``S`` steps.

    Attributes:
        rows: ``int64 [B]`` rows of the table; ``[B, 4]`` where each image is a tile of four, as are ``turns`` and ``distort``.
        labels: ``int64 [B]``; a class in another symmetry is another class. ``bool [B, L]`` where an image carries several.
        turns: ``int64 [B]`` symmetry of the square: quarter turns, plus 4 if mirrored.
        distort: ``bool [B]`` whether augmentation may distort the image.
        pairs: ``int64 [P, 2]`` which images of the batch to compare, or None for all pairs.
    """

    rows: Tensor
    labels: Tensor
    turns: Tensor
    distort: Tensor
    pairs: Tensor | None = None


class Sampler(ABC):
    """Draws an epoch of batches."""

    mirror = False  # whether it has images turned into mirror images of the same class

    @abstractmethod
    def epoch(self, table: Table, symmetries: int, seed: int, epoch: int) -> IndexBatch:
        """The epoch's ``S`` batches as ``[S, B]`` tensors, the same for the same seed and epoch on every machine.

        ``symmetries`` is how many symmetries of an image count as classes of their own, a key of SYMMETRIES.
        """


class ClassBatches(Sampler):
    """P x K batches: ``classes`` classes with ``shots`` images each, all pairs of which are compared.

    Args:
        classes: how many classes a batch holds (P); None for all there are, but not more than 32. A list says how many of
            each group, in the order of the groups.
        shots: how many images of each (K). A class with fewer images gives some of them more than once, each with its own
            distortion.
        groups: unless ``classes`` is a list, draw the classes from this many groups; few groups make near classes, and hard
            negatives. None draws from all. A list says how many of the data set's own groups, and how many of those that were
            joined to it. Where the groups hold fewer classes than asked for, others fill up.
        steps: batches of an epoch, over all processes.
    """

    def __init__(
        self,
        classes: int | list[int] | None = 32,
        shots: int = 4,
        groups: int | list[int] | None = 4,
        steps: int = 250,
    ) -> None:
        total = sum(classes) if isinstance(classes, list) else classes
        if (total is not None and total < 2) or shots < 2:
            raise UserError(f"a batch needs at least 2 classes x 2 images to compare, not {classes} x {shots}")
        if isinstance(groups, list) and len(groups) != 2:
            raise UserError(f"a list of groups says how many are own and how many joined to them, not {groups}")
        self.classes, self.shots, self.groups, self.steps = classes, shots, groups, steps

    def epoch(self, table: Table, symmetries: int, seed: int, epoch: int) -> IndexBatch:
        rows, counts, group = class_rows(table)
        draw = generator(seed, epoch)
        keys = torch.rand(self.steps, len(rows) * symmetries, generator=draw)
        if isinstance(self.classes, list):
            drawn = self._by_group(self.classes, keys, group.repeat_interleave(symmetries), table.name)
        else:
            drawn = self._of_all(self.classes, keys, group, symmetries, table, draw)
        classes, turns = drawn // symmetries, drawn % symmetries
        padding = torch.arange(rows.shape[1]) >= counts[classes].unsqueeze(2)
        order = torch.rand(padding.shape, generator=draw).masked_fill(padding, -1.0).argsort(dim=2, descending=True)
        picked = order.gather(2, torch.arange(self.shots) % counts[classes].unsqueeze(2))
        images = rows[classes].gather(2, picked).flatten(1)  # [S, P * K]
        turns = turns.repeat_interleave(self.shots, dim=1)
        labels = table.labels[images] * symmetries + turns
        turns = torch.tensor(SYMMETRIES[symmetries])[turns]
        return IndexBatch(images, labels, turns, torch.ones_like(images, dtype=torch.bool))

    def _of_all(
        self, wanted: int | None, keys: Tensor, group: Tensor, symmetries: int, table: Table, draw: torch.Generator
    ) -> Tensor:
        """``int64 [S, P]``: the columns of ``keys`` (``float [S, classes * symmetries]``, random) that are in each batch."""
        present = keys.shape[1]
        wanted = min(MOST_CLASSES, present) if wanted is None else wanted
        if not 2 <= wanted <= present:
            raise UserError(
                f"batches of {max(wanted, 2)} classes cannot be drawn from {table.name}: here it has {present}"
            )
        if self.groups is not None:
            names, group = group.unique(return_inverse=True)
            chosen = self._some_groups(torch.rand(self.steps, len(names), generator=draw), table.added[names])
            keys = keys + chosen[:, group].repeat_interleave(symmetries, dim=1)
        return keys.topk(wanted).indices

    def _some_groups(self, random: Tensor, added: Tensor) -> Tensor:
        """``bool [S, G]``: which groups the classes of each batch come from, by random numbers ``float [S, G]``; which of the
        groups were joined to the data set's own is ``bool [G]``."""
        if isinstance(self.groups, int):
            return random.argsort(dim=1).argsort(dim=1) < self.groups
        ranks = [random.masked_fill(others, 2.0).argsort(dim=1).argsort(dim=1) for others in (added, ~added)]
        own, joined = (rank < count for rank, count in zip(ranks, self.groups or (), strict=True))
        return torch.where(added, joined, own)

    def _by_group(self, wanted: list[int], keys: Tensor, group: Tensor, name: str) -> Tensor:
        """As ``_of_all``, ``wanted[g]`` columns of the ``g``-th group; ``group`` is that of each column."""
        columns = [(group == each).nonzero().flatten() for each in group.unique()]
        present = [len(each) for each in columns]
        if len(wanted) != len(present) or any(want > has for want, has in zip(wanted, present, strict=True)):
            raise UserError(f"batches of {wanted} classes by group cannot be drawn from {name}: here it has {present}")
        drawn = [of[keys[:, of].topk(want).indices] for want, of in zip(wanted, columns, strict=True)]
        return torch.cat(drawn, dim=1)


class Shuffled(Sampler):
    """Every image once an epoch, in another order each time: batches for losses that look at one image at a time.

    Args:
        batch: images of a batch; an epoch leaves the last odd ones out.
        mirror: half of the images are mirror images, which makes no other class of them.
    """

    def __init__(self, batch: int = 128, mirror: bool = False) -> None:
        if batch < 2:
            raise UserError(f"a batch holds at least 2 images, not {batch}")
        self.batch, self.mirror = batch, mirror

    def epoch(self, table: Table, symmetries: int, seed: int, epoch: int) -> IndexBatch:
        if (steps := len(table) // self.batch) < 1:
            raise UserError(f"{len(table)} images of {table.name} do not fill one batch of {self.batch}")
        if symmetries > 1 and (self.mirror or table.targets is not None):
            raise UserError(f"mirror, and images of several labels, take data.symmetries 1, not {symmetries}")
        draw = generator(seed, epoch)
        rows = torch.randperm(len(table), generator=draw)[: steps * self.batch].view(steps, self.batch)
        drawn = torch.randint(symmetries, rows.shape, generator=draw)
        turns = torch.tensor(SYMMETRIES[symmetries])[drawn]
        if self.mirror:
            turns = 4 * torch.randint(2, rows.shape, generator=draw)
        labels = table.labels[rows] * symmetries + drawn if table.targets is None else table.targets[rows]
        return IndexBatch(rows, labels, turns, torch.ones_like(rows, dtype=torch.bool))


class PairBatches(Sampler):
    """A fixed set of explicit pairs, shuffled anew every epoch (Koch et al. 2015: 30,000, 90,000 or 150,000).

    Args:
        pairs: size of the set, half of it genuine.
        batch: pairs of a batch; a batch holds twice as many images, and an epoch leaves the last odd pairs out.
        copies: distorted copies of every pair beside the undistorted one (Koch: 0 or 8).
        within: share of the impostors that are of one group.
    """

    def __init__(self, pairs: int = 30_000, batch: int = 128, copies: int = 8, within: float = 0.5) -> None:
        self.pairs, self.batch, self.copies, self.within = pairs, batch, copies, within

    def epoch(self, table: Table, symmetries: int, seed: int, epoch: int) -> IndexBatch:
        if (total := self.pairs * (1 + self.copies)) < self.batch:
            raise UserError(f"{total} pairs do not fill one batch of {self.batch}")
        pairs, _ = sample_pairs(table, self.pairs, self.within, generator(seed, PAIR_SET))
        draw = generator(seed, epoch)
        steps = total // self.batch
        order = torch.randperm(total, generator=draw)[: steps * self.batch].view(steps, self.batch)
        rows = pairs[order % self.pairs]  # [S, P, 2]
        drawn = torch.randint(symmetries, (steps, self.batch, 1), generator=draw).expand(rows.shape)
        distort = (order >= self.pairs).unsqueeze(2).expand(rows.shape)
        # First halves of all pairs, then second halves: pair p compares images p and P + p.
        rows, drawn, distort = (x.transpose(1, 2).flatten(1) for x in (rows, drawn, distort))
        compared = torch.arange(2 * self.batch).view(2, self.batch).T
        turns = torch.tensor(SYMMETRIES[symmetries])[drawn]
        return IndexBatch(rows, table.labels[rows] * symmetries + drawn, turns, distort, compared)


class BatchStream(IterableDataset):
    """The batches of one process, epoch after epoch: every ``world``-th batch of the epoch, beginning with ``rank``.

    All processes draw the same epoch and take disjoint shares of it, so what an epoch teaches does not depend on how
    many processes share the work.

    Args:
        draw: gives the whole epoch of a number as ``[S, B]`` tensors.
        place: gives the number of the epoch about to begin, and how many of its batches are done already (a training
            that was stopped within an epoch goes on there).
        rank, world: this process's number and how many there are.
    """

    def __init__(
        self,
        draw: Callable[[int], IndexBatch],
        place: Callable[[], tuple[int, int]] = lambda: (0, 0),
        rank: int = 0,
        world: int = 1,
    ) -> None:
        self.draw, self.place, self.rank, self.world = draw, place, rank, world
        self.steps = draw(0).rows.shape[0] // world
        if self.steps == 0:
            raise UserError(f"an epoch has fewer batches than the {world} processes that share it")

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[IndexBatch]:
        epoch, done = self.place()
        whole = self.draw(epoch)
        for step in range(self.rank + done * self.world, self.steps * self.world, self.world):
            rows, labels, turns, distort = (column[step] for column in whole[:4])
            yield IndexBatch(rows, labels, turns, distort, whole.pairs)
