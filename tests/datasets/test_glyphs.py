"""Generated alphabets: the table's shape, their being reproducible, and whether the pictures are what they claim."""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from siamese.datasets.glyphs import Glyphs, _counts, draw
from siamese.datasets.ink import render
from siamese.errors import UserError
from siamese.sampling.seeds import generator
from siamese.tables import Table

SMALL = {"alphabets": 6, "characters": (6, 6), "drawers": 6, "size": 28}


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SIAMESE_DATA", str(tmp_path))
    return tmp_path


@pytest.fixture(scope="module")
def table() -> Table:
    return Glyphs(**SMALL)._draw()


def _line(points: list[list[float]], thickness: float, size: int) -> Tensor:
    joined = torch.ones(1, len(points), dtype=torch.bool)
    joined[:, -1] = False
    return render(torch.tensor([points]), joined, torch.tensor([thickness]), size)


def test_columns_are_class_major(table: Table) -> None:
    assert table.name == "glyphs"
    assert table.images.shape == (216, 1, 28, 28)
    assert table.labels.tolist() == [row // 6 for row in range(216)]
    assert table.groups.tolist() == [row // 36 for row in range(216)]
    assert table.sources.tolist() == [row % 6 for row in range(216)]


def test_names_follow_the_columns(table: Table) -> None:
    assert table.group_names == tuple(f"Glyphs-{i:02d}" for i in range(1, 7))
    assert table.class_names[13] == "Glyphs-03/character02"
    assert table.file_names[13 * 6 + 4] == "Glyphs-03/character02/0014_05.png"
    assert len(set(table.file_names)) == 216


def test_default_counts_are_those_of_omniglot() -> None:
    for seed in range(3):
        counts = _counts(50, 14, 55, generator(seed))
        assert sum(counts) == 1623
        assert min(counts) >= 14 and max(counts) <= 55 and len(set(counts)) > 10


def test_equal_seeds_give_equal_pictures_and_others_others(table: Table) -> None:
    assert Glyphs(**SMALL)._draw().fingerprint == table.fingerprint
    assert Glyphs(**SMALL, seed=1)._draw().fingerprint != table.fingerprint


def test_pictures_do_not_depend_on_the_number_of_threads() -> None:
    threads = torch.get_num_threads()
    drawn = []
    try:
        for count in (1, 3):
            torch.set_num_threads(count)
            drawn.append(draw(20, 20, 40, generator(0)))
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(*drawn)


def test_drawing_leaves_the_number_of_threads_as_it_was() -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        Glyphs(alphabets=3, characters=(2, 2), drawers=2, size=16)._draw()
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(threads)


def test_alphabets_do_not_change_with_how_many_there_are(table: Table) -> None:
    fewer = Glyphs(**SMALL | {"alphabets": 3})._draw()
    assert torch.equal(fewer.images, table.images[: len(fewer)])


def test_load_keeps_one_cache_for_each_setting(own_cache: Path, table: Table) -> None:
    assert Glyphs(**SMALL).load().fingerprint == table.fingerprint
    assert Glyphs(**SMALL).load().fingerprint == table.fingerprint
    assert len(list((own_cache / "cache").iterdir())) == 1
    others = [
        {"alphabets": 3},
        {"characters": (5, 6)},
        {"characters": (6, 7)},
        {"drawers": 2},
        {"size": 20},
        {"seed": 2},
    ]
    for other in others:
        Glyphs(**SMALL | other).load()
    assert len(list((own_cache / "cache").iterdir())) == 1 + len(others)


def test_every_drawer_draws_otherwise_but_the_same_character(table: Table) -> None:
    images = table.images.flatten(1)
    assert len(images.unique(dim=0)) == len(images)
    soft = F.normalize(F.avg_pool2d(table.images.float(), 5, 2, 2).flatten(1), dim=1)
    distance = torch.cdist(soft, soft)
    same = table.labels.unsqueeze(1) == table.labels
    alphabet = table.groups.unsqueeze(1) == table.groups
    itself = torch.eye(len(images), dtype=torch.bool)
    assert distance[same & ~itself].mean() < 0.9 * distance[alphabet & ~same].mean()
    # And it can be found again: by chance the nearest of the alphabet's 36 others is of the same class 1 time in 7.
    nearest = distance.masked_fill(itself | ~alphabet, 9).argmin(1)
    assert (table.labels[nearest] == table.labels).float().mean() > 0.5


def test_characters_of_an_alphabet_are_distinct(table: Table) -> None:
    soft = F.avg_pool2d(table.images.float(), 3, 1, 1).view(6, 6, 6, -1).mean(2)
    soft = F.normalize(soft, dim=-1)
    alike = soft @ soft.transpose(1, 2) - torch.eye(6)
    assert alike.max() < 0.97


def test_no_picture_is_blank_and_no_ink_leaves_the_canvas() -> None:
    images = Glyphs(alphabets=3, characters=(8, 8), drawers=20, size=64)._draw().images
    ink = images.float().mean((1, 2, 3)) / 255
    assert ink.min() > 0.005 and ink.max() < 0.4
    assert 0.05 < ink.mean() < 0.12
    assert images[..., 0].max() == images[..., -1].max() == images[..., 0, :].max() == images[..., -1, :].max() == 0


def test_ink_follows_the_distance_to_the_line() -> None:
    size, thickness = 40, 0.11
    points = [[0.2, 0.3], [0.71, 0.42], [0.55, 0.8], [0.55, 0.8]]
    centres = (torch.arange(size) + 0.5) / size
    at = torch.stack(torch.meshgrid(centres, centres, indexing="xy"), -1).view(-1, 2)
    distances = []
    for a, b in zip(torch.tensor(points[:-2]), torch.tensor(points[1:-1]), strict=True):
        along = (((at - a) @ (b - a)) / (b - a).square().sum()).clamp(0, 1)
        distances.append((at - a - along.unsqueeze(1) * (b - a)).norm(dim=1))
    true = (thickness * size / 2 + 0.5 - torch.stack(distances).amin(0) * size).clamp(0, 1)
    drawn = _line(points, thickness, size).flatten() / 255
    assert (drawn - true).abs().max() < 0.07
    assert 0 < (true > 0).sum() < size * size / 3


def test_a_line_cut_by_the_canvas_is_drawn_as_far_as_it_goes() -> None:
    image = _line([[-0.3, 0.5], [1.3, 0.5]], 0.1, 20)[0, 0]
    assert (image[9:11] > 235).all() and (image[:7] == 0).all()
    assert _line([[-0.5, -0.5], [1.5, -0.5]], 0.1, 20).max() == 0


def test_what_is_not_joined_stays_paper() -> None:
    points = torch.tensor([[[0.1, 0.2], [0.9, 0.2], [0.1, 0.8], [0.9, 0.8]]])
    image = render(points, torch.tensor([[True, False, True, False]]), torch.tensor([0.08]), 32)[0, 0]
    assert image[6].max() == 255 and image[25].max() == 255
    assert image[12:20].max() == 0


def test_pictures_of_two_sizes_show_the_same() -> None:
    large = Glyphs(**SMALL | {"size": 105})._draw().resized(35).images.float()
    small = Glyphs(**SMALL | {"size": 35})._draw().images.float()
    assert (large - small).abs().mean() < 2
    assert F.cosine_similarity(large.flatten(1), small.flatten(1)).min() > 0.98


@pytest.mark.parametrize(("alphabets", "sizes"), [(3, (1, 1, 1)), (6, (4, 1, 1)), (10, (6, 2, 2))])
def test_splits_share_no_alphabet(alphabets: int, sizes: tuple[int, ...]) -> None:
    glyphs = Glyphs(alphabets=alphabets, characters=(2, 3), drawers=2, size=16)
    whole = glyphs._draw()
    splits = glyphs.split(whole)
    parts = [part.groups.unique().tolist() for part in (splits.train, splits.val, splits.test)]
    assert tuple(map(len, parts)) == sizes
    assert [group for part in parts for group in part] == list(range(alphabets))
    assert len(splits.train) + len(splits.val) + len(splits.test) == len(whole)


@pytest.mark.parametrize(
    "wrong",
    [{"alphabets": 2}, {"characters": (9, 3)}, {"characters": (0, 3)}, {"drawers": 0}, {"size": 4}, {"seed": -1}],
)
def test_impossible_settings_are_errors_a_person_can_mend(wrong: dict) -> None:
    with pytest.raises(UserError, match="Glyphs needs"):
        Glyphs(**SMALL | wrong)
