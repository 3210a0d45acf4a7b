"""The pictures of novelty: what they show, and that they survive odd input."""

import numpy as np
import pytest
from matplotlib.colors import to_hex

from siamese.plots import save
from siamese.plots.novelty import MOST, factor_histogram, judged_sheet
from siamese.plots.style import RIGHT, WRONG


def test_the_histogram_names_every_set_and_threshold(tmp_path):
    draw = np.random.default_rng(0)
    novel = {"$clothes$": 1 + draw.exponential(3, 500), "a": np.array([1e9])}
    figure = factor_histogram(1 + draw.exponential(0.1, 500), novel, {"1 % of training": 1.5})
    told = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert told == ["known test images", "$clothes$", "a", "1 % of training: 1.50"]
    assert save(figure, tmp_path / "a.png").stat().st_size > 1000


@pytest.mark.parametrize("known", [np.ones(5), np.array([1.0])])
def test_a_histogram_of_equal_factors(known, tmp_path):
    save(factor_histogram(known, {"a": np.ones(3)}, {"1 %": 1.0}), tmp_path / "a.png")


@pytest.mark.parametrize("count", [1, 9, 60])
def test_a_sheet_of_images_of_any_kind(count, tmp_path):
    kinds = [np.zeros((28, 28), np.uint8), np.full((50, 32, 3), 200, np.uint8)]
    images = [kinds[place % 2] for place in range(count)]
    names = [f"{place}$a$ long name of a file.png" for place in range(count)]
    figure = judged_sheet(images, names, ["said"] * count, [place == 0 for place in range(count)], "They", count + 100)
    drawn = [axes for axes in figure.axes if axes.images]
    assert len(drawn) == min(count, MOST)
    colours = [to_hex(axes.spines["top"].get_edgecolor()) for axes in drawn]
    assert colours == [WRONG] + [RIGHT] * (len(drawn) - 1)
    assert f"({len(drawn)} of {count + 100})" in figure.texts[0].get_text()
    save(figure, tmp_path / "a.png")
