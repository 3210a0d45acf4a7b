"""The nearest entries are those of brute force, and an index changes what is found at most, never a score."""

import importlib.util

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from siamese.errors import UserError
from siamese.gallery import search
from siamese.gallery.search import Searcher, nearest
from siamese.similarity import Cosine, Euclidean, Similarity, WeightedL1

needs_faiss = pytest.mark.skipif(importlib.util.find_spec("faiss") is None, reason="FAISS is not installed")
KINDS = ("Euclidean", "Cosine", "WeightedL1")


def similarity(kind: str, size: int, seed: int = 0) -> Similarity:
    made = {"Euclidean": Euclidean, "Cosine": Cosine}.get(kind)
    if made:
        return made()
    weighted = WeightedL1(size)
    with torch.no_grad():  # of both signs, as a trained one has
        weighted.alpha.copy_(torch.randn(size, generator=torch.Generator().manual_seed(seed)))
    return weighted


def drawn(count: int, size: int, seed: int) -> torch.Tensor:
    return torch.randn(count, size, generator=torch.Generator().manual_seed(seed))


def crowd(count: int = 20_000, size: int = 32) -> tuple[torch.Tensor, torch.Tensor]:
    """Entries of a twentieth as many identities, and 200 probes near to some, on the unit sphere."""
    identities = F.normalize(drawn(count // 20, size, 0), dim=1)
    entries = identities.repeat(20, 1) + 0.4 * F.normalize(drawn(count, size, 1), dim=1)
    return F.normalize(identities[:200] + 0.4 * F.normalize(drawn(200, size, 2), dim=1), dim=1), F.normalize(
        entries, dim=1
    )


@settings(max_examples=60, deadline=None)
@given(
    kind=st.sampled_from(KINDS),
    count=st.integers(1, 700),
    probes=st.integers(0, 6),
    size=st.integers(1, 9),
    k=st.integers(1, 12),
    seed=st.integers(0, 1000),
    ties=st.booleans(),
    numbers=st.sampled_from([300, 2**24]),
)
def test_nearest_is_brute_force(kind, count, probes, size, k, seed, ties, numbers):
    entries, queries, how = drawn(count, size, seed), drawn(probes, size, seed + 1), similarity(kind, size, seed)
    if ties:  # few different entries, of which one is nothing
        entries = entries.sign() * (torch.arange(count) % 7 > 0).unsqueeze(1)
    with pytest.MonkeyPatch.context() as patch, torch.no_grad():
        patch.setattr(search, "_NUMBERS", numbers)  # in one piece, or in many
        scores, rows = nearest(queries, entries, how, k)
        everything = how(queries, entries)
    assert torch.equal(scores, everything.sort(dim=1, descending=True).values[:, :k])
    assert torch.equal(scores, everything.gather(1, rows))
    assert all(len(set(row)) == min(k, count) for row in rows.tolist())
    assert rows.dtype == torch.int64


def test_entries_nearer_to_each_other_than_rounding_are_still_told_apart():
    """A matrix product cannot order these: their distances differ by less than it rounds."""
    far = torch.zeros(1, 16)
    far[0, 0] = 1000.0
    entries = far + 1e-3 * drawn(2000, 16, 0)
    queries, how = far + 1e-3 * drawn(3, 16, 1), Euclidean()
    scores, _ = nearest(queries, entries, how, 3)
    assert torch.equal(scores, how(queries, entries).topk(3).values)


def test_an_entry_that_is_no_number_is_nobodys_nearest():
    entries = drawn(10, 4, 0)
    entries[3] = torch.nan
    _, rows = nearest(drawn(2, 4, 1), entries, Euclidean(), 5)
    assert 3 not in rows


@needs_faiss
@pytest.mark.parametrize("index", ["flat", "ivf", "hnsw"])
@pytest.mark.parametrize("kind", ["Euclidean", "Cosine"])
@pytest.mark.parametrize("scale", [1.0, 30.0])
def test_an_index_finds_what_is_near_and_scores_it_exactly(index, kind, scale):
    queries, entries = (scale * part for part in crowd())
    how = similarity(kind, 32)
    exact, best = nearest(queries, entries, how, 5)
    scores, rows = Searcher(entries, how, index).nearest(queries, 5)
    recall = (rows.unsqueeze(2) == best.unsqueeze(1)).any(1).float().mean()
    assert recall == 1 if index == "flat" else recall >= 0.97
    assert torch.equal(scores, how(queries, entries).gather(1, rows))
    assert torch.equal(scores, scores.sort(dim=1, descending=True).values)
    assert (scores <= exact).all()


@needs_faiss
@pytest.mark.parametrize("size", [1, 2, 7, 12, 31])
def test_any_size_of_embedding_and_more_than_the_cells_hold(size):
    entries = drawn(5000, size, 0)
    scores, rows = Searcher(entries, Euclidean(), "ivf").nearest(entries[:4], 4000)
    assert torch.equal(scores, Euclidean()(entries[:4], entries).gather(1, rows))
    assert all(len(set(row)) == 4000 for row in rows.tolist())


@needs_faiss
def test_auto_builds_an_index_only_once_it_pays(monkeypatch):
    queries, entries = crowd(5000)
    monkeypatch.setattr(search, "EXACT_UP_TO", 4000)
    monkeypatch.setattr(search, "PAYS_AFTER", 300)
    searcher = Searcher(entries, Cosine())
    searcher.nearest(queries, 5)
    assert searcher._index is None
    searcher.nearest(queries, 5)
    assert searcher._index is not None
    weighted = Searcher(entries, similarity("WeightedL1", 32))
    for _ in range(2):
        weighted.nearest(queries, 5)
    assert weighted._index is None


def test_without_faiss_it_goes_on_and_says_once_what_would_be_faster(monkeypatch, capsys):
    queries, entries = crowd(5000)
    monkeypatch.setattr(search, "EXACT_UP_TO", 100)
    monkeypatch.setattr(search, "PAYS_AFTER", 100)
    monkeypatch.setattr(search, "has_faiss", lambda: False)
    search._advise.cache_clear()
    searcher = Searcher(entries, Cosine())
    expected = nearest(queries, entries, Cosine(), 5)
    for _ in range(3):
        assert all(map(torch.equal, searcher.nearest(queries, 5), expected))
    assert capsys.readouterr().err.count("siamese[gallery]") == 1
    with pytest.raises(UserError, match=r"siamese\[gallery\]"):
        Searcher(entries, Cosine(), "ivf")


def test_an_index_that_there_is_not():
    with pytest.raises(UserError, match="no index 'fast'"):
        Searcher(drawn(3, 2, 0), Cosine(), "fast")
    with pytest.raises(UserError, match="WeightedL1"):
        Searcher(drawn(3, 2, 0), WeightedL1(2), "ivf")
