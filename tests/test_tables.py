"""The table: its fingerprint, its memory-mapped copy on disk, its subsets."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from siamese.datasets.base import Splits
from siamese.errors import DataError
from siamese.tables import Table, assert_disjoint, concatenated, joined

COLUMNS = ("images", "labels", "groups", "sources")


def same(one: Table, other: Table) -> bool:
    columns = all(torch.equal(getattr(one, column), getattr(other, column)) for column in COLUMNS)
    names = ("name", "class_names", "group_names", "file_names")
    return columns and all(getattr(one, name) == getattr(other, name) for name in names)


def changed(table: Table, column: str, row: int) -> Table:
    values = getattr(table, column).clone()
    values.view(-1)[row] += 1
    return dataclasses.replace(table, **{column: values})


@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize("row", [0, 37, -1])
def test_fingerprint_depends_on_every_value(tiny, column, row):
    assert changed(tiny, column, row).fingerprint != tiny.fingerprint


@pytest.mark.parametrize("names", ["class_names", "group_names"])
def test_fingerprint_depends_on_the_order_of_names(tiny, names):
    other = dataclasses.replace(tiny, **{names: tuple(reversed(getattr(tiny, names)))})
    assert other.fingerprint != tiny.fingerprint


def test_fingerprint_depends_on_the_shape_and_the_order_of_rows_but_not_on_the_copy(tiny):
    wide = dataclasses.replace(tiny, images=tiny.images.view(-1, 1, 14, 56))
    turned = dataclasses.replace(tiny, images=tiny.images.flip(0))
    strided = dataclasses.replace(tiny, images=tiny.images.transpose(2, 3).contiguous().transpose(2, 3))
    assert len({tiny.fingerprint, wide.fingerprint, turned.fingerprint}) == 3
    assert strided.fingerprint == tiny.fingerprint


def test_roundtrip_through_a_memory_map(tiny, tmp_path):
    tiny.save(tmp_path / "deep" / "table")
    loaded = Table.load(tmp_path / "deep" / "table")
    assert same(loaded, tiny)
    loaded.images[0] = 7  # copy on write: the file does not change
    assert same(Table.load(tmp_path / "deep" / "table"), tiny)


def test_save_replaces_an_older_table_and_leaves_nothing_else(tiny, tmp_path):
    changed(tiny, "images", 3).save(tmp_path / "table")
    tiny.save(tmp_path / "table")
    assert same(Table.load(tmp_path / "table"), tiny)
    assert [path.name for path in tmp_path.iterdir()] == ["table"]


@pytest.mark.parametrize("file", ["images.npy", "columns.npz", "table.json"])
@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_truncated_file_is_a_data_error(tiny, tmp_path, file, share):
    tiny.save(tmp_path / "table")
    path = tmp_path / "table" / file
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(DataError, match="table"):
        Table.load(tmp_path / "table")


@pytest.mark.parametrize("file", ["images.npy", "columns.npz", "table.json"])
def test_missing_file_is_a_data_error(tiny, tmp_path, file):
    tiny.save(tmp_path / "table")
    (tmp_path / "table" / file).unlink()
    with pytest.raises(DataError):
        Table.load(tmp_path / "table")


def test_one_altered_byte_is_a_data_error(tiny, tmp_path):
    tiny.save(tmp_path / "table")
    path = tmp_path / "table" / "images.npy"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match="fingerprint"):
        Table.load(tmp_path / "table")


@pytest.mark.parametrize("column", ["labels", "groups", "sources"])
def test_altered_column_is_a_data_error(tiny, tmp_path, column):
    tiny.save(tmp_path / "table")
    columns = {name: getattr(tiny, name).numpy() for name in ("labels", "groups", "sources")}
    np.savez(tmp_path / "table" / "columns.npz", **columns | {column: columns[column][::-1]})
    with pytest.raises(DataError):
        Table.load(tmp_path / "table")


def test_altered_names_are_a_data_error(tiny, tmp_path):
    tiny.save(tmp_path / "table")
    path = tmp_path / "table" / "table.json"
    names = json.loads(path.read_text())
    for broken in (names | {"class_names": names["class_names"][::-1]}, {}, []):
        path.write_text(json.dumps(broken))
        with pytest.raises(DataError):
            Table.load(tmp_path / "table")


def test_failed_save_leaves_the_old_table_whole(tiny, tmp_path, monkeypatch):
    tiny.save(tmp_path / "table")

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(OSError, match="No space"):
        changed(tiny, "images", 0).save(tmp_path / "table")
    assert same(Table.load(tmp_path / "table"), tiny)
    assert [path.name for path in tmp_path.iterdir()] == ["table"]


def test_subsets_keep_what_labels_mean(tiny):
    some = tiny.of_groups(["group 3", "group 1"])
    assert len(some) == 60
    assert some.classes.tolist() == [*range(6, 12), *range(18, 24)]
    assert some.class_names == tiny.class_names
    assert {some.class_names[label] for label in some.classes} == {f"class {n}" for n in some.classes.tolist()}
    few = some.of_sources([4, 0])
    assert set(few.sources.tolist()) == {0, 4}
    assert len(few) == 24
    for row, file in enumerate(few.file_names):
        original = tiny.file_names.index(file)
        assert torch.equal(few.images[row], tiny.images[original])
        assert few.labels[row] == tiny.labels[original]
        assert few.groups[row] == tiny.groups[original]


def test_rows_keeps_the_order(tiny):
    keep = torch.rand(len(tiny), generator=torch.Generator().manual_seed(1)) < 0.3
    kept = tiny.rows(keep)
    assert torch.equal(kept.images, tiny.images[keep])
    assert kept.file_names == tuple(file for file, is_kept in zip(tiny.file_names, keep, strict=True) if is_kept)


def test_unknown_group_names_the_choices(tiny):
    with pytest.raises(DataError, match=r"no group 'Klingon'.*group 0, group 1, group 2, group 3"):
        tiny.of_groups(["group 1", "Klingon"])


def test_assert_disjoint(tiny):
    first, second = tiny.of_groups(["group 0"]), tiny.of_groups(["group 1"])
    assert_disjoint(train=first, test=second)
    with pytest.raises(DataError, match=r"class \d+ is both in train and in test"):
        assert_disjoint(train=tiny.rows(tiny.labels <= 6), test=second)
    # The same class by other drawers is still the same class.
    with pytest.raises(DataError):
        assert_disjoint(train=first.of_sources([0]), test=first.of_sources([1]))


def test_closed_splits_have_the_same_classes_and_other_images(tiny):
    first, second = tiny.of_sources([0, 1]), tiny.of_sources([2, 3])
    assert Splits(first, second, tiny.of_sources([4]), closed=True).closed
    with pytest.raises(DataError, match=r"class .* is both in train and in val"):
        Splits(first, second, tiny.of_sources([4]))
    with pytest.raises(DataError, match=r"image .* is both in train and in test"):
        Splits(first, second, tiny.of_sources([1, 4]), closed=True)


@pytest.mark.parametrize(
    "wrong", [{"images": torch.zeros(2, 1, 3, 3)}, {"labels": torch.zeros(2)}, {"file_names": ("a",)}]
)
def test_columns_that_do_not_fit_are_refused(wrong):
    two = torch.zeros(2, dtype=torch.int64)
    columns = {"images": torch.zeros(2, 1, 3, 3, dtype=torch.uint8), "labels": two, "groups": two, "sources": two}
    names = {"name": "odd", "class_names": ("a",), "group_names": ("b",), "file_names": ("c", "d")}
    with pytest.raises(DataError, match="odd"):
        Table(**columns | names | wrong)


def test_resized_on_known_values(tiny):
    assert tiny.resized(28) is tiny
    images = torch.tensor([[[[0, 100], [200, 255]]]], dtype=torch.uint8).repeat_interleave(2, 2).repeat_interleave(2, 3)
    blocks = dataclasses.replace(tiny.rows(torch.arange(len(tiny)) == 0), images=images)
    assert blocks.resized(2).images.flatten().tolist() == [0, 100, 200, 255]
    assert blocks.resized(1).images.item() == round(555 / 4)
    assert blocks.resized(1).labels.tolist() == blocks.labels.tolist()
    grown = tiny.resized(56)
    assert grown.image_shape == (1, 56, 56)
    assert (grown.images.float().mean() - tiny.images.float().mean()).abs() < 1
    assert grown.fingerprint != tiny.fingerprint


def test_loading_nothing_is_a_data_error(tmp_path: Path):
    with pytest.raises(DataError, match="no readable table"):
        Table.load(tmp_path / "nowhere")


def test_subsets_put_together_are_the_table(tiny):
    odd = tiny.labels % 2 == 1
    both = concatenated(tiny.rows(odd), tiny.rows(~odd))
    order = both.labels.mul(100).add(both.sources).argsort()
    assert torch.equal(both.images[order], tiny.images)
    assert [both.file_names[row] for row in order.tolist()] == list(tiny.file_names)


def test_joined_tables_have_the_classes_and_groups_of_both(tiny, make_table):
    extra = make_table([3, 2], sources=4, seed=9)
    both = joined(tiny, extra)
    assert len(both) == len(tiny) + len(extra)
    assert torch.equal(both.images[len(tiny) :], extra.images)
    assert len(both.classes) == 24 + 5
    assert len(both.groups.unique()) == 4 + 2
    assert both.class_names[int(both.labels[-1])] == "tiny/class 4"
    assert both.group_names[int(both.groups[-1])] == "extra group 1"
    assert torch.equal(both.added[both.groups], torch.arange(len(both)) >= len(tiny))
    assert both.file_names[-1] == "tiny/4_3.png"
    assert both.name == tiny.name
    with pytest.raises(DataError, match="images of tiny are 1x16x16, those of tiny 1x28x28"):
        joined(tiny, make_table([3], size=16))


def test_no_images_have_any_size(tiny):
    assert tiny.rows(torch.zeros(len(tiny), dtype=torch.bool)).resized(14).images.shape == (0, 1, 14, 14)


def several(table: Table) -> Table:
    """Of two labels: odd rows carry the first, every third the second."""
    row = torch.arange(len(table))
    targets = torch.stack([row % 2 == 1, row % 3 == 0], dim=1)
    return dataclasses.replace(table, class_names=("odd", "third"), labels=torch.zeros_like(row), targets=targets)


def test_several_labels_are_kept_cut_and_part_of_the_fingerprint(tiny, tmp_path):
    table = several(tiny)
    table.save(tmp_path / "table")
    loaded = Table.load(tmp_path / "table")
    assert torch.equal(loaded.targets, table.targets) and same(loaded, table)
    keep = torch.arange(len(table)) % 5 == 0
    assert torch.equal(table.rows(keep).targets, table.targets[keep])
    assert torch.equal(
        concatenated(table.rows(keep), table.rows(~keep)).targets[: int(keep.sum())], table.targets[keep]
    )
    flipped = dataclasses.replace(table, targets=~table.targets)
    assert len({each.fingerprint for each in (table, flipped, dataclasses.replace(table, targets=None))}) == 3
    with pytest.raises(DataError, match="one class each"):
        joined(table, tiny)


@pytest.mark.parametrize("wrong", [lambda t: t[:, :1], lambda t: t[1:], lambda t: t.long()])
def test_targets_of_a_wrong_shape_or_kind(tiny, wrong):
    table = several(tiny)
    with pytest.raises(DataError, match="targets must be bool"):
        dataclasses.replace(table, targets=wrong(table.targets))


def test_rows_that_follow_one_another_are_no_copy(tiny, tmp_path):
    tiny.save(tmp_path / "table")
    loaded = Table.load(tmp_path / "table")
    row = torch.arange(len(loaded))
    part = loaded.rows((row >= 3) & (row < 9))
    assert part.images.data_ptr() == loaded.images[3:].data_ptr()
    assert part.file_names == loaded.file_names[3:9] and torch.equal(part.labels, loaded.labels[3:9])
    assert len(loaded.rows(row < 0)) == 0
