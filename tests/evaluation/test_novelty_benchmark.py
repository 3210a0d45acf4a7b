"""The novelty evaluator: what is known and what is novel, what it measures, and a whole training that ends with it."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
import yaml
from PIL import Image

from siamese.__main__ import main
from siamese.datasets.base import DataSet, Splits
from siamese.errors import DataUnavailable, UserError
from siamese.evaluation import Novelty
from siamese.evaluation.novelty import LocalOutliers, separation, threshold
from siamese.evaluation.novelty_benchmark import (
    EMBEDDINGS,
    FEATURES,
    HELD_OUT,
    NEAREST_EMBEDDINGS,
    NEAREST_FEATURES,
    PIXELS,
    SOFTMAX,
    as_seen,
)
from siamese.losses import Contrastive, Loss, Softmax
from siamese.networks import Compact
from siamese.report import benchmark_table
from siamese.sampling.batches import Shuffled
from siamese.systems import FewShotData, Siamese
from siamese.tables import Table

TINY = Path(__file__).parent.parent / "tiny.yaml"


class Bars(DataSet):
    """Images of a bright bar, whose place is the class, and noise: closed splits, the last ``unseen`` classes not taught.

    Args:
        name: of the table.
        channels, side: of the images.
        tilted: bars lie, so that nothing of them is known to a network of standing ones.
        unseen: classes that are not taught.
        shots: images of each class; half of them teach.
    """

    def __init__(
        self,
        name: str = "bars",
        channels: int = 1,
        side: int = 28,
        tilted: bool = False,
        unseen: int = 0,
        shots: int = 40,
    ) -> None:
        self.name, self.channels, self.side, self.tilted = name, channels, side, tilted
        self.unseen, self.shots = unseen, shots

    def load(self) -> Table:
        draw = torch.Generator().manual_seed(len(self.name))
        labels = torch.arange(4).repeat_interleave(self.shots)
        images = 90 * torch.rand(len(labels), self.channels, self.side, self.side, generator=draw)
        for row, label in enumerate(labels.tolist()):
            bar = images[row, :, 4 + 5 * label : 8 + 5 * label] if self.tilted else images[row, ..., 4 + 5 * label]
            bar += 150
        zeros, names = torch.zeros_like(labels), tuple(f"{self.name} {row}.png" for row in range(len(labels)))
        sources = torch.arange(self.shots).repeat(4)
        return Table(self.name, images.byte(), labels, zeros, sources, tuple("abcd"), ("bars",), names)

    def split(self, table: Table) -> Splits:
        known, part = table.labels < 4 - self.unseen, table.sources / self.shots
        teach, choose = (part < 0.5) & known, (part >= 0.5) & (part < 0.6) & known
        return Splits(table.rows(teach), table.rows(choose), table.rows(part >= 0.6), closed=True)


class Missing(Bars):
    """Nowhere to be had."""

    def load(self) -> Table:
        raise DataUnavailable("bars: out of reach")


def prepared(novelty: Novelty, source: DataSet, **options) -> FewShotData:
    data = FewShotData(source, Shuffled(8), None, **{"image_size": 28, **options})
    data.setup("fit")
    novelty.prepare(data)
    return data


def reported(novelty: Novelty, source: DataSet, loss: Loss, channels: int = 1) -> tuple[dict, FewShotData, Siamese]:
    """What is reported of an untrained network."""
    torch.manual_seed(0)
    data = prepared(novelty, source)
    system = Siamese(Compact((4, 8), 16, channels=channels, image_size=28), loss)
    trainer = pl.Trainer(accelerator="cpu", logger=False, callbacks=[novelty], enable_progress_bar=False)
    trainer.test(system, datamodule=data, verbose=False)
    return novelty.results["novelty"], data, system


def test_what_is_known_and_what_is_novel_and_the_figures_of_lof():
    novelty = Novelty([Bars("tilted", tilted=True)], contaminations=[0.1, 0.01], neighbours=5)
    found, data, system = reported(novelty, Bars(unseen=1), Softmax(4, 16))
    assert found["images"] == {"train": 60, "known": 48, HELD_OUT: 16, "tilted": 64}
    assert found["contaminations"] == [0.01, 0.1]
    assert list(found["detectors"]) == [
        FEATURES,
        NEAREST_FEATURES,
        EMBEDDINGS,
        NEAREST_EMBEDDINGS,
        PIXELS,
        SOFTMAX,
    ]

    system.eval()
    test, train = data.table("test"), data.table("train")
    for name, network in ((EMBEDDINGS, system.network), (FEATURES, system.network.features)):
        with torch.no_grad():
            known, held_out, taught = (
                network(images.float() / 255).numpy()
                for images in (test.images[test.labels < 3], test.images[test.labels == 3], train.images)
            )
        detector = LocalOutliers(5).fit(taught)
        bar = threshold(detector.known_scores, 0.1)
        lof = found["detectors"][name]
        assert lof["thresholds"]["0.1"] == pytest.approx(bar, rel=1e-4)
        assert lof["known_rejected"]["0.1"] == pytest.approx((detector.score(known) < bar).mean(), abs=0.03)
        wanted = separation(detector.score(known), detector.score(held_out))
        assert lof["novel"][HELD_OUT]["auroc"] == pytest.approx(wanted["auroc"], abs=0.01)
        assert lof["novel"][HELD_OUT]["fpr95"] == pytest.approx(wanted["fpr95"], abs=0.1)
    pixels = found["detectors"][PIXELS]["novel"]["tilted"]
    assert (pixels["auroc"], pixels["fpr95"], pixels["rejected"]["0.01"]) == (1.0, 0.0, 1.0), "plain to see"
    assert "novelty.png" in novelty.pictures
    assert "60 training images" in found["how"] and "of bars" in found["how"]


def test_the_surest_accepted_are_drawn_with_their_files():
    novelty = Novelty([Bars("more bars")], contaminations=[0.01], neighbours=5, most=10)
    found, *_ = reported(novelty, Bars(), Softmax(4, 16))
    assert found["images"]["more bars"] == 10
    lof = found["detectors"][FEATURES]
    accepted = 1 - lof["novel"]["more bars"]["rejected"]["0.01"]
    sheet = novelty.pictures["novelty_accepted.png"]
    texts = [text.get_text() for axes in sheet.axes for text in axes.texts]
    factors = [float(text.removeprefix("more bars ")) for text in texts if not text.endswith(".png")]
    assert len(factors) == round(10 * accepted) > 0
    assert factors == sorted(factors) and factors[-1] <= -lof["thresholds"]["0.01"] + 0.005
    assert any(text.endswith(".png") for text in texts)


def test_a_loss_without_classes_has_no_softmax_probability():
    found, *_ = reported(Novelty([Bars("tilted", tilted=True)], neighbours=5), Bars(), Contrastive())
    assert SOFTMAX not in found["detectors"] and EMBEDDINGS in found["detectors"]


def test_a_network_of_colours_sees_grey_images_in_three_channels():
    novelty = Novelty([Bars("grey", side=20)], neighbours=5)
    found, *_ = reported(novelty, Bars("colours", channels=3), Softmax(4, 16), channels=3)
    assert found["images"]["grey"] == 64


def test_images_as_the_network_sees_them():
    colours = torch.randint(256, (5, 3, 40, 40), dtype=torch.uint8)
    grey = as_seen(colours, (1, 40, 40))
    for image, own in zip(colours, grey, strict=True):
        pillow = np.asarray(Image.fromarray(image.permute(1, 2, 0).numpy()).convert("L"))
        assert np.array_equal(own[0].numpy(), pillow)
    assert as_seen(colours, (1, 28, 28)).shape == (5, 1, 28, 28)
    assert torch.equal(as_seen(grey, (3, 40, 40)), grey.expand(-1, 3, -1, -1))
    with pytest.raises(UserError, match=r"28x20 need data\.image_size"):
        as_seen(colours, (1, 28, 20))
    with pytest.raises(UserError, match="3 channels cannot be shown to a network that takes 2"):
        as_seen(colours, (2, 28, 28))


class Open(Bars):
    """Classes that are tested are not taught."""

    def split(self, table: Table) -> Splits:
        return Splits(*(table.rows(torch.isin(table.labels, torch.tensor(each))) for each in ([0, 1], [2], [3])))


def test_what_cannot_be_measured_is_told_before_training():
    for said, source, novelty in (
        ("nothing is novel", Bars(), Novelty()),
        ("takes closed splits", Open(), Novelty([Bars("tilted")])),
        ("novel data sets differ", Bars(), Novelty([Bars("tilted"), Bars("tilted")])),
        ("novel data sets differ from bars", Bars(), Novelty([Bars()])),
        ("cannot be found among 80 training images", Bars(), Novelty([Bars("tilted")], neighbours=80)),
    ):
        with pytest.raises(UserError, match=said):
            prepared(novelty, source)
    for options in ({"contaminations": [0.6]}, {"contaminations": []}, {"neighbours": 0}, {"most": 0}):
        with pytest.raises(UserError, match=r"contaminations are shares|at least 1"):
            Novelty([Bars("tilted")], **options)


def test_a_novel_set_that_cannot_be_had_is_left_out_and_named_but_not_with_strict(capsys):
    novelty = Novelty([Missing("gone"), Bars("tilted", tilted=True)], neighbours=5)
    found, *_ = reported(novelty, Bars(), Softmax(4, 16))
    assert found["left_out"] == ["Missing"]
    assert "Nothing of Missing" in capsys.readouterr().out
    with pytest.raises(DataUnavailable):
        prepared(Novelty([Missing("gone")]), Bars(), strict=True)
    alone = Novelty([Missing("gone")])
    prepared(alone, Bars())
    alone.report(None, None)  # type: ignore[arg-type]
    assert alone.results == {}


def test_most_images_are_spread_over_all_rows():
    novelty = Novelty([Bars("tilted", tilted=True)], most=7)
    prepared(novelty, Bars())
    assert novelty.novel is not None
    chosen = novelty.novel["tilted"]
    assert len(chosen) == 7 and chosen.classes.tolist() == [0, 1, 2, 3]


@pytest.fixture
def denormals():
    """A command flushes denormal numbers to zero; tests that draw floats want them back."""
    yield
    torch.set_flush_denormal(False)


@pytest.mark.usefixtures("denormals")
def test_a_training_ends_with_it(tmp_path):
    config = yaml.safe_load(TINY.read_text())
    here = "tests.evaluation.test_novelty_benchmark.Bars"
    config["experiment"] = "tiny-bars"
    config["model"]["loss"] = {
        "class_path": "siamese.losses.Softmax",
        "init_args": {"classes": 4, "embedding_size": 16},
    }
    config["data"]["source"] = {"class_path": here, "init_args": {"unseen": 1, "shots": 100}}
    config["data"]["sampler"] = {"class_path": "siamese.sampling.batches.Shuffled", "init_args": {"batch": 10}}
    config["data"]["val_batches"] = 0
    config["checkpoint"] = {"monitor": "val/accuracy", "mode": "max"}
    tilted = {"class_path": here, "init_args": {"name": "tilted", "tilted": True}}
    config["trainer"]["callbacks"] = [
        {"class_path": "siamese.evaluation.Classification"},
        {"class_path": "siamese.evaluation.Novelty", "init_args": {"novel": [tilted], "contaminations": [0.05]}},
    ]
    (tmp_path / "bars.yaml").write_text(yaml.safe_dump(config))
    assert main(["fit", "--config", str(tmp_path / "bars.yaml"), "--runs", str(tmp_path)]) == 0
    run = next(tmp_path.glob("*/latest"))
    results = json.loads((run / "results.json").read_text())
    found = results["novelty"]["detectors"]
    assert found[EMBEDDINGS]["novel"]["tilted"]["auroc"] > 0.9
    assert set(found[SOFTMAX]["novel"]) == {HELD_OUT, "tilted"}
    assert results["classification"]["accuracy"] > 0.9
    assert (run / "pictures" / "novelty.png").exists()
    page = (run / "report.html").read_text()
    assert "Novelty: does it show anything known?" in page and EMBEDDINGS in page
    assert "tilted" in benchmark_table(results)


def test_training_images_of_further_data_are_no_part_of_what_is_fitted():
    novelty = Novelty([Bars("tilted", tilted=True)], neighbours=5)
    data = prepared(novelty, Bars(), extra=Bars("further"))
    assert len(data.resized["train"]) == 80 + 160
    assert sum(len(batch) for batch in data.originals(torch.device("cpu"))) == 80


def test_nothing_is_changed_by_the_evaluator():
    novelty = Novelty([Bars("tilted", tilted=True)], neighbours=5)
    _, data, system = reported(novelty, Bars(), Softmax(4, 16))
    before = dataclasses.replace(data.resized["train"])
    assert torch.equal(before.images, data.table("train").images)
    assert all(parameter.requires_grad for parameter in system.parameters())
