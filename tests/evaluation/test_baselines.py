"""Baselines on the real official runs: figures that are known, and that no change of this code may move."""

import dataclasses

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist

from siamese.evaluation.baselines import hausdorff_distances, pixel_baselines
from siamese.evaluation.one_shot import credits, episode_scores
from siamese.sampling.episodes import Episodes, sample_episodes
from siamese.sampling.seeds import generator
from siamese.similarity import Cosine, Euclidean, WeightedL1


def test_official_runs_are_what_lake_et_al_describe(official):
    test, runs = official
    assert runs.support.shape == (20, 20, 1)
    assert runs.query.shape == runs.target.shape == (20, 20)
    support = runs.support[..., 0]
    assert torch.equal(test.labels[runs.query], test.labels[support].gather(1, runs.target))
    groups = test.groups[torch.cat([support, runs.query], dim=1)]
    assert (groups == groups[:, :1]).all(), "a run is of one alphabet"
    assert len(groups.unique()) == 10
    assert (groups[:, 0].bincount(minlength=50).unique() == torch.tensor([0, 2])).all(), "two runs an alphabet"
    assert all(len(labels.unique()) == 20 for labels in test.labels[support])
    by_support, by_query = test.sources[support], test.sources[runs.query]
    assert (by_support == by_support[:, :1]).all(), "one drawer drew the training images of a run"
    assert (by_query == by_query[:, :1]).all(), "and one the test images"
    assert (by_support[:, 0] != by_query[:, 0]).all(), "and they are two"
    slots = runs.target.float().mean()
    assert 8 < slots < 11
    assert len(runs.target[:, 0].unique()) > 5, "the target is in no favourite slot"


def test_known_accuracies_on_the_official_runs(official):
    """Modified Hausdorff: Lake et al. (2015) report an error of 38.8 %."""
    test, runs = official
    assert {name: round(accuracy, 6) for name, accuracy in pixel_baselines(test, runs).items()} == {
        "1-NN of pixels, L2": 0.19,
        "1-NN of pixels, cosine": 0.2175,
        "Modified Hausdorff distance": 0.6125,
    }


@pytest.mark.parametrize("similarity", [WeightedL1(256), Euclidean(), Cosine()], ids=["l1", "euclidean", "cosine"])
def test_a_constant_network_scores_exactly_five_percent_on_the_official_runs(official, similarity):
    test, runs = official
    same = torch.randn(256, generator=generator(0)).expand(len(test), -1)
    earned = credits(episode_scores(same, runs, similarity), runs.target)
    assert (earned == torch.tensor(0.05)).all()


def brute_force(first: np.ndarray, second: np.ndarray) -> float:
    """Dubuisson and Jain (1994), of ink points about their mean."""
    points = [np.stack(np.nonzero(image > 127), 1).astype(float) for image in (first, second)]
    distances = cdist(*(each - each.mean(0) for each in points))
    return max(distances.min(0).mean(), distances.min(1).mean())


def test_hausdorff_by_brute_force(tiny):
    drawn = sample_episodes(tiny, 2, 3, 2, generator(0))
    images = tiny.images[:, 0]
    found = hausdorff_distances(images, drawn)
    assert found.shape == (2, 3, 3)
    for e in range(2):
        for q, query in enumerate(drawn.query[e]):
            for slot, support in enumerate(drawn.support[e]):
                expected = min(brute_force(images[query].numpy(), images[row].numpy()) for row in support)
                assert float(found[e, q, slot]) == pytest.approx(expected)


def test_hausdorff_does_not_see_where_on_the_paper_a_character_stands():
    images = torch.zeros(4, 20, 20, dtype=torch.uint8)
    images[0, 2:8, 3] = images[1, 10:16, 15] = 255  # a stroke, and the same elsewhere
    images[2, 5, 3:16] = 255  # a longer one that lies
    episode = Episodes(torch.tensor([[[1], [2], [3]]]), torch.tensor([[0]]), torch.tensor([[0]]))
    moved, other, blank = hausdorff_distances(images, episode)[0, 0].tolist()
    assert moved == 0
    assert other > 2
    assert np.isfinite(blank)


def test_baselines_take_the_images_of_their_rows(tiny):
    """Each query is a copy of its own support, so every baseline knows it."""
    copies = dataclasses.replace(tiny, images=tiny.images[tiny.labels * 5])
    drawn = sample_episodes(tiny, 3, 4, 1, generator(0))
    assert set(pixel_baselines(copies, drawn).values()) == {1.0}
