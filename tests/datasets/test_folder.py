"""A folder of folders of images: what is read, what is left out and said, and how it is split."""

import os
import unicodedata
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from siamese.datasets import folder as module
from siamese.datasets.folder import Folder
from siamese.errors import DataError, DataUnavailable, UserError

NFD = unicodedata.normalize("NFD", "José")
NFC = unicodedata.normalize("NFC", "José")


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch) -> Path:
    monkeypatch.setenv("SIAMESE_DATA", str(tmp_path_factory.mktemp("data")))
    return Path(os.environ["SIAMESE_DATA"]) / "cache"


def fill(root: Path, classes: dict[str, int]) -> Path:
    """Images whose grey value says which one it is: 10 for a class, and 1 for an image of it."""
    for number, (name, images) in enumerate(classes.items()):
        (root / name).mkdir(parents=True)
        for image in range(images):
            Image.new("L", (6, 6), 10 * (number + 1) + image).save(root / name / f"image {image}.png")
    return root


def test_classes_sources_and_pixels(tmp_path):
    table = Folder(str(fill(tmp_path / "my images", {"a b": 2, "日本": 3, NFD: 1})), size=6).load()
    assert table.name == "my images"
    assert table.class_names == (NFC, "a b", "日本")
    assert table.labels.tolist() == [0, 1, 1, 2, 2, 2]
    assert table.sources.tolist() == [0, 0, 1, 0, 1, 2]
    assert table.images[:, 0, 3, 3].tolist() == [30, 10, 11, 20, 21, 22]
    assert table.group_names == ("my images",)
    assert all((tmp_path / "my images" / name).is_file() for name in table.file_names)


def test_one_name_in_two_spellings_is_one_class(tmp_path):
    root = fill(tmp_path / "root", {NFD: 2, NFC: 1, "other": 1})
    table = Folder(str(root), size=6).load()
    assert table.class_names == (NFC, "other")
    assert table.labels.tolist().count(0) == 3
    assert sorted(table.sources[table.labels == 0].tolist()) == [0, 1, 2]
    assert len(set(table.file_names)) == 4


def test_what_is_broken_is_named_left_out_and_counted(tmp_path, capsys):
    root = fill(tmp_path / "root", {f"class {number}": 3 for number in range(4)})
    (root / "class 0" / "empty.png").touch()
    (root / "class 1" / "text.png").write_text("hello")
    Image.effect_noise((50, 50), 80).save(root / "class 2" / "cut.png")
    os.truncate(root / "class 2" / "cut.png", 1000)
    for left_behind in (".DS_Store", "Thumbs.db", "desktop.ini"):
        (root / "class 3" / left_behind).write_text("")
    (root / ".git").mkdir()
    (root / ".git" / "HEAD").write_text("ref")
    (root / "notes.txt").write_text("not of a class")
    table = Folder(str(root), size=6).load()
    said = capsys.readouterr().out.splitlines()
    assert len(table) == 12
    assert said == [
        f"left out {root / 'class 0' / 'empty.png'}: is empty",
        f"left out {root / 'class 1' / 'text.png'}: is not an image Pillow can read",
        f"left out {root / 'class 2' / 'cut.png'}: truncated",
        "left out 3 of 15 images",
    ]


def test_the_cache_knows_files_settings_and_version(tmp_path, monkeypatch, own_cache):
    root = fill(tmp_path / "root", {"a": 2, "b": 2})
    first = Folder(str(root), size=6).load()
    assert Folder(str(root), size=6, seed=3).load().fingerprint == first.fingerprint
    assert len(list(own_cache.iterdir())) == 1
    Folder(str(root), size=6, invert=True).load()
    Folder(str(root), size=7).load()
    assert len(list(own_cache.iterdir())) == 3
    monkeypatch.setattr(module, "VERSION", "another")
    Folder(str(root), size=6).load()
    assert len(list(own_cache.iterdir())) == 4
    Image.new("L", (6, 6), 99).save(root / "a" / "image 2.png")
    assert len(Folder(str(root), size=6).load()) == 5


@pytest.mark.parametrize(
    ("make", "error", "sentence"),
    [
        (lambda root: None, DataUnavailable, "there is no folder"),
        (lambda root: root.mkdir(), DataError, "has no images in folders, one folder a class"),
        (lambda root: fill(root.parent, {"root": 2}), DataError, "holds files but no folders of images"),
        (lambda root: fill(root / "deep", {"a": 1}), DataError, "lie too deep"),
        (lambda root: (fill(root, {"a": 0}) / "a" / "x.png").touch(), DataError, "none of the 1 files"),
    ],
    ids=["nothing", "empty", "images in the root", "too deep", "all broken"],
)
def test_folders_without_classes_of_images(tmp_path, make, error, sentence):
    make(tmp_path / "root")
    with pytest.raises(error, match=sentence):
        Folder(str(tmp_path / "root")).load()


def test_one_image_and_one_class_are_a_table_but_no_splits(tmp_path):
    source = Folder(str(fill(tmp_path / "root", {"only": 1})), size=6)
    table = source.load()
    assert (len(table), len(table.classes)) == (1, 1)
    with pytest.raises(UserError, match=r"root has 1 class; .* need two each, here 6 in all"):
        source.split(table)


@pytest.mark.parametrize(("classes", "counts"), [(6, (2, 2, 2)), (10, (6, 2, 2)), (20, (12, 4, 4))])
def test_every_class_is_in_one_split(tmp_path, classes, counts):
    source = Folder(str(fill(tmp_path / "root", {f"{number:02}": 1 for number in range(classes)})), size=6)
    table = source.load()
    splits, again = source.split(table), source.split(table)
    parts = [splits.train, splits.val, splits.test]
    assert tuple(len(part.classes) for part in parts) == counts
    assert torch.equal(torch.cat([part.classes for part in parts]).sort().values, table.classes)
    assert torch.equal(splits.val.labels, again.val.labels)


@pytest.mark.parametrize("options", [{"shares": (0.0, 0.5, 0.5)}, {"shares": (1.2, -0.1, -0.1)}, {"size": 0}])
def test_settings_that_cannot_be(tmp_path, options):
    with pytest.raises(UserError):
        Folder(str(tmp_path), **options)


def test_colour_and_ink(tmp_path):
    (tmp_path / "a").mkdir()
    Image.new("RGB", (4, 2), (255, 0, 10)).save(tmp_path / "a" / "x.png")
    table = Folder(str(tmp_path), size=4, colour=True, invert=True).load()
    assert np.array_equal(table.images[0, :, 1, 1].numpy(), [0, 255, 245])
    assert not table.images[0, :, 0].any()
