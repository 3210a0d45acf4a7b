"""Pairs: half genuine, two different images, impostors near and far as asked."""

import dataclasses

import pytest
import torch

from siamese.errors import UserError
from siamese.sampling.pairs import sample_pairs
from siamese.sampling.seeds import generator
from siamese.tables import Table


def blind(table: Table) -> Table:
    """The same rows of images without a pixel: sampling cannot have touched one."""
    return dataclasses.replace(table, images=torch.empty(len(table), 1, 0, 0, dtype=torch.uint8))


@pytest.fixture
def columns(make_table) -> Table:
    """Groups of 3, 9, 1 and 7 classes, of 4 or 2 images."""
    table = blind(make_table([3, 9, 1, 7], sources=4))
    return table.rows((table.sources < 2) | (table.labels % 2 == 0))


@pytest.mark.parametrize("pairs", [2, 3, 400, 1001])
@pytest.mark.parametrize("within", [0.0, 0.25, 0.5, 1.0])
def test_pairs_are_what_was_asked_for(columns, pairs, within):
    rows, same = sample_pairs(columns, pairs, within, generator(0))
    assert rows.shape == (pairs, 2)
    assert same.shape == (pairs,)
    assert int(same.sum()) == pairs // 2
    first, second = columns.labels[rows].unbind(1)
    assert torch.equal(same, first == second)
    assert (rows[:, 0] != rows[:, 1]).all(), "an image compared with itself"
    near = (columns.groups[rows[~same]] == columns.groups[rows[~same]][:, :1]).all(dim=1)
    assert int(near.sum()) == round(int((~same).sum()) * within)


def test_every_image_and_class_has_its_chance(make_table):
    table = blind(make_table([2, 2, 2], sources=3))
    rows, same = sample_pairs(table, 36_000, 0.5, generator(1))
    for kind in (same, ~same):
        shares = rows[kind].flatten().bincount(minlength=18) / 36_000
        assert (shares - 1 / 18).abs().max() < 0.006
        # Either image may be the first one.
        assert abs(float((rows[kind, 0] < rows[kind, 1]).float().mean()) - 0.5) < 0.02
    genuine = {tuple(sorted(pair)) for pair in rows[same].tolist()}
    impostor = {tuple(sorted(pair)) for pair in rows[~same].tolist()}
    assert (len(genuine), len(impostor)) == (6 * 3, 18 * 15 // 2), "some pair is never drawn"


def test_genuine_pairs_are_not_all_at_the_front(columns):
    _, same = sample_pairs(columns, 1000, 0.5, generator(0))
    assert 400 < int(same[:500].sum()) + int((~same[500:]).sum()) < 600


def test_equal_generators_draw_equal_pairs(columns):
    one, again, other = (sample_pairs(columns, 50, 0.5, generator(seed))[0] for seed in (1, 1, 2))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)


def test_a_table_of_one_group_has_only_near_impostors(columns):
    rows, same = sample_pairs(columns.of_groups(["group 1"]), 100, 0.25, generator(0))
    assert int(same.sum()) == 50
    assert rows.shape == (100, 2)


def test_classes_of_one_image_are_never_genuine(make_table):
    table = blind(make_table([4, 4], sources=3))
    table = table.rows((table.sources == 0) | (table.labels == 5))
    rows, same = sample_pairs(table, 60, 0.5, generator(0))
    assert set(table.labels[rows[same]].flatten().tolist()) == {5}
    assert len(table.labels[rows[~same]].unique()) == 8


def test_what_cannot_be_drawn_is_told(make_table):
    table = blind(make_table([4, 4], sources=3))
    with pytest.raises(UserError, match="no class has two images"):
        sample_pairs(table.of_sources([0]), 10, 0.5, generator(0))
    with pytest.raises(UserError, match="no group has two classes"):
        sample_pairs(table.rows(table.labels % 4 == 0), 10, 0.5, generator(0))
    with pytest.raises(UserError, match="no group has two classes"):
        sample_pairs(table.rows(table.labels == 0), 10, 0.5, generator(0))
