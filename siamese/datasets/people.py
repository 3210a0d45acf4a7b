"""The split of a data set of faces: by people, so that nobody who teaches is among those who choose or report."""

from __future__ import annotations

import torch

from siamese.datasets.base import Splits
from siamese.errors import UserError
from siamese.sampling.seeds import generator
from siamese.tables import Table


def split_by_people(table: Table, val: int, test: int, split_seed: int) -> Splits:
    """All rows of the table, each person in exactly one part; the people are shuffled first.

    Args:
        table: one class a person.
        val: how many people choose: those just before the last ``test`` of the shuffled people. 0 where nothing is to be
            chosen, neither checkpoint nor threshold.
        test: how many people report: the last of the shuffled people. The rest teach.
        split_seed: 0 or more; another one shuffles the people otherwise, equal ones alike.

    Raises:
        UserError: a part would have fewer than two people, with whom no impostor pair can be made, or the seed is below 0.
    """
    if split_seed < 0:
        raise UserError(f"the split of {table.name} needs split_seed >= 0, not {split_seed}")
    train = len(table.classes) - val - test
    if min(train, val or 2, test) < 2:
        raise UserError(
            f"{table.name} has {len(table.classes)} people; with {val} for val and {test} for test {max(train, 0)} would be "
            "left for train, and each part needs at least two, or val none"
        )
    people = table.classes[torch.randperm(len(table.classes), generator=generator(split_seed))]
    teach, choose, report = (table.rows(torch.isin(table.labels, part)) for part in people.split([train, val, test]))
    return Splits(teach, choose, report)
