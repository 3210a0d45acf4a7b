"""Every YAML in experiments/ builds, trains two steps on a few generated images, and reports."""

import dataclasses
import json
from pathlib import Path

import pytest
import yaml
from PIL import Image

from siamese.__main__ import main
from siamese.datasets import vinyals
from siamese.datasets.att_faces import AttFaces
from siamese.datasets.base import DataSet, Splits
from siamese.datasets.cartoons import Cartoons
from siamese.datasets.cifar10 import Cifar10
from siamese.datasets.glyphs import Glyphs
from siamese.datasets.glyphs10 import Glyphs10
from siamese.datasets.minimal import Minimal
from siamese.datasets.mnist import FashionMnist, Mnist
from siamese.datasets.omniglot import Omniglot
from siamese.datasets.posters import FOLDER, SAMPLE_CSV
from siamese.errors import DataUnavailable
from siamese.evaluation import benchmark
from siamese.sampling.episodes import sample_episodes
from siamese.tables import Table
from tests.datasets.test_posters import jpeg, pack

YAMLS = sorted((Path(__file__).parents[1] / "experiments").glob("*.yaml"))
# Studies are lists of experiments, sweeps are variations on one, and what has no model is another look at a checkpoint.
EXPERIMENTS = [path for path in YAMLS if "model" in yaml.safe_load(path.read_text())]
SMALLER = {  # options for a class that the YAML names
    "PairBatches": ["--data.sampler.batch", "4"],  # 150,000 pairs are another matter
    "CifarTiles": ["--data.source.val_tiles", "20", "--data.source.test_tiles", "20", "--data.sampler.batch", "4"],
    "Posters": ["--data.source.height", "76", "--data.source.width", "76", "--data.sampler.batch", "8"],
    "FourConv": ["--model.network.height", "76", "--model.network.width", "76"],  # it takes no less
}


@pytest.fixture
def few_characters(monkeypatch, tmp_path):
    """Omniglot and the glyphs made small, drawn faces, things and posters for real ones, and a folder of images."""
    monkeypatch.setenv("SIAMESE_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("SIAMESE_MIRROR", str(tmp_path / "mirror"))
    pack_posters(tmp_path / "mirror" / "posters")
    small = Glyphs(alphabets=5, characters=(20, 20))
    table = small.load()
    drawn = Glyphs(alphabets=5, characters=(2, 2), drawers=80, size=28).load()
    digits = dataclasses.replace(drawn, name="digits", class_names=tuple("0123456789"))
    recorded = Glyphs(alphabets=3, characters=(10, 10), drawers=4, seed=1).load()
    monkeypatch.setattr(Glyphs, "load", lambda self: table if self.strokes is None else recorded)
    for source in (Omniglot, Minimal):
        monkeypatch.setattr(source, "load", lambda self: table)
    for source in (Glyphs, Omniglot, Minimal):
        monkeypatch.setattr(source, "split", lambda self, table: small_split(table))
    faces = Cartoons().load()
    monkeypatch.setattr(AttFaces, "load", lambda self: faces)
    monkeypatch.setattr(Omniglot, "official_runs", lambda self, test: None)
    # Of what is reported a little: each experiment is to run to its end, not to say anything.
    monkeypatch.setattr(benchmark, "BASELINE_EPISODES", 2)
    monkeypatch.setattr(benchmark, "sample_episodes", lambda table, many, *rest: sample_episodes(table, 20, *rest))
    monkeypatch.setattr(vinyals, "TAUGHT", 60)
    monkeypatch.setattr(vinyals, "VAL", table.group_names[:1])
    monkeypatch.setattr(Mnist, "load", lambda self: digits)
    monkeypatch.setattr(Mnist, "split", lambda self, table: closed_split(table))
    monkeypatch.setattr(FashionMnist, "load", lambda self: dataclasses.replace(digits, name="clothes"))
    monkeypatch.setattr(Cifar10, "load", absent)
    monkeypatch.setattr(Cifar10, "stand_in", lambda self: Glyphs10(60, 10, 10, 32, colour=True))
    for row in range(0, len(table), 50):
        folder = tmp_path / "images" / f"class {table.labels[row] // 10}"
        folder.mkdir(parents=True, exist_ok=True)
        for copy in range(4):
            Image.fromarray(table.images[row + copy, 0].numpy()).save(folder / f"{row} {copy}.png")
    rows = [f"{path.relative_to(tmp_path / 'images')},{number % 2},{number % 3 // 2}"
            for number, path in enumerate(sorted(tmp_path.glob("images/*/*.png")))]  # fmt: skip
    (tmp_path / "labels.csv").write_text("\n".join(["Id,even,third", *rows]))
    return tmp_path


small_split = Glyphs(alphabets=5).split


def absent(source: DataSet) -> Table:
    raise DataUnavailable("not here")


def closed_split(table: Table) -> Splits:
    return Splits(*(table.of_sources(range(first, last)) for first, last in ((0, 60), (60, 70), (70, 80))), closed=True)


def pack_posters(folder: Path) -> None:
    """Forty of one colour each, with one or two of 25 genres."""
    lines = ["Id,Genre," + ",".join(f"genre {label}" for label in range(25))]
    for number in range(40):
        shown = {number % 25, 7 * number % 25}
        lines.append(f"{number},," + ",".join(str(int(label in shown)) for label in range(25)))
    posters = {f"{FOLDER}/Images/{number}.jpg": jpeg(6 * number) for number in range(40)}
    folder.mkdir(parents=True)
    pack(folder, posters | {f"{FOLDER}/{SAMPLE_CSV}": "\n".join(lines).encode()})


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.stem)
def test_experiment(path, few_characters):
    config = yaml.safe_load(path.read_text())
    options = ["--trainer.limit_train_batches", "2", "--trainer.max_epochs", "1", "--trainer.accelerator", "cpu"]
    named = [word.rpartition(".")[2] for word in path.read_text().split()]
    for name in SMALLER.keys() & named:
        options += SMALLER[name]
    if config["data"]["sampler"]["init_args"].get("classes") in (128, 256, 512):
        options += ["--data.sampler.classes", "16"]  # there are not so many that choose
    if config["data"]["source"]["class_path"].endswith("Folder"):
        options += ["--data.source.init_args.root", str(few_characters / "images")]
    if config["data"]["source"]["class_path"].endswith("LabelledImages"):
        options += ["--data.source.csv", str(few_characters / "labels.csv"), "--data.sampler.batch", "8"]
        options += ["--data.source.images", str(few_characters / "images"), "--model.loss.labels", "2"]
    if "extra" in config["data"] and "people" in config["data"]["extra"]["init_args"]:
        options += ["--data.extra.init_args.people", "30"]
    assert main(["fit", "--config", str(path), "--runs", str(few_characters / "runs"), *options]) == 0
    (results,) = few_characters.glob("runs/*/latest/results.json")
    found = json.loads(results.read_text())
    assert found["steps"] == 2
    assert 0 <= figure(found) <= 1


def test_digits_are_asked_of_a_network_for_characters(few_characters):
    runs, short = str(few_characters / "runs"), ["--trainer.limit_train_batches", "2", "--trainer.max_epochs", "1"]
    small = ["--data.sampler.classes", "32", "--trainer.accelerator", "cpu"]
    folder = YAMLS[0].parent
    assert (
        main(["fit", "--config", str(folder / "omniglot.yaml"), "--runs", runs, "--benchmark", "false", *short, *small])
        == 0
    )
    (best,) = few_characters.glob("runs/omniglot*/latest/checkpoints/best.ckpt")
    overlay = str(folder / "mnist_one_shot.yaml")
    assert main(["evaluate", "--checkpoint", str(best), "--config", overlay, "--runs", runs]) == 0
    (results,) = few_characters.glob("runs/mnist-one-shot*/*-test/results.json")
    found = json.loads(results.read_text())
    assert (found["dataset"], found["one_shot"]["sampled"][0]["n_way"]) == ("digits", 10)


def figure(found: dict) -> float:
    if "labels" in found:
        return found["labels"]["predictors"]["this network"]["map"]
    if "classification" in found:
        return found["classification"]["accuracy"]
    return found["verification"]["eer"] if "verification" in found else found["one_shot"]["sampled"][0]["accuracy"]


@pytest.mark.parametrize("path", YAMLS, ids=lambda path: path.stem)
def test_header_says_how_to_run_it_and_what_to_expect(path):
    header = [line for line in path.read_text().splitlines() if line.startswith("#")]
    assert any(line.startswith("# Command:") for line in header)
    assert any(line.startswith("# Expected:") for line in header)
