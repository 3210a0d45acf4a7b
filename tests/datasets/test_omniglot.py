"""Omniglot: its published counts and splits, and damaged zips told in a sentence."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from siamese.datasets import omniglot as module
from siamese.datasets.base import Splits
from siamese.datasets.omniglot import Omniglot, read_runs
from siamese.datasets.omniglot_lists import LISTS
from siamese.datasets.registry import registry
from siamese.errors import DataError, DataUnavailable, UserError
from siamese.sampling.seeds import generator

CLASSES = 4  # of the small zips below, of 20 images each


def test_counts_are_the_published_ones(omniglot):
    assert omniglot.images.shape == (32_460, 1, 105, 105)
    assert (omniglot.labels.bincount() == 20).all()
    assert len(omniglot.classes) == len(omniglot.class_names) == 1623
    assert len(omniglot.group_names) == 50
    assert (omniglot.sources.view(-1, 20) == torch.arange(20)).all()
    assert omniglot.fingerprint == registry()["omniglot"]["fingerprint"]
    assert len(set(omniglot.file_names)) == 32_460
    assert 0.01 < float(omniglot.images.float().mean()) / 255 < 0.15, "ink is 255, and there is little of it"
    background = omniglot.of_groups(LISTS["background"])
    assert (len(background), len(background.classes)) == (19_280, 964)
    evaluation = omniglot.of_groups([*LISTS["official"], *LISTS["unused"]])
    assert (len(evaluation), len(evaluation.classes)) == (13_180, 659)
    assert int(background.labels.max()) < int(evaluation.labels.min()), "numbered as published, background first"


def test_names_say_what_the_columns_say(omniglot):
    for row in range(0, len(omniglot), 997):
        group, character, file = omniglot.file_names[row].split("/")
        assert group == omniglot.group_names[omniglot.groups[row]]
        assert f"{group}/{character}" == omniglot.class_names[omniglot.labels[row]]
        assert file == f"{int(omniglot.labels[row]) + 1:04d}_{int(omniglot.sources[row]) + 1:02d}.png"


def assert_apart(splits: Splits) -> None:
    tables = (splits.train, splits.val, splits.test)
    assert all(len(table) for table in tables)
    for column in ("labels", "groups"):
        values = [set(getattr(table, column).tolist()) for table in tables]
        assert sum(map(len, values)) == len(set.union(*values))


@pytest.mark.parametrize("train", ["background", "small1", "small2"])
def test_splits_share_no_character_and_no_alphabet(omniglot, train):
    splits = Omniglot(train=train).split(omniglot)
    assert_apart(splits)
    assert {omniglot.group_names[g] for g in splits.test.groups.unique()} == set(LISTS["official"])
    assert {omniglot.group_names[g] for g in splits.val.groups.unique()} == set(LISTS["unused"])
    if train == "background":
        assert (len(splits.train), len(splits.train.classes)) == (19_280, 964)


def test_koch_drawers_are_apart_too(omniglot):
    splits = Omniglot(koch_drawers=True).split(omniglot)
    assert_apart(splits)
    assert splits.train.sources.unique().tolist() == list(range(12))
    assert splits.val.sources.unique().tolist() == list(range(12, 16))


def test_lists_are_the_published_alphabets():
    assert {name: len(set(names)) for name, names in LISTS.items()} == {
        "background": 30, "small1": 5, "small2": 5, "official": 10, "unused": 10,
    }  # fmt: skip
    assert set(LISTS["small1"]) | set(LISTS["small2"]) <= set(LISTS["background"])
    assert not set(LISTS["background"]) & (set(LISTS["official"]) | set(LISTS["unused"]))


def test_overlapping_and_unknown_splits_are_refused(omniglot):
    with pytest.raises(DataError, match=r"class Greek/character01 is both in train and in val"):
        Omniglot(train="small1", val=["Greek"]).split(omniglot)
    with pytest.raises(DataError, match="no group 'Klingon'"):
        Omniglot(val=["Klingon"]).split(omniglot)
    with pytest.raises(UserError, match="no list of alphabets called 'backgruond'; there are background"):
        Omniglot(train="backgruond")


def test_runs_belong_to_a_test_table_with_their_alphabets(omniglot):
    source = Omniglot(test=["Tibetan", "Tengwar"])
    assert source.official_runs(source.split(omniglot).test) is None


def png(size: int = 105, seed: int = 0) -> bytes:
    stream = io.BytesIO()
    ink = torch.rand(size, size, generator=generator(seed)).numpy() < 0.05
    Image.fromarray(np.where(ink, 0, 255).astype(np.uint8)).convert("1").save(stream, "PNG")
    return stream.getvalue()


def packed(path: Path, half: int, leave_out: str = "none", image: bytes = b"", runs: int = 0) -> Path:
    """A zip as published, of 2 characters in 1 alphabet (or of so many runs)."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for character in (2 * half + 1, 2 * half + 2):
            for drawer in range(1, 21):
                name = f"images/Alphabet{half}/character{character:02d}/{character:04d}_{drawer:02d}.png"
                if leave_out not in name:
                    archive.writestr(name, image or png(seed=100 * character + drawer))
        for run in range(runs):
            archive.writestr(f"run{run:02d}/class_labels.txt", "")
    return path


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Two small zips in the place of the published ones."""
    monkeypatch.setenv("SIAMESE_DATA", str(tmp_path / "data"))
    paths = [packed(tmp_path / half, number) for number, half in enumerate(module.HALVES)]
    monkeypatch.setattr(module, "fetch", lambda _, file: tmp_path / file)
    return paths


def test_another_number_of_images_is_told(small):
    with pytest.raises(DataError, match=r"hold 80 images of 4 characters and 2 alphabets, not 32460 of 1623 and 50"):
        Omniglot().load()


@pytest.mark.parametrize("missing", ["character02", "0001_07"])
def test_a_missing_character_or_image_is_told(small, missing):
    packed(small[0], 0, leave_out=missing)
    with pytest.raises(DataError, match=r"not 32460 of 1623"):
        Omniglot().load()


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_a_truncated_zip_is_told(small, share):
    content = small[1].read_bytes()
    small[1].write_bytes(content[: int(len(content) * share)])
    with pytest.raises(DataError, match=r"images_evaluation\.zip is not a whole zip file; delete it"):
        Omniglot().load()


@pytest.mark.parametrize("byte", [0x00, 0xFF])
@pytest.mark.parametrize("place", [0, 100, 200])
def test_a_damaged_zip_is_told(small, place, byte):
    """Its list is whole, what is compressed is not."""
    content = bytearray(small[0].read_bytes())
    place += 30 + len("images/Alphabet0/character01/0001_01.png")  # behind the first entry's header
    content[place : place + 40] = bytes([byte] * 40)
    small[0].write_bytes(content)
    with pytest.raises(DataError, match=r"images_background\.zip"):
        Omniglot().load()


@pytest.mark.parametrize(
    ("image", "told"),
    [
        (png(28), "has 28x28 pixels, not 105x105"),
        (b"no image", "not a readable image"),
        (png()[:150], "not a readable"),
    ],
    ids=["small", "text", "half"],
)
def test_an_image_that_is_none_is_told(small, image, told):
    packed(small[0], 0, image=image)
    with pytest.raises(DataError, match=rf"0001_01\.png {told}|0001_01\.png is {told}"):
        Omniglot().load()


def test_other_images_than_the_published_ones_are_told(small, tiny, monkeypatch):
    monkeypatch.setattr(module, "_decode", lambda: tiny)
    with pytest.raises(DataError, match=r"fingerprint .* they are not the published ones"):
        Omniglot().load()


def test_missing_zips_are_told_before_the_long_part(small, monkeypatch):
    def fetch(_: str, file: str) -> Path:
        if file == module.HALVES[1]:
            raise DataUnavailable(file)
        return small[0]

    monkeypatch.setattr(module, "fetch", fetch)
    monkeypatch.setattr(module, "_images", lambda *_: pytest.fail("decoded too early"))
    with pytest.raises(DataUnavailable, match="evaluation"):
        Omniglot().load()


def test_runs_that_are_none_are_told(tmp_path, tiny):
    with pytest.raises(DataError, match="does not hold 20 runs"):
        read_runs(packed(tmp_path / "empty.zip", 0), tiny)
    with pytest.raises(DataError, match="run00 is missing"):
        read_runs(packed(tmp_path / "blank.zip", 0, runs=20), tiny)
    (tmp_path / "cut.zip").write_bytes(b"PK\x03\x04")
    with pytest.raises(DataError, match="not a whole zip"):
        read_runs(tmp_path / "cut.zip", tiny)
