"""MNIST and Fashion-MNIST: what the files must hold, and who of the closed splits is where."""

import gzip

import numpy as np
import pytest
import torch

from siamese.datasets import mnist
from siamese.datasets.mnist import FashionMnist, Mnist
from siamese.datasets.registry import registry
from siamese.errors import DataError, UserError
from siamese.tables import Table
from tests.conftest import _real

COUNTS = {"train": 60_000, "test": 10_000}


def header(*shape: int, kind: int = 8) -> bytes:
    return bytes([0, 0, kind, len(shape)]) + np.array(shape, ">i4").tobytes()


@pytest.fixture(scope="module")
def numbers() -> Table:
    """As many rows as MNIST has, of a pixel each."""
    labels = torch.arange(70_000) % 10
    names = tuple(f"{part}/{n:05d}" for part, count in COUNTS.items() for n in range(count))
    zeros = torch.zeros_like(labels)
    images = torch.zeros(70_000, 1, 1, 1, dtype=torch.uint8)
    return Table("mnist", images, labels, zeros, zeros, Mnist.class_names, ("mnist",), names)


@pytest.fixture(scope="module", params=[Mnist, FashionMnist])
def real(request) -> tuple[Mnist, Table]:
    source = request.param()
    return source, _real(source.load)


def test_the_tables_are_the_published_ones(real):
    source, table = real
    assert table.images.shape == (70_000, 1, 28, 28)
    assert table.fingerprint == registry()[source.key]["fingerprint"]
    assert table.name == source.key.replace("_", "-")
    if source.key == "mnist":
        assert table.labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
        assert table.labels[60_000:60_005].tolist() == [7, 2, 1, 0, 4]
    else:
        assert table.labels[:5].tolist() == [9, 0, 0, 3, 0]
        assert table.labels.bincount().tolist() == [7000] * 10


@pytest.mark.parametrize("val", [0, 5000, 59_999])
def test_the_splits_are_closed_and_have_no_image_in_common(val, numbers):
    splits = Mnist(val=val).split(numbers)
    assert splits.closed
    assert [len(part) for part in (splits.train, splits.val, splits.test)] == [60_000 - val, val, 10_000]
    names = [set(part.file_names) for part in (splits.train, splits.val, splits.test)]
    assert len(set.union(*names)) == 70_000
    assert all(name.startswith("test/") for name in names[2])
    assert splits.val.file_names[-1:] == (("train/59999",) if val else ())


def test_classes_left_out_are_neither_taught_nor_chosen_by_but_tested(numbers):
    splits = Mnist(unseen=[3, 7]).split(numbers)
    taught = [label for label in range(10) if label not in (3, 7)]
    assert splits.train.classes.tolist() == splits.val.classes.tolist() == taught
    assert splits.test.classes.tolist() == list(range(10))
    assert len(splits.test) == 10_000


@pytest.mark.parametrize("options", [{"val": 60_000}, {"val": -1}, {"unseen": [10]}, {"unseen": list(range(10))}])
def test_options_that_make_no_sense(options):
    with pytest.raises(UserError, match=r"part of the 60000|some, not all"):
        Mnist(**options)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (gzip.compress(header(3) + bytes(3), mtime=0)[:-9], "not a whole gzip file"),
        (b"no gzip at all", "not a whole gzip file"),
        (gzip.compress(header(4) + bytes(3), mtime=0), "does not hold 3 bytes"),  # another count
        (gzip.compress(header(3, 1) + bytes(3), mtime=0), "does not hold 3 bytes"),  # another shape
        (gzip.compress(header(3, kind=9) + bytes(3), mtime=0), "does not hold 3 bytes"),  # signed numbers
        (gzip.compress(header(3) + bytes(2), mtime=0), "does not hold 3 bytes"),
        (gzip.compress(header(3) + bytes(4), mtime=0), "does not hold 3 bytes"),
        (b"", "does not hold 3 bytes"),
    ],
)
def test_a_damaged_or_other_file_is_named(content, said, tmp_path, monkeypatch):
    path = tmp_path / "numbers.gz"
    path.write_bytes(content)
    monkeypatch.setattr(mnist, "fetch", lambda *_: path)
    with pytest.raises(DataError, match=said) as error:
        Mnist()._numbers("numbers.gz", (3,))
    assert str(path) in str(error.value)


def test_a_whole_file_is_read(tmp_path, monkeypatch):
    path = tmp_path / "numbers.gz"
    path.write_bytes(gzip.compress(header(2, 3) + bytes(range(6))))
    monkeypatch.setattr(mnist, "fetch", lambda *_: path)
    assert Mnist()._numbers("numbers.gz", (2, 3)).tolist() == [[0, 1, 2], [3, 4, 5]]
