"""The split by people: which people each part has, and when there are too few."""

from collections.abc import Callable

import pytest
import torch

from siamese.datasets.people import split_by_people
from siamese.errors import UserError
from siamese.sampling.seeds import generator
from siamese.tables import Table


@pytest.fixture
def table(make_table: Callable[..., Table]) -> Table:
    """12 people of 3 shots each, the rows in no order."""
    whole = make_table([12], sources=3, size=8)
    order = torch.randperm(len(whole), generator=generator(5))
    names = tuple(whole.file_names[row] for row in order)
    return Table("crowd", whole.images[order], *_columns(whole, order), whole.class_names, whole.group_names, names)


def _columns(table: Table, order: torch.Tensor) -> list[torch.Tensor]:
    return [column[order] for column in (table.labels, table.groups, table.sources)]


def test_parts_have_the_sizes_asked_for_and_cover_all_people(table: Table) -> None:
    splits = split_by_people(table, val=3, test=4, split_seed=0)
    parts = [part.classes.tolist() for part in (splits.train, splits.val, splits.test)]
    assert [len(part) for part in parts] == [5, 3, 4]
    assert sorted(person for part in parts for person in part) == list(range(12))  # so nobody is in two
    rows = [name for part in (splits.train, splits.val, splits.test) for name in part.file_names]
    assert sorted(rows) == sorted(table.file_names)
    assert not splits.leaking


def test_the_last_of_the_shuffled_people_report_and_those_before_them_choose(table: Table) -> None:
    people = torch.randperm(12, generator=generator(7)).tolist()
    splits = split_by_people(table, val=3, test=4, split_seed=7)
    assert set(splits.test.classes.tolist()) == set(people[-4:])
    assert set(splits.val.classes.tolist()) == set(people[-7:-4])
    assert set(splits.train.classes.tolist()) == set(people[:-7])


def test_nobody_needs_to_choose(table: Table) -> None:
    splits = split_by_people(table, val=0, test=4, split_seed=7)
    assert len(splits.val) == 0
    assert len(splits.train.classes) == 8
    assert splits.test.file_names == split_by_people(table, val=3, test=4, split_seed=7).test.file_names


def test_labels_with_gaps_are_people_too(table: Table) -> None:
    some = table.rows(table.labels % 2 == 1)
    splits = split_by_people(some, val=2, test=2, split_seed=0)
    found = torch.cat([splits.train.classes, splits.val.classes, splits.test.classes])
    assert found.sort().values.tolist() == [1, 3, 5, 7, 9, 11]


def test_equal_seeds_split_alike_and_others_otherwise(table: Table) -> None:
    reporting = [tuple(split_by_people(table, 3, 4, seed).test.file_names) for seed in (0, 1, 2, 3)]
    assert len(set(reporting)) == 4
    assert tuple(split_by_people(table, 3, 4, 2).test.file_names) == reporting[2]


def test_the_test_people_do_not_depend_on_how_many_choose(table: Table) -> None:
    assert split_by_people(table, 2, 4, 0).test.file_names == split_by_people(table, 5, 4, 0).test.file_names


@pytest.mark.parametrize(("val", "test"), [(1, 4), (3, 1), (7, 4), (6, 6), (20, 20), (-3, 4), (3, -1)])
def test_a_part_of_fewer_than_two_people_is_an_error(table: Table, val: int, test: int) -> None:
    with pytest.raises(UserError, match=r"crowd has 12 people.*at least two"):
        split_by_people(table, val, test, 0)


def test_two_people_in_each_part_are_enough(table: Table) -> None:
    splits = split_by_people(table, 2, 8, 0)
    assert [len(part.classes) for part in (splits.train, splits.val, splits.test)] == [2, 2, 8]


def test_a_seed_below_0_is_an_error(table: Table) -> None:
    with pytest.raises(UserError, match="split_seed >= 0"):
        split_by_people(table, 3, 4, -1)
