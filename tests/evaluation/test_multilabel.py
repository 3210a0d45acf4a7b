"""The evaluator of several labels an image: what it measures, and from which split what is chosen."""

import dataclasses

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from siamese.datasets.tiles import ImageTiles
from siamese.evaluation import Labels
from siamese.evaluation.labels import (
    best_threshold,
    chance_precisions,
    label_thresholds,
    log_loss,
    mean_average_precision,
)
from siamese.losses import BinaryLabels, CategoricalLabels
from siamese.networks import Compact
from siamese.sampling.tiles import Tiles
from siamese.systems import FewShotData, Siamese
from tests.lamps import Closed, Lamps, ready


class Told(Siamese):
    """A system whose loss gives the logits that it is told."""

    def __init__(self, given: dict[str, Tensor], loss: type = BinaryLabels) -> None:
        labels = given["val"].shape[1]
        super().__init__(Compact((2,), labels, image_size=16), loss(labels, labels))
        torch.nn.init.eye_(self.loss.linear.weight)
        torch.nn.init.zeros_(self.loss.linear.bias)
        self.given = given

    def embeddings(self, split: str) -> Tensor:
        return self.given[split]


def guesses(data: FewShotData, wrong: float = 1.5, seed: int = 0) -> dict[str, Tensor]:
    """Logits that tend to be right, the more so the less ``wrong``."""
    draw = torch.Generator().manual_seed(seed)
    found = {}
    for split in ("val", "test"):
        targets = data.targets(split)
        found[split] = 2 * targets.float() - 1.3 + wrong * torch.randn(targets.shape, generator=draw)
    return found


def reported(data: FewShotData, given: dict[str, Tensor], **options) -> Labels:
    evaluator = Labels(**{"intervals": False} | options)
    with torch.no_grad():
        evaluator.choose(Told(given), data)
        evaluator.report(Told(given), data)
    return evaluator


@pytest.fixture
def lamps() -> FewShotData:
    return ready(Lamps())


@pytest.fixture
def tiles(make_table) -> FewShotData:
    return ready(ImageTiles(Closed(make_table([7], size=8)), 20, 30), sampler=Tiles(16, 8))


def test_the_figures_are_those_of_the_logits(lamps):
    given = guesses(lamps)
    found = reported(lamps, given).results["labels"]
    targets, probabilities = lamps.targets("test"), given["test"].sigmoid().double()
    network = found["predictors"]["this network"]
    assert found["images"] == 50
    assert network["map"] == pytest.approx(mean_average_precision(probabilities, targets))
    assert network["log_loss"] == pytest.approx(log_loss(probabilities, targets))
    half = network["decisions"]["at 0.5"]
    said = probabilities >= 0.5
    assert half["exact_match"] == pytest.approx(float((said == targets).all(1).double().mean()))
    assert half["label_accuracy"] == pytest.approx(float((said == targets).double().mean()))
    assert half["low"] < half["exact_match"] < half["high"]
    assert set(network["decisions"]) == {"at 0.5", "at one threshold", "at a threshold a label"}


def test_each_label_by_itself(lamps):
    given = guesses(lamps)
    evaluator = reported(lamps, given)
    each = evaluator.results["labels"]["per_label"]
    targets = lamps.targets("test")
    assert list(each) == list("abcd")
    assert [one["images"] for one in each.values()] == targets.sum(0).tolist()
    assert [one["taught"] for one in each.values()] == lamps.targets("train").sum(0).tolist()
    assert each["d"]["average_precision"] is None, "no test image carries it"
    assert each["d"]["recall"] == each["d"]["f1"] == 0
    said = given["test"][:, 0].sigmoid().double() >= each["a"]["threshold"]
    assert each["a"]["accuracy"] == pytest.approx(float((said == targets[:, 0]).double().mean()))
    right = int((said & targets[:, 0]).sum())
    assert each["a"]["precision"] == pytest.approx(right / int(said.sum()))
    assert each["a"]["recall"] == pytest.approx(right / int(targets[:, 0].sum()))
    f1 = 2 / (1 / each["a"]["precision"] + 1 / each["a"]["recall"])
    assert each["a"]["f1"] == pytest.approx(f1)
    assert set(evaluator.pictures) == {"labels.png", "label_examples.png"}


def chosen(evaluator: Labels) -> list[float]:
    """All thresholds, of every predictor, and what a checkpoint would carry."""
    stored = evaluator.stored()["labels"]
    found = [stored["threshold"], *stored["thresholds"]]
    for predictor in evaluator.results["labels"]["predictors"].values():
        found += [predictor["threshold"], *predictor["thresholds"]]
    return found


def test_thresholds_come_from_validation_images_alone(lamps):
    given = guesses(lamps)
    before = chosen(reported(lamps, given, handmade=True))
    shown = ready(Lamps(test=~lamps.targets("test")))
    shown.splits = dataclasses.replace(
        shown.splits, test=dataclasses.replace(shown.table("test"), images=lamps.table("test").images)
    )
    assert chosen(reported(shown, given | {"test": -given["test"]}, handmade=True)) == before
    assert chosen(reported(ready(Lamps(val=~lamps.targets("val"))), given, handmade=True)) != before


def test_what_a_checkpoint_carries_was_chosen_on_the_same_logits(lamps):
    given = guesses(lamps)
    evaluator, told, targets = Labels(), Told(given), lamps.targets("val")
    with torch.no_grad():
        logged = evaluator.choose(told, lamps)
    assert told.loss.temperature != 1
    probabilities = (given["val"] / told.loss.temperature).sigmoid().double()
    stored = evaluator.stored()["labels"]
    assert stored["names"] == list("abcd")
    assert stored["threshold"] == pytest.approx(best_threshold(probabilities, targets))
    assert stored["thresholds"] == pytest.approx(label_thresholds(probabilities, targets).tolist())
    said = probabilities >= stored["threshold"]
    assert logged["val/exact_match"] == pytest.approx(float((said == targets).all(1).double().mean()))
    assert logged["val/label_accuracy"] == pytest.approx(float((said == targets).double().mean()))
    assert logged["val/map"] == pytest.approx(mean_average_precision(probabilities, targets))


def test_base_rates_are_those_of_training_images(lamps):
    found = reported(lamps, guesses(lamps)).results["labels"]["predictors"]["base rates"]
    targets = lamps.targets("test")
    losses = [
        log_loss(lamps.targets(part).double().mean(0).expand(50, 4), targets) for part in ("train", "val", "test")
    ]
    assert found["log_loss"] == pytest.approx(losses[0])
    assert len({round(loss, 6) for loss in losses}) == 3
    assert found["map"] == pytest.approx(float(chance_precisions(targets)[:3].mean()))


def test_intervals_hold_the_figures_and_pair_the_predictors(lamps):
    found = reported(lamps, guesses(lamps), intervals=True).results["labels"]["predictors"]
    network, rates = found["this network"], found["base rates"]
    for each in (network, rates):
        assert each["map_low"] < each["map"] < each["map_high"]
    low, high = rates["network_ahead"]
    assert low < network["map"] - rates["map"] < high
    assert "network_ahead" not in network
    assert "map_low" not in reported(lamps, guesses(lamps)).results["labels"]["predictors"]["this network"]


def test_intervals_of_few_images_lie_about_their_figure(lamps):
    """A label of one or two images, twice in a sample or not at all, would raise them all above it."""
    rare = torch.arange(50).unsqueeze(1) < torch.tensor([1, 2, 2, 1])
    data = ready(Lamps(test=rare))
    found = reported(data, guesses(data, wrong=30.0), intervals=True).results["labels"]["predictors"]
    network, rates = found["this network"], found["base rates"]
    assert (network["map_low"] + network["map_high"]) / 2 == pytest.approx(network["map"], abs=0.1)
    low, high = rates["network_ahead"]
    assert low < network["map"] - rates["map"] < high


def test_features_made_by_hand_see_the_lamps(lamps):
    found = reported(lamps, guesses(lamps, wrong=9.0), handmade=True).results["labels"]["predictors"]
    handmade, rates = found["hand-made features"], found["base rates"]
    assert handmade["map"] > 0.95
    assert handmade["map"] > rates["map"] + 0.3
    assert handmade["log_loss"] < rates["log_loss"]
    assert list(found) == ["this network", "hand-made features", "base rates"]


class Lit(torch.nn.Module):
    """The brightest pixel of each quarter, and a dropout that would hide three of them."""

    def forward(self, images: Tensor) -> Tensor:
        return F.dropout(F.adaptive_max_pool2d(images, 2).flatten(1), 0.75, self.training)


def test_features_of_a_frozen_network_are_those_it_has_in_use(lamps):
    found = reported(lamps, guesses(lamps, wrong=9.0), frozen=Lit()).results["labels"]["predictors"]
    assert found["frozen Lit of 16x16 pixels"]["map"] == pytest.approx(1)
    assert list(found) == ["this network", "frozen Lit of 16x16 pixels", "base rates"]


def test_tiles_are_judged_by_their_four_labels(tiles):
    evaluator = reported(tiles, guesses(tiles, wrong=0.0))
    found = evaluator.results["labels"]
    network, rates = found["predictors"]["this network"], found["predictors"]["base rates"]
    assert found["images"] == 30
    assert network["map"] == 1
    assert all(each["exact_match"] == 1 for each in network["decisions"].values())
    assert "the 4 likeliest" in network["decisions"]
    assert all(each["taught"] is None for each in found["per_label"].values()), "tiles that teach are always others"
    taught = tiles.targets("val").double().mean(0).expand(30, 7)
    assert rates["log_loss"] == pytest.approx(log_loss(taught, tiles.targets("test")))
    assert set(evaluator.pictures) == {"labels.png", "label_examples.png"}
    assert np.isfinite([each["average_precision"] for each in found["per_label"].values()]).all()


def test_a_softmax_over_labels_is_judged_by_its_own_probabilities(lamps):
    given, evaluator = guesses(lamps), Labels(intervals=False)
    with torch.no_grad():
        told = Told(given, CategoricalLabels)
        evaluator.choose(told, lamps)
    expected = best_threshold((given["val"] / told.loss.temperature).softmax(1), lamps.targets("val"))
    assert evaluator.stored()["labels"]["threshold"] == pytest.approx(expected)
