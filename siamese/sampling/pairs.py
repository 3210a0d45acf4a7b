"""Explicit pairs, half of them genuine, drawn all at once."""

from __future__ import annotations

import torch
from torch import Tensor

from siamese.errors import UserError
from siamese.sampling.classes import class_rows
from siamese.tables import Table


def sample_pairs(table: Table, pairs: int, within: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draw ``pairs`` pairs: half genuine (two images of a class), half impostors (two classes), in random order.

    Args:
        within: share of the impostors that are of one group (an alphabet); the others are of two groups. In a table
            of one group all are within it.

    Returns:
        ``int64 [pairs, 2]`` rows of the table and ``bool [pairs]``, true for genuine pairs.

    Raises:
        UserError: no class has two images, or there are not the classes and groups to draw impostors from.
    """
    if not 0 <= within <= 1:
        raise UserError(f"the share of impostors within one group is between 0 and 1, not {within}")
    rows, counts, groups = class_rows(table)
    by_group = groups.argsort(stable=True)
    rows, counts, groups = rows[by_group], counts[by_group], groups[by_group]
    _, group, sizes = groups.unique_consecutive(return_inverse=True, return_counts=True)
    size, start = sizes[group], (sizes.cumsum(0) - sizes)[group]  # of each class's group, among the sorted classes

    def uniform(high: Tensor) -> Tensor:
        """One integer in ``[0, high)`` for each element of ``high``."""
        return (torch.rand(high.shape, generator=generator, dtype=torch.float64) * high).long()

    def any_of(pool: Tensor, number: int, lack: str) -> Tensor:
        if number and len(pool) == 0:
            raise UserError(f"pairs of {table.name} cannot be drawn: {lack}")
        return pool[torch.randint(max(len(pool), 1), (number,), generator=generator)]

    genuine = pairs // 2
    inside = pairs - genuine if len(sizes) == 1 else round((pairs - genuine) * within)
    outside = pairs - genuine - inside

    same = any_of((counts >= 2).nonzero().flatten(), genuine, "no class has two images")
    first_image = uniform(counts[same])
    second_image = (first_image + 1 + uniform(counts[same] - 1)) % counts[same]  # any other one
    drawn = [torch.stack([rows[same, first_image], rows[same, second_image]], dim=1)]

    near = any_of((size >= 2).nonzero().flatten(), inside, "no group has two classes")
    far = any_of(torch.arange(len(rows)), outside, "there is no class")
    position = near - start[near]
    near_other = start[near] + (position + 1 + uniform(size[near] - 1)) % size[near]
    far_other = uniform(len(rows) - size[far])
    far_other = torch.where(far_other >= start[far], far_other + size[far], far_other)  # jump over the own group
    for one, other in ((near, near_other), (far, far_other)):
        drawn.append(torch.stack([rows[one, uniform(counts[one])], rows[other, uniform(counts[other])]], dim=1))

    order = torch.randperm(pairs, generator=generator)
    return torch.cat(drawn)[order], (torch.arange(pairs) < genuine)[order]
