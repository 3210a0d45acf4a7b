"""Learning curves on clusters whose answer is known, the classifiers behind them, and their picture."""

from itertools import pairwise

import numpy as np
import pytest

from siamese.active import CLASSIFIERS, STRATEGIES, fitted, learning_curve
from siamese.active import curve as module
from siamese.errors import UserError
from siamese.plots.active import Curve, learning_curves
from siamese.plots.style import save

RANDOM = np.random.default_rng(0)
CENTRES = np.array([[0, 0, 0], [4, 0, 0], [0, 4, 0], [0, 0, 4]], np.float32)


def clusters(each: int) -> tuple[np.ndarray, np.ndarray]:
    labels = np.repeat(np.arange(4), each)
    noise = np.random.default_rng(each).normal(scale=0.4, size=(len(labels), 3))
    return (CENTRES[labels] + noise).astype(np.float32), labels


POOL, TEST = clusters(30), clusters(11)


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_classifiers_learn_say_probabilities_and_are_deterministic(name):
    told = [fitted(name, 7, *POOL).predict_proba(TEST[0]) for _ in range(2)]
    assert np.array_equal(*told)
    assert told[0].shape == (44, 4)
    assert told[0].sum(1) == pytest.approx(np.ones(44))
    learned = fitted(name, 7, *POOL)
    assert learned.classes_.tolist() == [0, 1, 2, 3]
    assert (learned.predict(TEST[0]) == TEST[1]).mean() > 0.95
    assert np.array_equal(learned.predict(TEST[0]), told[0].argmax(1))


def test_the_nearest_support_is_unsure_between_two_and_knows_no_scale():
    supports, labels = np.array([[0.0, 0], [0.0, 1], [4.0, 0]]), np.array([5, 5, 9])
    asked = np.array([[2.0, 0], [0.5, 0], [4.0, 0]])
    p = fitted("nearest", 0, supports, labels).predict_proba(asked)
    assert p[0] == pytest.approx([0.5, 0.5])
    # The mean distance to the nearest of the other class: (4 + sqrt(17) + 4) / 3; a difference of 3 of those.
    odds = 10 * 3 / ((8 + 17**0.5) / 3)
    assert np.log(p[1, 0] / p[1, 1]) == pytest.approx(odds, rel=1e-5)
    assert p[2, 1] > 0.99
    assert fitted("nearest", 0, 1e-3 * supports, labels).predict_proba(1e-3 * asked) == pytest.approx(p, rel=1e-4)


def test_the_nearest_support_where_two_classes_have_the_same_image():
    same = np.zeros((2, 3))
    assert fitted("nearest", 0, same, np.array([0, 1])).predict_proba(same) == pytest.approx(np.full((2, 2), 0.5))


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_one_image_of_each_class_is_enough_and_no_reason_to_warn(name, recwarn):
    labels = np.array(list("abcd"))
    assert fitted(name, 0, CENTRES, labels).predict_proba(CENTRES).shape == (4, 4)
    assert not recwarn.list


def test_references_are_what_they_are_called():
    assert CLASSIFIERS["forest2"](3).get_params()["max_depth"] == 2
    assert CLASSIFIERS["forest"](3).get_params()["max_depth"] is None
    with pytest.raises(UserError, match="no classifier 'svm'; there are forest2"):
        fitted("svm", 0, *POOL)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_curve_counts_its_labels_learns_and_can_be_drawn_again(strategy):
    curves = [learning_curve(*POOL, *TEST, strategy, "nearest", 4, 5, 21, 3) for _ in range(2)]
    assert all(np.array_equal(*pair) for pair in zip(*curves, strict=True))
    asked, accuracy = curves[0]
    assert asked.tolist() == [4, 9, 14, 19, 21]
    assert accuracy[-1] > 0.9
    assert ((accuracy >= 0) & (accuracy <= 1)).all()


def test_it_starts_with_an_image_of_each_class_alike_for_all_strategies():
    labels = np.repeat(np.arange(4), [100, 15, 4, 1])  # a random start would lack the last
    starts = [module._start(labels, 4, seed) for seed in range(20)]
    assert all(sorted(labels[start]) == [0, 1, 2, 3] for start in starts)
    assert len({tuple(start) for start in starts}) > 10
    more = module._start(labels, 10, 0)
    assert len(set(more.tolist())) == 10
    assert more[:4].tolist() == starts[0].tolist()
    first = [learning_curve(*POOL, *TEST, strategy, "nearest", 4, 1, 4, 0)[1].tolist() for strategy in STRATEGIES]
    assert first == [first[0]] * len(STRATEGIES)


def test_no_label_is_asked_for_twice_and_none_seen_before_it_is_asked_for(monkeypatch):
    seen: list[np.ndarray] = []

    class Spy:
        def __init__(self, name, seed, vectors, labels):
            seen.append(vectors[:, 0])

        def predict(self, vectors):
            return np.zeros(len(vectors))

        def predict_proba(self, vectors):
            return np.full((len(vectors), 2), 0.5)

    monkeypatch.setattr(module, "fitted", Spy)
    pool, labels = np.arange(20.0)[:, None], np.arange(20) % 2
    for strategy in STRATEGIES:
        seen.clear()
        asked, _ = learning_curve(pool, labels, pool, labels, strategy, "spy", 2, 4, 100, 0)
        assert asked.tolist() == [2, 6, 10, 14, 18, 20]  # the pool ends before the budget
        assert [len(set(known.tolist())) for known in seen] == asked.tolist()
        assert all(set(a) <= set(b) for a, b in pairwise(seen))


def test_asking_pays_on_a_line_with_one_border():
    """Margin halves the doubtful part with every label, random ones find the border no nearer than 1 / labels."""
    pool = np.random.default_rng(1).permutation(1001)[:, None] / 1000
    labels = (pool[:, 0] > 0.37).astype(int)

    def wrong(strategy: str) -> float:
        ends = [learning_curve(pool, labels, pool, labels, strategy, "nearest", 2, 1, 16, s)[1][-1] for s in range(5)]
        return 1 - float(np.mean(ends))

    assert wrong("margin") <= 0.002
    assert wrong("random") > 0.005


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"start": 3}, "one image of each of the 4 classes"),
        ({"start": 30}, "no more than the budget"),
        ({"start": 121, "budget": 500}, "the pool"),
        ({"step": 0}, "at least one label"),
        ({"strategy": "best"}, "no strategy 'best'"),
        ({"classifier": "svm"}, "no classifier 'svm'"),
        ({"labels": np.zeros(120)}, "a pool of 1 class"),
    ],
)
def test_bad_questions(changed, said):
    data = {"embeddings": POOL[0], "labels": POOL[1], "test_embeddings": TEST[0], "test_labels": TEST[1]}
    asked = {"strategy": "margin", "classifier": "nearest", "start": 4, "step": 2, "budget": 20, "seed": 0}
    with pytest.raises(UserError, match=said):
        learning_curve(**data | asked | changed)


def test_the_picture_shows_every_strategy_and_the_full_accuracy(tmp_path):
    asked = np.array([4, 8, 12])
    curve = Curve(asked, np.array([0.4, 0.6, 0.8]), np.array([0.3, 0.5, 0.7]), np.array([0.5, 0.7, 0.9]))
    figure = learning_curves(dict.fromkeys(STRATEGIES, curve), 0.9, "clusters")
    (axes,) = figure.axes
    lines = {line.get_label(): line for line in axes.get_lines()}
    assert set(lines) == {*STRATEGIES, "all labels, 90.0 %", "95 % of that"}
    assert lines["random"].get_linestyle() == "--"
    assert lines["margin"].get_xdata().tolist() == [4, 8, 12]
    assert len({line.get_color() for name, line in lines.items() if name in STRATEGIES}) == len(STRATEGIES)
    assert save(figure, tmp_path / "out" / "curves.png").read_bytes().startswith(b"\x89PNG")
