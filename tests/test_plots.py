"""The pictures: what they show, that they survive odd input, and that a failed save leaves nothing behind."""

from __future__ import annotations

import sys
from pathlib import Path
from statistics import NormalDist

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.text import Text

from siamese import plots
from siamese.plots.style import RIGHT, WRONG


def make_trial(similarities: list[float], target: int, query_name: str = "query.png") -> plots.Trial:
    n = len(similarities)
    images = np.random.default_rng(0).integers(0, 256, (n + 1, 12, 12), dtype=np.uint8)
    names = tuple(f"support{i}.png" for i in range(n))
    return plots.Trial(images[0], images[1:], np.array(similarities), target, query_name, names, "run 1")


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text) if isinstance(text, Text) and text.get_text()]


def frames(figure: Figure) -> list[str]:
    """The frame colour of every panel that shows an image."""
    return [to_hex(axes.spines["left"].get_edgecolor()) for axes in figure.axes if axes.images]


def bars(figure: Figure) -> list[Rectangle]:
    return [patch for patch in figure.axes[0].patches if isinstance(patch, Rectangle)]


def drawn(figure: Figure, tmp_path: Path) -> bool:
    """Whether the figure can be rendered, with some ink on it."""
    return plots.save(figure, tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")


def test_the_answer_is_the_most_similar_support():
    assert make_trial([0.1, 0.9, 0.3], target=1).right
    wrong = make_trial([0.1, 0.9, 0.3], target=2)
    assert (wrong.answer, wrong.right, wrong.order) == (1, False, [1, 2, 0])


@pytest.mark.parametrize("target", [-1, 3])
def test_a_trial_needs_a_target_among_its_supports(target: int):
    with pytest.raises(ValueError, match="target"):
        make_trial([0.1, 0.9, 0.3], target)


def test_a_right_trial_frames_one_support_and_a_wrong_one_two(tmp_path: Path):
    similarities = np.linspace(0, 1, 20).tolist()
    right = plots.trial(make_trial(similarities, target=19), "title")
    assert sum(1 for axes in right.axes if axes.images) == 21
    assert (frames(right).count(RIGHT), frames(right).count(WRONG)) == (1, 0)
    wrong = plots.trial(make_trial(similarities, target=3), "title")
    assert (frames(wrong).count(RIGHT), frames(wrong).count(WRONG)) == (1, 1)
    assert {"answer", "truth", "query.png", "support3.png", "support19.png", "1.000", "run 1"} <= set(texts(wrong))
    assert drawn(wrong, tmp_path)


@pytest.mark.parametrize("n", [1, 2, 5, 7])
def test_a_trial_of_any_size_with_equal_similarities_is_drawn(n: int, tmp_path: Path):
    assert drawn(plots.trial(make_trial([0.5] * n, target=n - 1), "title"), tmp_path)


def test_a_sheet_shows_query_truth_answer_and_names_of_each_trial(tmp_path: Path):
    wrong = [make_trial([0.9, 0.2, 0.1, 0.4], target=2, query_name=f"q{i}.png") for i in range(3)]
    sheet = plots.trial_sheet(wrong, "title")
    assert {"q0.png", "q1.png", "q2.png", "support2.png", "support0.png", "the truth came 4th"} <= set(texts(sheet))
    assert (frames(sheet).count(RIGHT), frames(sheet).count(WRONG)) == (3, 3)
    assert drawn(sheet, tmp_path)


def test_a_sheet_of_right_trials_shows_no_support_twice():
    sheet = plots.trial_sheet([make_trial([0.9, 0.2, 0.1], target=0)] * 2, "title")
    assert sum(1 for axes in sheet.axes if axes.images) == 2 * (1 + 3)


def test_a_sheet_says_when_it_shows_only_some_and_when_there_are_none(tmp_path: Path):
    assert "all (the first 12 of 30)" in texts(plots.trial_sheet([make_trial([0.1, 0.2], 0)] * 30, "all"))
    assert "There are none." in texts(plots.trial_sheet([], "none"))


def test_dollars_in_file_names_are_no_formula(tmp_path: Path):
    trial = make_trial([0.1, 0.2], 0, query_name="a$\\bad{$.png")
    for figure in (plots.trial(trial, "$\\x$"), plots.trial_sheet([trial], "$\\x$")):
        assert drawn(figure, tmp_path)


def test_group_bars_have_the_best_on_top_and_its_figure_beside_it(tmp_path: Path):
    figure = plots.group_bars({"A_b": (0.5, 0.4, 0.6), "C": (0.975, 0.9, 1.0), "D": (0.7, 0.6, 0.8)}, "title")
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["A b", "D", "C"]
    assert [bar.get_width() for bar in bars(figure)] == [0.5, 0.7, 0.975]
    assert "97.5 %" in texts(figure)
    assert drawn(figure, tmp_path) and drawn(plots.group_bars({}, "title"), tmp_path)


def test_run_bars_stack_right_and_wrong_to_one(tmp_path: Path):
    figure = plots.run_bars([0.9, 1.0, 0.95], "title")
    heights = np.array([bar.get_height() for bar in bars(figure)]).reshape(2, 3)
    np.testing.assert_allclose(heights.sum(axis=0), 1)
    assert "mean 95.0 %" in texts(figure)
    assert drawn(plots.run_bars([], "title"), tmp_path)


def test_roc_marks_equal_errors_and_the_best_within_each_rate(tmp_path: Path):
    far, tar = np.array([0.0, 0.0005, 0.008, 0.1, 1.0]), np.array([0.0, 0.5, 0.7, 0.9, 1.0])
    figure = plots.roc({"this run": (far, tar)}, "title")
    axes = figure.axes[0]
    assert axes.get_xscale() == "log" and axes.get_xlim() == (1e-4, 1)
    # By hand: FAR = 0.1 meets 1 - TAR = 0.1; 0.008 is the last rate within 1 %, 0.0005 within 0.1 %.
    assert {"this run (EER 10.0 %)", "70.0 % at FAR 1 %", "50.0 % at FAR 0.1 %"} <= set(texts(figure))
    assert drawn(figure, tmp_path)


@pytest.mark.parametrize(("tar", "error"), [([1.0, 1.0, 1.0], "0.0 %"), ([0.0, 0.5, 1.0], "50.0 %")])
def test_roc_of_a_perfect_and_of_a_blind_network(tar: list[float], error: str):
    curve = np.array([0.0, 0.5, 1.0]), np.array(tar)
    assert f"it (EER {error})" in texts(plots.roc({"it": curve}, "title"))


def test_the_histogram_says_how_many_are_on_the_wrong_side(tmp_path: Path):
    figure = plots.score_histogram(np.array([0.2, 0.6, 0.7, 0.9]), np.array([0.1, 0.5]), 0.5, "title")
    wanted = {"genuine pairs, 25.0 % refused", "impostor pairs, 50.0 % accepted", "threshold 0.500"}
    assert wanted <= set(texts(figure))
    assert drawn(figure, tmp_path)


def test_det_marks_equal_errors_and_the_operating_point_on_scales_of_the_normal_deviate(tmp_path: Path):
    far, frr = np.array([0.0, 0.02, 0.1, 1.0]), np.array([1.0, 0.3, 0.1, 0.0])
    figure = plots.det({"this run": (far, frr)}, "title", {"stored threshold": (0.02, 0.3)})
    wanted = {"this run (EER 10.0 %)", "stored threshold (FAR 2 %, FRR 30 %)", "equal errors (FAR = FRR)"}
    assert wanted <= set(texts(figure))
    (mark,) = [line for line in figure.axes[0].lines if str(line.get_label()).startswith("stored")]
    normal = NormalDist()
    assert np.ravel(mark.get_data()) == pytest.approx([normal.inv_cdf(0.02), normal.inv_cdf(0.3)])
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()][4] == "50 %"
    assert figure.axes[0].get_xticks()[4] == pytest.approx(0)
    assert drawn(figure, tmp_path)


@pytest.mark.parametrize(("frr", "error"), [([0.0, 0.0, 0.0], "0.0 %"), ([1.0, 0.5, 0.0], "50.0 %")])
def test_det_of_a_perfect_and_of_a_blind_network(frr: list[float], error: str, tmp_path: Path):
    figure = plots.det({"it": (np.array([0.0, 0.5, 1.0]), np.array(frr))}, "title")
    assert f"it (EER {error})" in texts(figure) and drawn(figure, tmp_path)


def test_reliability_says_how_far_promises_are_from_what_came_true(tmp_path: Path):
    figure = plots.reliability(np.array([0.1, 0.9]), np.array([0.1, 0.5]), np.array([0.75, 0.25]), "title")
    assert "measured (mean distance 10.0 points)" in texts(figure)  # 0.75 * 0 + 0.25 * 0.4
    assert [bar.get_height() for bar in figure.axes[1].patches] == [0.75, 0.25]  # type: ignore[attr-defined]
    assert drawn(figure, tmp_path)


def make_pairs(number: int, shape: tuple[int, ...] = (12, 12)) -> list[plots.JudgedPair]:
    images = np.random.default_rng(0).integers(0, 256, (2, *shape), dtype=np.uint8)
    return [plots.JudgedPair(*images, f"one$\\x{i}.png", f"other{i}.png", -0.25, 0.75) for i in range(number)]


@pytest.mark.parametrize("shape", [(12, 12), (12, 9, 3)])
def test_a_sheet_of_pairs_shows_both_images_their_names_and_the_verdict(shape: tuple[int, ...], tmp_path: Path):
    sheet = plots.pair_sheet(make_pairs(3, shape), "title")
    assert {"one$\\x2.png", "other2.png", "score -0.250, 75.0 % same"} <= set(texts(sheet))
    assert sum(1 for axes in sheet.axes if axes.images) == 6
    assert drawn(sheet, tmp_path)


def test_a_sheet_of_pairs_says_of_how_many_it_shows_some(tmp_path: Path):
    assert "wrong (the first 12 of 1,234)" in texts(plots.pair_sheet(make_pairs(12), "wrong", 1234))
    assert "wrong (the first 12 of 20)" in texts(plots.pair_sheet(make_pairs(20), "wrong"))
    assert "wrong" in texts(plots.pair_sheet(make_pairs(5), "wrong", 5))
    none = plots.pair_sheet([], "none")
    assert "There are none." in texts(none) and drawn(none, tmp_path)


@pytest.mark.parametrize("pictures", [True, False])
def test_the_map_names_the_groups_that_occur(pictures: bool, tmp_path: Path):
    rng = np.random.default_rng(0)
    thumbnails = rng.integers(0, 256, (30, 105, 105), dtype=np.uint8) if pictures else None
    figure = plots.embedding_map(rng.normal(size=(30, 2)), np.repeat([0, 2], 15), ["A", "B", "C"], thumbnails, "title")
    legend = figure.axes[0].get_legend()
    assert legend is not None and [text.get_text() for text in legend.get_texts()] == ["A", "C"]
    assert bool([a for a in figure.axes[0].artists if type(a).__name__ == "AnnotationBbox"]) is pictures
    assert drawn(figure, tmp_path)


def test_training_curves_draw_what_is_there(tmp_path: Path):
    rows = [{"step": i, "train/loss": 1 / (i + 1), "lr-AdamW": 0.1} for i in range(100)]
    rows += [{"step": 50, "val/one_shot": 0.8, "epoch": 1}, {"step": 99, "val/one_shot": 0.75}, {"step": 99}]
    figure = plots.training_curves(rows)
    assert [axes.get_title() for axes in figure.axes] == ["loss", "one-shot accuracy, validation", "learning rate"]
    # The steps of metrics.csv count from 0.
    assert "best 80.00 % at step 51" in texts(figure)
    assert drawn(figure, tmp_path)
    assert [axes.get_title() for axes in plots.training_curves(rows[-3:]).axes] == ["one-shot accuracy, validation"]
    chosen_by_errors = [{"step": 1, "val/eer": 0.2}, {"step": 2, "val/eer": 0.1}, {"step": 3, "val/eer": 0.3}]
    assert "best 10.00 % at step 3" in texts(plots.training_curves(chosen_by_errors))
    named = plots.training_curves([{"step": step, "val/accuracy": step / 10} for step in (1, 3, 2)])
    assert [axes.get_title() for axes in named.axes] == ["accuracy, validation"]
    assert "best 30.00 % at step 4" in texts(named)
    assert "Nothing was logged." in texts(plots.training_curves([]))
    assert drawn(plots.training_curves([{"step": 1, "train/loss": float("nan")}]), tmp_path)


def test_a_failed_save_keeps_the_old_picture_and_leaves_no_half(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = plots.save(plots.run_bars([1.0], "old"), tmp_path / "made" / "runs.png")
    before = path.read_bytes()

    def fail(self: Figure, name: str, **_: object) -> None:
        Path(name).write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(Figure, "savefig", fail)
    with pytest.raises(OSError, match="disk full"):
        plots.save(plots.run_bars([0.5], "new"), path)
    assert list(path.parent.iterdir()) == [path] and path.read_bytes() == before


def test_no_picture_needs_pyplot():
    assert "siamese.plots" in sys.modules
    sources = sorted(Path(plots.__file__).parent.glob("*.py"))
    assert len(sources) > 3
    assert not [path.name for path in sources if "matplotlib.pyplot" in path.read_text()]
