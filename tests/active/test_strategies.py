"""What is the most worth asking: values computed by hand, one direction for all, ties by the seed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from siamese.active import (
    STRATEGIES,
    UNCERTAINTY,
    certainty,
    coreset,
    entropy,
    least_confident,
    margin,
    next_rows,
    plain_margin,
)
from siamese.errors import UserError

P = np.array([[0.5, 0.25, 0.25], [0.7, 0.2, 0.1], [0.1, 0.45, 0.45], [0, 1, 0], [1 / 3, 1 / 3, 1 / 3]])


@st.composite
def distributions(draw, most: int = 6) -> np.ndarray:
    """``float64 [N, C]`` of 1 to 30 rows and 2 to ``most`` classes."""
    shape = (draw(st.integers(1, 30)), draw(st.integers(2, most)))
    raw = np.random.default_rng(draw(st.integers(0, 2**32 - 1))).exponential(size=shape) + 1e-9
    return raw / raw.sum(1, keepdims=True)


def test_values_computed_by_hand():
    assert least_confident(P) == pytest.approx([0.5, 0.3, 0.55, 0, 2 / 3])
    assert plain_margin(P) == pytest.approx([0.25, 0.5, 0, 1, 0])
    assert margin(P) == pytest.approx([0.75, 0.5, 1, 0, 1])
    log = np.log
    first = (0.5 * log(2) + 0.5 * log(4)) / log(3)
    second = -(0.7 * log(0.7) + 0.2 * log(0.2) + 0.1 * log(0.1)) / log(3)
    assert entropy(P[[0, 1, 3, 4]]) == pytest.approx([first, second, 0, 1])


def test_what_a_threshold_is_set_on():
    assert certainty("margin", P) == pytest.approx([0.25, 0.5, 0, 1, 0])
    assert certainty("least-confident", P) == pytest.approx([0.5, 0.7, 0.45, 1, 1 / 3])
    assert certainty("entropy", P[3:]) == pytest.approx([1, 0])


@settings(deadline=None)
@given(distributions())
def test_all_say_more_for_less_certain_and_stay_in_0_to_1(p):
    for name, uncertainty in UNCERTAINTY.items():
        values = uncertainty(p)
        assert ((values >= 0) & (values <= 1)).all()
        assert values + certainty(name, p) == pytest.approx(np.ones(len(p)))
    assert margin(p) + plain_margin(p) == pytest.approx(np.ones(len(p)))


@settings(deadline=None)
@given(distributions(most=2))
def test_for_two_classes_all_agree(p):
    assert margin(p) == pytest.approx(2 * least_confident(p))
    ranks = [np.lexsort((np.arange(len(p)), uncertainty(p).round(9))) for uncertainty in (margin, least_confident)]
    assert np.array_equal(*ranks)
    apart = np.diff(np.sort(p.max(1))) > 1e-6
    if apart.all():
        assert np.array_equal(ranks[0], np.argsort(entropy(p)))


@settings(deadline=None)
@given(distributions(), st.randoms(use_true_random=False))
def test_the_order_of_classes_says_nothing(p, random):
    columns = list(range(p.shape[1]))
    random.shuffle(columns)
    for uncertainty in UNCERTAINTY.values():
        assert uncertainty(p[:, columns]) == pytest.approx(uncertainty(p))


@pytest.mark.parametrize(
    "p", [[0.5, 0.5], [[1.0]], [[0.5, 0.6]], [[-0.1, 1.1]], [[np.nan, 1]]],
    ids=["one row", "one class", "no sum of 1", "negative", "nan"],
)  # fmt: skip
@pytest.mark.parametrize("uncertainty", [*UNCERTAINTY.values(), plain_margin])
def test_what_is_no_distribution_is_refused(uncertainty, p):
    with pytest.raises(ValueError, match="probabilities"):
        uncertainty(np.array(p))


def test_coreset_takes_one_of_each_cluster_first():
    random = np.random.default_rng(0)
    centres = np.array([[0, 0], [10, 0], [0, 10], [10, 10], [30, 30]])
    cluster = np.repeat(np.arange(5), [100, 50, 20, 5, 1])  # random rows would hardly ever see the last two
    embeddings = centres[cluster] + random.normal(scale=0.3, size=(len(cluster), 2))
    order = random.permutation(len(cluster))
    embeddings, cluster = embeddings[order], cluster[order]
    assert sorted(cluster[coreset(embeddings, 5)]) == [0, 1, 2, 3, 4]
    known = embeddings[cluster == 0][:1]
    assert sorted(cluster[coreset(embeddings, 4, known)]) == [1, 2, 3, 4]


@settings(deadline=None)
@given(st.integers(1, 25), st.integers(0, 30), st.integers(0, 3), st.integers(0, 2**32 - 1))
def test_coreset_is_greedy_and_never_takes_a_row_twice(n, k, known, seed):
    """Against brute force, with duplicates among the rows."""
    random = np.random.default_rng(seed)
    embeddings, centres = random.integers(0, 4, (n, 2)).astype(float), random.integers(0, 4, (known, 2)).astype(float)
    rows = coreset(embeddings, k, centres)
    assert len(rows) == len(set(rows.tolist())) == min(k, n)
    seen = list(centres)
    for place, row in enumerate(rows):
        left = np.setdiff1d(np.arange(n), rows[:place])
        if seen:
            distances = np.linalg.norm(embeddings[left][:, None] - np.array(seen), axis=2).min(1)
            own = np.linalg.norm(embeddings[row] - np.array(seen), axis=1).min()
            assert own == pytest.approx(distances.max(), abs=1e-6)
        seen.append(embeddings[row])


def test_coreset_is_within_twice_the_best_cover():
    """Gonzalez (1985): the greedy radius is at most twice that of the best k centres; here all 3 of 9 are tried."""
    from itertools import combinations

    points = np.random.default_rng(3).normal(size=(9, 2))

    def radius(rows) -> float:
        return float(np.linalg.norm(points[:, None] - points[list(rows)], axis=2).min(1).max())

    assert radius(coreset(points, 3)) <= 2 * min(map(radius, combinations(range(9), 3)))


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_equal_seeds_give_equal_distinct_rows_and_others_other_ties(strategy):
    embeddings, p = np.zeros((40, 3)), np.full((40, 4), 0.25)  # nothing but ties
    chosen = [next_rows(strategy, 10, seed, embeddings, p) for seed in (0, 0, 1)]
    assert np.array_equal(chosen[0], chosen[1])
    assert not np.array_equal(chosen[0], chosen[2])
    assert len(set(chosen[0].tolist())) == 10
    assert sorted(next_rows(strategy, 99, 0, embeddings, p)) == list(range(40))
    assert len(next_rows(strategy, 0, 0, embeddings, p)) == 0


@pytest.mark.parametrize("strategy", UNCERTAINTY)
def test_the_most_uncertain_come_first(strategy):
    sure = np.linspace(0.5, 0.99, 20)
    p = np.stack([sure, 1 - sure], axis=1)
    order = np.random.default_rng(0).permutation(20)
    assert next_rows(strategy, 5, 0, np.zeros((20, 1)), p[order]).tolist() == np.argsort(order)[:5].tolist()


def test_ties_are_broken_without_favour():
    """The two rows that are tied for the last place come about equally often."""
    p = np.array([[0.9, 0.1], [0.5, 0.5], [0.7, 0.3], [0.7, 0.3]])
    last = [next_rows("margin", 2, seed, np.zeros((4, 1)), p).tolist() for seed in range(200)]
    assert {row[0] for row in last} == {1}
    assert 70 < sum(row[1] == 2 for row in last) < 130
    assert {row[1] for row in last} == {2, 3}


def test_coreset_of_what_is_known_looks_elsewhere():
    embeddings = np.array([[0.0], [1.0], [5.0]])
    assert next_rows("coreset", 1, 0, embeddings, labeled=np.array([[5.0]])).tolist() == [0]
    assert next_rows("coreset", 1, 0, embeddings, labeled=np.array([[0.0]])).tolist() == [2]


def test_bad_questions():
    with pytest.raises(UserError, match=r"no strategy 'best'; there are margin, least-confident, .*random"):
        next_rows("best", 1, 0, np.zeros((2, 1)))
    with pytest.raises(ValueError, match="margin needs the class probabilities"):
        next_rows("margin", 1, 0, np.zeros((2, 1)))
    with pytest.raises(ValueError, match="negative"):
        next_rows("random", -1, 0, np.zeros((2, 1)))
