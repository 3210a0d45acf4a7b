"""Naming the classes that were taught: accuracy, mistakes, and what has no classes to name."""

import pytest
import torch

from siamese.augment import Affine
from siamese.datasets.base import DataSet, Splits
from siamese.errors import UserError
from siamese.evaluation import Classification, PointMap
from siamese.evaluation.maps import places
from siamese.losses import Contrastive, Softmax
from siamese.networks import Compact
from siamese.sampling.batches import Shuffled
from siamese.systems import FewShotData, Siamese
from siamese.tables import Table


class Closed(DataSet):
    """The first sources teach, the next chooses, the last reports; class 0 is not taught."""

    def __init__(self, table: Table) -> None:
        self.table = table

    def load(self) -> Table:
        return self.table

    def split(self, table: Table) -> Splits:
        known = table.labels > 0
        parts = [table.sources < 3, table.sources == 3, table.sources == 4]
        return Splits(*(table.rows(part & known) for part in parts[:2]), table.rows(parts[2]), closed=True)


class Told(Siamese):
    """A system that embeds as it is told."""

    def __init__(self, loss, given: dict[str, torch.Tensor]) -> None:
        super().__init__(Compact((2,), 24, image_size=28), loss)
        self.given = given

    def embeddings(self, split: str) -> torch.Tensor:
        return self.given[split]


@pytest.fixture
def data(tiny) -> FewShotData:
    data = FewShotData(Closed(tiny), Shuffled(8), None, image_size=28)
    data.setup("fit")
    return data


def named(data: FewShotData, wrong: int) -> Told:
    """All images named rightly but the first ``wrong`` test images of taught classes, which are named as the next class."""
    loss = Softmax(24, 24)
    with torch.no_grad():
        loss.linear.weight.copy_(torch.eye(24))
        loss.linear.bias.zero_()
    given = {split: torch.eye(24)[data.table(split).labels] for split in ("val", "test")}
    for row in (data.table("test").labels > 0).nonzero().flatten()[:wrong].tolist():
        given["test"][row] = given["test"][row].roll(1)
    return Told(loss, given)


def test_accuracy_is_that_of_the_taught_classes(data):
    evaluator, system = Classification(), named(data, wrong=3)
    assert evaluator.choose(system, data) == {"val/accuracy": 1.0}
    evaluator.report(system, data)
    found = evaluator.results["classification"]
    assert found["images"] == 23, "of 24 classes one was not taught"
    assert found["wrong"] == 3
    assert found["accuracy"] == pytest.approx(20 / 23)
    assert found["low"] < found["accuracy"] < found["high"]
    assert sorted(found["per_class"].values()) == [0.0] * 3 + [1.0] * 20
    assert evaluator.results["methods"]["this network"]["accuracy"] == found["accuracy"]
    assert set(evaluator.pictures) == {"confusion.png", "mistakes.png"}
    titles = [axes.get_title() for axes in evaluator.pictures["mistakes.png"].axes]
    names = data.table("test").class_names
    assert f"{names[2]}, is {names[1]}" in titles


def test_without_a_mistake_there_is_no_picture_of_any(data):
    evaluator = Classification()
    evaluator.report(named(data, wrong=0), data)
    assert evaluator.results["classification"]["accuracy"] == 1
    assert set(evaluator.pictures) == {"confusion.png"}


def test_losses_without_classes_and_symmetries_are_refused(data, tiny):
    with pytest.raises(UserError, match="Contrastive knows no classes"):
        Classification().choose(Told(Contrastive(), named(data, 0).given), data)
    turned = FewShotData(Closed(tiny), Shuffled(8), Affine(), image_size=28, symmetries=4)
    with pytest.raises(UserError, match=r"symmetries 4 a class has several labels"):
        Classification().prepare(turned)


def test_near_vectors_are_near_points_and_the_same_for_a_seed():
    draw = torch.Generator().manual_seed(0)
    centres = 10 * torch.randn(3, 80, generator=draw)
    labels = torch.arange(3).repeat_interleave(20)
    vectors = centres[labels] + torch.randn(60, 80, generator=draw)
    points = torch.from_numpy(places(vectors, 0))
    assert points.shape == (60, 2)
    nearest = torch.cdist(points, points).fill_diagonal_(torch.inf).argmin(1)
    assert torch.equal(labels[nearest], labels)
    assert torch.equal(points, torch.from_numpy(places(vectors, 0)))


@pytest.mark.parametrize("pixels", [True, False])
def test_a_map_of_embeddings_and_one_of_pixels(data, pixels):
    evaluator = PointMap(points=15, pixels=pixels)
    evaluator.report(named(data, wrong=0), data)
    assert set(evaluator.pictures) == {"tsne_embeddings.png"} | ({"tsne_pixels.png"} if pixels else set())
    (axes,) = evaluator.pictures["tsne_embeddings.png"].axes
    assert len(axes.collections[0].get_offsets()) == 15
