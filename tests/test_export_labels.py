"""The ONNX file of a network that knows classes or labels gives their probabilities and their names."""

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from PIL import Image
from pytorch_metric_learning.losses import ArcFaceLoss, ProxyAnchorLoss, SupConLoss
from torch import nn

from siamese.__main__ import main
from siamese.checkpoints import KnownLabels
from siamese.datasets.pictures import Preprocessing
from siamese.errors import UserError
from siamese.export import Exported, export_onnx, metadata
from siamese.losses import BinaryLabels, CategoricalLabels, MetricLearning, PartLabels, Softmax
from siamese.model import Model
from siamese.networks import Compact, Whitened
from siamese.systems import Siamese

KNOWN = KnownLabels(("a", "b", "ö"), 0.4, (0.3, 0.5, 0.25))


def model_of(loss: nn.Module, **options) -> Model:
    """One that has seen something: its batch norms have statistics of their own."""
    torch.manual_seed(0)
    network = Compact((4, 8), 6, image_size=20)
    with torch.no_grad():
        network.train()(torch.rand(30, 1, 20, 20))
    return Model(Path("best.ckpt"), Siamese(network, loss), Preprocessing(20, 20), None, "tiny", **options)


@pytest.fixture
def images(tmp_path) -> list[Path]:
    paths = [tmp_path / f"{number}.png" for number in range(5)]
    for path in paths:
        Image.effect_noise((20, 20), 80).save(path)
    return paths


def exported(model: Model, images: list[Path], to: Path) -> tuple[np.ndarray, np.ndarray, dict[str, str]]:
    assert export_onnx(model, to, images) <= 1e-4
    session = onnxruntime.InferenceSession(str(to), providers=["CPUExecutionProvider"])
    assert [each.name for each in session.get_outputs()] == ["embeddings", "probabilities"]
    pixels = np.stack([model.preprocessing.pixels(path) for path in images])
    embeddings, said = session.run(None, {"images": pixels})
    return embeddings, said, {entry.key: entry.value for entry in onnx.load(to).metadata_props}


@pytest.mark.parametrize(
    "loss",
    [lambda: BinaryLabels(3, 6), lambda: CategoricalLabels(3, 6), lambda: PartLabels(3, 6, parts=2)],
    ids=["binary", "categorical", "parts"],
)
def test_probabilities_of_labels(tmp_path, images, loss):
    taught = loss()
    with torch.no_grad():
        taught.linear.weight.mul_(20)
        taught.temperature.fill_(0.7)
    model = model_of(taught, labels=KNOWN)
    embeddings, said, held = exported(model, images, tmp_path / "model.onnx")
    expected = model.label_probabilities(model.embed(images))
    assert said.dtype == np.float32 and said.shape == (5, 3) and embeddings.shape == (5, 6)
    assert expected is not None and np.abs(said - expected.numpy()).max() <= 1e-4
    assert json.loads(held["labels"]) == ["a", "b", "ö"] and "classes" not in held
    assert (float(held["label_threshold"]), json.loads(held["label_thresholds"])) == (0.4, [0.3, 0.5, 0.25])
    assert "threshold" not in held  # which would be that of pairs


@pytest.mark.parametrize(
    "loss",
    [
        lambda: Softmax(4, 6),
        lambda: MetricLearning(ArcFaceLoss(4, 6)),
        lambda: MetricLearning(ProxyAnchorLoss(4, 6)),
    ],
    ids=["softmax", "arcface", "proxies"],
)
def test_probabilities_of_classes(tmp_path, images, loss):
    torch.manual_seed(1)
    model = model_of(loss(), class_names=("w", "x", "y", "z"))
    embeddings, said, held = exported(model, images, tmp_path / "model.onnx")
    expected = model.class_probabilities(model.embed(images))
    assert said.dtype == np.float32 and said.shape == (5, 4) and embeddings.shape == (5, 6)
    assert expected is not None and np.abs(said - expected.numpy()).max() <= 1e-4
    assert json.loads(held["classes"]) == ["w", "x", "y", "z"] and "labels" not in held


def test_names_that_are_not_known_or_not_those_of_the_probabilities_are_left_out():
    for names in (None, ("w", "x")):
        assert "classes" not in metadata(model_of(Softmax(4, 6), class_names=names))
    assert "classes" not in metadata(model_of(MetricLearning(SupConLoss()), class_names=("w", "x")))
    assert "labels" not in metadata(model_of(BinaryLabels(3, 6)))


def test_wrong_probabilities_are_caught(tmp_path, images, monkeypatch):
    forward = Exported.forward

    def wrong(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        embeddings, said = forward(self, images)
        return embeddings, said + 3e-4

    monkeypatch.setattr(Exported, "forward", wrong)
    with pytest.raises(UserError, match=r"differs from the trained one by 3\.0e-04"):
        export_onnx(model_of(Softmax(4, 6)), tmp_path / "model.onnx", images)
    assert not (tmp_path / "model.onnx").exists()


def test_a_loss_that_was_taught_another_embedding_says_nothing(tmp_path, images):
    network = Whitened(Compact((4, 8), 6, image_size=20))
    drawn = torch.rand(30, 1, 20, 20)
    with torch.no_grad():
        network.train().head(drawn)
        network.fit([(drawn, torch.arange(30) // 3)], [drawn])
    system = Siamese(network, Softmax(4, network.head_size))
    model = Model(Path("best.ckpt"), system, Preprocessing(20, 20), None, "tiny", class_names=tuple("wxyz"))
    assert export_onnx(model, tmp_path / "model.onnx", images) <= 1e-4
    session = onnxruntime.InferenceSession(str(tmp_path / "model.onnx"), providers=["CPUExecutionProvider"])
    assert [each.name for each in session.get_outputs()] == ["embeddings"] and "classes" not in metadata(model)


def test_a_checkpoint_keeps_the_names_of_the_classes_that_its_loss_knows(best, tmp_path):
    loss = {"class_path": "siamese.losses.Softmax", "init_args": {"classes": 36, "embedding_size": 16}}
    options = ["--model.loss", json.dumps(loss), "--runs", str(tmp_path), "--trainer.max_epochs", "1"]
    assert main(["fit", "--config", "tests/tiny.yaml", *options]) == 0
    path = (tmp_path / "tiny-glyphs" / "latest").resolve() / "checkpoints" / "best.ckpt"
    model = Model.load(path, "cpu")
    assert model.class_names is not None and len(model.class_names) == len(set(model.class_names)) == 36
    content = torch.load(path, weights_only=True)
    assert content["siamese"].pop("class_names") == list(model.class_names)
    torch.save(content, tmp_path / "earlier.ckpt")
    assert Model.load(tmp_path / "earlier.ckpt", "cpu").class_names is None
    assert "class_names" not in torch.load(best, weights_only=True)["siamese"]
    assert Model.load(best, "cpu").class_names is None
