"""Images with several labels: the table, its parts, its labels, its log, and how little of it is in memory."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from jsonargparse import ArgumentParser
from PIL import Image

from siamese.datasets import labelled, pictures
from siamese.datasets.base import DataSet
from siamese.datasets.labelled import LabelledImages
from siamese.datasets.pictures import Preprocessing, each_picture
from siamese.errors import DataError, DataUnavailable, UserError
from siamese.tables import _mapped


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch) -> Path:
    monkeypatch.setenv("SIAMESE_DATA", str(tmp_path_factory.mktemp("data")))
    return Path(os.environ["SIAMESE_DATA"]) / "cache"


def fill(root: Path, rows: dict[str, str], header: str = "Id,Drama,War") -> Path:
    """``root/labels.csv`` with these labels, and in ``root/images`` an image of each id, as bright as its place."""
    (root / "images").mkdir(parents=True)
    (root / "labels.csv").write_text("\n".join([header, *(f"{name},{labels}" for name, labels in rows.items())]))
    for number, name in enumerate(rows):
        Image.new("L", (4, 8), number).save(root / "images" / f"{name}.png")
    return root


def source(root: Path, **options) -> LabelledImages:
    settings = {"height": 2, "width": 3, "colour": False} | options
    return LabelledImages(str(root / "labels.csv"), str(root / "images"), **settings)


def many(root: Path, count: int = 200) -> Path:
    """Images with six labels, from frequent to rare, and some with none."""
    shares = np.array([0.6, 0.3, 0.2, 0.1, 0.07, 0.06])
    cells = (np.random.default_rng(0).random((count, 6)) < shares).astype(int)
    rows = {f"{number:03}": ",".join(map(str, row)) for number, row in enumerate(cells)}
    return fill(root, rows, "Id,A,B,C,D,E,F")


def test_the_table(tmp_path):
    root = fill(tmp_path / "films", {name: f"{name in 'ab':d},{name in 'bc':d}" for name in "abcdefghijklm"})
    made = source(root)
    table = made.load()
    assert table.name == "films"
    assert table.images.shape == (13, 1, 2, 3)
    assert table.class_names == ("Drama", "War")
    assert table.targets is not None
    by_name = dict(zip(table.file_names, table.targets.tolist(), strict=True))
    assert by_name == {f"{name}.png": [name in "ab", name in "bc"] for name in "abcdefghijklm"}
    assert [table.file_names[row][0] for row in range(13)] == ["abcdefghijklm"[i] for i in table.images[:, 0, 0, 0]]
    assert not table.labels.any()
    assert not table.groups.any()
    assert table.sources.tolist() == sorted(table.sources.tolist())
    assert made.preprocessing(table) == Preprocessing(2, 3, fit="stretch")


def test_colour_and_fit(tmp_path):
    root = fill(tmp_path, dict.fromkeys("abc", "1,0"))
    Image.new("RGB", (4, 8), (200, 0, 10)).save(root / "images" / "a.png")
    table = source(root, colour=True, fit="pad", height=8, width=8).load()
    first = table.images[table.file_names.index("a.png")]
    assert first[:, 4, 4].tolist() == [200, 0, 10]
    assert not first[:, :, 0].any(), "what a narrow image does not fill is dark"


@pytest.mark.parametrize("shares", [(0.7, 0.15, 0.15), (0.5, 0.3, 0.2)])
def test_every_part_has_its_share_of_every_label(tmp_path, shares):
    made = source(many(tmp_path), shares=shares)
    table = made.load()
    splits = made.split(table)
    assert splits.closed
    parts = [splits.train, splits.val, splits.test]
    assert sorted(name for part in parts for name in part.file_names) == sorted(table.file_names)
    counts = table.targets.sum(dim=0)
    assert ((counts >= 10) & (counts < 30)).any(), "of a rare label too"
    for part, share in zip(parts, shares, strict=True):
        assert abs(len(part) - share * 200) <= 6
        assert (part.targets.sum(dim=0) - share * counts).abs().max() <= 2.5
        unlabelled = (~part.targets.any(dim=1)).sum() - share * (~table.targets.any(dim=1)).sum()
        assert unlabelled.abs() <= 6


def test_the_split_hangs_on_the_seed_and_not_on_the_order_of_rows_or_the_labels_kept(tmp_path):
    def parts(**options):
        table = source(tmp_path / "films", **options).load()
        return dict(zip(table.file_names, table.sources.tolist(), strict=True))

    root = many(tmp_path / "films")
    first = parts()
    assert parts(seed=1) != first
    assert parts(least=50) == parts(leave_out=["A"]) == first
    header, *rows = (root / "labels.csv").read_text().split("\n")
    (root / "labels.csv").write_text("\n".join([header, *reversed(rows)]))
    assert parts() == first


def test_parts_are_views_of_the_file(tmp_path):
    made = source(many(tmp_path))
    table = made.load()
    splits = made.split(table)
    start, end = table.images.data_ptr(), table.images.data_ptr() + table.images.numel()
    maps = (line.split() for line in Path("/proc/self/maps").read_text().splitlines())
    held = [line[0].split("-") for line in maps if line[-1].endswith("images.npy")]
    assert any(int(low, 16) <= start and end <= int(high, 16) for low, high in held)
    for part, row in ((splits.train, 0), (splits.val, len(splits.train)), (splits.test, 200 - len(splits.test))):
        assert part.images.data_ptr() == table.images[row].data_ptr()


@pytest.fixture
def damaged(tmp_path) -> Path:
    """Three images with plain rows, and one thing of every kind that is left out."""
    root = fill(tmp_path / "films", {"a": "1,0", "b": "0,1", "c": "0,0", "twice": "1,0", "two": "1,1", "broken": "0,1"})
    with (root / "labels.csv").open("a") as csv:
        csv.write("\ngone,1,0\n../films/images/c,1,1\n,0,0\ntwice.png,0,1\na,1,0\nempty,1,0\n")
    Image.new("L", (4, 8)).save(root / "images" / "two.JPG")
    Image.new("L", (4, 8)).save(root / "images" / "no row.png")
    (root / "images" / "broken.png").write_text("not an image")
    (root / "images" / "empty.jpg").touch()
    return root


def test_what_is_left_out_is_counted_and_named(damaged, own_cache, capsys):
    table = source(damaged).load()
    assert sorted(table.file_names) == ["a.png", "b.png", "c.png"]
    images = damaged / "images"
    counted = [
        f"films: 3 images of {damaged / 'labels.csv'}",
        "ids that several files fit: 1",
        "ids without a file: 1",
        "ids that lead out of the folder: 1",
        "rows without an id: 1",
        "files with equal rows, taken once: 1",
        "files with rows that differ: 1",
        "files without a row: 1",
        "unreadable images: 2",
    ]
    named = {
        "label Drama: 1 images",
        "label War: 1 images",
        "two: may be any of two.JPG, two.png",
        "gone: has no file",
        "../films/images/c: is no file inside the folder",
        "line 10: has no id",
        "a.png: has the same labels on lines 2, 12",
        "twice.png: has different labels on lines 5, 11",
        "no row.png: has no row",
        f"{images / 'broken.png'}: is not an image Pillow can read",
        f"{images / 'empty.jpg'}: is empty",
    }
    (log,) = own_cache.glob("*.log")
    lines = log.read_text().splitlines()
    assert lines[:9] == counted
    assert set(lines[9:]) == named
    assert log.with_suffix("").is_dir(), "it lies beside its table"
    assert capsys.readouterr().out.splitlines() == [*counted, "rare labels: Drama 1, War 1", f"details: {log}"]
    assert source(damaged).load().fingerprint == table.fingerprint
    assert capsys.readouterr().out == "", "the second time it is in the cache"


def test_rare_labels_are_named_and_left_out_if_asked(tmp_path, own_cache, capsys):
    rows = {f"{number}": f"{number < 12:d},{number < 9:d},{number > 17:d},1" for number in range(20)}
    root = fill(tmp_path / "films", rows, "Id,Drama,War,N/A,Film")
    assert source(root).load().class_names == ("Drama", "War", "N/A", "Film")
    assert "rare labels: War 9, N/A 2" in capsys.readouterr().out.splitlines()
    table = source(root, least=10, leave_out=["Film"]).load()
    assert table.class_names == ("Drama",)
    assert table.targets.shape == (20, 1)
    assert "rare labels: War 9 (left out), N/A 2 (left out), Film 20 (left out)" in capsys.readouterr().out.splitlines()
    said = [line for log in own_cache.glob("*.log") for line in log.read_text().splitlines()]
    assert "label War: 9 images, left out, it has less than 10 images" in said
    assert "label Film: 20 images, left out, by name" in said
    assert len(table) == 20, "images without a label are kept"


def test_the_cache_knows_csv_files_settings_and_version(tmp_path, monkeypatch, own_cache):
    def tables() -> int:
        return len([path for path in own_cache.iterdir() if path.is_dir()])

    root = many(tmp_path, 40)
    different = [{}, {"seed": 1}, {"least": 3}, {"leave_out": ["A"]}, {"shares": (0.6, 0.2, 0.2)}, {"fit": "pad"}]
    for number, options in enumerate([*different, {"width": 4}, {"colour": True}], start=1):
        source(root, **options).load()
        assert tables() == number
    source(root).load()
    assert tables() == 8
    monkeypatch.setattr(labelled, "VERSION", "another")
    source(root).load()
    Image.new("L", (4, 8), 99).save(root / "images" / "001.png")
    os.utime(root / "images" / "001.png", (0, 0))
    source(root).load()
    (root / "labels.csv").write_text((root / "labels.csv").read_text().replace("002,", "003,"))
    assert len(source(root).load()) == 38
    assert tables() == 11


@pytest.mark.parametrize(
    ("damage", "error", "sentence"),
    [
        (lambda root: (root / "labels.csv").unlink(), DataUnavailable, r"there is no file .*labels\.csv"),
        (lambda root: (root / "images").rename(root / "other"), DataUnavailable, "there is no folder .*images"),
        (lambda root: (root / "labels.csv").write_text("Id,Drama\nx,1\n"), DataError, "no row of .* is of a file in"),
        (lambda root: (root / "labels.csv").write_text("Id,Drama\na,x\n"), DataError, "neither 0 nor 1"),
        (lambda root: [(root / "images" / f"{name}.png").write_text("") for name in "abc"], DataError, "none of the 3"),
    ],
)
def test_sources_without_anything_to_learn_from(tmp_path, damage, error, sentence):
    damage(fill(tmp_path, dict.fromkeys("abc", "1,0")))
    with pytest.raises(error, match=sentence):
        source(tmp_path).load()


def test_settings_that_cannot_be(tmp_path):
    root = fill(tmp_path, dict.fromkeys("abc", "1,0"))
    for options in (
        {"shares": (0.5, 0.5, 0.0)},
        {"shares": (0.5, 0.2, 0.2)},
        {"least": -1},
        {"seed": -1},
        {"height": 0},
    ):
        with pytest.raises(UserError):
            source(root, **options)
    with pytest.raises(UserError, match="has no label 'N/A' to leave out; it has Drama, War"):
        source(root, leave_out=["N/A"]).load()
    with pytest.raises(DataError, match=r"no label of .* is left; the one with most images has 3"):
        source(root, least=4).load()
    few = source(fill(tmp_path / "few", {"a": "1,0", "b": "1,1"}))
    with pytest.raises(UserError, match=r"of the 2 images of few, .* each needs one"):
        few.split(few.load())


def test_a_yaml_can_name_it(tmp_path):
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--source", type=DataSet)
    options = {"csv": "a.csv", "images": "b", "height": 4, "width": 3, "shares": [0.6, 0.2, 0.2], "leave_out": ["N/A"]}
    given = {"class_path": "siamese.datasets.labelled.LabelledImages", "init_args": options}
    made = parser.instantiate(parser.parse_object({"source": given})).source
    assert isinstance(made, LabelledImages)
    assert (made.shares, made.leave_out, made.made.width) == ((0.6, 0.2, 0.2), ("N/A",), 3)


def test_a_disk_that_takes_no_more_is_said(tmp_path, own_cache):
    own_cache.parent.joinpath("cache").write_text("a file where the folder should be")
    with pytest.raises(UserError, match=r"cannot be kept in .*cache \(File exists\); SIAMESE_DATA"):
        source(fill(tmp_path, dict.fromkeys("abc", "1,0"))).load()


def test_few_images_are_decoded_before_they_are_taken(monkeypatch):
    read: list[int] = []
    monkeypatch.setattr(
        Preprocessing, "_pixels", lambda _, picture, shown: read.append(picture) or np.zeros((1, 1, 1), np.uint8)
    )
    results = each_picture(range(1000), Preprocessing(1, 1))
    next(results)
    assert len(read) <= pictures._AHEAD
    assert len(list(results)) == 999
    assert sorted(read) == list(range(1000))


def test_a_file_larger_than_memory_is_mapped(tmp_path):
    side, memory = 1024, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    shape = (2 * memory // side**2, 1, side, side)
    with (tmp_path / "images.npy").open("wb") as file:  # a hole: it takes no room on the disk
        np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
        file.truncate(file.tell() + int(np.prod(shape)))
    images = torch.from_numpy(_mapped(tmp_path / "images.npy"))
    assert images.shape == shape
    images[-1, 0, 0, 0] = 7
    assert images[-1].sum() == 7
    assert not np.load(tmp_path / "images.npy", mmap_mode="r")[-1].any(), "the file does not change"
