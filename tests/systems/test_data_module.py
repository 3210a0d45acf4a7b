"""The data module: what it falls back to, what its loaders hold, and what a batch is on the device."""

import dataclasses

import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.data import IterableDataset

from siamese.augment import Affine, Cutout, Light
from siamese.errors import DataUnavailable, UserError
from siamese.losses import Contrastive
from siamese.networks import Compact
from siamese.sampling.batches import ClassBatches, IndexBatch, PairBatches
from siamese.systems import Siamese
from siamese.systems.data import Batch, RowBatch
from siamese.systems.held import has_room
from siamese.tables import Table
from tests.own import Own, data_of, ready

pytestmark = pytest.mark.filterwarnings("ignore:Your `IterableDataset` has `__len__`")  # no workers share it


class Invented(Own):
    """Another data set's stand-in."""


def test_what_cannot_be_had_is_replaced_and_said_so(tiny, capsys):
    drawn = dataclasses.replace(tiny, name="invented")
    data = ready(Own(None, Invented(drawn)))
    said = capsys.readouterr().out
    assert "it is nowhere" in said
    assert "Going on with Invented" in said
    assert "no result below is one on Own" in said
    assert {data.table(split).name for split in ("train", "val", "test")} == {"invented"}
    assert data.fingerprint == drawn.fingerprint


def test_a_stand_in_takes_the_place_of_what_was_joined_to_the_data_too(tiny, make_table):
    drawn, more = (
        dataclasses.replace(tiny, name="invented"),
        dataclasses.replace(make_table([10], seed=5), name="drawn"),
    )
    data = ready(Own(None, Invented(drawn)), extra=Own(more))
    assert data.taught_by == "invented" and len(data.resized["train"]) == len(data.table("train"))


def test_data_that_can_be_had_is_not_replaced(tiny, capsys):
    data = ready(Own(tiny, Invented(dataclasses.replace(tiny, name="invented"))))
    assert data.table("test").name == "tiny"
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("strict", [True, False])
def test_strict_or_without_a_stand_in_missing_data_is_an_error(tiny, strict):
    with pytest.raises(DataUnavailable, match="nowhere"):
        ready(Own(None, Invented(tiny) if strict else None), strict=strict)


def test_symmetries_that_are_no_group_are_refused(tiny):
    with pytest.raises(UserError, match="must be 1, 2, 4 or 8, not 3"):
        data_of(tiny, symmetries=3)


def test_no_loader_touches_a_pixel(tiny):
    """They hold integers only: rows of a table whose images cannot be looked at."""
    data = ready(tiny)
    for split, table in data.resized.items():
        blind = torch.empty(len(table), 1, 0, 0, dtype=torch.uint8)
        data.resized[split] = dataclasses.replace(table, images=blind)
    batches = [batch for loader in [data.train_dataloader(), *data.val_dataloader()] for batch in loader]
    assert len(batches) > 3
    for batch in batches:
        tensors = batch[1:] if isinstance(batch, RowBatch) else batch[1]
        assert all(x.dtype in (torch.int64, torch.bool) for x in tensors if isinstance(x, Tensor))


def test_every_loader_is_safe_from_being_shared_out_anew(tiny):
    """Lightning gives each process a share of all data sets but iterable ones, and so would lose rows of a split."""
    data = ready(tiny)
    loaders = [data.train_dataloader(), *data.val_dataloader(), *data.test_dataloader(), data.predict_dataloader()]
    assert all(isinstance(loader.dataset, IterableDataset) for loader in loaders)


@pytest.mark.parametrize("eval_batch", [1, 7, 30, 512])
def test_all_rows_are_embedded_once_and_in_order(tiny, eval_batch):
    data = ready(tiny, eval_batch=eval_batch)
    loaders = [data.val_dataloader()[0], data.predict_dataloader(), *data.test_dataloader()]
    for split, loader in zip(("val", "test", "val", "test"), loaders, strict=True):
        batches = list(loader)
        assert len(loader) == len(batches)
        assert all(batch.split == split and len(batch.rows) <= eval_batch for batch in batches)
        assert torch.cat([batch.rows for batch in batches]).tolist() == list(range(30))
        images = torch.cat([data.on_after_batch_transfer(batch, 0).images for batch in batches])
        torch.testing.assert_close(images, data.table(split).images.float() / 255)


def test_a_training_batch_is_augmented_images_in_0_to_1(tiny):
    data = ready(tiny, symmetries=4, image_size=20)
    split, index = next(iter(data.train_dataloader()))
    batch = data.on_after_batch_transfer((split, index), 0)
    assert batch.images.shape == (8, 1, 20, 20)
    assert batch.images.dtype == torch.float32
    assert 0 <= batch.images.min() < batch.images.max() <= 1 + 1e-5
    assert batch.images.device == index.rows.device
    assert torch.equal(batch.labels, index.labels)
    plain = data.resized["train"].images[index.rows].float() / 255
    assert ((batch.images - plain).abs().amax(dim=(1, 2, 3)) > 0.05).all()


def test_pixels_are_those_of_the_rows(tiny):
    data = ready(tiny, augment=Affine(0.0, 0.0, 0.0, 0.0), symmetries=8)
    for split, index in data.train_dataloader():
        batch = data.on_after_batch_transfer((split, index), 0)
        for image, row, turn in zip(batch.images, index.rows, index.turns.tolist(), strict=True):
            original = data.resized["train"].images[row].float() / 255
            turned = torch.rot90(original.flip(2) if turn >= 4 else original, turn % 4, (1, 2))
            torch.testing.assert_close(image, turned, atol=2e-5, rtol=0)


@pytest.mark.parametrize("sampler", [ClassBatches(4, 2, None, 6), PairBatches(20, 4, 1)], ids=["classes", "pairs"])
def test_validation_batches_are_few_fixed_and_undistorted(tiny, sampler):
    data = ready(tiny, sampler=sampler, val_batches=3)
    loader = data.val_dataloader()[1]
    first, second = list(loader), list(loader)
    assert len(first) == len(second) == len(loader) == 3
    for (split, one), (_, other) in zip(first, second, strict=True):
        assert split == "val"
        assert not one.distort.any()
        assert torch.equal(one.rows, other.rows)
        images = data.on_after_batch_transfer((split, one), 0).images
        torch.testing.assert_close(images, data.table("val").images[one.rows].float() / 255, atol=2e-5, rtol=0)
    assert len(ready(tiny, val_batches=0).val_dataloader()) == 1


class Seen(pl.Callback):
    """What a training was shown."""

    def __init__(self) -> None:
        self.epochs: dict[int, list[Batch]] = {}

    def on_train_batch_start(self, trainer, _, batch, __) -> None:
        self.epochs.setdefault(trainer.current_epoch, []).append(batch)


def trained(table: Table, tmp_path, **options) -> dict[int, list[Batch]]:
    torch.manual_seed(0)
    seen = Seen()
    trainer = pl.Trainer(
        default_root_dir=tmp_path, max_epochs=3, accelerator="cpu", logger=False, callbacks=[seen],
        enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    trainer.fit(Siamese(Compact((2,), 3, image_size=28), Contrastive()), datamodule=data_of(table, **options))
    return seen.epochs


def test_a_training_sees_new_batches_every_epoch_and_the_same_again_for_its_seed(tiny, tmp_path):
    one, again, other = (trained(tiny, tmp_path, seed=seed) for seed in (1, 1, 2))
    assert [len(batches) for batches in one.values()] == [6, 6, 6]
    for epoch in range(3):
        for first, second, different in zip(one[epoch], again[epoch], other[epoch], strict=True):
            assert torch.equal(first.images, second.images)
            assert torch.equal(first.labels, second.labels)
            assert not torch.equal(first.images, different.images)
    every = [batch.images for batches in one.values() for batch in batches]
    assert len({images.numpy().tobytes() for images in every}) == 18
    # What the sampler says for an epoch is what is trained on in it.
    train = Own(tiny).split(tiny).train
    for epoch in range(3):
        expected: IndexBatch = ClassBatches(4, 2, None, 6).epoch(train, 1, 1, epoch)
        assert torch.equal(torch.stack([batch.labels for batch in one[epoch]]), expected.labels)


def test_each_image_of_each_step_is_distorted_anew(tiny, tmp_path):
    """The same pairs in every epoch, but never the same distorted picture of an image."""
    batches = trained(tiny, tmp_path, sampler=PairBatches(4, 4, 3), seed=1)
    images = torch.cat([batch.images for epoch in batches.values() for batch in epoch]).flatten(1)
    assert len(images.unique(dim=0)) > 0.7 * len(images)


def test_extra_classes_teach_and_do_nothing_else(tiny, make_table):
    drawn = dataclasses.replace(make_table([10], seed=5), name="drawn")
    data = ready(tiny, sampler=ClassBatches([3, 3, 4], 2, steps=5), extra=Own(drawn))
    assert data.taught_by == "tiny and drawn"
    assert data.table("train").name == "tiny"
    assert len(data.table("train")) == 60
    assert [len(data.resized[split]) for split in ("train", "val", "test")] == [60 + 50, 30, 30]
    for _, batch in data.train_dataloader():
        assert int((batch.rows >= 60).sum()) == 8
    plain = ready(tiny)
    assert plain.taught_by == "tiny"
    assert plain.fingerprint == data.fingerprint


def test_views_are_further_training_batches_the_same_at_every_call(tiny, make_table):
    drawn = dataclasses.replace(make_table([10], seed=5), name="drawn")
    data = ready(tiny, sampler=ClassBatches([3, 3, 4], 2, steps=50), extra=Own(drawn), symmetries=2)
    views, again = (list(data.views(torch.device("cpu"))) for _ in range(2))
    assert len(views) == 40
    for (images, labels), (same, _) in zip(views, again, strict=True):
        assert torch.equal(images, same)
        assert images.shape == (12, 1, 28, 28), "what is of extra is left out"
        assert 0 <= float(images.min()) <= float(images.max()) <= 1
        assert set((labels // 2).tolist()) <= set(data.table("train").labels.tolist())
    every = torch.cat([images for images, _ in views]).flatten(1)
    assert len(every.unique(dim=0)) > 0.9 * len(every), "each is distorted by itself"
    first = next(iter(data.sampler.epoch(data.resized["train"], 2, data.seed, 0).labels))
    assert not any(torch.equal(labels, first[:12]) for _, labels in views)
    originals = torch.cat(list(data.originals(torch.device("cpu"))))
    assert torch.equal(originals, data.table("train").resized(28).images / 255)


@pytest.mark.parametrize(("most", "batches"), [(59, 2), (60, 3), (5, 1)])
def test_views_are_not_more_images_than_suffice(most, batches, tiny, monkeypatch):
    data = ready(tiny, sampler=ClassBatches(5, 4, groups=None, steps=7))
    monkeypatch.setattr("siamese.systems.data.MOST_VIEWS", most)
    assert len(list(data.views(torch.device("cpu")))) == batches, "of 20 images each; one there must be"


def test_without_augmentation_images_stay_as_they_are(tiny):
    data = ready(tiny, augment=None)
    rows = torch.arange(4)
    drawn = IndexBatch(rows, tiny.labels[rows], torch.zeros(4, dtype=torch.int64), torch.ones(4, dtype=torch.bool))
    batch = data.on_after_batch_transfer(("train", drawn), 0)
    assert torch.equal(batch.images, data.resized["train"].images[:4] / 255)
    with pytest.raises(UserError, match=r"without it .* is 1, not 4"):
        data_of(tiny, augment=None, symmetries=4)


def test_other_light_comes_after_the_distortion(tiny):
    still = Affine(0.0, 0.0, 0.0, 0.0)
    data = ready(tiny, augment=still, distortions=[Light(0.0, 0.2, 0.0)])
    rows = torch.arange(4)
    drawn = IndexBatch(rows, tiny.labels[rows], torch.zeros(4, dtype=torch.int64), rows < 2)
    batch = data.on_after_batch_transfer(("train", drawn), 0)
    added = batch.images - data.resized["train"].images[:4] / 255
    assert added[:2].abs().mean() > 0.01
    assert (added[:2] - added[:2].mean((1, 2, 3), keepdim=True)).abs().max() < 1e-4, (
        "brightness alone is one number an image"
    )
    assert added[2:].abs().max() < 1e-4


def test_a_gpu_holds_a_split_where_it_has_room_and_otherwise_a_batch(make_table, monkeypatch):
    images = make_table([8]).images
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (2 * images.nbytes, 2**40))
    assert not has_room(torch.device("cuda"), images)
    assert has_room(torch.device("cuda"), images[1:])
    assert has_room(torch.device("cpu"), images)


def test_a_square_is_hidden_of_training_images_alone(tiny):
    data = ready(tiny, augment=None, distortions=[Light(0.0, 0.2, 0.0), Cutout(0.5, value=-1.0)])
    rows = torch.arange(4)
    drawn = IndexBatch(rows, tiny.labels[rows], torch.zeros(4, dtype=torch.int64), rows < 2)
    hidden = data.on_after_batch_transfer(("train", drawn), 0).images == -1
    assert hidden[:2].flatten(1).any(1).all(), "after the light, which would have changed it"
    assert not hidden[2:].any()


def test_quarter_turns_are_of_squares(tiny):
    wide = dataclasses.replace(tiny, images=tiny.images[:, :, :14])
    with pytest.raises(UserError, match=r"quarter turns are of square images, and these are \d+x14"):
        ready(wide, image_size=None, symmetries=4)
    ready(wide, image_size=None, symmetries=2)
    ready(wide, image_size=28, symmetries=4)


def test_what_is_reported_on_does_not_teach_as_extra(tiny):
    with pytest.raises(UserError, match=r"data\.extra is tiny again"):
        ready(tiny, extra=Own(tiny))
