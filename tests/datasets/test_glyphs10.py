"""Ten generated characters by many drawers: closed splits, equal arguments, colours, and what takes whose place."""

import time
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from siamese.datasets import mnist, registry
from siamese.datasets.base import DataSet
from siamese.datasets.cifar10 import Cifar10
from siamese.datasets.glyphs10 import Glyphs10, coloured
from siamese.datasets.mnist import FashionMnist, Mnist
from siamese.datasets.tiles import CifarTiles
from siamese.errors import DataUnavailable, UserError
from siamese.evaluation import Novelty
from siamese.report import GENERATED
from siamese.sampling.batches import Shuffled
from siamese.sampling.seeds import generator
from siamese.systems import FewShotData
from siamese.tables import Table

SMALL = {"train": 12, "val": 4, "test": 6, "size": 16}


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SIAMESE_DATA", str(tmp_path))
    return tmp_path


@pytest.fixture(scope="module", params=[False, True], ids=["grey", "colour"])
def both(request) -> tuple[Glyphs10, Table]:
    source = Glyphs10(**SMALL, colour=request.param)
    return source, source._draw()


def test_rows_are_drawer_by_drawer(both):
    source, table = both
    assert table.name == ("glyphs10-colour" if source.colour else "glyphs10")
    assert table.name.startswith(GENERATED), "so that reports and folders say what it is"
    assert table.images.shape == (220, 3 if source.colour else 1, 16, 16)
    assert table.labels.tolist() == [row % 10 for row in range(220)]
    assert table.sources.tolist() == [row // 10 for row in range(220)]
    assert not table.groups.any()
    assert table.class_names == tuple(f"character {label}" for label in range(10))
    assert table.file_names[123] == "drawer00012/character3.png"
    assert len(set(table.file_names)) == 220


def test_splits_are_closed_and_have_no_drawer_in_common(both):
    source, table = both
    splits = source.split(table)
    assert splits.closed
    drawers = [part.sources.unique().tolist() for part in (splits.train, splits.val, splits.test)]
    assert drawers == [list(range(12)), list(range(12, 16)), list(range(16, 22))]
    assert all(part.classes.tolist() == list(range(10)) for part in (splits.train, splits.val, splits.test))
    assert not len(Glyphs10(16, 0, 6, 16).split(table).val), "nothing need choose"


def test_characters_left_out_are_neither_taught_nor_chosen_by_but_tested(both):
    _, table = both
    splits = Glyphs10(**SMALL, unseen=[7, 8, 9]).split(table)
    assert splits.train.classes.tolist() == splits.val.classes.tolist() == list(range(7))
    assert splits.test.classes.tolist() == list(range(10))
    assert len(splits.test) == 60


def test_equal_arguments_give_equal_images_and_another_seed_others(both):
    source, table = both
    again = Glyphs10(**SMALL, colour=source.colour)._draw()
    assert again.fingerprint == table.fingerprint
    assert Glyphs10(**SMALL, colour=source.colour, seed=1)._draw().fingerprint != table.fingerprint


def test_drawers_do_not_change_with_how_many_there_are(both):
    source, table = both
    more = Glyphs10(100, 3, 2, 16, source.colour)._draw()
    assert len(more) == 1050
    assert torch.equal(more.images[:220], table.images)
    assert len(more.images.flatten(1).unique(dim=0)) > 1040, "nobody draws like another"


def test_the_cache_has_one_table_for_each_setting(own_cache):
    def kept() -> int:
        return len(list((own_cache / "cache").iterdir()))

    first = Glyphs10(**SMALL).load()
    assert Glyphs10(**SMALL).load().fingerprint == first.fingerprint
    assert Glyphs10(**SMALL | {"train": 10, "val": 6}, unseen=[1]).load().fingerprint == first.fingerprint
    assert kept() == 1, "splits are no part of the table"
    for other in ({"test": 7}, {"size": 12}, {"colour": True}, {"seed": 1}):
        Glyphs10(**SMALL | other).load()
    assert kept() == 5


def test_a_character_is_known_again_by_other_drawers():
    """The nearest mean of the training images names most test images; by chance it would be a tenth."""
    source = Glyphs10(100, 0, 40, 28)
    table = source._draw()
    splits = source.split(table)
    soft = [F.avg_pool2d(part.images.float(), 5, 2, 2).flatten(1) for part in (splits.train, splits.test)]
    means = torch.stack([soft[0][splits.train.labels == label].mean(0) for label in range(10)])
    said = torch.cdist(soft[1], means).argmin(1)
    right = (said == splits.test.labels).double()
    assert 0.5 < right.mean() < 0.999, "it can be learned, and not by looking alone"
    assert min(right[splits.test.labels == label].mean() for label in range(10)) > 0.2


def test_grey_images_are_ink_on_nothing():
    images = Glyphs10(**SMALL | {"size": 28})._draw().images
    ink = images.float().mean((1, 2, 3)) / 255
    assert images.amax((1, 2, 3)).min() > 200
    assert ink.min() > 0.005
    assert ink.max() < 0.4
    assert images[:, 0, [0, 0, -1, -1], [0, -1, 0, -1]].max() == 0, "corners"


def test_each_image_has_two_colours_that_differ_in_every_channel():
    grey = torch.zeros(500, 1, 2, 2, dtype=torch.uint8)
    grey[:, 0, 0, 0], grey[:, 0, 0, 1] = 255, 128
    found = coloured(grey, generator(0))
    assert found.shape == (500, 3, 2, 2)
    assert found.dtype == torch.uint8
    ink, half, paper = (found[:, :, row, column].float() for row, column in ((0, 0), (0, 1), (1, 1)))
    assert torch.equal(found[:, :, 1, 0], found[:, :, 1, 1])
    assert (ink - paper).abs().min() > 0.3 * 255 - 1
    assert (half - (ink + paper) / 2).abs().max() < 2
    assert len(paper.unique(dim=0)) > 490, "each its own"
    for colours in (ink, paper):
        assert (colours.mean(0) - 127.5).abs().max() < 15
        assert colours.amin() < 10 and colours.amax() > 245


def test_grey_and_coloured_ones_are_the_same_drawings():
    grey, colour = (Glyphs10(**SMALL, colour=colour)._draw().images for colour in (False, True))
    paper, ink = colour[:, :, 0, 0].float(), grey.flatten(1).argmax(1)
    inked = colour.flatten(2)[torch.arange(220), :, ink].float()
    strength = ((colour.float() - paper[..., None, None]) / (inked - paper)[..., None, None]).mean(1)
    most = grey.flatten(1).amax(1).view(-1, 1, 1)
    assert (strength * most - grey[:, 0]).abs().max() < 4


def test_files_are_dark_ink_on_light_paper_but_in_colour(both):
    source, table = both
    entry = source.preprocessing(table)
    assert (entry.height, entry.width, entry.colour, entry.fit) == (16, 16, source.colour, "stretch")
    assert entry.invert is not source.colour


@pytest.mark.parametrize(
    "wrong",
    [{"train": 0}, {"test": 0}, {"val": -1}, {"size": 7}, {"seed": -1}, {"unseen": [10]}, {"unseen": range(10)}],
)
def test_impossible_settings_are_errors_a_person_can_mend(wrong):
    with pytest.raises(UserError, match=r"Glyphs10 needs|some, not all"):
        Glyphs10(**SMALL | wrong)


@pytest.mark.parametrize("kind", [Mnist, FashionMnist])
@pytest.mark.parametrize(("val", "drawers"), [(5000, (5500, 500, 1000)), (0, (6000, 0, 1000)), (4, (5999, 1, 1000))])
def test_grey_ones_take_the_place_of_mnist(kind: type[Mnist], val, drawers):
    instead = kind(val=val, unseen=[7, 8, 9]).stand_in()
    assert isinstance(instead, Glyphs10)
    assert (instead.train, instead.val, instead.test) == drawers
    assert (instead.size, instead.colour, instead.unseen) == (28, False, (7, 8, 9))
    assert instead.stand_in() is None


def test_coloured_ones_take_the_place_of_cifar():
    instead = Cifar10(val=5000).stand_in()
    assert isinstance(instead, Glyphs10)
    assert (instead.train, instead.val, instead.test, instead.size) == (4500, 500, 1000, 32)
    assert instead.colour


@pytest.fixture
def nothing_there(monkeypatch):
    """No data set on disk, on a mirror or at its home."""
    monkeypatch.delenv("SIAMESE_MIRROR", raising=False)
    monkeypatch.setattr(registry, "_download", lambda *_: None)


def data_of(source: DataSet, strict: bool = False) -> FewShotData:
    return FewShotData(source, Shuffled(), None, image_size=None, strict=strict)


@pytest.mark.usefixtures("nothing_there")
@pytest.mark.parametrize(
    ("source", "shape"), [(Mnist(), (70_000, 1, 28, 28)), (Cifar10(), (60_000, 3, 32, 32))], ids=["mnist", "cifar10"]
)
def test_what_cannot_be_had_is_replaced_in_its_own_shape_within_seconds(source, shape, capsys):
    data, began = data_of(source), time.perf_counter()
    data.setup("fit")
    assert time.perf_counter() - began < 90, "about 5 on a core that has nothing else to do"
    said = capsys.readouterr().out
    assert f"Going on with Glyphs10, which are generated: no result below is one on {type(source).__name__}" in said
    sizes = [data.table(split).images.shape for split in ("train", "val", "test")]
    assert [size[0] for size in sizes] == [shape[0] - 15_000, 5000, 10_000]
    assert all(size[1:] == shape[1:] for size in sizes)
    assert data.taught_by.startswith("glyphs10")


@pytest.mark.usefixtures("nothing_there")
@pytest.mark.parametrize(
    "source", [Mnist(), FashionMnist(), Cifar10(), CifarTiles()], ids=lambda each: type(each).__name__
)
def test_strict_it_stays_an_error(source):
    with pytest.raises(DataUnavailable, match=r"out of reach|no public home"):
        data_of(source, strict=True).setup("fit")


@pytest.mark.usefixtures("nothing_there")
def test_held_out_characters_are_novel_where_nothing_else_is_there(monkeypatch, capsys):
    """What MNIST was to leave out of training its stand-in leaves out; other data sets that are missing are left out too."""
    novelty = Novelty([FashionMnist(), Cifar10()])
    monkeypatch.setattr(mnist, "TRAIN", 300)
    monkeypatch.setattr(mnist, "TEST", 100)
    data = data_of(Mnist(val=50, unseen=[7, 8, 9]))
    data.setup("fit")
    novelty.prepare(data)
    assert list(novelty.novel) == ["held-out classes"]
    assert novelty.novel["held-out classes"].classes.tolist() == [7, 8, 9]
    assert novelty.left_out == ["FashionMnist", "Cifar10"]
    assert "Nothing of FashionMnist is asked for" in capsys.readouterr().out
