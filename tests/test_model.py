"""A checkpoint becomes a model that embeds, compares and decides as the system it was saved from."""

import dataclasses
import pickle
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
import yaml
from PIL import Image

import siamese
from siamese.augment import Affine
from siamese.datasets.base import DataSet, Splits, preprocessing_entry
from siamese.datasets.pictures import BadImage, Preprocessing
from siamese.errors import UserError
from siamese.evaluation.calibration import OperatingPoint
from siamese.losses import Contrastive
from siamese.model import Model
from siamese.networks import Compact
from siamese.sampling.batches import ClassBatches
from siamese.similarity import Euclidean
from siamese.systems import FewShotData, Siamese
from siamese.tables import Table

CONFIG: dict[str, Any] = {
    "network": {
        "class_path": "siamese.networks.Compact",
        "init_args": {"widths": [4, 8], "embedding_size": 6, "image_size": 20},
    },
    "loss": {"class_path": "siamese.losses.Contrastive", "init_args": {"margin": 1.0}},
    "similarity": None,
}
POINT = OperatingPoint(-0.5, 0.01, 3.0, 1.5, "att-faces", "f" * 64, 5, 4950)


class Other(Euclidean):
    """A similarity of the user's own."""


class Own(DataSet):
    """A table of four groups, whose image files have dark ink."""

    def __init__(self, table: Table) -> None:
        self.table = table

    def load(self) -> Table:
        return self.table

    def split(self, table: Table) -> Splits:
        train, val, test = (table.of_groups([f"group {n}" for n in part]) for part in ((0, 1), (2,), (3,)))
        return Splits(train, val, test)

    def preprocessing(self, table: Table) -> Preprocessing:
        return dataclasses.replace(super().preprocessing(table), invert=True)


def system() -> Siamese:
    """One that has seen something: its batch norms have statistics of their own."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = Siamese(Compact((4, 8), 6, image_size=20), Contrastive())
        made(torch.rand(50, 1, 20, 20))
    return made


@pytest.fixture
def save(tmp_path, tiny) -> Callable[..., Path]:
    """Writes a checkpoint as a training does; its parts can be given."""

    def write(name: str = "best.ckpt", weights: Any = None, config: Any = CONFIG, **about: Any) -> Path:
        entry = preprocessing_entry(Own(tiny), tiny, 20)
        held = {"config": yaml.safe_dump({"model": config}), "dataset": "tiny", "preprocessing": entry} | about
        weights = system().state_dict() if weights is None else weights
        held = {key: value for key, value in held.items() if value is not None}
        torch.save({"state_dict": weights, "siamese": held}, tmp_path / name)
        return tmp_path / name

    return write


@pytest.fixture
def model(save) -> Model:
    return Model.load(save(operating_point=dataclasses.asdict(POINT)), "cpu")


@pytest.fixture
def files(tmp_path, tiny) -> list[Path]:
    """The first images of the table as a person has them: dark ink on light paper."""
    (tmp_path / "files").mkdir()
    paths = [tmp_path / "files" / f"{row}.png" for row in range(6)]
    for path, image in zip(paths, tiny.images, strict=False):
        Image.fromarray(255 - image[0].numpy()).save(path)
    return paths


@pytest.mark.filterwarnings("ignore:.*IterableDataset")
def test_embeddings_are_those_of_the_system_in_its_data_module(model, tiny, tmp_path):
    data = FewShotData(Own(tiny), ClassBatches(4, 2, None, 1), Affine(), image_size=20)
    trainer = pl.Trainer(
        default_root_dir=tmp_path, accelerator="cpu", logger=False, enable_progress_bar=False,
        enable_checkpointing=False, enable_model_summary=False,
    )  # fmt: skip
    expected = torch.cat(trainer.predict(system(), datamodule=data))
    test = Own(tiny).split(tiny).test
    found = model.embed(test.images)
    assert found.dtype == torch.float32
    assert found.shape == (len(test), 6)
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)
    assert torch.equal(found, model.embed(test.images))


def test_files_images_and_arrays_embed_as_their_rows_of_the_table(model, tiny, files):
    rows = model.embed(tiny.images[:6])
    opened = [Image.open(path) for path in files]
    assert torch.equal(model.embed(files), rows)
    assert torch.equal(model.embed(opened), rows)
    assert torch.equal(model.embed([np.asarray(image) for image in opened]), rows)
    assert model.embed([]).shape == (0, 6)


def test_what_a_model_says_of_itself(save, model):
    assert model.embedding_size == 6
    assert isinstance(model.similarity, Euclidean)
    assert model.preprocessing == Preprocessing(28, 28, invert=True, fit="stretch")
    assert (model.image_size, model.dataset, model.operating_point) == (20, "tiny", POINT)
    assert model.path == save()
    assert siamese.Model is Model


def test_broken_files_are_raised_or_collected(model, files):
    files[2].write_bytes(b"")
    with pytest.raises(BadImage, match=r"2\.png: is empty"):
        model.embed(files)
    embeddings, kept, broken = model.embed_files(files)
    assert kept == [path for path in files if path != files[2]]
    assert [error.where for error in broken] == [str(files[2])]
    assert torch.equal(embeddings, model.embed(kept))


def test_many_files_are_read_by_and_by(model, files, monkeypatch):
    files[2].write_bytes(b"")
    whole = model.embed_files(files)
    monkeypatch.setattr("siamese.model.MEMORY", 1)
    monkeypatch.setattr("siamese.model.BATCH", 2)
    held = []
    read = siamese.model.read_images

    def noted(paths, *more, **named):
        held.append(len(paths))
        return read(paths, *more, **named)

    monkeypatch.setattr("siamese.model.read_images", noted)
    embeddings, kept, broken = model.embed_files(files)
    assert max(held) == 2 and sum(held) == len(files)
    assert kept == whole[1] and len(broken) == 1
    torch.testing.assert_close(embeddings, whole[0])
    assert model.embed_files([])[0].shape == (0, model.embedding_size)


@pytest.mark.parametrize(
    "images",
    [torch.zeros(2, 1, 28, 28), torch.zeros(1, 28, 28, dtype=torch.uint8), torch.zeros(2, 3, 28, 28).byte(), "a.png"],
)
def test_what_cannot_be_embedded(model, images):
    with pytest.raises(UserError):
        model.embed(images)


def test_verdicts(save, model, files):
    first, second = files[:2]
    a, b = model.embed([first, second])
    score = -float(torch.linalg.vector_norm(a - b))
    assert score != 0
    found = model.verify(first, Image.open(second))
    assert found.score == pytest.approx(score, abs=1e-6)
    assert found.same == (found.score >= -0.5)
    assert found.probability == pytest.approx(1 / (1 + np.exp(-(3 * score + 1.5))), abs=1e-6)
    assert (found.threshold, found.threshold_from) == (
        -0.5,
        "FAR 1 % on 4,950 pairs of 5 validation classes of att-faces",
    )
    assert model.verify(first, second, threshold=found.score).same
    assert not model.verify(first, second, threshold=found.score + 1e-6).same
    assert "given" in model.verify(first, second, threshold=0.0).threshold_from
    assert model.verify(first, first).score == 0
    without = Model.load(save(), "cpu")
    with pytest.raises(UserError, match="holds no threshold"):
        without.verify(first, second)
    assert without.verify(first, second, threshold=-9.0).probability is None
    assert without.probability(torch.zeros(3)) is None
    assert model.probability(torch.zeros(2, 3)).shape == (2, 3)


def test_the_fingerprint_is_of_all_that_embeddings_and_scores_depend_on(save, model, tmp_path):
    assert Model.load(save("same.ckpt", dataset="other"), "cpu").fingerprint == model.fingerprint
    changed = system().state_dict()
    changed["network.blocks.0.2.running_mean"][0] += 1e-6
    entry = {"height": 28, "width": 28, "colour": False, "invert": True, "fit": "stretch", "image_size": 20}
    others = [
        save("1.ckpt", changed),
        save("2.ckpt", preprocessing=entry | {"invert": False}),
        save("3.ckpt", preprocessing=entry | {"image_size": 19}),
        save("4.ckpt", config=CONFIG | {"similarity": {"class_path": "test_model.Other"}}),
    ]
    prints = {Model.load(path, "cpu").fingerprint for path in others} | {model.fingerprint}
    assert len(prints) == 5
    assert all(len(each) == 64 for each in prints)


@pytest.mark.parametrize(
    ("about", "sentence"),
    [
        ({"preprocessing": None}, "does not say how to preprocess images for it .*train or evaluate anew"),
        ({"preprocessing": {"height": 28, "width": 28, "image_size": 20, "sharpen": True}}, "another version"),
        ({"preprocessing": {"height": 28, "width": 28}}, "another version"),
        ({"operating_point": {"threshold": 1.0}}, "another version"),
    ],
)
def test_checkpoints_that_cannot_be_used(save, about, sentence):
    with pytest.raises(UserError, match=sentence):
        Model.load(save(**about), "cpu")


class Harm:
    """What a pickle of strangers may do."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_no_code_in_a_checkpoint_is_run(tmp_path, save):
    harmed, content = tmp_path / "harmed", torch.load(save(), weights_only=True)
    content["siamese"]["version"] = Harm(harmed)
    torch.save(content, tmp_path / "bad.ckpt")
    (tmp_path / "bad.pkl").write_bytes(pickle.dumps(Harm(harmed), protocol=2))
    for name in ("bad.ckpt", "bad.pkl", "none.ckpt", ""):
        with pytest.raises(UserError, match=re.escape(str(tmp_path / name))):
            Model.load(tmp_path / name)
    assert not harmed.exists()


def test_a_device_that_is_not_there_and_embeddings_that_are_no_numbers(save, files):
    with pytest.raises(UserError, match="there is no device abacus"):
        Model.load(save(), "abacus")
    weights = system().state_dict()
    weights["network.embed.bias"].fill_(torch.nan)
    with pytest.raises(UserError, match="not finite"):
        Model.load(save(weights=weights), "cpu").embed(files)


def test_tables_that_no_image_file_is_comparable_with(tiny):
    odd = dataclasses.replace(tiny, images=tiny.images.repeat(1, 2, 1, 1))
    assert preprocessing_entry(Own(odd), odd, 20) is None


def test_the_package_itself_is_imported_at_once():
    code = "import sys, siamese; assert 'torch' not in sys.modules; siamese.Model; siamese.Nobody"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "AttributeError: module 'siamese' has no attribute 'Nobody'" in done.stderr
