"""The data module with tiles: what becomes pixels on the device is what the integers say, and so are the labels."""

import dataclasses

import pytest
import torch
from torch import Tensor

from siamese.augment import Affine
from siamese.datasets.tiles import ImageTiles
from siamese.errors import UserError
from siamese.sampling.batches import Shuffled
from siamese.sampling.tiles import Tiles
from siamese.systems import FewShotData
from siamese.systems.data import Batch, RowBatch
from siamese.tables import Table
from tests.conftest import random_table
from tests.lamps import Closed, Lamps

CLASSES, SIZE = 7, 6
STILL = {"rotation": 0.0, "shear": 0.0, "scale": 0.0, "shift": 0.0}


def telling_table() -> Table:
    """Images whose first pixel says of which class, and whose second of which source they are; the others are random."""
    table = random_table([CLASSES], size=SIZE)
    images = table.images.clone()
    images[:, 0, 0, 0], images[:, 0, 0, 1] = (20 * table.labels).byte(), (50 * table.sources).byte()
    return dataclasses.replace(table, images=images)


def ready(**options) -> FewShotData:
    options = {"sampler": Tiles(40, 8), "augment": None, "image_size": None} | options
    source = options.pop("source", ImageTiles(Closed(telling_table()), 13, 17))
    data = FewShotData(source, **options)
    data.setup("fit")
    return data


def parts_of(image: Tensor) -> list[Tensor]:
    """The four quarters of an image ``[C, H, W]`` in reading order."""
    height, width = (side // 2 for side in image.shape[1:])
    return [image[:, y : y + height, x : x + width] for y in (0, height) for x in (0, width)]


def shown(image: Tensor) -> tuple[set[int], set[int]]:
    """The classes and the sources that the pixels of a tile tell."""
    parts = parts_of(image)
    return {round(255 * float(p[0, 0, 0])) // 20 for p in parts}, {round(255 * float(p[0, 0, 1])) // 50 for p in parts}


def embedded(data: FewShotData, split: str) -> list[Batch]:
    loader = data.test_dataloader()[("val", "test").index(split)]
    return [data.on_after_batch_transfer(batch, 0) for batch in loader]


@pytest.mark.parametrize("eval_batch", [1, 5, 512])
@pytest.mark.parametrize(("split", "count", "source"), [("val", 13, 3), ("test", 17, 4)])
def test_all_tiles_are_embedded_once_and_in_order(split, count, source, eval_batch):
    data = ready(eval_batch=eval_batch)
    images = torch.cat([batch.images for batch in embedded(data, split)])
    assert images.shape == (count, 1, 2 * SIZE, 2 * SIZE)
    assert data.images(split) == count
    tiles, table, targets = data.tiles[split], data.table(split), data.targets(split)
    for image, tile, bits in zip(images, tiles, targets, strict=True):
        for part, row in zip(parts_of(image), tile, strict=True):
            assert torch.equal(part, table.images[row].float() / 255)
        assert shown(image) == (set(bits.nonzero().flatten().tolist()), {source}), "only images of this split"
    every = torch.arange(count)
    assert torch.equal(data.as_loaded(split, every), (images * 255).round().byte())
    assert torch.equal(data.as_loaded(split, every.flip(0)[:2]), (images * 255).round().byte().flip(0)[:2])


def test_tiles_that_teach_are_the_pixels_of_their_rows_and_the_labels_those_of_the_pixels():
    data = ready()
    table = data.table("train")
    for _, index in data.train_dataloader():
        batch = data.on_after_batch_transfer(("train", index), 0)
        assert batch.images.shape == (8, 1, 2 * SIZE, 2 * SIZE)
        assert torch.equal(batch.labels, index.labels)
        for image, rows, bits in zip(batch.images, index.rows, batch.labels, strict=True):
            assert all(
                torch.equal(p, table.images[r].float() / 255) for p, r in zip(parts_of(image), rows, strict=True)
            )
            classes, sources = shown(image)
            assert classes == set(bits.nonzero().flatten().tolist())
            assert sources <= {0, 1, 2}


def test_each_part_is_mirrored_by_itself():
    data = ready(sampler=Tiles(40, 8, mirror=True), augment=Affine(**STILL))
    table, turned = data.table("train"), 0
    for _, index in data.train_dataloader():
        images = data.on_after_batch_transfer(("train", index), 0).images
        for image, rows, turns in zip(images, index.rows, index.turns.tolist(), strict=True):
            for part, row, turn in zip(parts_of(image), rows, turns, strict=True):
                original = table.images[row].float() / 255
                expected = original.flip(2) if turn else original
                torch.testing.assert_close(part, expected, atol=2e-5, rtol=0)
                turned += bool(turn)
    assert 40 < turned < 120, "of 160 parts"


def test_each_part_is_distorted_by_itself_and_none_leaves_its_place():
    """One class has light alone, the others are dark: whatever is done to it, no light is in another quarter."""
    table = random_table([4], size=SIZE)
    light = torch.where(table.labels == 0, 255, 0).byte().view(-1, 1, 1, 1).expand(-1, 1, SIZE, SIZE)
    source = ImageTiles(Closed(dataclasses.replace(table, images=light)), 5, 5)
    data = ready(source=source, sampler=Tiles(40, 40), augment=Affine(rotation=40.0, shift=0.2))
    ((_, index),) = data.train_dataloader()
    images = data.on_after_batch_transfer(("train", index), 0).images
    seen = []
    for image, rows in zip(images, index.rows, strict=True):
        for part, row in zip(parts_of(image), rows, strict=True):
            assert bool(part.any()) == (int(data.table("train").labels[row]) == 0)
            seen += [part] if part.any() else []
    assert len(torch.stack(seen).flatten(1).unique(dim=0)) == len(seen) == 40, "no two alike"


@pytest.mark.parametrize("sampler", [Tiles(40, 8, mirror=True), Shuffled(4, mirror=True)], ids=["tiles", "shuffled"])
def test_images_cannot_be_mirrored_where_nothing_turns_them(sampler):
    source = Closed(telling_table())
    with pytest.raises(UserError, match=r"data\.augment mirrors images, so without it the sampler's mirror is false"):
        FewShotData(source, sampler, None)
    FewShotData(source, sampler, Affine(**STILL))
    FewShotData(source, Shuffled(4), None)


def test_validation_batches_are_few_fixed_and_undistorted():
    data = ready(augment=Affine(), val_batches=3)
    loader = data.val_dataloader()[1]
    first, second = list(loader), list(loader)
    assert len(first) == 3
    for (split, one), (_, other) in zip(first, second, strict=True):
        assert split == "val"
        assert torch.equal(one.rows, other.rows)
        assert not one.distort.any()
        batch = data.on_after_batch_transfer((split, one), 0)
        for image, rows in zip(batch.images, one.rows, strict=True):
            for part, row in zip(parts_of(image), rows, strict=True):
                torch.testing.assert_close(part, data.table("val").images[row].float() / 255, atol=2e-5, rtol=0)


def test_no_loader_touches_a_pixel():
    data = ready()
    for split, table in data.resized.items():
        blind = torch.empty(len(table), 1, 0, 0, dtype=torch.uint8)
        data.resized[split] = dataclasses.replace(table, images=blind)
    loaders = [data.train_dataloader(), *data.val_dataloader(), *data.test_dataloader(), data.predict_dataloader()]
    for batch in (batch for loader in loaders for batch in loader):
        tensors = [batch.rows] if isinstance(batch, RowBatch) else batch[1][:4]
        assert all(each.dtype in (torch.int64, torch.bool) for each in tensors)


def test_tiles_that_choose_and_report_are_always_the_same():
    first, again = ready(seed=0), ready(seed=5, sampler=Tiles(80, 4))
    other = ready(source=ImageTiles(Closed(telling_table()), 13, 17, frozen=1))
    for split in ("val", "test"):
        assert torch.equal(first.tiles[split], again.tiles[split])
        assert not torch.equal(first.tiles[split], other.tiles[split])
    assert first.targets("train") is None, "those that teach are drawn anew"
    assert first.images("train") == len(first.table("train"))


def test_a_tile_is_named_after_its_parts():
    data = ready()
    names = data.file_names("test")
    assert len(names) == 17
    parts = data.tiles["test"][3].tolist()
    assert names[3] == " + ".join(data.table("test").file_names[row] for row in parts)
    plain = FewShotData(Closed(telling_table()), Shuffled(4), None)
    plain.setup("fit")
    assert plain.file_names("test") == list(plain.table("test").file_names)


@pytest.mark.parametrize("image_size", [None, 4, 9])
def test_what_a_checkpoint_says_of_image_files_fits_the_tiles(image_size):
    """A file is resized as a whole to what the network saw: two parts a side."""
    data = ready(image_size=image_size)
    (batch, *_) = embedded(data, "test")
    entry = data.preprocessing_entry()
    assert (entry["height"], entry["width"]) == (2 * SIZE, 2 * SIZE)
    side = 2 * SIZE if entry["image_size"] is None else entry["image_size"]
    assert batch.images.shape[2:] == (side, side)
    plain = FewShotData(Closed(telling_table()), Shuffled(4), None, image_size=image_size)
    plain.setup("fit")
    assert plain.preprocessing_entry()["image_size"] == image_size


def test_images_that_carry_labels_themselves_come_with_theirs():
    data = FewShotData(Lamps(), Shuffled(6), Affine(), image_size=None)
    data.setup("fit")
    table = data.table("train")
    for _, index in data.train_dataloader():
        batch = data.on_after_batch_transfer(("train", index), 0)
        assert batch.labels.dtype == torch.bool
        assert torch.equal(batch.labels, table.targets[index.rows])
    for split in ("train", "val", "test"):
        assert torch.equal(data.targets(split), data.table(split).targets)
    with pytest.raises(UserError, match=r"several labels, take data\.symmetries 1, not 4"):
        FewShotData(Lamps(), Shuffled(6), Affine(), symmetries=4).sampler.epoch(table, 4, 0, 0)
