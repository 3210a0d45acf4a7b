"""Novelty detectors against brute force and scikit-learn, thresholds, and how known and novel scores are told apart."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score, roc_curve
from sklearn.neighbors import LocalOutlierFactor

from siamese.evaluation.novelty import LocalOutliers, NearestKnown, separation, threshold


def clusters(count: int, size: int = 6, seed: int = 0, copies: int = 0) -> np.ndarray:
    """``float32 [count, size]`` in three heaps of different density, the last ones copies of the first."""
    draw = np.random.default_rng(seed)
    heap = draw.integers(3, size=count)
    vectors = 5 * np.eye(3, size)[heap] + (0.2 + heap[:, None]) * draw.normal(size=(count, size)) / 3
    vectors[count - copies :] = vectors[:copies]
    return vectors.astype(np.float32)


def brute(known: np.ndarray, vectors: np.ndarray, k: int, own: bool) -> tuple[np.ndarray, np.ndarray]:
    """Distances to the k nearest and their rows, by differences of every pair."""
    distances = np.sqrt(((vectors[:, None].astype(float) - known[None].astype(float)) ** 2).sum(2))
    if own:
        np.fill_diagonal(distances, np.inf)
    rows = distances.argsort(1)[:, :k]
    return np.take_along_axis(distances, rows, 1), rows


def brute_factor(known: np.ndarray, vectors: np.ndarray, k: int, own: bool) -> np.ndarray:
    """Definitions 5 to 7 of Breunig et al., image by image."""
    reach = brute(known, known, k, True)[0][:, -1]

    def density(distances, rows):
        return 1 / np.mean([max(reach[row], gap) for gap, row in zip(distances, rows, strict=True)])

    around = [density(*pair) for pair in zip(*brute(known, known, k, True), strict=True)]
    return np.array(
        [
            np.mean([around[row] for row in rows]) / density(distances, rows)
            for distances, rows in zip(*brute(known, vectors, k, own), strict=True)
        ]
    )


def test_few_known_vectors_have_fewer_neighbours():
    known, vectors = clusters(4), clusters(3, seed=1)
    for detector in (LocalOutliers(20), NearestKnown(20)):
        assert np.isfinite(detector.fit(known).score(vectors)).all() and len(detector.known_scores) == 4
    np.testing.assert_allclose(detector.known_scores, -brute(known, known, 3, True)[0][:, -1], rtol=1e-5)


def test_a_copy_is_a_neighbour_but_nobody_is_their_own():
    known = clusters(60, copies=1)
    scores = NearestKnown(1).fit(known).known_scores
    assert abs(scores[[0, -1]]).max() < 1e-5 < abs(scores[1:-1]).min()


@pytest.mark.parametrize("k", [2, 5, 20])
def test_the_local_outlier_factor_is_that_of_its_definitions_and_of_scikit_learn(k):
    known, vectors = clusters(80), np.concatenate([clusters(30, seed=1), 4 * clusters(10, seed=2)])
    detector = LocalOutliers(k).fit(known)
    np.testing.assert_allclose(detector.known_scores, -brute_factor(known, known, k, True), rtol=1e-4)
    np.testing.assert_allclose(detector.score(vectors), -brute_factor(known, vectors, k, False), rtol=1e-4)
    theirs = LocalOutlierFactor(k, algorithm="brute", novelty=True).fit(known)
    np.testing.assert_allclose(detector.known_scores, theirs.negative_outlier_factor_, rtol=1e-4)
    np.testing.assert_allclose(detector.score(vectors), theirs.score_samples(vectors), rtol=1e-4)


def test_the_distance_to_the_kth_neighbour():
    known, vectors = clusters(50), clusters(20, seed=1)
    detector = NearestKnown(7).fit(known)
    np.testing.assert_allclose(detector.known_scores, -brute(known, known, 7, True)[0][:, -1], rtol=1e-5)
    np.testing.assert_allclose(detector.score(vectors), -brute(known, vectors, 7, False)[0][:, -1], rtol=1e-5)


def test_vectors_that_are_all_the_same_have_finite_scores():
    known = np.ones((30, 4), np.float32)
    detector = LocalOutliers(5).fit(known)
    assert np.allclose(detector.known_scores, -1)
    assert np.isfinite(detector.score(np.zeros((1, 4), np.float32))).all()
    assert detector.score(np.zeros((1, 4), np.float32)) < detector.known_scores.min()


@pytest.mark.parametrize("contamination", [0.001, 0.01, 0.1, 0.5])
def test_as_many_known_vectors_lie_below_the_threshold_as_scikit_learn_predicts(contamination):
    known, vectors = clusters(300), clusters(100, seed=1)
    theirs = LocalOutlierFactor(20, algorithm="brute", novelty=True, contamination=contamination).fit(known)
    ours = LocalOutliers(20).fit(known)
    bar = threshold(ours.known_scores, contamination)
    assert bar == pytest.approx(theirs.offset_, rel=1e-5)
    assert (ours.known_scores < bar).sum() == (theirs.negative_outlier_factor_ < theirs.offset_).sum()
    assert ((ours.score(vectors) < bar) == (theirs.predict(vectors) == -1)).all()


def test_the_threshold_leaves_the_stated_share_below():
    scores = np.arange(1000.0)
    assert [(scores < threshold(scores, share)).sum() for share in (0.001, 0.01, 0.5)] == [1, 10, 500]


def test_separation_by_hand():
    known, novel = np.arange(1.0, 101), np.array([0.0, 3.0, 5.5, 200.0])
    # 95 of the 100 known images score 6 or more, and so does one of the four novel ones.
    found = separation(known, novel)
    assert found["auroc"] == pytest.approx((100 + 97.5 + 95 + 0) / 400)
    assert found["fpr95"] == 0.25
    assert separation(known, known - 1000) == {"auroc": 1.0, "fpr95": 0.0}
    assert separation(known, known + 1000) == {"auroc": 0.0, "fpr95": 1.0}
    assert separation(np.ones(9), np.ones(5)) == {"auroc": 0.5, "fpr95": 1.0}, "all alike: nothing is told apart"


scores = st.lists(st.integers(-20, 20), min_size=1, max_size=60)


@given(scores, scores)
def test_separation_is_that_of_the_curve(known, novel):
    known, novel = np.array(known, float), np.array(novel, float)
    found = separation(known, novel)
    truth = np.r_[np.ones(len(known)), np.zeros(len(novel))]
    wins = (known[:, None] > novel).mean() + (known[:, None] == novel).mean() / 2
    assert found["auroc"] == pytest.approx(wins)
    assert found["auroc"] == pytest.approx(roc_auc_score(truth, np.r_[known, novel]))
    fpr, tpr, _ = roc_curve(truth, np.r_[known, novel], drop_intermediate=False)
    assert found["fpr95"] == pytest.approx(fpr[tpr >= 0.95 - 1e-12].min())
