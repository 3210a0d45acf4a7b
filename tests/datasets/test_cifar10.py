"""CIFAR-10: the original or the JPEG copy, each under its own name, and what their files must hold."""

import io
import pickle
import tarfile
import zipfile

import numpy as np
import pooch
import pytest
from PIL import Image

from siamese.datasets import cifar10
from siamese.datasets.cifar10 import BATCHES, CLASSES, JPEGS, ORIGINAL, Cifar10
from siamese.datasets.registry import registry
from siamese.errors import DataError, DataUnavailable, UserError
from tests.conftest import _real


@pytest.fixture
def small(monkeypatch, tmp_path):
    """As if CIFAR-10 had 100 + 20 images; its files are those put into the folder."""
    monkeypatch.setenv("SIAMESE_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(cifar10, "TRAIN", 100)
    monkeypatch.setattr(cifar10, "TEST", 20)
    monkeypatch.setattr(cifar10, "registry", lambda: {"cifar10": {"files": {ORIGINAL: {"checksum": "md5:0"}}}})

    def fetch(_, file):
        if not (tmp_path / file).exists():
            raise DataUnavailable(f"cifar10: {file} is nowhere")
        return tmp_path / file

    monkeypatch.setattr(cifar10, "fetch", fetch)
    monkeypatch.setattr(cifar10, "published_table", lambda _, decode: decode())
    return tmp_path


def original(folder, monkeypatch, batches=BATCHES):
    """The published file in small; its checksum is told to the registry."""
    with tarfile.open(folder / ORIGINAL, "w:gz") as archive:
        for number, name in enumerate(batches):
            numbers = np.random.default_rng(number).integers(256, size=(20, 3072), dtype=np.uint8)
            held = pickle.dumps({"data": numbers, "labels": [row % 10 for row in range(20)]})
            about = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            about.size = len(held)
            archive.addfile(about, io.BytesIO(held))
    checksum = f"md5:{pooch.file_hash(str(folder / ORIGINAL), alg='md5')}"
    monkeypatch.setattr(cifar10, "registry", lambda: {"cifar10": {"files": {ORIGINAL: {"checksum": checksum}}}})


def copies(folder, prefix="", each=10, size=32, broken=None):
    """The zip of JPEGs in small; every image has one brightness."""
    with zipfile.ZipFile(folder / JPEGS, "w") as archive:
        for part, count in (("train", each), ("test", 2)):
            for label, name in enumerate(CLASSES):
                for number in range(count):
                    held = io.BytesIO()
                    Image.new("RGB", (size, size), (25 * label, number, 0)).save(held, "JPEG", quality=95)
                    content = b"\xff\xd8 half" if broken == (part, name, number) else held.getvalue()
                    archive.writestr(f"{prefix}{part}/{name}/{number:04d}.jpg", content)
        archive.writestr(f"{prefix}README.md", "no image")


@pytest.fixture(scope="module")
def real():
    return _real(Cifar10().load)


def test_the_table_says_which_of_the_two_it_is(real):
    assert real.images.shape == (60_000, 3, 32, 32)
    assert real.name in ("cifar10", "cifar10-jpeg")
    published = real.fingerprint == registry()["cifar10"]["fingerprint"]
    assert published == (real.name == "cifar10-jpeg"), "the fingerprint in the registry is the copy's"
    splits = Cifar10(val=5000).split(real)
    assert splits.closed
    assert [len(part) for part in (splits.train, splits.val, splits.test)] == [45_000, 5000, 10_000]
    assert splits.test.labels.bincount().tolist() == [1000] * 10
    assert splits.val.labels.bincount().min() > 400, "the last training images are of all classes"


def test_the_original_comes_first_in_its_own_order(small, monkeypatch):
    original(small, monkeypatch)
    copies(small)
    table = Cifar10(val=10).load()
    assert table.name == "cifar10"
    assert table.labels.tolist() == [row % 10 for row in range(120)]
    first = np.random.default_rng(0).integers(256, size=(20, 3072), dtype=np.uint8)
    assert np.array_equal(table.images[7].numpy(), first[7].reshape(3, 32, 32))
    assert table.file_names[99:101] == ("train/00099", "test/00000")
    (small / ORIGINAL).unlink()
    assert Cifar10(val=10).load().fingerprint == table.fingerprint, "it is kept in the cache"


@pytest.mark.parametrize("prefix", ["", "CIFAR-10-images-master/"])
def test_else_the_copy_its_training_images_of_all_classes_in_turn(prefix, small):
    copies(small, prefix)
    table = Cifar10(val=10).load()
    assert table.name == "cifar10-jpeg"
    assert table.labels.tolist() == [row % 10 for row in range(120)]
    assert table.file_names[:2] == ("train/airplane/0000.jpg", "train/automobile/0000.jpg")
    assert np.abs(table.images[13].numpy().mean((1, 2)) - [75, 1, 0]).max() < 4, "red is the first channel"
    splits = Cifar10(val=10).split(table)
    assert splits.val.classes.tolist() == list(range(10))
    assert all(name.startswith("test/") for name in splits.test.file_names)


@pytest.mark.parametrize("wrong", [{"each": 9}, {"size": 16}, {"broken": ("train", "cat", 3)}])
def test_another_zip_is_refused(wrong, small):
    copies(small, **wrong)
    with pytest.raises(DataError, match="not the whole zip of CIFAR-10"):
        Cifar10(val=10).load()


def test_a_cut_zip_is_refused(small):
    copies(small)
    content = (small / JPEGS).read_bytes()
    (small / JPEGS).write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match="not the whole zip of CIFAR-10"):
        Cifar10(val=10).load()


def test_a_file_that_is_not_the_published_one_is_not_opened(small, monkeypatch):
    original(small, monkeypatch)
    monkeypatch.setattr(cifar10, "registry", lambda: {"cifar10": {"files": {ORIGINAL: {"checksum": "md5:1"}}}})
    monkeypatch.setattr(cifar10.pickle, "load", lambda *_, **__: pytest.fail("a pickle may run code"))
    with pytest.raises(DataError, match="not the published file"):
        Cifar10(val=10).load()


def test_what_is_nowhere_is_unavailable(small):
    with pytest.raises(DataUnavailable, match=ORIGINAL):
        Cifar10(val=10).load()


def test_val_is_a_part_of_the_training_images():
    with pytest.raises(UserError, match="part of the 50000 training images"):
        Cifar10(val=50_000)
