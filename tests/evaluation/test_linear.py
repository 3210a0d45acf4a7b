"""The baselines in which only a linear layer learns: who chooses their penalty, and what their features are."""

import dataclasses

import numpy as np
import torch
from torch import Tensor

from siamese.evaluation import linear
from siamese.evaluation.labels import mean_average_precision
from siamese.evaluation.linear import handmade_features, linear_predictions, network_features
from siamese.systems import FewShotData
from tests.lamps import Lamps, ready


def faint(images: Tensor) -> np.ndarray:
    """Pixels in which a lamp that burns is hardly brighter than the noise, so that the penalty matters."""
    values = images.float().flatten(1)
    return torch.where(values >= 150, values - 145, values).numpy()


def by_penalty(data: FewShotData, monkeypatch, penalties: tuple[float, ...]) -> tuple[Tensor, Tensor]:
    monkeypatch.setattr(linear, "PENALTIES", penalties)
    return linear_predictions(data, faint)


def test_validation_images_choose_the_penalty_and_test_images_do_not(monkeypatch):
    penalties, data = (1e-6, 1e-3, 1.0), ready(Lamps())
    each = [by_penalty(data, monkeypatch, (penalty,)) for penalty in penalties]
    scores = [mean_average_precision(val, data.targets("val")) for val, _ in each]
    best = int(np.argmax(scores))
    assert sorted(scores)[-1] > sorted(scores)[-2]
    for asked in (data, other_test_targets(data)):
        val, test = by_penalty(asked, monkeypatch, penalties)
        assert torch.equal(val, each[best][0]) and torch.equal(test, each[best][1])
        assert val.dtype == test.dtype == torch.float64
    shown = [mean_average_precision(test, data.targets("test")) for _, test in each]
    assert int(np.argmax(shown)) != best, "so that the last round could tell"


def other_test_targets(data: FewShotData) -> FewShotData:
    table = data.table("test")
    data.splits = dataclasses.replace(data.splits, test=dataclasses.replace(table, targets=~table.targets))
    return data


def test_features_do_not_depend_on_how_many_images_are_taken_at_a_time(monkeypatch):
    images = torch.randint(256, (70, 3, 12, 9), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    whole = handmade_features(images)
    monkeypatch.setattr(linear, "PIXELS", 3 * 12 * 9)
    assert np.array_equal(handmade_features(images), whole)
    assert whole.shape == (70, 64 * 3 + 128)


def test_a_frozen_network_is_given_images_from_0_to_1_and_learns_nothing():
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.BatchNorm1d(4)).train()
    images = torch.tensor([0, 51, 102, 255], dtype=torch.uint8).expand(130, -1).view(130, 1, 2, 2)
    found = network_features(network, torch.device("cpu"))(images)
    np.testing.assert_allclose(found, np.tile([0, 0.2, 0.4, 1], (130, 1)), atol=1e-5)
    assert network[1].num_batches_tracked == 0
