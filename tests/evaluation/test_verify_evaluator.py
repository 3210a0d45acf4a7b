"""The verification evaluator: what it chooses on validation and reports on test, and what a checkpoint keeps of it."""

import dataclasses
import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import yaml
from PIL import Image
from torch import Tensor

from siamese.__main__ import main
from siamese.errors import UserError
from siamese.evaluation import split_pairs
from siamese.evaluation.calibration import OperatingPoint
from siamese.evaluation.evaluator import visible
from siamese.evaluation.split_pairs import SplitPairs
from siamese.evaluation.verification import balanced_accuracy, rates, roc
from siamese.evaluation.verify import Verification
from siamese.losses import Binary
from siamese.record import Record
from siamese.similarity import Cosine, Euclidean, Similarity, WeightedL1
from siamese.tables import Table

TINY = Path(__file__).parent.parent / "tiny.yaml"


class Scores:
    """A system and data whose embeddings are points on a line, given by split."""

    def __init__(self, table: Table, val: Tensor, test: Tensor) -> None:
        self.of_split, self.similarity, self.rows = {"val": val, "test": test}, Euclidean(), table

    def table(self, _: str) -> Table:
        return self.rows

    def embeddings(self, split: str) -> Tensor:
        return self.of_split[split]


def evaluated(table: Table, val: Tensor, test: Tensor, **options) -> Verification:
    evaluator = Verification(**{"pairs": 200, "bootstrap": 100} | options)
    given = Scores(table, val, test)
    evaluator.prepare(given)  # type: ignore[arg-type]
    evaluator.report(given, given)  # type: ignore[arg-type]
    return evaluator


def reported(table: Table, val: Tensor, test: Tensor, **options) -> dict:
    return evaluated(table, val, test, **options).results["verification"]


def noisy(table: Table, noise: float, seed: int) -> Tensor:
    """Embeddings that tell the classes of a table apart, but for noise."""
    draw = torch.Generator().manual_seed(seed)
    return table.labels.float().unsqueeze(1) + noise * torch.randn(len(table), 1, generator=draw)


def test_the_threshold_comes_from_validation_and_not_from_test(tiny):
    known = tiny.labels.float().unsqueeze(1)
    first = reported(tiny, known, known)
    assert first["accuracy"] == first["auc"] == 1.0
    assert first["threshold"] == -0.5
    shrunk = reported(tiny, known, 0.01 * known)
    assert shrunk["threshold"] == first["threshold"], "the test embeddings have no say"
    assert shrunk["auc"] == 1.0
    assert shrunk["accuracy"] == pytest.approx(0.5, abs=0.01), "at that threshold all are accepted"
    assert (shrunk["operating_point"]["measured"], shrunk["eer"]) == ({"far": 1.0, "tar": 1.0}, 0.0)
    assert reported(tiny, 10 * known, known)["threshold"] == -5.0


def test_test_pairs_are_of_the_sources_asked_for(tiny):
    for pairs in (100, None):
        chosen = SplitPairs(tiny, pairs, 0.5, [3, 4], torch.Generator().manual_seed(0))
        assert set(tiny.sources[chosen.rows].flatten().tolist()) == {3, 4}
        assert pairs or len(chosen.rows) == 48 * 47 // 2
    assert "by sources 3, 4" in reported(tiny, noisy(tiny, 1, 0), noisy(tiny, 1, 1), sources=[3, 4])["how"]


@pytest.mark.parametrize("similarity", [Euclidean(), Cosine(), WeightedL1(8)])
@pytest.mark.parametrize("at_once", [1, 1000, 1 << 22])
def test_all_pairs_are_each_pair_once_with_its_own_score(similarity: Similarity, at_once: int, tiny, monkeypatch):
    monkeypatch.setattr(split_pairs, "AT_ONCE", at_once)
    pairs = SplitPairs(tiny, None, 0.5, None, torch.Generator())
    assert {tuple(sorted(row)) for row in pairs.rows.tolist()} == {(i, j) for j in range(120) for i in range(j)}
    embeddings = torch.randn(120, 8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        wanted = similarity.paired(*embeddings[pairs.rows].unbind(1))
        torch.testing.assert_close(pairs.scores(embeddings, similarity), wanted, atol=1e-5, rtol=1e-5)


def test_the_figures_of_all_pairs(tiny):
    val, test = noisy(tiny, 0.3, 0), noisy(tiny, 0.4, 1)
    found = reported(tiny, val, test, pairs=None, far=0.05)
    i, j = torch.triu_indices(120, 120, 1)
    same = tiny.labels[i] == tiny.labels[j]

    def scores(of: Tensor) -> Tensor:
        return -(of[i] - of[j]).abs().squeeze(1)

    assert "accuracy" not in found
    threshold = roc(scores(val), same).best_threshold(0.5)
    assert found["balanced_accuracy"] == pytest.approx(balanced_accuracy(scores(test), same, threshold), abs=1e-4)
    assert (found["pairs"], found["genuine"], found["classes"]) == (7140, 24 * 10, 24)
    assert found["eer"] == pytest.approx(roc(scores(test), same).eer, abs=1e-4)
    point = found["operating_point"]
    assert (point["pairs"], point["classes"], point["far"]) == (7140, 24, 0.05)
    assert point["threshold"] == pytest.approx(roc(scores(val), same).threshold_at(0.05), abs=1e-4)
    far, tar = rates(scores(test), same, point["threshold"])
    assert point["measured"] == pytest.approx({"far": far, "tar": tar}, abs=1e-3)
    assert set(found["tar_at_far"]) == set(found["intervals"]["tar_at_far"]) == {"0.05", "0.01", "0.001"}
    assert "all pairs" in found["how"] and "balanced accuracy" in found["how"]


def test_every_interval_surrounds_its_figure(tiny):
    found = reported(tiny, noisy(tiny, 0.5, 0), noisy(tiny, 0.5, 1), pairs=2000, bootstrap=400)
    ends = found["intervals"]
    measured = found["operating_point"]["measured"]
    for figure, (low, high) in (
        (found["accuracy"], (found["low"], found["high"])),
        (found["auc"], ends["auc"]),
        (found["eer"], ends["eer"]),
        (found["tar_at_far"]["0.01"], ends["tar_at_far"]["0.01"]),
        (measured["far"], ends["measured"]["far"]),
        (measured["tar"], ends["measured"]["tar"]),
    ):
        assert low < figure < high
    assert found["interval"] == "95 % intervals from 400 resamplings of the 24 test classes"
    without = reported(tiny, noisy(tiny, 0.5, 0), noisy(tiny, 0.5, 1), pairs=2000, bootstrap=0)
    assert not {"low", "high", "interval", "intervals"} & set(without)
    assert without["eer"] == found["eer"]


@pytest.mark.parametrize("pairs", [30_000, None])
def test_the_surest_mistakes_are_shown_once_each_with_their_names(pairs: int | None, tiny):
    test = noisy(tiny, 0.0, 0)
    test[7] = 8.0  # an image of class 1 among those of class 8
    evaluator = evaluated(tiny, noisy(tiny, 0.01, 1), test, pairs=pairs)
    failures = evaluator.results["verification"]["failures"]
    own = {f"1_{source}.png" for source in range(5)} - {"1_2.png"}
    for kind, partners in (("false_rejects", own), ("false_accepts", {f"8_{source}.png" for source in range(5)})):
        named = [frozenset((pair["first"], pair["second"])) for pair in failures[kind]]
        assert named and len(set(named)) == len(named), "pairs are drawn with replacement, but shown once"
        assert all("1_2.png" in pair and pair - {"1_2.png"} <= partners for pair in named)
    assert all(pair["probability"] > 0.5 for pair in failures["false_accepts"])
    assert all(pair["probability"] < 0.5 for pair in failures["false_rejects"])
    wanted = {"roc.png", "det.png", "scores.png", "reliability.png", "false_accepts.png", "false_rejects.png"}
    assert set(evaluator.pictures) == wanted


def test_choosing_keeps_the_operating_point_and_leaves_the_system_alone(tiny):
    given = Scores(tiny, noisy(tiny, 0.3, 0), noisy(tiny, 0.3, 1))
    given.similarity = similarity = WeightedL1(1)  # type: ignore[assignment]
    weights = dict(similarity.named_parameters())
    evaluator = Verification(pairs=200)
    assert evaluator.stored() == {}
    evaluator.prepare(given)  # type: ignore[arg-type]
    logged = evaluator.choose(given, given)  # type: ignore[arg-type]
    assert set(logged) == {"val/eer", "val/auc"} and 0 <= logged["val/eer"] < 0.5 < logged["val/auc"] <= 1
    assert given.similarity is similarity
    assert all(weights[name] is value and value.requires_grad for name, value in similarity.named_parameters())
    chosen = evaluator.stored()["operating_point"]
    assert chosen["fingerprint"] == tiny.fingerprint
    evaluator.report(given, given)  # type: ignore[arg-type]
    told = evaluator.results["verification"]["operating_point"]
    assert {key: told[key] for key in chosen} == chosen
    assert OperatingPoint(**chosen).source == told["source"] == "FAR 1 % on 200 pairs of 24 validation classes of tiny"


@pytest.mark.parametrize("options", [{"far": 1.0}, {"far": -0.1}, {"pairs": 1}, {"bootstrap": -1}])
def test_options_that_make_no_sense(options: dict):
    with pytest.raises(UserError, match=r"verification|false accept"):
        Verification(**options)


def test_too_many_pairs_and_pairs_of_one_kind_are_told_before_training(tiny, make_table, monkeypatch):
    nothing = torch.empty(0)
    for table in (make_table([1]), make_table([6], sources=1)):
        with pytest.raises(UserError, match="of one kind"):
            Verification(pairs=None).prepare(Scores(table, nothing, nothing))  # type: ignore[arg-type]
    monkeypatch.setattr(split_pairs, "MOST_PAIRS", 7139)
    with pytest.raises(UserError, match=r"7,140 pairs.* pairs: 10000"):
        Verification(pairs=None).prepare(Scores(tiny, nothing, nothing))  # type: ignore[arg-type]


def test_drawings_are_shown_as_ink_and_photographs_as_they_are(tiny):
    rows = torch.tensor([3, 5])
    drawn = dataclasses.replace(tiny, images=torch.zeros_like(tiny.images))
    drawn.images[3, 0, 2, 2] = 255
    assert visible(drawn, rows)[0, 2, 2] == 255 and visible(drawn, rows).shape == (2, 28, 28)
    grey = dataclasses.replace(tiny, images=torch.full_like(tiny.images, 90))
    assert (visible(grey, rows) == 255 - 90).all()
    colours = dataclasses.replace(tiny, images=torch.arange(3, dtype=torch.uint8)[:, None, None].expand(120, 3, 28, 28))
    assert visible(colours, rows).shape == (2, 28, 28, 3) and (visible(colours, rows)[..., 2] == 2).all()


@pytest.fixture
def denormals():
    """A command flushes denormal numbers to zero; tests that draw floats want them back."""
    yield
    torch.set_flush_denormal(False)


def checkpoint(run: Path, name: str) -> dict:
    return torch.load(run / "checkpoints" / f"{name}.ckpt", weights_only=True)["siamese"]


@pytest.mark.usefixtures("denormals")
@pytest.mark.parametrize(("pairs", "loss"), [(200, None), (None, Binary)])
def test_a_checkpoint_carries_the_operating_point_that_its_test_reports(pairs: int | None, loss: type | None, tmp_path):
    config = yaml.safe_load(TINY.read_text())
    config["trainer"]["callbacks"][1]["init_args"] = {"pairs": pairs, "bootstrap": 20}
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(config))
    options = ["--model.loss", "siamese.losses.Binary"] if loss else []
    runs = ["--runs", str(tmp_path)]
    assert main(["fit", "--config", str(tmp_path / "tiny.yaml"), *runs, *options]) == 0
    run = (tmp_path / "tiny-glyphs" / "latest").resolve()
    told = json.loads((run / "results.json").read_text())["verification"]["operating_point"]
    best, last = (checkpoint(run, name)["operating_point"] for name in ("best", "last"))
    assert {key: told[key] for key in best} == best, "exactly"
    assert best.keys() == last.keys() and OperatingPoint(**best).dataset == "glyphs"
    assert set(told) - set(best) == {"source", "measured"}
    with Image.open(run / "pictures" / "det.png") as picture:
        assert picture.width > 100
    header, *rows = (run / "metrics.csv").read_text().splitlines()
    assert {"val/eer", "val/auc"} <= set(header.split(",")) and rows


@pytest.mark.parametrize(("chosen_at", "carried"), [(None, False), (3, False), (4, True)])
def test_a_checkpoint_carries_only_what_was_found_with_its_own_weights(
    chosen_at: int | None, carried: bool, tiny, tmp_path
):
    evaluator = Verification(pairs=200)
    given = Scores(tiny, noisy(tiny, 0.3, 0), noisy(tiny, 0.3, 1))
    evaluator.prepare(given)  # type: ignore[arg-type]
    evaluator.choose(given, given)  # type: ignore[arg-type]
    evaluator.chosen_at = chosen_at
    about = {"taught_by": "tiny", "taught_classes": ["a"], "fingerprint": "f"}
    data = SimpleNamespace(table=given.table, preprocessing_entry=lambda: {"image_size": 28}, **about)
    trainer = SimpleNamespace(datamodule=data, callbacks=[evaluator], global_step=4)
    saved: dict = {"loops": {"fit_loop": {"epoch_loop.batch_progress": {"is_last_batch": True}}}}
    timer = SimpleNamespace(time_elapsed=lambda _: 1.0)
    Record(tmp_path, {}, "", None, timer, None, []).on_save_checkpoint(trainer, None, saved)  # type: ignore[arg-type]
    assert ("operating_point" in saved["siamese"]) is carried
    assert (saved["siamese"]["dataset"], saved["siamese"]["classes"]) == ("tiny", ["a"])
    assert saved["siamese"]["preprocessing"] == {"image_size": 28}
