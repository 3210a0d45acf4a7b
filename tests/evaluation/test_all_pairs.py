"""All pairs of test classes: the network and the subspace methods against scikit-learn and by hand."""

import pytest
import torch
from sklearn.metrics import roc_auc_score

from siamese.evaluation.all_pairs import FARS, _figures
from siamese.evaluation.subspaces import subspaces
from siamese.sampling.episodes import sample_episodes
from siamese.sampling.seeds import generator
from siamese.similarity import Cosine, Euclidean


@pytest.fixture
def people(make_table):
    """Teachers and tested, each person a random image with noise of its own size."""
    table = make_table([12], sources=6, size=16)
    random = generator(1)
    face = torch.randint(256, (12, 1, 16, 16), generator=random).float()
    noise = 60 * torch.randn(72, 1, 16, 16, generator=random)
    images = (face.repeat_interleave(6, 0) + noise).clamp(0, 255).byte()
    object.__setattr__(table, "images", images)
    return table.rows(table.labels < 7), table.rows(table.labels >= 7)


def test_figures_are_those_of_all_pairs(people):
    _, test = people
    vectors = test.images.flatten(1).float()
    drawn = {5: sample_episodes(test, 50, 5, 1, generator(0), "across")}
    found = _figures(vectors, Euclidean(), test.labels, drawn)
    scores, same = [], []
    for i in range(len(test)):
        for j in range(i):
            scores.append(-float((vectors[i] - vectors[j]).norm()))
            same.append(bool(test.labels[i] == test.labels[j]))
    assert found["auc"] == pytest.approx(roc_auc_score(same, scores))
    impostors = sorted(s for s, genuine in zip(scores, same, strict=True) if not genuine)
    accepted = [s for s, genuine in zip(scores, same, strict=True) if genuine]
    bar = impostors[-1 - int(0.01 * len(impostors))]
    assert found["tar_at_1"] == pytest.approx(sum(s > bar for s in accepted) / len(accepted))
    assert len(found["curve"]) == len(FARS)
    assert found["curve"] == sorted(found["curve"])
    assert found["curve"][-1] == 1.0
    assert 0.2 < found["5-way"] <= 1


def test_a_constant_embedding_is_chance(people):
    _, test = people
    drawn = {5: sample_episodes(test, 20, 5, 1, generator(0), "across")}
    found = _figures(torch.ones(len(test), 3), Euclidean(), test.labels, drawn)
    assert found["eer"] == pytest.approx(0.5)
    assert found["auc"] == pytest.approx(0.5)
    assert found["tar_at_1"] == 0
    assert found["5-way"] == pytest.approx(0.2)


def test_perfect_embeddings_make_no_error(people):
    _, test = people
    vectors = torch.nn.functional.one_hot(test.labels).float()
    found = _figures(vectors, Cosine(), test.labels, {})
    assert (found["eer"], found["auc"], found["tar_at_1"]) == (0, 1, 1)


def test_subspaces_are_fitted_on_the_teachers_only(people):
    train, test = people
    methods = subspaces(train, test)
    assert list(methods) == ["PCA + LDA, cosine", "PCA, cosine", "Pixels, L2"]
    fewer = subspaces(train, test.rows(torch.arange(len(test)) < 12))
    for name, (vectors, _) in methods.items():
        assert vectors.dtype == torch.float32
        torch.testing.assert_close(fewer[name][0], vectors[:12], rtol=1e-3, atol=1e-4)
    assert methods["PCA + LDA, cosine"][0].shape == (len(test), 6)  # classes less one
    assert torch.equal(methods["Pixels, L2"][0], test.images.flatten(1).float() / 255)


def test_lda_beats_pixels_where_people_differ_by_more_than_noise(people):
    train, test = people
    eer = {name: _figures(*method, test.labels, {})["eer"] for name, method in subspaces(train, test).items()}
    assert eer["PCA, cosine"] < 0.3
