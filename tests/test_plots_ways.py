"""Pictures of two ways: every figure is there."""

import numpy as np

from siamese.plots.ways import Curve, way_bars, way_race


def test_bars_carry_their_figures():
    figures = {
        name: {"images/s": {"a": 1234.0, "b": 56.78}, "s": {"a": 0.5, "b": 45.9}} for name in ("koch", "compact")
    }
    figure = way_bars(figures, "Rates")
    assert [axes.get_title("left") for axes in figure.axes] == [
        "koch: images/s", "koch: s", "compact: images/s", "compact: s",
    ]  # fmt: skip
    assert [text.get_text() for text in figure.axes[0].texts] == ["1,234", "56.8"]
    assert [text.get_text() for text in figure.axes[3].texts] == ["0.50", "45.9"]
    assert [bar.get_width() for bar in figure.axes[0].patches] == [1234.0, 56.78]
    assert [label.get_text() for label in figure.axes[2].get_yticklabels()] == ["a", "b"]


def test_a_race_shows_single_trainings_and_the_target():
    curve = Curve(np.array([60.0, 120.0]), np.array([0.2, 0.4]))
    dots = Curve(np.array([8.0, 15.0]), np.array([0.7, 0.8]), joined=False)
    (axes,) = way_race({"ours": dots, "plain": curve}, 0.78, "Race").axes
    ours, plain, target = axes.lines
    assert (ours.get_linestyle(), plain.get_linestyle()) == (":", "-")
    assert plain.get_xdata().tolist() == [60, 120] and ours.get_ydata().tolist() == [0.7, 0.8]
    assert list(target.get_ydata()) == [0.78, 0.78]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["ours", "plain", "target, 78 %"]
