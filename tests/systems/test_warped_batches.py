"""Class warps in training batches: which images, which labels, and for which losses."""

import dataclasses
from types import SimpleNamespace

import pytest
import torch

from siamese.augment import Affine, ClassWarp
from siamese.errors import UserError
from siamese.losses import Contrastive, Softmax
from siamese.networks import Compact
from siamese.sampling.batches import IndexBatch
from siamese.systems import Siamese
from tests.own import Own, data_of, ready


def test_classes_of_training_batches_alone_are_warped(tiny):
    """Images of a class alike, and neither validation batches nor views; without a generator for it nothing changes."""
    bent = ClassWarp(bend=0.2)
    still = Affine(0.0, 0.0, 0.0, 0.0)
    data, plain = ready(tiny, augment=still, warp=bent), ready(tiny, augment=still)
    rows = torch.tensor([0, 0, 10, 10])
    labels = torch.tensor([5, 5, 5, 6])
    drawn = IndexBatch(rows, labels, torch.zeros(4, dtype=torch.int64), torch.ones(4, dtype=torch.bool))
    images = {
        (split, each): each.on_after_batch_transfer((split, drawn), 0).images
        for split in ("train", "val")
        for each in (data, plain)
    }
    warped = images["train", data]
    assert torch.equal(warped[0], warped[1])
    assert (warped[2] - warped[3]).abs().max() > 0.1, "one image, two classes"
    assert (warped - images["train", plain]).abs().amax((1, 2, 3)).min() > 0.1
    assert torch.equal(images["val", data], images["val", plain])
    for (one, _), (other, _) in zip(data.views(torch.device("cpu")), plain.views(torch.device("cpu")), strict=True):
        assert torch.equal(one, other)


def test_invented_classes_are_not_warped(tiny, make_table):
    drawn = dataclasses.replace(make_table([10], seed=5), name="drawn")
    still = Affine(0.0, 0.0, 0.0, 0.0)
    data = ready(tiny, augment=still, extra=Own(drawn), warp=ClassWarp(bend=0.2))
    rows = torch.tensor([0, 59, 60, 109])
    unturned = torch.zeros(4, dtype=torch.int64)
    batch = data.on_after_batch_transfer(
        ("train", IndexBatch(rows, torch.arange(4), unturned, torch.tensor([True, False, True, True]))), 0
    )
    moved = (batch.images - data.resized["train"].images[rows] / 255).abs().amax((1, 2, 3))
    assert moved[0] > 0.1
    assert moved[1:].max() < 1e-4


def test_a_warp_is_refused_where_it_has_no_meaning(tiny):
    with pytest.raises(UserError, match=r"without it there is no data\.warp"):
        data_of(tiny, augment=None, warp=ClassWarp())
    data = ready(tiny, warp=ClassWarp())
    several = IndexBatch(
        torch.arange(4), torch.ones(4, 3, dtype=torch.bool), torch.zeros(4, dtype=torch.int64), torch.arange(4) > 0
    )
    with pytest.raises(UserError, match="one class each"):
        data.on_after_batch_transfer(("train", several), 0)


def test_a_warp_is_refused_for_a_loss_that_knows_the_classes(tiny):
    data = ready(tiny, warp=ClassWarp())
    for loss, fine in ((Softmax(6, 8), False), (Contrastive(), True)):
        system = Siamese(Compact([4, 4], 8, image_size=28), loss)
        system.trainer = SimpleNamespace(datamodule=data)
        if fine:
            system.on_fit_start()
            continue
        with pytest.raises(UserError, match=r"data\.warp makes other classes in every batch, and Softmax"):
            system.on_fit_start()
        data.warp = None
        system.on_fit_start()
        data.warp = ClassWarp()


def test_what_is_warped_is_another_class_in_every_process(tiny, make_table):
    """Both draw from generators of their own, so a character that both draw is warped in two ways."""
    drawn = dataclasses.replace(make_table([10], seed=5), name="drawn")
    rows, distort = torch.tensor([0, 1, 60, 30]), torch.tensor([True, True, True, False])
    labels = torch.tensor([0, 0, 12, 6])
    batches = []
    for rank in range(2):
        data = ready(tiny, extra=Own(drawn), warp=ClassWarp(), symmetries=2)
        data.trainer = SimpleNamespace(global_step=3, global_rank=rank)
        index = IndexBatch(rows, labels, torch.zeros(4, dtype=torch.int64), distort)
        batches.append(data.on_after_batch_transfer(("train", index), 0))
    first, second = (batch.labels.tolist() for batch in batches)
    usual = range(2 * len(data.resized["train"].class_names))
    for found in (first, second):
        assert found[0] == found[1]
        assert found[0] not in usual, "where another process does not warp it, it is another class"
        assert found[2:] == labels[2:].tolist(), "what is not warped is the same class everywhere"
    assert first[0] != second[0]
    plain = ready(tiny, symmetries=2)
    plain.trainer = SimpleNamespace(global_step=3, global_rank=1)
    few = IndexBatch(rows[:2], labels[:2], torch.zeros(2, dtype=torch.int64), distort[:2])
    assert torch.equal(plain.on_after_batch_transfer(("train", few), 0).labels, labels[:2])
