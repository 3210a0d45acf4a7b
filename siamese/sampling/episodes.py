"""Episodes: N-way K-shot trials as integer rows of a table, drawn at once and without a pixel touched."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from siamese.errors import UserError
from siamese.sampling.classes import class_rows, source_rows
from siamese.tables import Table

Protocol = Literal["within", "across"]


@dataclass(frozen=True)
class Episodes:
    """``E`` episodes of ``N`` classes with ``K`` support images each and ``Q`` queries.

    Attributes:
        support: ``int64 [E, N, K]`` rows of a table.
        query: ``int64 [E, Q]`` rows of the same table.
        target: ``int64 [E, Q]``, the support slot of the query's class, in ``[0, N)``.
    """

    support: Tensor
    query: Tensor
    target: Tensor

    def __len__(self) -> int:
        return self.support.shape[0]

    @property
    def n_way(self) -> int:
        return self.support.shape[1]

    @property
    def k_shot(self) -> int:
        return self.support.shape[2]

    @property
    def trials(self) -> int:
        return self.query.numel()


def sample_episodes(
    table: Table,
    episodes: int,
    n_way: int,
    k_shot: int,
    generator: torch.Generator,
    protocol: Protocol = "within",
) -> Episodes:
    """Draw episodes with one query per class; classes, and so target slots, come in random order.

    ``within`` draws like the official runs (Lake et al. 2015): all classes from one group, and within an episode the
    same ``k_shot`` sources drew every support and another source drew every query. ``across`` draws classes from the
    whole table and each image by itself (Vinyals et al. 2016, Matching Networks).

    Raises:
        UserError: fewer than ``n_way`` classes to draw from, fewer than ``k_shot + 1`` images of a class, or, within a
            group, fewer than ``k_shot + 1`` sources that have drawn all classes of an episode.
    """
    if k_shot < 1 or n_way < 2:
        raise UserError(f"an episode needs at least 2 classes and 1 support image of each, not {n_way} and {k_shot}")
    rows, counts, groups = class_rows(table)
    if counts.min() <= k_shot:
        raise UserError(
            f"{k_shot}-shot episodes need {k_shot + 1} images of every class; {table.name} has a class with "
            f"{int(counts.min())}"
        )
    # A random key per class; the n_way largest are drawn.
    keys = torch.rand(episodes, len(rows), generator=generator)
    if protocol == "within":
        names, sizes = groups.unique(return_counts=True)
        large = names[sizes >= n_way]
        if len(large) == 0:
            raise UserError(
                f"{n_way}-way episodes within one group need {n_way} classes; the largest group of {table.name} "
                f"here has {int(sizes.max())}"
            )
        chosen = large[torch.randint(len(large), (episodes, 1), generator=generator)]
        keys = keys.masked_fill(groups != chosen, -1.0)
    elif len(rows) < n_way:
        raise UserError(f"{n_way}-way episodes need {n_way} classes; {table.name} has {len(rows)} here")
    drawn = keys.topk(n_way).indices  # [E, N]

    if protocol == "within":
        images = _by_shared_sources(table, drawn, k_shot + 1, generator)
    else:
        # A random key per image of a class; padding never wins.
        padding = torch.arange(rows.shape[1]) >= counts[drawn].unsqueeze(2)
        keys = torch.rand(padding.shape, generator=generator).masked_fill(padding, -1.0)
        images = rows[drawn].gather(2, keys.topk(k_shot + 1).indices)

    order = torch.rand(episodes, n_way, generator=generator).argsort(dim=1)
    return Episodes(images[..., :k_shot], images[..., k_shot].gather(1, order), order)


def _by_shared_sources(table: Table, drawn: Tensor, shots: int, generator: torch.Generator) -> Tensor:
    """``int64 [E, N, shots]``: rows of the drawn classes (``int64 [E, N]``), by the same sources for all N of an episode."""
    rows = source_rows(table)[drawn]  # [E, N, sources]
    shared = (rows >= 0).all(dim=1)
    if (fewest := int(shared.sum(dim=1).min())) < shots:
        raise UserError(
            f"{shots - 1}-shot episodes within one group need {shots} sources that have drawn all their classes; in "
            f"{table.name} there are sometimes {fewest}. The protocol across does without."
        )
    picked = torch.rand(shared.shape, generator=generator).masked_fill(~shared, -1.0).topk(shots).indices
    return rows.gather(2, picked.unsqueeze(1).expand(-1, drawn.shape[1], -1))
