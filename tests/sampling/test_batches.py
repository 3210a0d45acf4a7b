"""Batches of a training: what they hold, from epoch to epoch, and how processes share them."""

import dataclasses
from collections import Counter

import pytest
import torch

from siamese.errors import UserError
from siamese.sampling.batches import SYMMETRIES, BatchStream, ClassBatches, IndexBatch, PairBatches, Sampler, Shuffled
from siamese.tables import Table, joined


@pytest.fixture
def blind(tiny) -> Table:
    """The tiny table without a pixel: sampling cannot have touched one."""
    return dataclasses.replace(tiny, images=torch.empty(len(tiny), 1, 0, 0, dtype=torch.uint8))


def equal(one: IndexBatch, other: IndexBatch) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one[:4], other[:4], strict=True))


@pytest.mark.parametrize("symmetries", [1, 2, 4, 8])
@pytest.mark.parametrize(("classes", "shots", "groups"), [(6, 3, 1), (12, 2, 2), (10, 5, None), (20, 4, 2), (2, 2, 9)])
def test_class_batches(blind, symmetries, classes, shots, groups):
    steps = 50
    batch = ClassBatches(classes, shots, groups, steps).epoch(blind, symmetries, seed=0, epoch=0)
    assert batch.rows.shape == (steps, classes * shots)
    assert batch.pairs is None
    assert batch.distort.all()
    labels = batch.labels.view(steps, classes, shots)
    assert (labels == labels[..., :1]).all()
    assert (labels[..., 0].sort(dim=1).values.diff(dim=1) > 0).all(), "a class twice in a batch"
    images = batch.rows.view(steps, classes, shots).sort(dim=2).values
    assert (images.diff(dim=2) > 0).all(), "an image twice in a class"
    turns = torch.tensor(SYMMETRIES[symmetries])[batch.labels % symmetries]
    assert torch.equal(batch.labels // symmetries, blind.labels[batch.rows])
    assert torch.equal(batch.turns, turns)
    assert set(batch.turns.unique().tolist()) == set(SYMMETRIES[symmetries])
    if groups is not None:
        counts = [len(each.unique()) for each in blind.groups[batch.rows]]
        fits = classes <= groups * 6 * symmetries
        assert all(count <= min(groups, 4) for count in counts) if fits else max(counts) > groups


def test_groups_of_a_batch_are_whole_where_they_do_not_suffice(blind):
    """20 classes of 2 groups of 6: all 12 of them, and 8 others that fill up."""
    batch = ClassBatches(20, 2, 2, 30).epoch(blind, 1, seed=0, epoch=0)
    for row in batch.rows:
        counts = sorted(len(blind.labels[row][blind.groups[row] == group].unique()) for group in range(4))
        assert counts[2:] == [6, 6]


def test_a_list_of_groups_draws_from_the_own_and_from_those_joined_to_them(blind, make_table):
    extra = dataclasses.replace(make_table([5, 5, 5]), images=torch.empty(75, 1, 0, 0, dtype=torch.uint8))
    both = joined(blind, extra)
    batch = ClassBatches(8, 2, [1, 2], 60).epoch(both, 2, seed=0, epoch=0)
    drawn = [set(row.tolist()) for row in both.groups[batch.rows]]
    assert all(len(groups & {0, 1, 2, 3}) <= 1 and len(groups & {4, 5, 6}) <= 2 for groups in drawn)
    assert set.union(*drawn) == set(range(7))
    usual = ClassBatches(8, 2, [2, 1], 20).epoch(blind, 2, seed=0, epoch=0)
    assert equal(usual, ClassBatches(8, 2, 2, 20).epoch(blind, 2, seed=0, epoch=0)), "nothing was joined"


@pytest.mark.parametrize("groups", [[], [4], [1, 2, 3]])
def test_a_list_of_groups_has_two_numbers(groups):
    with pytest.raises(UserError, match="how many are own"):
        ClassBatches(8, 2, groups)


def test_every_class_image_and_group_has_its_chance(blind):
    batch = ClassBatches(6, 2, 2, 2000).epoch(blind, 1, seed=0, epoch=0)
    shares = batch.rows.flatten().bincount(minlength=120) / batch.rows.numel()
    assert (shares * 120 - 1).abs().max() < 0.3


@pytest.mark.parametrize(
    "sampler", [ClassBatches(6, 2, 2, 5), PairBatches(40, 8, 2), Shuffled(8)], ids=["classes", "pairs", "shuffled"]
)
def test_seed_and_epoch_choose_the_batches(blind, sampler):
    first = sampler.epoch(blind, 4, seed=0, epoch=0)
    assert equal(first, sampler.epoch(blind, 4, seed=0, epoch=0))
    assert not equal(first, sampler.epoch(blind, 4, seed=0, epoch=1))
    assert not equal(first, sampler.epoch(blind, 4, seed=1, epoch=0))


@pytest.mark.parametrize("symmetries", [1, 4])
def test_shuffled_shows_every_image_once_in_another_order_every_epoch(blind, symmetries):
    first, second = (Shuffled(8).epoch(blind, symmetries, seed=0, epoch=epoch) for epoch in (0, 1))
    assert first.rows.shape == (15, 8)
    assert sorted(first.rows.flatten().tolist()) == list(range(120))
    assert not torch.equal(first.rows, second.rows)
    assert torch.equal(first.labels // symmetries, blind.labels[first.rows])
    assert first.distort.all()
    assert first.pairs is None
    assert set(first.turns.flatten().tolist()) == set(SYMMETRIES[symmetries])
    assert Shuffled(50).epoch(blind, 1, 0, 0).rows.shape == (2, 50), "the last odd images are left out"


def drawn_pairs(batch: IndexBatch, distorted: bool) -> Counter:
    """How often each ordered pair of rows is compared."""
    assert batch.pairs is not None
    rows, distort = batch.rows[:, batch.pairs], batch.distort[:, batch.pairs]
    assert (distort[..., 0] == distort[..., 1]).all()
    return Counter(map(tuple, rows[distort[..., 0] == distorted].tolist()))


def test_pair_batches_are_one_fixed_set_with_its_copies(blind):
    sampler = PairBatches(pairs=48, batch=16, copies=3, within=0.5)
    epochs = [sampler.epoch(blind, 1, seed=0, epoch=epoch) for epoch in range(3)]
    plain = drawn_pairs(epochs[0], distorted=False)
    assert plain.total() == 48
    for batch in epochs:
        assert batch.rows.shape == (48 * 4 // 16, 32)
        assert drawn_pairs(batch, distorted=False) == plain
        assert drawn_pairs(batch, distorted=True) == Counter({pair: 3 * count for pair, count in plain.items()})
    assert not equal(epochs[0], epochs[1]), "the order is new in every epoch"
    other = drawn_pairs(sampler.epoch(blind, 1, seed=1, epoch=0), distorted=False)
    assert other != plain


def test_pair_batches_compare_in_one_symmetry(blind):
    batch = PairBatches(pairs=300, batch=50, copies=0).epoch(blind, 8, seed=0, epoch=0)
    assert not batch.distort.any()
    compared = batch.turns[:, batch.pairs]
    assert (compared[..., 0] == compared[..., 1]).all()
    assert set(compared.unique().tolist()) == set(range(8))
    labels, original = batch.labels[:, batch.pairs], blind.labels[batch.rows][:, batch.pairs]
    assert torch.equal(labels[..., 0] == labels[..., 1], original[..., 0] == original[..., 1])
    assert int((labels[..., 0] == labels[..., 1]).sum()) == 150


def test_the_last_odd_pairs_are_left_out(blind):
    batch = PairBatches(pairs=10, batch=8, copies=1).epoch(blind, 1, seed=0, epoch=0)
    assert batch.rows.shape == (2, 16)
    assert sorted(batch.pairs.flatten().tolist()) == list(range(16))


@pytest.mark.parametrize("sampler", [ClassBatches(6, 2, 2, 13), PairBatches(40, 8, 2)], ids=["classes", "pairs"])
@pytest.mark.parametrize("world", [1, 2, 3])
def test_processes_share_an_epoch(blind, sampler: Sampler, world):
    def draw(epoch: int) -> IndexBatch:
        return sampler.epoch(blind, 1, seed=0, epoch=epoch)

    whole = draw(7)
    streams = [BatchStream(draw, lambda: (7, 0), rank, world) for rank in range(world)]
    shares = [list(stream) for stream in streams]
    assert len({len(share) for share in shares} | {len(stream) for stream in streams}) == 1, (
        "or one would wait for ever"
    )
    steps = len(shares[0]) * world
    assert len(whole.rows) - steps < world
    for step in range(steps):
        batch = shares[step % world][step // world]
        assert equal(batch, IndexBatch(*(column[step] for column in whole[:4])))
        assert batch.pairs is whole.pairs or torch.equal(batch.pairs, whole.pairs)


def test_a_stream_asks_for_the_epoch_whenever_it_begins_and_goes_on_where_it_stopped(blind):
    epoch, done = 0, 0
    stream = BatchStream(
        lambda epoch: ClassBatches(4, 2, None, 6).epoch(blind, 1, 0, epoch), lambda: (epoch, done), 1, 2
    )
    first, again = list(stream), list(stream)
    epoch = 1
    second = list(stream)
    done = 2
    (rest,) = list(stream)
    assert all(map(equal, first, again))
    assert not any(map(equal, first, second))
    assert equal(rest, second[2])


def test_what_cannot_be_drawn_is_told(blind):
    with pytest.raises(UserError, match="batches of 25 classes cannot be drawn from tiny: here it has 24"):
        ClassBatches(25, 2).epoch(blind, 1, 0, 0)
    ClassBatches(25, 2, steps=1).epoch(blind, 4, 0, 0)  # symmetries are classes too
    with pytest.raises(UserError, match="18 pairs do not fill one batch of 32"):
        PairBatches(6, 32, 2).epoch(blind, 1, 0, 0)
    with pytest.raises(UserError, match="120 images of tiny do not fill one batch of 121"):
        Shuffled(121).epoch(blind, 1, 0, 0)
    with pytest.raises(UserError, match="at least 2 images, not 1"):
        Shuffled(1)
    with pytest.raises(UserError, match="fewer batches than the 3 processes"):
        BatchStream(lambda epoch: ClassBatches(4, 2, steps=2).epoch(blind, 1, 0, epoch), world=3)


def test_a_class_of_few_images_gives_each_as_often_as_the_others(blind):
    few = blind.rows((blind.labels > 0) | (blind.sources < 2))
    batch = ClassBatches(24, 5, None, 20).epoch(few, 1, seed=0, epoch=0)
    for labels, rows in zip(batch.labels.view(20, 24, 5), batch.rows.view(20, 24, 5), strict=True):
        for label, drawn in zip(labels[:, 0].tolist(), rows.tolist(), strict=True):
            counts = sorted(Counter(drawn).values())
            assert counts == ([2, 3] if label == 0 else [1] * 5)


def test_a_batch_of_all_classes_has_no_more_than_a_batch_can_hold(blind):
    assert ClassBatches(None, 2, None, 3).epoch(blind, 1, seed=0, epoch=0).rows.shape == (3, 24 * 2)
    assert ClassBatches(None, 2, None, 3).epoch(blind, 8, seed=0, epoch=0).rows.shape == (3, 32 * 2)


@pytest.mark.parametrize("symmetries", [1, 2])
def test_a_list_says_how_many_classes_each_group_gives(blind, symmetries):
    batch = ClassBatches([1, 3, 0, 5], 2, steps=40).epoch(blind, symmetries, seed=0, epoch=0)
    groups = blind.groups[batch.rows].view(40, 9, 2)[..., 0]
    assert all(torch.bincount(row, minlength=4).tolist() == [1, 3, 0, 5] for row in groups)
    assert len(batch.labels.unique()) == 18 * symmetries, "over the epoch all classes of the three groups"
    labels = batch.labels.view(40, 9, 2)[..., 0]
    assert (labels.sort(dim=1).values.diff(dim=1) > 0).all()


@pytest.mark.parametrize("classes", [[1, 3], [7, 1, 1, 1], [1, 1, 1, 1, 1]])
def test_a_list_that_does_not_fit_the_groups_is_told(blind, classes):
    with pytest.raises(UserError, match=r"by group cannot be drawn from tiny: here it has \[6, 6, 6, 6\]"):
        ClassBatches(classes, 2).epoch(blind, 1, 0, 0)
