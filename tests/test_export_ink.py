"""The ONNX file of a network trained on ink normalises it itself, whatever its size, and says what it takes."""

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from PIL import Image

from siamese.datasets.pictures import BadImage, Preprocessing
from siamese.export import EXAMPLE, Exported, export_onnx, main
from siamese.ink import Ink
from siamese.losses import Contrastive
from siamese.model import Model
from siamese.networks import Compact
from siamese.systems import Siamese
from tests.ink.pages import drawing, page, photographed

INKS = [Ink(), Ink(aspect=0.25, slant=0.5, pen=(0.06, 0.08))]


@pytest.fixture(autouse=True)
def own_data(tmp_path_factory, monkeypatch) -> None:
    monkeypatch.setenv("SIAMESE_DATA", str(tmp_path_factory.mktemp("data")))


def model_of(ink: Ink) -> Model:
    """One that has seen something: its batch norms have statistics of their own."""
    torch.manual_seed(0)
    network = Compact((4, 8), 6, image_size=36)
    with torch.no_grad():
        network.train()(torch.rand(30, 1, 36, 36))
    return Model(Path("best.ckpt"), Siamese(network, Contrastive()), Preprocessing(36, 36, ink=ink), None, "tiny")


def session_of(path: Path) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


@pytest.fixture
def files(tmp_path) -> list[Path]:
    """Drawings of many sizes: dark and light ink, on paper that a program drew or a camera saw, larger than is kept."""
    large = drawing((500, 700), (100, 60), 380, 9)
    pictures = [
        page(drawing()),
        page(drawing((40, 55), (5, 5), 30, 2)),
        page(drawing(), 30, 220),
        page(large),
        photographed(large),
        page(drawing(pen=14)),
    ]
    paths = [tmp_path / "drawings" / f"{number}.png" for number in range(len(pictures))]
    paths[0].parent.mkdir()
    for path, picture in zip(paths, pictures, strict=True):
        Image.fromarray(picture).save(path)
    return paths


@pytest.mark.parametrize("ink", INKS, ids=["plain", "all options"])
def test_the_graph_normalises_ink_of_any_size(tmp_path, files, ink):
    model = model_of(ink)
    assert export_onnx(model, tmp_path / "model.onnx", files) <= 1e-4
    session = session_of(tmp_path / "model.onnx")
    (given,) = session.get_inputs()
    assert (given.name, given.type, given.shape) == ("images", "tensor(float)", ["batch", 1, "height", "width"])
    for file, expected in zip(files, model.embed(files), strict=True):
        found = model.preprocessing.found_ink(file)
        assert found.dtype == np.float32 and found.max() == pytest.approx(1)
        (one,) = session.run(None, {"images": found[None, None]})
        torch.testing.assert_close(torch.from_numpy(one[0]), expected, atol=1e-4, rtol=0)
    same = np.stack([model.preprocessing.found_ink(file) for file in (files[0], files[5], files[0])])[:, None]
    (several,) = session.run(None, {"images": same})
    torch.testing.assert_close(
        torch.from_numpy(several), model.embed([files[0], files[5], files[0]]), atol=1e-4, rtol=0
    )


@pytest.mark.parametrize("ink", INKS, ids=["plain", "all options"])
def test_what_the_graph_begins_with_are_the_pixels_of_the_preprocessing(files, ink):
    model = model_of(ink)
    for file in files:
        exported = Exported(model)
        exported.network = torch.nn.Flatten()
        (seen,) = exported(torch.from_numpy(model.preprocessing.found_ink(file))[None, None])
        pixels = torch.from_numpy(model.preprocessing.pixels(file)).float().flatten()[None] / 255
        assert torch.equal(seen, pixels)


def test_the_example_is_all_it_takes(tmp_path, monkeypatch, files):
    """Its text as it stands in the help, which needs nothing of this project."""
    assert len(EXAMPLE.splitlines()) <= 12 and "siamese" not in EXAMPLE
    monkeypatch.chdir(tmp_path)
    model = model_of(INKS[0])
    export_onnx(model, Path("model.onnx"), files)
    for number, picture in enumerate((drawing((200, 256), (40, 30), 150, 6), drawing((90, 60), (5, 20), 50, 3) * 0.8)):
        Image.fromarray(page(picture)).save("drawing.png")
        held: dict = {}
        exec(EXAMPLE, held)
        assert held["embedding"].shape == (1, 6), number
        expected = model.embed([Path("drawing.png")])
        torch.testing.assert_close(torch.from_numpy(held["embedding"]), expected, atol=1e-4, rtol=0)


def test_generated_characters_check_it_and_what_has_no_ink_is_left_out(tmp_path, files, capsys):
    model = model_of(INKS[0])
    assert 0 <= export_onnx(model, tmp_path / "model.onnx") <= 1e-4
    Image.new("L", (50, 40), 255).save(tmp_path / "blank.png")
    export_onnx(model, tmp_path / "model.onnx", [*files, tmp_path / "blank.png"])
    assert "left out" in (said := capsys.readouterr().err) and "blank.png: is blank" in said
    with pytest.raises(BadImage, match="is blank"):
        export_onnx(model, tmp_path / "model.onnx", [tmp_path / "blank.png"])
    for call in (model.preprocessing.found_ink, model.preprocessing.pixels):
        with pytest.raises(BadImage, match="no such file"):
            call(tmp_path / "none.png")


def test_the_file_says_what_it_takes(tmp_path, files):
    model = model_of(INKS[0])
    export_onnx(model, tmp_path / "model.onnx", files)
    held = {entry.key: entry.value for entry in onnx.load(tmp_path / "model.onnx").metadata_props}
    assert held["input"] == model.preprocessing.input_text
    assert held["input"].startswith("images: float32 [N, 1, H, W] from 0 (paper) to 1 (ink)")
    assert json.loads(held["preprocessing"])["ink"]["spread"] == 0.208


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (Preprocessing(28, 24, invert=True), ["uint8 [N, 1, 28, 24]", "grey", "fit into 28 x 24", "255 - level"]),
        (
            Preprocessing(9, 8, colour=True, fit="stretch"),
            ["uint8 [N, 3, 9, 8]", "RGB", "exactly 9 x 8", "as they are"],
        ),
    ],
)
def test_what_a_network_on_pixels_takes(made, words):
    assert all(word in made.input_text for word in words)


def test_the_help_tells_both_inputs(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    said = capsys.readouterr().out
    assert "float32 [N, 1, H, W]" in said and "uint8 [N, C, height, width]" in said
    assert "python -m siamese export --model" in said
    assert all(line.strip() in said for line in EXAMPLE.splitlines())
