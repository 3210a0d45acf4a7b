"""Generated faces: the table's shape, their being reproducible, and how hard it is to tell the people apart."""

import socket
import time
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from torch import Tensor

from siamese.datasets import cartoons
from siamese.datasets.cartoons import Cartoons, draw
from siamese.datasets.people import split_by_people
from siamese.errors import UserError
from siamese.evaluation.verification import roc
from siamese.tables import Table

SMALL = {"people": 8, "shots": 4, "val": 2, "test": 3}


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SIAMESE_DATA", str(tmp_path))
    return tmp_path


@pytest.fixture(scope="module")
def table() -> Table:
    return Cartoons()._draw()


@pytest.fixture
def plain() -> dict[str, Tensor]:
    """A face in the middle of all ranges: ``float32 [1, 1, 1]`` by name."""
    ranges = cartoons._PERSON | cartoons._POSE | cartoons._MOOD
    return {name: torch.full((1, 1, 1), (low + high) / 2) for name, (low, high) in ranges.items()}


def test_the_default_has_the_shape_of_the_att_faces(table: Table) -> None:
    assert table.name == "cartoons"
    assert table.images.shape == (400, 1, 112, 92)
    assert table.labels.tolist() == [row // 10 for row in range(400)]
    assert table.sources.tolist() == [row % 10 for row in range(400)]
    assert table.groups.unique().tolist() == [0] and table.group_names == ("cartoons",)
    assert table.class_names == tuple(f"person{number:02d}" for number in range(1, 41))
    assert table.file_names[0] == "person01/01.png" and table.file_names[129] == "person13/10.png"
    assert len(set(table.file_names)) == 400


def test_faces_are_well_exposed_before_a_dark_backdrop(table: Table) -> None:
    images = table.images.float()
    corners = images[:, 0, :12, [0, 1, 2, 3, -4, -3, -2, -1]]
    assert 20 < corners.mean() < 60
    faces = images[:, 0, 45:70, 30:62].mean((1, 2))
    assert (faces > 65).all() and (faces < 230).all()
    assert (images == 255).float().mean() < 0.01 and (images == 0).float().mean() < 0.01
    assert images.flatten(1).std(1).min() > 20


def test_equal_seeds_give_equal_pictures_and_others_others() -> None:
    once = Cartoons(**SMALL)._draw()
    assert Cartoons(**SMALL)._draw().fingerprint == once.fingerprint
    other = Cartoons(**SMALL, seed=1)._draw()
    assert (other.images.float() - once.images.float()).abs().mean((1, 2, 3)).min() > 5


def test_the_split_seed_changes_no_picture() -> None:
    assert Cartoons(**SMALL, split_seed=1)._draw().fingerprint == Cartoons(**SMALL)._draw().fingerprint


def test_people_and_shots_do_not_change_with_how_many_there_are(table: Table) -> None:
    fewer = Cartoons(**SMALL)._draw()
    assert torch.equal(fewer.images, table.images.view(40, 10, 1, 112, 92)[:8, :4].flatten(0, 1))


def test_pictures_do_not_depend_on_the_number_of_threads() -> None:
    threads = torch.get_num_threads()
    drawn = []
    try:
        for count in (1, 3):
            torch.set_num_threads(count)
            drawn.append(torch.cat([draw(10, 0, person) for person in range(4)]))
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(*drawn)


def test_load_keeps_one_cache_for_each_setting(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = Cartoons(**SMALL).load()
    others = [{"people": 7}, {"shots": 2}, {"seed": 2}]
    for other in others:
        Cartoons(**SMALL | other).load()
    monkeypatch.setattr(cartoons, "draw", None)  # from here on nothing can be drawn
    assert Cartoons(**SMALL).load().fingerprint == first.fingerprint
    assert Cartoons(**SMALL | {"val": 3, "test": 2, "split_seed": 4}).load().fingerprint == first.fingerprint
    monkeypatch.setattr(cartoons, "VERSION", 0)
    with pytest.raises(TypeError):
        Cartoons(**SMALL).load()
    assert len(list((own_cache / "cache").iterdir())) == 1 + len(others)


def test_nothing_is_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> None:
        pytest.fail("a connection was opened")

    monkeypatch.setattr(socket, "socket", refused)
    monkeypatch.setattr(socket, "getaddrinfo", refused)
    assert len(Cartoons(**SMALL).load()) == 32


def test_shots_of_a_person_differ_and_are_more_alike_than_people(table: Table) -> None:
    pixels = table.images.flatten(1).float()
    distance = torch.cdist(pixels, pixels)
    itself = torch.eye(400, dtype=torch.bool)
    same = table.labels.unsqueeze(1) == table.labels
    # Sensor noise alone is a distance of 0.015 * 255 * sqrt(2 * 112 * 92) = 550.
    assert distance[~itself].min() > 600
    assert distance[same & ~itself].mean() < 0.75 * distance[~same].mean()
    # Each person, too, is nearer to the own shots than to those of others.
    own = torch.stack([distance[row][same[row] & ~itself[row]].mean() for row in range(400)]).view(40, 10).mean(1)
    foreign = torch.stack([distance[row][~same[row]].mean() for row in range(400)]).view(40, 10).mean(1)
    assert (own < foreign).float().mean() > 0.9


def test_no_two_people_are_the_same(table: Table) -> None:
    usual = table.images.view(40, 10, -1).float().median(1).values
    distance = torch.cdist(usual, usual) + 1e9 * torch.eye(40)
    assert distance.min() > 1000


def test_the_features_follow_the_head_when_it_turns(plain: dict[str, Tensor]) -> None:
    def middle(yaw: float, name: str) -> float:
        """The column, from the middle of the image, around which a thing changes the picture."""
        look = plain | {"yaw": torch.full((1, 1, 1), yaw)}
        changed = cartoons.render(look | {name: look[name] * 1.5}) - cartoons.render(look)
        weight = changed.abs().sum((0, 1))
        return float((weight * (torch.arange(92) - 45.5)).sum() / weight.sum())

    for name in ("lips", "iris", "nose_wide"):
        assert abs(middle(0.0, name)) < 1
        assert middle(0.4, name) > 5 and middle(-0.4, name) < -5
    assert middle(0.4, "nose_wide") > middle(0.4, "lips") + 1  # it stands out


def test_light_from_one_side_brightens_that_side(plain: dict[str, Tensor]) -> None:
    left, right = (cartoons.render(plain | {"light_x": torch.full((1, 1, 1), x)})[0, 45:75] for x in (-0.4, 0.4))
    assert left[:, 20:40].mean() > 1.05 * right[:, 20:40].mean()
    assert right[:, 52:72].mean() > 1.05 * left[:, 52:72].mean()


def test_glasses_that_are_taken_off_are_gone(plain: dict[str, Tensor]) -> None:
    def face(glasses: float, bare: float) -> Tensor:
        return cartoons.render(plain | {"glasses": torch.full((1, 1, 1), glasses), "bare": torch.full((1, 1, 1), bare)})

    without = face(-0.5, 0.0)
    assert torch.equal(face(-0.5, 1.0), without)
    assert torch.equal(face(0.1, 0.9), without)  # worn in some shots
    assert torch.equal(face(0.1, 0.1), face(0.4, 0.9))  # worn always
    assert (face(0.4, 0.9) - without).abs().sum() > 50


def _eer(similarity: Tensor, labels: Tensor) -> float:
    first, second = torch.triu_indices(len(labels), len(labels), 1)
    return roc(similarity[first, second], labels[first] == labels[second]).eer


def test_people_are_told_apart_by_pixels_badly_and_by_discriminants_better(table: Table) -> None:
    pixels, discriminants = [], []
    for seed in range(10):
        splits = split_by_people(table, 5, 10, seed)
        images, labels = splits.test.images.flatten(1).float() / 255, splits.test.labels
        pixels.append(_eer(-torch.cdist(images, images), labels))
        known = torch.cat([splits.train.images, splits.val.images]).flatten(1).float().numpy() / 255
        axes = PCA(100, svd_solver="randomized", random_state=0).fit(known)
        lda = LinearDiscriminantAnalysis().fit(
            axes.transform(known), torch.cat([splits.train.labels, splits.val.labels])
        )
        found = F.normalize(torch.from_numpy(lda.transform(axes.transform(images.numpy()))))
        discriminants.append(_eer(found @ found.T, labels))
    # Measured: 0.205 and 0.053 on average.
    assert 0.1 < sum(pixels) / 10 < 0.25
    assert 0.025 < sum(discriminants) / 10 < 0.12
    assert sum(better < worse for better, worse in zip(discriminants, pixels, strict=True)) >= 8


def test_the_default_is_drawn_within_seconds() -> None:
    start = time.process_time()
    for person in range(8):
        draw(10, 0, person)
    assert time.process_time() - start < 4  # a fifth of the default; it takes 0.4 s


def test_splits_are_those_of_people(table: Table) -> None:
    source = Cartoons(val=4, test=7, split_seed=3)
    splits, expected = source.split(table), split_by_people(table, 4, 7, 3)
    for part in ("train", "val", "test"):
        assert getattr(splits, part).file_names == getattr(expected, part).file_names


@pytest.mark.parametrize(
    "wrong",
    [{"people": 6}, {"shots": 1}, {"val": 1}, {"test": 1}, {"test": 5}, {"split_seed": -1}, {"seed": -1}],
)
def test_impossible_settings_are_errors_a_person_can_mend(wrong: dict) -> None:
    with pytest.raises(UserError, match="Cartoons needs"):
        Cartoons(**SMALL | wrong)
