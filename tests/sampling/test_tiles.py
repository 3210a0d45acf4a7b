"""Tiles: which classes, images and places they are made of, from epoch to epoch, and how parts become one image."""

import dataclasses
from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from siamese.errors import UserError
from siamese.sampling.batches import BatchStream, IndexBatch
from siamese.sampling.seeds import generator
from siamese.sampling.tiles import Tiles, draw_tiles, tile_targets, tiled
from siamese.tables import Table
from tests.conftest import random_table


def blind(classes: int, sources: int = 5, kept: Tensor | None = None) -> Table:
    """A table without a pixel, so that sampling cannot have touched one; with ``kept``, of these rows only."""
    table = random_table([classes], sources, size=1)
    table = table if kept is None else table.rows(kept)
    return dataclasses.replace(table, images=torch.empty(len(table), 1, 0, 0, dtype=torch.uint8))


def equal(one: IndexBatch, other: IndexBatch) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one[:4], other[:4], strict=True))


@st.composite
def uneven_tables(draw) -> Table:
    """Classes of one to five images, at least four of them, and perhaps some of no image at all."""
    classes = draw(st.integers(4, 9))
    counts = draw(st.lists(st.integers(0, 5), min_size=classes, max_size=classes))
    counts = [max(count, place < 4) for place, count in enumerate(counts)]
    kept = torch.arange(5) < torch.tensor(draw(st.permutations(counts))).unsqueeze(1)
    return blind(classes, 5, kept.flatten())


@settings(max_examples=60, deadline=None)
@given(table=uneven_tables(), count=st.integers(1, 40), seed=st.integers(0, 2**31))
def test_a_tile_is_four_images_of_different_classes_and_its_label_says_which(table, count, seed):
    tiles = draw_tiles(table, count, generator(seed))
    assert tiles.shape == (count, 4)
    assert tiles.dtype == torch.int64
    assert tiles.min() >= 0
    assert tiles.max() < len(table), "every row is one of this table"
    targets = tile_targets(table, tiles)
    assert targets.shape == (count, len(table.class_names))
    assert targets.dtype == torch.bool
    for tile, bits in zip(tiles, targets, strict=True):
        shown = table.labels[tile].tolist()
        assert len(set(shown)) == 4
        assert bits.nonzero().flatten().tolist() == sorted(shown)


@settings(max_examples=20, deadline=None)
@given(table=uneven_tables(), seed=st.integers(0, 2**31))
def test_an_epoch_says_of_every_tile_what_it_shows(table, seed):
    whole = Tiles(tiles=23, batch=5, mirror=True).epoch(table, 1, seed, epoch=3)
    assert whole.rows.shape == whole.turns.shape == whole.distort.shape == (4, 5, 4)
    assert whole.labels.shape == (4, 5, len(table.class_names))
    assert torch.equal(whole.labels, tile_targets(table, whole.rows))
    assert (whole.labels.sum(-1) == 4).all()
    assert whole.distort.all()
    assert whole.pairs is None


def test_all_sets_of_four_classes_are_equally_likely():
    table = blind(6)
    drawn = table.labels[draw_tiles(table, 15_000, generator(0))].sort(1).values
    found = Counter(map(tuple, drawn.tolist()))
    assert len(found) == 15, "as many sets as there are"
    assert all(abs(count - 1000) < 5 * 1000**0.5 for count in found.values())


def test_all_images_of_a_class_are_equally_likely_however_many_it_has():
    """Class 0 has two images, the others five; all classes are shown equally often."""
    few = blind(6, 5, (torch.arange(30) >= 5) | (torch.arange(30) < 2))
    drawn = draw_tiles(few, 30_000, generator(0)).flatten().bincount(minlength=27).double()
    expected = torch.cat([torch.full((2,), 10_000.0), torch.full((25,), 4000.0)])
    assert ((drawn - expected).abs() < 5 * expected.sqrt()).all()


def test_classes_are_in_all_places_and_orders_alike():
    table = blind(4)
    orders = Counter(map(tuple, table.labels[draw_tiles(table, 24_000, generator(0))].tolist()))
    assert len(orders) == 24
    assert all(abs(count - 1000) < 5 * 1000**0.5 for count in orders.values())


def test_images_of_one_tile_are_drawn_apart():
    """What is drawn of one class says nothing of what is drawn of the next."""
    table = blind(4, sources=3)
    tiles = draw_tiles(table, 27_000, generator(0))
    by_class = table.sources[tiles].gather(1, table.labels[tiles].argsort(1))
    found = Counter(map(tuple, by_class[:, :3].tolist()))
    assert len(found) == 27
    assert all(abs(count - 1000) < 5 * 1000**0.5 for count in found.values())


def sets(whole: IndexBatch) -> Counter:
    return Counter(map(tuple, whole.rows.flatten(0, 1).tolist()))


def test_without_fresh_ones_an_epoch_has_the_same_tiles_in_another_order():
    table, sampler = blind(8), Tiles(tiles=60, batch=6)
    first, second = (sampler.epoch(table, 1, 0, epoch) for epoch in (0, 1))
    assert sets(first) == sets(second)
    assert not torch.equal(first.rows, second.rows)
    assert sets(sampler.epoch(table, 1, 1, 0)) != sets(first), "another seed draws others"


def test_fresh_ones_are_others_in_every_epoch():
    table, sampler = blind(8), Tiles(tiles=60, batch=6, fresh=True)
    first, second = (sampler.epoch(table, 1, 0, epoch) for epoch in (0, 1))
    assert len(sets(first) & sets(second)) < 5, "of 60 tiles few are drawn again"


@pytest.mark.parametrize("fresh", [True, False])
def test_equal_seeds_and_epochs_draw_equal_batches(fresh):
    table, sampler = blind(8), Tiles(tiles=60, batch=6, fresh=fresh, mirror=True)
    first = sampler.epoch(table, 1, seed=0, epoch=1)
    assert equal(first, sampler.epoch(table, 1, seed=0, epoch=1))
    assert not equal(first, sampler.epoch(table, 1, seed=1, epoch=1))
    assert not equal(first, sampler.epoch(table, 1, seed=0, epoch=2))


def test_fresh_batches_are_no_sorted_ones():
    """The order of an epoch does not go with what its tiles show: every batch is a fair draw."""
    table, sampler = blind(10, 1), Tiles(tiles=20_000, batch=100, fresh=True)
    counts = torch.stack([sampler.epoch(table, 1, 0, epoch).labels.sum(1) for epoch in range(3)]).double()
    # Of 100 tiles each class is in 40 on average, with the variance of a binomial, 24.
    assert (counts.mean((0, 1)) - 40).abs().max() < 1
    assert (counts.var(dim=(0, 1)) - 24).abs().max() < 4.5


def test_half_of_the_parts_are_mirrored_each_by_itself():
    table = blind(6)
    turns = Tiles(tiles=3000, batch=10, mirror=True).epoch(table, 1, 0, 0).turns
    assert set(turns.unique().tolist()) == {0, 4}
    assert abs(float((turns == 4).double().mean()) - 0.5) < 5 * 0.5 / 12_000**0.5
    tiles = turns.flatten(0, 1).eq(4).sum(1).bincount(minlength=5) / 3000
    torch.testing.assert_close(tiles, torch.tensor([1, 4, 6, 4, 1]) / 16, atol=0.04, rtol=0)
    assert not Tiles(tiles=3000, batch=10).epoch(table, 1, 0, 0).turns.any()


@settings(max_examples=40, deadline=None)
@given(count=st.integers(0, 3), channels=st.integers(1, 3), height=st.integers(1, 5), width=st.integers(1, 5))
def test_parts_are_laid_in_reading_order(count, channels, height, width):
    parts = torch.rand(count, 4, channels, height, width, generator=generator(count))
    whole = tiled(parts)
    assert whole.shape == (count, channels, 2 * height, 2 * width)
    for image in range(count):
        for place in range(4):
            top, left = place // 2 * height, place % 2 * width
            found = whole[image, :, top : top + height, left : left + width]
            assert torch.equal(found, parts[image, place])


def test_the_last_odd_tiles_are_left_out_and_processes_share_the_rest():
    table, sampler = blind(6), Tiles(tiles=47, batch=5)
    streams = [BatchStream(lambda epoch: sampler.epoch(table, 1, 0, epoch), rank=rank, world=2) for rank in range(2)]
    shares = [list(stream) for stream in streams]
    assert [len(share) for share in shares] == [4, 4]
    whole = sampler.epoch(table, 1, 0, 0)
    assert len(whole.rows) == 9
    assert len(sets(whole)) == 45, "no tile of so many is twice in an epoch"
    for step in range(8):
        assert equal(shares[step % 2][step // 2], IndexBatch(*(column[step] for column in whole[:4])))


@pytest.mark.parametrize("classes", [0, 1, 3])
def test_too_few_classes_are_told(classes):
    table = blind(5, 2, torch.arange(10) < 2 * classes)
    with pytest.raises(UserError, match=f"4 different classes, and tiny has {classes} here"):
        draw_tiles(table, 3, generator(0))


@pytest.mark.parametrize("symmetries", [2, 4, 8])
def test_symmetries_are_refused(symmetries):
    with pytest.raises(UserError, match=f"data.symmetries is 1, not {symmetries}"):
        Tiles(8, 4).epoch(blind(5), symmetries, 0, 0)


@pytest.mark.parametrize(("tiles", "batch"), [(8, 1), (8, 9), (0, 2)])
def test_an_epoch_holds_a_batch_at_least(tiles, batch):
    with pytest.raises(UserError, match=f"not {batch} of {tiles}"):
        Tiles(tiles, batch)
