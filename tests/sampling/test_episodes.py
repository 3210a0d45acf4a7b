"""Episodes: what the protocol promises, on tables that have no pixel to look at."""

import dataclasses

import pytest
import torch
from torch import Tensor

from siamese.errors import UserError
from siamese.sampling.episodes import Episodes, sample_episodes
from siamese.sampling.seeds import generator
from siamese.tables import Table


def blind(table: Table) -> Table:
    """The same rows of images without a pixel: sampling cannot have touched one."""
    return dataclasses.replace(table, images=torch.empty(len(table), 1, 0, 0, dtype=torch.uint8))


@pytest.fixture
def columns(make_table) -> Table:
    """Groups of 3, 9 and 7 classes, 6 sources each."""
    return blind(make_table([3, 9, 7], sources=6))


def check(table: Table, drawn: Episodes, episodes: int, n_way: int, k_shot: int) -> None:
    """What holds for every protocol."""
    assert drawn.support.shape == (episodes, n_way, k_shot)
    assert drawn.query.shape == drawn.target.shape == (episodes, n_way)
    assert (drawn.n_way, drawn.k_shot, drawn.trials, len(drawn)) == (n_way, k_shot, episodes * n_way, episodes)
    of_slot = table.labels[drawn.support]
    assert (of_slot == of_slot[..., :1]).all()
    assert (of_slot[..., 0].sort(dim=1).values.diff(dim=1) > 0).all(), "a class twice in an episode"
    assert torch.equal(table.labels[drawn.query], of_slot[..., 0].gather(1, drawn.target))
    images = torch.cat([drawn.support.flatten(1), drawn.query], dim=1).sort(dim=1).values
    assert (images.diff(dim=1) > 0).all(), "an image twice in an episode"
    assert (drawn.target.sort(dim=1).values == torch.arange(n_way)).all(), "each class is asked for once"


@pytest.mark.parametrize("k_shot", [1, 2, 5])
@pytest.mark.parametrize("n_way", [2, 7, 9])
def test_within_draws_like_the_official_runs(columns, n_way, k_shot):
    drawn = sample_episodes(columns, 300, n_way, k_shot, generator(0), "within")
    check(columns, drawn, 300, n_way, k_shot)
    groups = columns.groups[torch.cat([drawn.support.flatten(1), drawn.query], dim=1)]
    assert (groups == groups[:, :1]).all()
    assert set(groups[:, 0].tolist()) == {group for group, size in enumerate([3, 9, 7]) if size >= n_way}
    of_support, of_query = columns.sources[drawn.support], columns.sources[drawn.query]
    assert (of_support == of_support[:, :1]).all(), "the same drawers for every slot"
    assert (of_query == of_query[:, :1]).all(), "one drawer for every query"
    assert (of_support[:, 0] != of_query[:, :1]).all(), "and another than the supports'"


@pytest.mark.parametrize("k_shot", [1, 5])
def test_across_draws_classes_of_all_groups_and_each_image_by_itself(columns, k_shot):
    drawn = sample_episodes(columns, 300, 15, k_shot, generator(0), "across")
    check(columns, drawn, 300, 15, k_shot)
    assert all(len(groups.unique()) > 1 for groups in columns.groups[drawn.query])
    assert all(len(sources.unique()) > 1 for sources in columns.sources[drawn.query])


@pytest.mark.parametrize("protocol", ["within", "across"])
def test_every_class_image_and_slot_has_the_same_chance(make_table, protocol):
    table = blind(make_table([5, 5], sources=4))
    drawn = sample_episodes(table, 4000, 5, 1, generator(3), protocol)
    for slots in (drawn.target[:, 0], drawn.target[:, -1]):
        shares = slots.bincount(minlength=5) / 4000
        assert (shares - 0.2).abs().max() < 0.03, "the target has a favourite slot"
    for rows in (drawn.query, drawn.support):
        shares = rows.flatten().bincount(minlength=40) / 20_000
        assert (shares - 1 / 40).abs().max() < 0.006, "a row is drawn too often"
    first = table.labels[drawn.support[:, 0, 0]].bincount(minlength=10) / 4000
    assert (first - 0.1).abs().max() < 0.02, "a class has a favourite slot"


@pytest.mark.parametrize("protocol", ["within", "across"])
def test_equal_generators_draw_equal_episodes(columns, protocol):
    def rows(seed: int) -> Tensor:
        drawn = sample_episodes(columns, 20, 5, 2, generator(seed), protocol)
        return torch.cat([drawn.support.flatten(), drawn.query.flatten(), drawn.target.flatten()])

    assert torch.equal(rows(1), rows(1))
    assert not torch.equal(rows(1), rows(2))


def test_subsets_are_drawn_from_by_their_own_rows(columns):
    subset = columns.of_groups(["group 1"]).of_sources([1, 3, 5])
    drawn = sample_episodes(subset, 50, 9, 2, generator(0))
    check(subset, drawn, 50, 9, 2)
    assert int(max(drawn.support.max(), drawn.query.max())) < len(subset)


@pytest.fixture
def uneven(columns) -> Table:
    """Classes of 3 or 6 sources; every group has both."""
    return columns.rows((columns.sources < 3) | (columns.labels % 3 == 0))


def test_classes_of_unequal_size(uneven):
    """Padding is never drawn: not for the smallest class, and not instead of the last image of the largest."""
    drawn = sample_episodes(uneven, 500, 7, 2, generator(0), "across")
    check(uneven, drawn, 500, 7, 2)
    assert len(drawn.query.unique()) == len(uneven)


def test_within_keeps_its_protocol_where_sources_are_missing(uneven):
    """Only sources that have drawn all classes of an episode draw it; the query's is none of the supports'."""
    drawn = sample_episodes(uneven, 500, 7, 2, generator(0), "within")
    check(uneven, drawn, 500, 7, 2)
    supports, queries = uneven.sources[drawn.support], uneven.sources[drawn.query]
    assert (supports == supports[:, :1]).all()
    assert (queries == queries[:, :1]).all()
    assert not (queries[:, :1] == supports[:, 0]).any()
    with pytest.raises(UserError, match="sources that have drawn all their classes"):
        odd = uneven.rows((uneven.sources + uneven.labels) % 4 > 0)
        sample_episodes(odd, 100, 7, 1, generator(0), "within")


def test_rows_in_any_order(columns):
    """The aligned sources come from the columns, not from the order of rows."""
    order = torch.randperm(len(columns), generator=generator(5))
    shuffled = dataclasses.replace(
        columns, **{name: getattr(columns, name)[order] for name in ("labels", "groups", "sources")}
    )
    drawn = sample_episodes(shuffled, 100, 7, 2, generator(0))
    check(shuffled, drawn, 100, 7, 2)
    sources = shuffled.sources[drawn.support]
    assert (sources == sources[:, :1]).all()
    assert (shuffled.groups[drawn.query] == shuffled.groups[drawn.query[:, :1]]).all()


def test_what_cannot_be_drawn_is_told(columns):
    with pytest.raises(UserError, match=r"10-way .* one group need 10 classes; the largest group of tiny here has 9"):
        sample_episodes(columns, 1, 10, 1, generator(0), "within")
    with pytest.raises(UserError, match=r"20-way episodes need 20 classes; tiny has 19"):
        sample_episodes(columns, 1, 20, 1, generator(0), "across")
    for protocol in ("within", "across"):
        with pytest.raises(UserError, match=r"6-shot episodes need 7 images of every class; tiny has a class with 6"):
            sample_episodes(columns, 1, 2, 6, generator(0), protocol)
