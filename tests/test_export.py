"""An ONNX file gives the embeddings of the model it was made of, or there is none."""

import json
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from PIL import Image
from torch import nn

from siamese import export
from siamese.datasets.pictures import BadImage, Preprocessing
from siamese.errors import UserError
from siamese.evaluation.calibration import OperatingPoint
from siamese.export import Exported, export_onnx, main
from siamese.losses import Binary, Contrastive
from siamese.model import Model
from siamese.networks import Committee, Compact, Koch, Tutorial, Whitened
from siamese.systems import Siamese
from siamese.tables import resized_images

SMALL = Preprocessing(28, 24, invert=True)
POINT = OperatingPoint(-0.5, 0.01, 3.0, 1.5, "tiny", "f" * 64, 5, 4950)


@pytest.fixture(autouse=True)
def own_data(tmp_path_factory, monkeypatch) -> None:
    monkeypatch.setenv("SIAMESE_DATA", str(tmp_path_factory.mktemp("data")))


def model_of(network: nn.Module, preprocessing: Preprocessing, size: int | None, loss=None, point=None) -> Model:
    """One that has seen something: its batch norms have statistics of their own."""
    with torch.no_grad():
        height, width = (size, size) if size else (preprocessing.height, preprocessing.width)
        images = torch.rand(30, preprocessing.channels, height, width)
        if isinstance(network, Whitened):
            network.train().head(images)
            network.fit([(images, torch.arange(30) // 3)], [images])
        network.train()(images)
    return Model(Path("best.ckpt"), Siamese(network, loss or Contrastive()), preprocessing, size, "tiny", point)


def small() -> Model:
    torch.manual_seed(0)
    return model_of(Compact((4, 8), 6, image_size=20), SMALL, 20, point=POINT)


@pytest.fixture
def images(tmp_path) -> list[Path]:
    (tmp_path / "images").mkdir()
    paths = [tmp_path / "images" / f"{number}.png" for number in range(5)]
    for path in paths:
        Image.effect_noise((40, 30), 80).save(path)
    return paths


@pytest.mark.parametrize(
    ("height", "width", "size"), [(105, 105, 35), (105, 105, 28), (112, 92, 64), (30, 20, 13), (20, 20, 20)]
)
def test_shrinking_is_rounded_as_tables_are(height, width, size):
    """Also where a mean lies halfway between two numbers, as the means of black and white often do."""
    draw = np.random.default_rng(0)
    pixels = draw.integers(0, 256, (64, 1, height, width), dtype=np.uint8)
    pixels[32:] = (pixels[32:] > 127) * 255
    images = torch.from_numpy(pixels)
    model = model_of(_Flat(), Preprocessing(height, width), size)
    expected = resized_images(images, size).float().flatten(1) / 255
    assert torch.equal(Exported(model)(images)[0], expected)


class _Flat(nn.Module):
    embedding_size = 1

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.flatten(1)


@pytest.mark.parametrize(
    ("network", "preprocessing", "size"),
    [
        (lambda: Compact((8, 16), 32, image_size=35), Preprocessing(105, 105, invert=True, fit="stretch"), 35),
        (lambda: Compact((8, 16), 32, channels=3, image_size=40), Preprocessing(112, 92, colour=True), 40),
        (lambda: Compact((8, 16), 32, image_size=28), Preprocessing(28, 28), 28),
        (Tutorial, Preprocessing(112, 92, fit="stretch"), None),
        (Koch, Preprocessing(105, 105, invert=True), 105),
        (
            lambda: Whitened(Committee(Compact((8, 16), 8, image_size=35, standardise=True, mirrored=True), 2)),
            Preprocessing(112, 92, fit="stretch"),
            35,
        ),
    ],
    ids=["compact", "colour", "not resized", "of its own size", "koch", "whitened"],
)
def test_onnxruntime_gives_the_embeddings_of_the_model(tmp_path, images, network, preprocessing, size):
    torch.manual_seed(0)
    model = model_of(network(), preprocessing, size, Binary())
    difference = export_onnx(model, tmp_path / "out" / "model.onnx", images)
    assert difference <= 1e-4
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["model.onnx"]  # one file, nothing beside it
    session = onnxruntime.InferenceSession(str(tmp_path / "out" / "model.onnx"), providers=["CPUExecutionProvider"])
    (given,), (gives,) = session.get_inputs(), session.get_outputs()
    assert (given.name, given.type, given.shape[1:]) == (
        "images", "tensor(uint8)", [preprocessing.channels, preprocessing.height, preprocessing.width],
    )  # fmt: skip
    assert (gives.name, gives.type) == ("embeddings", "tensor(float)")
    pixels = np.stack([preprocessing.pixels(path) for path in images])
    for count in (1, 5):
        (found,) = session.run(None, {"images": pixels[:count]})
        torch.testing.assert_close(torch.from_numpy(found), model.embed(images[:count]), atol=1e-4, rtol=0)


def test_generated_characters_check_it_where_no_images_are_given(tmp_path):
    assert 0 <= export_onnx(small(), tmp_path / "model.onnx") <= 1e-4


def test_what_the_file_says_of_itself(tmp_path, images):
    model = small()
    export_onnx(model, tmp_path / "model.onnx", images)
    held = {entry.key: entry.value for entry in onnx.load(tmp_path / "model.onnx").metadata_props}
    assert held["fingerprint"] == model.fingerprint
    assert held["dataset"] == "tiny"
    assert json.loads(held["preprocessing"]) == {
        "height": 28, "width": 24, "colour": False, "invert": True, "fit": "pad", "image_size": 20,
    }  # fmt: skip
    assert (held["similarity"], float(held["threshold"])) == ("Euclidean", -0.5)
    assert json.loads(held["calibration"]) == {"slope": 3.0, "intercept": 1.5}
    assert "4,950 pairs" in held["threshold_from"]
    learned = model_of(Compact((4,), 3, image_size=20), SMALL, 20, Binary())
    weights = json.loads(export.metadata(learned)["similarity_weights"])
    assert torch.equal(torch.tensor(weights["alpha"]), learned.similarity.alpha)
    assert "threshold" not in export.metadata(learned)


def test_a_wrong_export_is_caught_and_leaves_what_was_there(tmp_path, images, monkeypatch):
    class Wrong(Exported):
        def __init__(self, model: Model) -> None:
            super().__init__(model)
            self.network.embed.bias[0] += 3e-4

    monkeypatch.setattr(export, "Exported", Wrong)
    (tmp_path / "out").mkdir()
    with pytest.raises(UserError, match=r"differs from the trained one by 3\.0e-04"):
        export_onnx(small(), tmp_path / "out" / "model.onnx", images)
    assert list((tmp_path / "out").iterdir()) == []
    (tmp_path / "out" / "model.onnx").write_text("earlier")
    with pytest.raises(UserError):
        export_onnx(small(), tmp_path / "out" / "model.onnx", images)
    assert (tmp_path / "out" / "model.onnx").read_text() == "earlier"
    monkeypatch.setattr(export, "_difference", lambda *_: float("nan"))
    with pytest.raises(UserError):
        export_onnx(small(), tmp_path / "out" / "model.onnx", images)


def test_a_network_on_enlarged_images_is_checked_as_well_and_told_why_it_may_differ(tmp_path, images, monkeypatch):
    model = model_of(Compact((4, 8), 6, image_size=40), SMALL, 40)
    monkeypatch.setattr(export, "TOLERANCE", 1e-2)  # means of 4 pixels rounded elsewhere, not another image
    assert export_onnx(model, tmp_path / "model.onnx", images) <= 1e-2
    monkeypatch.setattr(export, "TOLERANCE", -1.0)
    with pytest.raises(UserError, match=r"enlarged to 40 pixels, .* trained with data\.image_size 24"):
        export_onnx(model, tmp_path / "model.onnx", images)


def test_a_network_that_cannot_be_exported_and_packages_that_are_missing(tmp_path, images, monkeypatch):
    class Branching(_Flat):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return images.flatten(1) if images.sum() > 0 else -images.flatten(1)

    with pytest.raises(UserError, match="Branching cannot be exported: "):
        export_onnx(model_of(Branching(), SMALL, 20), tmp_path / "model.onnx", images)
    with pytest.raises(BadImage, match="no such file"):
        export_onnx(small(), tmp_path / "model.onnx", [tmp_path / "none.png"])
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(UserError, match=r"pip install 'siamese\[export\]'"):
        export_onnx(small(), tmp_path / "model.onnx", images)
    assert not (tmp_path / "model.onnx").exists()


def test_the_command(untrained, tmp_path, images, capsys):
    to = tmp_path / "model.onnx"
    assert main(["--model", str(untrained), "--to", str(to), "--images", str(tmp_path / "images")]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[1:] == [SMALL.input_text]
    assert f"{to}: differs from the trained network by at most" in said[0]
    assert "on 5 images" in said[0]
    assert to.exists()
