"""Tiles of any data set of closed splits: its tables, how many tiles there are, and what takes its place."""

import dataclasses

import pytest
import torch

from siamese.datasets.cifar10 import Cifar10
from siamese.datasets.glyphs10 import Glyphs10
from siamese.datasets.tiles import CifarTiles, ImageTiles
from siamese.errors import UserError
from siamese.sampling.tiles import Tiles
from siamese.systems import FewShotData
from tests.lamps import Closed, Lamps


@pytest.fixture
def closed(make_table) -> Closed:
    return Closed(make_table([6], size=10))


def test_the_tables_are_those_of_the_data_set_under_a_name_of_their_own(closed):
    source = ImageTiles(closed, 8, 9)
    table = source.load()
    assert table is closed.table
    splits = source.split(table)
    for part, plain in zip((splits.train, splits.val, splits.test), vars(closed.split(table)).values(), strict=False):
        assert part.name == "tiny tiles"
        assert part.fingerprint == plain.fingerprint
        assert part.images.data_ptr() == plain.images.data_ptr() or torch.equal(part.images, plain.images)
    assert splits.closed
    assert len(source.tiles("val", splits.val)) == 8
    assert len(source.tiles("test", splits.test)) == 9


def test_no_tile_that_chooses_shows_an_image_that_reports(closed):
    source = ImageTiles(closed, 50, 50)
    splits = source.split(source.load())
    names = []
    for split, table in (("val", splits.val), ("test", splits.test)):
        rows = source.tiles(split, table).flatten().tolist()
        names.append({table.file_names[row] for row in rows})
    assert all(len(each) == 6 for each in names), "of each class one image"
    assert not names[0] & names[1]
    assert not set.union(*names) & set(splits.train.file_names)


def test_a_file_has_the_size_of_a_whole_tile(closed):
    entry = ImageTiles(closed).preprocessing(closed.table)
    part = closed.preprocessing(closed.table)
    assert entry == dataclasses.replace(part, height=20, width=20)
    photographs = dataclasses.replace(closed.table, images=torch.zeros(30, 3, 32, 32, dtype=torch.uint8))
    entry = CifarTiles().preprocessing(photographs)
    assert (entry.height, entry.width, entry.colour, entry.invert, entry.fit) == (64, 64, True, False, "stretch")


def test_cifar_tiles_pass_on_what_they_are_told():
    source = CifarTiles(val=300, val_tiles=11, test_tiles=12, frozen=3)
    assert isinstance(source.of, Cifar10)
    assert source.of.val == 300
    assert source.counts == {"val": 11, "test": 12}
    assert source.frozen == 3


def test_what_takes_the_place_of_the_data_set_is_made_into_as_many_tiles():
    instead = CifarTiles(val=300, val_tiles=11, test_tiles=12, frozen=3).stand_in()
    assert isinstance(instead, ImageTiles)
    assert isinstance(instead.of, Glyphs10)
    assert (instead.of.train, instead.of.val, instead.of.test, instead.of.colour) == (4970, 30, 1000, True)
    assert instead.counts == {"val": 11, "test": 12}
    assert instead.frozen == 3
    assert instead.stand_in() is None, "what is generated is always there"


def test_a_data_set_without_one_has_none_as_tiles(closed):
    assert ImageTiles(closed).stand_in() is None


@pytest.mark.parametrize("counts", [(0, 5), (5, 0), (-1, 5)])
def test_there_is_something_to_choose_by_and_to_report_on(counts, closed):
    with pytest.raises(UserError, match=f"not {counts[0]} and {counts[1]}"):
        ImageTiles(closed, *counts)


def test_only_closed_splits_of_one_class_an_image_become_tiles(closed):
    opened = Closed(closed.table)
    opened.split = lambda table: dataclasses.replace(Closed.split(opened, table), closed=False, leaking=True)
    for source in (opened, Lamps()):
        with pytest.raises(UserError, match="tiles take closed splits of images of one class each"):
            ImageTiles(source).split(source.load())


@pytest.mark.parametrize(("classes", "said"), [(3, "has 3 here"), (6, "has 0 here")])
def test_too_few_classes_to_choose_by_are_told(classes, said, make_table):
    table = make_table([classes], size=4)
    table = table.rows(table.sources != 3) if classes == 6 else table  # nothing to choose by
    data = FewShotData(ImageTiles(Closed(table)), Tiles(8, 4), None, image_size=None)
    with pytest.raises(UserError, match=f"4 different classes, and tiny tiles {said}"):
        data.setup("fit")
