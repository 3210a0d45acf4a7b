"""Drawings and pages of the benchmark of paper and pens: the same for a seed, with ink on every one of them."""

import sys
from itertools import combinations
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.spatial import KDTree

from siamese.datasets.pictures import BadImage
from siamese.similarity import Cosine

ROOT = Path(__file__).parents[1]
MODULES = ("bench_paper", "bench_paper_pages", "bench_paper_symbols")


@pytest.fixture
def paper(monkeypatch):
    """The benchmark; its other modules are imported with it."""
    monkeypatch.syspath_prepend(str(ROOT / "experiments"))
    yield __import__("bench_paper")
    for name in MODULES:
        sys.modules.pop(name, None)


class Columns:
    """A network's stand-in: an embedding is the page's columns of ink; it refuses what ``refuses`` says."""

    similarity = Cosine()

    def __init__(self, refuses=lambda picture: False):
        self.refuses = refuses

    def embed(self, pictures):
        if any(map(self.refuses, pictures)):
            raise BadImage("the image", "is blank")
        return torch.stack([255.0 - torch.tensor(np.asarray(picture)).float().mean(0) for picture in pictures])


def test_18_distinct_symbols_of_which_the_last_six_are_strangers(paper):
    symbols = paper.symbols()
    assert len(symbols) == 18 and paper.KNOWN == 12
    assert len({symbol.name for symbol in symbols}) == 18
    assert all(2 <= len(symbol.strokes) <= 4 for symbol in symbols)
    assert all(points.min() >= 0 and points.max() <= 1 for symbol in symbols for points, _ in symbol.strokes)
    made = paper.pages(paper.REFERENCE, 0)
    assert [number for number, _ in made] == [number for number in range(18) for _ in range(5)]


def test_no_symbol_is_another_one_turned_or_mirrored(paper):
    rng = SimpleNamespace(
        uniform=lambda low, high, size: np.zeros(size), normal=lambda mean, sigma, size: np.zeros(size)
    )
    clouds = [np.concatenate(paper.drawn(symbol, rng)) for symbol in paper.symbols()]
    clouds = [cloud - cloud.mean(0) for cloud in clouds]
    trees = [KDTree(cloud) for cloud in clouds]
    for first, second in combinations(range(18), 2):
        nearest = 1.0
        for angle in np.radians(range(0, 360, 10)):
            turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
            for mirror in (1, -1):
                there = turn * [1, mirror]
                away = trees[second].query(clouds[first] @ there)[0].mean()
                back = trees[first].query(clouds[second] @ np.linalg.inv(there))[0].mean()
                nearest = min(nearest, max(away, back))
        assert nearest > 0.04, (first, second)


def test_pages_depend_on_the_seed_and_the_condition_alone(paper):
    def drawn_page(condition, seed):
        drawing = paper.drawn(paper.symbols()[3], np.random.default_rng([seed, 3]))
        return paper.page(drawing, condition, np.random.default_rng(seed))

    for condition in paper.CONDITIONS:
        first = drawn_page(condition, 1)
        assert first.tobytes() == drawn_page(condition, 1).tobytes(), condition.name
        assert first.tobytes() != drawn_page(condition, 2).tobytes(), condition.name


def test_every_condition_has_its_ink_on_the_page(paper):
    for number, condition in enumerate(paper.CONDITIONS):
        drawing = paper.drawn(paper.symbols()[number % 18], np.random.default_rng(number))
        page = paper.page(drawing, condition, np.random.default_rng(1))
        ink = _levels(page)
        if condition.side is None:
            alone = np.full(ink.shape, 255.0)
        else:
            assert page.size == (condition.side, condition.side)
            alone = _levels(paper.page([], condition, np.random.default_rng(1)))
        there = np.abs(ink - alone) > 35
        length = sum(np.hypot(*np.diff(stroke, axis=0).T).sum() for stroke in drawing)
        # Edges are grey, strokes cross, pages are dark in places, and chalk and pencil leave paper free.
        assert 0.4 < there.sum() / (length * condition.symbol * (condition.pen + 1)) < 1.3, condition.name
        rows, columns = (np.flatnonzero(there.any(axis)) for axis in (1, 0))
        last = np.array(there.shape) - 1
        touches = rows[0] == 0 or columns[0] == 0 or rows[-1] == last[0] or columns[-1] == last[1]
        assert touches == (condition.place == "edge"), condition.name


def test_a_refused_page_is_neither_right_nor_known(paper):
    made = paper.pages(paper.REFERENCE, 0)
    names = Columns().embed(paper.enrolled(0))
    all_known = paper.result(Columns(), names, -1.0, made)
    assert all_known.right + all_known.wrong == pytest.approx(100)
    assert (all_known.unknown, all_known.refused) == (0, 0)
    none_known = paper.result(Columns(), names, 1.1, made)
    assert none_known == (all_known.right, 0, 100, 0)
    assert paper.result(Columns(lambda picture: True), names, -1.0, made) == (0, 0, 100, 90)


def test_goals(paper):
    every, pen = (next(each.goal for each in paper.CONDITIONS if each.name == name) for name in ("chalk", "pen 22 px"))
    assert paper.Result(97, 2, 85, 0).meets(every)
    assert not any(paper.Result(*each, 0).meets(every) for each in ((96.9, 2, 85), (97, 2.1, 85), (97, 2, 84.9)))
    assert paper.Result(95, 5, 0, 0).meets(pen) and not paper.Result(94, 0, 100, 0).meets(pen)


def test_the_table_and_the_sheet_name_every_condition(paper):
    results = {condition.name: paper.Result(100, 0, 100, 0) for condition in paper.CONDITIONS}
    rows = paper.table(results, [paper.Pair("two faces", "no verdict (first: is no drawing)", True)])
    assert [row[0] for row in rows[1:-2]] == [condition.name for condition in paper.CONDITIONS]
    assert rows[-2][-1] == f"{len(results)} of {len(results)}"
    assert paper.markdown(rows, "of it").splitlines()[3] == "|---|---|---|---|---|---|"
    again = paper.markdown(rows, "of it", "# Words\n\nabout it.\n\n" + paper.markdown(rows[:1], "").lstrip())
    assert again.startswith("# Words\n\nabout it.\n\n| ") and again.endswith(paper.markdown(rows, "of it")[8:])
    assert paper.plain(rows).splitlines()[-1].endswith("no verdict (first: is no drawing)")
    drawing = paper.drawn(paper.symbols()[0], np.random.default_rng(0))
    examples = {each.name: paper.page(drawing, each, np.random.default_rng(0)) for each in paper.CONDITIONS}
    titles = [axes.get_title() for axes in paper.sheet(examples, results, "of it").axes]
    assert titles[: len(results)] == list(results)


def _levels(page):
    """``float64 [H, W]`` in 0..255 of a page; of a transparent one its opacity."""
    if page.mode == "RGBA":
        page = page.getchannel("A")
    if page.mode == "I;16":
        return np.asarray(page) / 257
    return np.asarray(page.convert("L"), np.float64)
