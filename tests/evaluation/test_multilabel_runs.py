"""Trainings on images of several labels: what is refused before and while they run, and what they leave behind."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import pytorch_lightning as pl
import torch
import yaml

from siamese.__main__ import main
from siamese.checkpoints import read_checkpoint
from siamese.datasets.glyphs10 import Glyphs10
from siamese.datasets.tiles import ImageTiles
from siamese.errors import UserError
from siamese.evaluation import (
    AllPairs,
    Classification,
    EmbeddingMap,
    Labels,
    Novelty,
    OneShot,
    PointMap,
    TutorialAccuracy,
    Verification,
)
from siamese.evaluation.labels import best_threshold, label_thresholds
from siamese.losses import BinaryLabels, Loss, Softmax
from siamese.networks import Compact, Residual, Whitened
from siamese.rebuild import rebuild
from siamese.sampling.tiles import Tiles
from siamese.systems import FewShotData, Siamese
from tests.lamps import Closed, Lamps, ready

pytestmark = pytest.mark.filterwarnings("ignore:Your `IterableDataset` has `__len__`")


@pytest.fixture
def lamps() -> FewShotData:
    return ready(Lamps())


@pytest.fixture
def tiles(make_table) -> FewShotData:
    return ready(ImageTiles(Closed(make_table([7], size=8)), 20, 30), sampler=Tiles(16, 8))


def setting_up(evaluator: pl.Callback, data: FewShotData) -> None:
    evaluator.setup(SimpleNamespace(datamodule=data), None, "fit")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "evaluator", [AllPairs, Classification, EmbeddingMap, Novelty, OneShot, PointMap, TutorialAccuracy, Verification]
)
@pytest.mark.parametrize("kind", ["lamps", "tiles"])
def test_evaluators_of_one_class_an_image_refuse_several_labels(evaluator, kind, request):
    data = request.getfixturevalue(kind)
    with pytest.raises(
        UserError, match=rf"{evaluator.__name__} cannot judge .*, whose images have several labels each"
    ):
        setting_up(evaluator(), data)


def test_one_class_an_image_is_refused(tiny):
    with pytest.raises(UserError, match="Labels cannot judge tiny, whose images have one class each"):
        setting_up(Labels(), ready(Closed(tiny)))
    setting_up(Labels(handmade=True), ready(Lamps()))


@pytest.mark.parametrize("options", [{"handmade": True}, {"frozen": Residual((2, 4))}])
def test_logistic_regression_is_refused_for_tiles_before_anything_is_trained(tiles, options):
    with pytest.raises(UserError, match="the baseline, learns from images that carry several labels themselves"):
        setting_up(Labels(**options), tiles)


def trainer(tmp_path: Path, *callbacks: pl.Callback, **options) -> pl.Trainer:
    return pl.Trainer(
        default_root_dir=tmp_path, accelerator="cpu", logger=False, enable_checkpointing=False, max_epochs=1,
        enable_progress_bar=False, enable_model_summary=False, num_sanity_val_steps=0, callbacks=list(callbacks), **options,
    )  # fmt: skip


def system(loss: Loss, size: int = 16) -> Siamese:
    return Siamese(Compact((4, 8), 8, image_size=size), loss)


def test_losses_that_know_no_labels_are_refused(lamps, tmp_path):
    with pytest.raises(UserError, match="Softmax takes images of one class each, and these carry several labels"):
        trainer(tmp_path, Labels()).fit(system(Softmax(4, 8)), datamodule=lamps)
    with pytest.raises(UserError, match="Softmax knows no labels"):
        lamps.val_batches = 0
        trainer(tmp_path, Labels()).validate(system(Softmax(4, 8)), datamodule=lamps, verbose=False)


def test_what_is_fitted_within_classes_is_refused(lamps, tmp_path):
    whitened = Siamese(Whitened(Compact((4, 8), 8, image_size=16)), BinaryLabels(4, 8))
    with pytest.raises(UserError, match="Whitened, takes images of one class each"):
        trainer(tmp_path).fit(whitened, datamodule=lamps)


TILES = {
    "class_path": "siamese.datasets.tiles.ImageTiles",
    "init_args": {
        "of": {
            "class_path": "siamese.datasets.glyphs10.Glyphs10",
            "init_args": {"train": 20, "val": 8, "test": 8, "size": 16},
        },
        "val_tiles": 30,
        "test_tiles": 25,
    },
}
CONFIG = {
    "experiment": "tiny-tiles",
    "seed_everything": 0,
    "model": {
        "network": {"class_path": "siamese.networks.Residual", "init_args": {"widths": [4, 8, 8], "channels": 1, "cells": 2}},
        "loss": {"class_path": "siamese.losses.BinaryLabels", "init_args": {"labels": 10, "embedding_size": 8}},
        "optimization": {"class_path": "siamese.systems.optimization.SGD", "init_args": {"lr": 0.05}},
    },
    "data": {
        "source": TILES,
        "sampler": {
            "class_path": "siamese.sampling.tiles.Tiles",
            "init_args": {"tiles": 40, "batch": 8, "fresh": True, "mirror": True},
        },
        "augment": {"rotation": 5.0},
        "image_size": None,
        "val_batches": 1,
        "eval_batch": 16,
    },
    "checkpoint": {"monitor": "val/map", "mode": "max"},
    "trainer": {
        "max_epochs": 2,
        "accelerator": "cpu",
        "precision": "32-true",
        "callbacks": [{"class_path": "siamese.evaluation.Labels", "init_args": {"intervals": False}}],
    },
}  # fmt: skip


@pytest.fixture
def fit(tmp_path, monkeypatch):
    """Train as the configuration says, with further options; gives the folder of the run."""
    monkeypatch.setenv("SIAMESE_DATA", str(tmp_path / "data"))
    config = tmp_path / "tiles.yaml"
    config.write_text(yaml.safe_dump(CONFIG))

    def run(folder: str, *options: str) -> Path:
        assert main(["fit", "--config", str(config), "--runs", str(tmp_path / folder), *options]) == 0
        return (tmp_path / folder / "tiny-tiles-glyphs" / "latest").resolve()

    yield run
    torch.set_flush_denormal(False)  # a command flushes them to zero


def test_a_checkpoint_carries_the_thresholds_of_the_weights_it_holds(fit):
    run = fit("runs", "--trainer.max_epochs", "3")
    source = ImageTiles(Glyphs10(20, 8, 8, 16), 30, 25)
    data = FewShotData(source, Tiles(8, 8), None, image_size=None)
    data.setup("fit")
    images, targets = data.as_loaded("val", torch.arange(30)), data.targets("val")
    seen = []
    for name in ("best", "last"):
        path = run / "checkpoints" / f"{name}.ckpt"
        checkpoint = read_checkpoint(path)
        stored, system = checkpoint.about["labels"], rebuild(checkpoint, path).eval()
        with torch.no_grad():
            embeddings = torch.cat([system(chunk.float() / 255) for chunk in images.split(16)])
            said = system.loss.probabilities(system.loss.logits(embeddings))
        assert stored["names"] == [f"character {number}" for number in range(10)]
        assert stored["threshold"] == pytest.approx(best_threshold(said, targets), abs=1e-5)
        assert stored["thresholds"] == pytest.approx(label_thresholds(said, targets).tolist(), abs=1e-5)
        seen.append(stored["thresholds"])
    results = json.loads((run / "results.json").read_text())
    assert results["labels"]["predictors"]["this network"]["thresholds"] == pytest.approx(seen[0])
    assert results["dataset"] == "glyphs10 tiles"
    assert {path.name for path in (run / "pictures").glob("label*.png")} == {"labels.png", "label_examples.png"}


def test_a_checkpoint_is_not_scored_on_labels_of_other_names(fit, lamps, tmp_path, capsys):
    checkpoint = fit("runs", "--trainer.max_epochs", "1") / "checkpoints" / "best.ckpt"
    options = ["--data.source", "tests.lamps.Lamps", "--data.sampler", "siamese.sampling.batches.Shuffled"]
    assert main(["evaluate", "--checkpoint", str(checkpoint), "--runs", str(tmp_path), *options]) == 2
    said = "the checkpoint tells 10 labels and lamps has 4; the first that differ are 'character 0' and 'a'"
    assert said in capsys.readouterr().err

    def loaded(*names: str) -> None:
        trainer = SimpleNamespace(datamodule=lamps)
        Labels().on_load_checkpoint(trainer, None, {"siamese": {"labels": {"names": names}}})  # type: ignore[arg-type]

    loaded("a", "b", "c", "d")
    loaded()  # nothing was chosen yet
    with pytest.raises(UserError, match="the first that differ are 'C' and 'c'"):
        loaded("a", "b", "C", "d")
    with pytest.raises(UserError, match=r"tells 5 labels and lamps has 4$"):
        loaded("a", "b", "c", "d", "e")


def last_weights(run: Path) -> dict[str, torch.Tensor]:
    return torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]


def test_a_resumed_training_on_tiles_ends_bit_for_bit_like_one_never_stopped(fit):
    """Its epochs are fresh tiles, mirrored and distorted, so all of them depend on where it goes on."""
    stopped = fit("runs", "--trainer.max_epochs", "1")
    before = last_weights(stopped)
    assert fit("runs", "--resume", "true") == stopped
    resumed, whole = last_weights(stopped), last_weights(fit("whole"))
    assert all(torch.equal(resumed[name], whole[name]) for name in whole)
    assert not torch.equal(before["loss.linear.weight"], resumed["loss.linear.weight"])


def test_a_dry_run_leaves_nothing_measured(fit, tmp_path):
    assert (
        main(["fit", "--config", str(tmp_path / "tiles.yaml"), "--runs", str(tmp_path), "--trainer.fast_dev_run", "1"])
        == 0
    )
    assert not list(tmp_path.glob("tiny-tiles-glyphs/*/results.json"))
    assert not list(tmp_path.glob("tiny-tiles-glyphs/*/pictures/*"))


def test_an_evaluator_scores_no_part_of_a_split(tiles, tmp_path):
    tiles.eval_batch = 8
    evaluator = Labels(intervals=False)
    chosen = trainer(tmp_path, evaluator, fast_dev_run=2)
    chosen.fit(system(BinaryLabels(7, 8)), datamodule=tiles)
    chosen.test(system(BinaryLabels(7, 8)), datamodule=tiles, verbose=False)
    assert evaluator.chosen_at is None
    assert evaluator.results == {}
    assert evaluator.pictures == {}


def test_predicted_embeddings_are_of_tiles_and_name_their_parts(fit, tmp_path):
    run = fit("runs", "--trainer.max_epochs", "1")
    checkpoint = str(run / "checkpoints" / "best.ckpt")
    options = ["--config", str(tmp_path / "tiles.yaml"), "--ckpt_path", checkpoint, "--runs", str(tmp_path / "other")]
    assert main(["predict", *options]) == 0
    (written,) = tmp_path.glob("other/tiny-tiles-glyphs/*-predict/embeddings.pt")
    found = torch.load(written, weights_only=True)
    assert found["embeddings"].shape == (25, 8)
    assert len(found["files"]) == 25
    parts = found["files"][0].split(" + ")
    assert len({part.split("/")[1] for part in parts}) == 4, "four characters"
    assert all(part.startswith("drawer000") for part in parts)
