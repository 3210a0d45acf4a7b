"""``predict-labels`` with a network taught labels for a moment: what it says, draws and exits with."""

import contextlib
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from matplotlib.colors import to_hex
from PIL import Image

from siamese.__main__ import main
from siamese.datasets.base import DataSet, Splits
from siamese.datasets.pictures import Preprocessing
from siamese.losses import CategoricalLabels
from siamese.model import Model
from siamese.networks import Residual
from siamese.plots.labels import LINES, MOST, told_sheet
from siamese.plots.style import MUTED, RIGHT, save
from siamese.systems import Siamese
from siamese.tables import Table

COLOURS = ("red", "green", "modrá")


class Squares(DataSet):
    """Images of up to three squares, each of its own colour, that carry the labels of the colours that they show.

    Args:
        seed: of the drawing.
    """

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed

    def load(self) -> Table:
        count, draw = 240, torch.Generator().manual_seed(self.seed)
        targets = torch.rand(count, 3, generator=draw) < 0.5
        images = torch.randint(60, (count, 3, 16, 16), dtype=torch.uint8, generator=draw)
        for row, colour in targets.nonzero().tolist():
            y, x = torch.randint(8, (2,), generator=draw).tolist()
            images[row, colour, y : y + 8, x : x + 8] = 255
        nothing, names = torch.zeros(count, dtype=torch.int64), tuple(f"{row}.png" for row in range(count))
        sources = torch.arange(count) % 6 // 4 + torch.arange(count) % 6 // 5
        return Table("squares", images, nothing, nothing, sources, COLOURS, ("all",), names, targets)

    def split(self, table: Table) -> Splits:
        return Splits(*(table.of_sources([part]) for part in range(3)), closed=True)


def run_of(folder: Path) -> tuple[Path, str]:
    """The folder of a training of a few seconds, and what it said."""
    loss = {"class_path": "siamese.losses.BinaryLabels", "init_args": {"labels": 3, "embedding_size": 16}}
    network = {"class_path": "siamese.networks.Residual", "init_args": {"widths": [8, 16]}}
    sampler = {"class_path": "siamese.sampling.batches.Shuffled", "init_args": {"batch": 32}}
    config = {
        "experiment": "labels",
        "model": {"network": network, "loss": loss},
        "data": {
            "source": f"{__name__}.Squares",
            "sampler": sampler,
            "augment": None,
            "image_size": None,
            "val_batches": 1,
        },
        "checkpoint": {"monitor": "val/map", "mode": "max"},
        "trainer": {"max_epochs": 8, "accelerator": "cpu", "callbacks": [{"class_path": "siamese.evaluation.Labels"}]},
    }
    (folder / "labels.yaml").write_text(yaml.safe_dump(config))
    with contextlib.redirect_stdout(io.StringIO()) as said:
        assert main(["fit", "--config", str(folder / "labels.yaml"), "--runs", str(folder)]) == 0
    return (folder / "labels" / "latest").resolve(), said.getvalue()


@pytest.fixture(scope="module")
def taught(tmp_path_factory) -> tuple[Path, str]:
    return run_of(tmp_path_factory.mktemp("taught"))


@pytest.fixture(scope="module")
def model(taught) -> Path:
    return taught[0] / "checkpoints" / "best.ckpt"


@pytest.fixture(scope="module")
def shown() -> Table:
    """Images that were never taught."""
    return Squares(seed=1).load()


@pytest.fixture
def images(shown, tmp_path) -> list[Path]:
    """Ten of them as files: one by itself, nine in folders."""
    paths = [tmp_path / "one 0.png", *(tmp_path / "more" / f"{row % 2}" / f"Ž {row}.png" for row in range(1, 10))]
    for row, path in enumerate(paths):
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(shown.images[row].movedim(0, -1).numpy()).save(path)
    return paths


def call(capsys, *arguments: object) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of the command."""
    capsys.readouterr()
    try:
        code = main(["predict-labels", *map(str, arguments)])
    except SystemExit as stop:  # argparse exits by itself
        code = int(str(stop.code))
    said = capsys.readouterr()
    assert "Traceback" not in said.err
    return code, said.out, said.err


def test_the_training_and_its_report_speak_of_labels(taught):
    run, said = taught
    assert "squares: 160 images of 3 labels;" in said
    assert "Labels on squares in %: 40 test images of 3 labels" in said
    found = json.loads((run / "results.json").read_text())["labels"]["predictors"]["this network"]
    assert found["decisions"]["at one threshold"]["exact_match"] > 0.8, "or the tests below compare nothing"
    page = (run / "report.html").read_text()
    assert "of the images have all labels right" in page and page.count("<img") == 3 and "More pictures" not in page


def test_as_json_every_label_of_every_image_is_told(model, images, shown, capsys):
    code, out, err = call(capsys, "--model", model, images[0], images[1].parents[1], "--json", "--top", 1)
    told = json.loads(out)
    loaded, stored = Model.load(model, "cpu"), torch.load(model, weights_only=True)["siamese"]["labels"]
    assert (code, err) == (0, "")
    assert {key: told[key] for key in ("schema", "command", "broken", "model")} == {
        "schema": 1, "command": "predict-labels", "broken": [], "model": loaded.fingerprint,
    }  # fmt: skip
    assert stored["names"] == list(COLOURS)
    right = 0
    assert sorted(each["file"] for each in told["images"]) == sorted(map(str, images))
    for each in told["images"]:
        row = int(each["file"][:-4].rpartition(" ")[2])
        embedding = loaded.embed(shown.images[row : row + 1])
        assert 0.05 < loaded.loss.temperature < 1, "it is surer on validation images than it was when it learned"
        expected = torch.sigmoid(loaded.loss.linear(embedding) / loaded.loss.temperature)[0]
        shares = [label["probability"] for label in each["labels"]]
        assert shares == sorted(shares, reverse=True)
        by_name = {label["name"]: label for label in each["labels"]}
        np.testing.assert_allclose([by_name[name]["probability"] for name in COLOURS], expected, atol=1e-5)
        assert [by_name[name]["threshold"] for name in COLOURS] == stored["thresholds"]
        assert all(label["said"] == (label["probability"] >= label["threshold"]) for label in each["labels"])
        right += [by_name[name]["said"] for name in COLOURS] == shown.targets[row].tolist()
    assert right >= 8


def test_people_get_the_likeliest_labels_and_a_picture_and_broken_files_are_named(model, images, tmp_path, capsys):
    (tmp_path / "more" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nhalf")
    sheet = tmp_path / "sheets" / "out.png"
    given = ("--model", model, images[0], tmp_path / "more")
    code, out, err = call(capsys, *given, "--top", 2, "--plot", sheet)
    lines = out.splitlines()
    assert code == 0 and err.count("left out") == 1 and "broken.png" in err
    assert lines[0].split() == ["image", "label", "probability", "threshold"]
    assert lines[1].startswith(str(images[0])) and lines[2].startswith(" ")
    told = json.loads(call(capsys, *given, "--json")[1])
    for line, label in zip(lines[1:3], told["images"][0]["labels"], strict=False):
        figures = (
            f"{label['name']} {label['probability']:.3f} {label['threshold']:.3f}{' said' if label['said'] else ''}"
        )
        assert " ".join(line.split()).endswith(figures)
    said = sum(label["said"] for each in told["images"] for label in each["labels"])
    assert len(lines) == 1 + 2 * 10 + 2
    assert lines[-2] == f"10 images: {said} labels said, 1 left out"
    assert [Path(each["file"]).name for each in told["broken"]] == ["broken.png"] and told["broken"][0]["reason"]
    with Image.open(sheet) as drawn:
        assert min(drawn.size) > 300


def test_whatever_is_wrong_is_told_in_a_sentence_with_exit_code_2(model, best, images, tmp_path, capsys):
    broken, damaged = tmp_path / "broken.png", tmp_path / "damaged.ckpt"
    broken.write_bytes(b"half")
    content = torch.load(model, weights_only=True)
    content["siamese"]["labels"]["thresholds"].pop()
    torch.save(content, damaged)
    for sentence, arguments in {
        "knows no labels; a model does that was trained with a loss such as siamese.losses.BinaryLabels": [
            best,
            images[0],
        ],
        "none of the images of": [model, broken],
        "there is no file or folder": [model, tmp_path / "nowhere.png"],
        "there is no checkpoint": [tmp_path / "no.ckpt", images[0]],
        "3 labels have 2 thresholds": [damaged, images[0]],
        "invalid whole number from 1 on value: '0'": [model, images[0], "--top", 0],
        "the following arguments are required: images": [model],
    }.items():
        code, out, err = call(capsys, "--model", *arguments)
        assert (code, out) == (2, ""), sentence
        assert sentence in err


def test_help_gives_an_example(capsys):
    code, out, _ = call(capsys, "--help")
    assert code == 0 and "example:\n  python -m siamese predict-labels --model" in out and "exit code: 0" in out


def test_the_program_writes_nothing_but_json_to_standard_output(model, images):
    command = [sys.executable, "-m", "siamese", "predict-labels", "--json", "--model", model, images[5]]
    environment = {**os.environ, "LC_ALL": "C", "PYTHONIOENCODING": "ascii"}
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=120, env=environment)
    assert done.returncode == 0, done.stderr
    (told,) = json.loads(done.stdout)["images"]
    assert {label["name"] for label in told["labels"]} == set(COLOURS)


def test_probabilities_are_of_labels_or_of_classes_never_of_both(model, best, tmp_path):
    labelled, plain = Model.load(model, "cpu"), Model.load(best, "cpu")
    assert labelled.labels.names == COLOURS and labelled.class_probabilities(torch.randn(4, 16)) is None
    assert plain.labels is plain.label_probabilities(torch.randn(4, 16)) is None
    shares = labelled.label_probabilities(torch.randn(4, 16))
    assert (
        shares.dtype == torch.float64
        and shares.shape == (4, 3)
        and not torch.allclose(shares.sum(1), torch.ones(()).double())
    )
    one = Model(tmp_path, Siamese(Residual([8, 16]), CategoricalLabels(3, 16)), Preprocessing(16, 16, True), None, "x")
    torch.testing.assert_close(one.label_probabilities(torch.randn(4, 16)).sum(1), torch.ones(4).double())


def test_a_sheet_shows_what_is_said_in_colour_and_the_rest_in_brackets(tmp_path):
    kinds = [np.zeros((28, 28), np.uint8), np.full((20, 90, 3), 200, np.uint8)]
    lines = [[("$a$", 0.9, True), ("b", 0.4, False), *[("c", 0.1, False)] * 9]] * 60
    figure = told_sheet([kinds[place % 2] for place in range(60)], ["a file.png"] * 60, lines, 61)
    drawn = [axes for axes in figure.axes if axes.images]
    assert len(drawn) == MOST and f"(the first {MOST} of 61)" in figure.texts[0].get_text()
    name, said, unsaid, *more = [(text.get_text(), to_hex(text.get_color())) for text in drawn[1].texts]
    assert (name[0], said, unsaid) == ("a file.png", ("$a$ 90 %", RIGHT), ("(b 40 %)", MUTED)) and len(
        more
    ) == LINES - 2
    save(figure, tmp_path / "a.png")
    assert "first" not in told_sheet(kinds, ["a", "b"], lines[:2], 2).texts[0].get_text()
