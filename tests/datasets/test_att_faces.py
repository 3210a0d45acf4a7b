"""The AT&T faces: what the zip must hold, who is split from whom, and what stands in for them."""

import io
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image

from siamese.datasets import att_faces
from siamese.datasets.att_faces import AttFaces
from siamese.datasets.registry import registry
from siamese.errors import DataError
from tests.conftest import _real


@pytest.fixture(scope="module")
def faces():
    return _real(AttFaces().load)


def small_zip(path, people=40, shots=10, size=(92, 112), kind="PGM", prefix=""):
    with zipfile.ZipFile(path, "w") as archive:
        for person in range(1, people + 1):
            for shot in range(1, shots + 1):
                image = Image.fromarray(np.full(size[::-1], person * 5 + shot % 5, np.uint8))
                held = io.BytesIO()
                image.save(held, kind if kind != "PGM" else "PPM")
                archive.writestr(f"{prefix}s{person}/{shot}.pgm", held.getvalue())
        archive.writestr("README", "no image")
    return path


def test_the_table_is_the_published_one(faces):
    assert faces.images.shape == (400, 1, 112, 92)
    assert faces.fingerprint == registry()["att_faces"]["fingerprint"]
    assert torch.equal(faces.labels, torch.arange(40).repeat_interleave(10))
    assert torch.equal(faces.sources, torch.arange(10).repeat(40))
    assert faces.file_names[0] == "s1/1.pgm"
    assert faces.file_names[-1] == "s40/10.pgm"
    assert len(faces.images.flatten(1).unique(dim=0)) == 400


@pytest.mark.parametrize(("test", "train"), [(10, 25), (5, 30), (20, 15)])
@pytest.mark.parametrize("seed", range(3))
def test_nobody_is_on_two_sides(faces, test, train, seed):
    splits = AttFaces(val=5, test=test, split_seed=seed).split(faces)
    people = [set(part.labels.tolist()) for part in (splits.train, splits.val, splits.test)]
    assert [len(part) for part in people] == [train, 5, test]
    assert len(set.union(*people)) == 40
    rows = [{bytes(image.numpy().tobytes()) for image in part.images} for part in (splits.train, splits.test)]
    assert not rows[0] & rows[1]


def test_the_leaking_split_says_so_in_every_name(faces):
    splits = AttFaces(leaking=True).split(faces)
    assert len(splits.train) == len(splits.test) == 400
    assert all("leaking" in part.name for part in (splits.train, splits.val, splits.test))


@pytest.mark.parametrize("prefix", ["", "orl_faces/"])
def test_a_zip_with_or_without_a_folder_is_read(tmp_path, monkeypatch, prefix):
    path = small_zip(tmp_path / "att_faces.zip", prefix=prefix)
    monkeypatch.setattr(att_faces, "fetch", lambda *_: path)
    table = att_faces._decode()
    assert len(table) == 400
    assert table.images[0].unique().tolist() == [6]


@pytest.mark.parametrize("wrong", [{"people": 39}, {"shots": 9}, {"size": (46, 56)}])
def test_other_images_are_refused(tmp_path, monkeypatch, wrong):
    monkeypatch.setattr(att_faces, "fetch", lambda *_: small_zip(tmp_path / "att_faces.zip", **wrong))
    with pytest.raises(DataError, match="not ten of 92x112 of each of 40 people"):
        att_faces._decode()


def test_other_faces_of_the_same_shape_are_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("SIAMESE_DATA", str(tmp_path))
    monkeypatch.setattr(att_faces, "fetch", lambda *_: small_zip(tmp_path / "att_faces.zip"))
    with pytest.raises(DataError, match="not the published ones"):
        AttFaces().load()


def test_a_damaged_zip_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "att_faces.zip"
    path.write_bytes(small_zip(tmp_path / "whole.zip").read_bytes()[:5000])
    monkeypatch.setattr(att_faces, "fetch", lambda *_: path)
    with pytest.raises(DataError, match="not the whole zip"):
        att_faces._decode()


def test_the_stand_in_is_split_alike():
    stand_in = AttFaces(val=4, test=7, split_seed=3).stand_in()
    assert (stand_in.val, stand_in.test, stand_in.split_seed) == (4, 7, 3)
    assert type(stand_in).__name__ == "Cartoons"
