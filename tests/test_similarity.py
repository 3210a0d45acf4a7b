"""Similarities: all pairs as given pairs, against the formula, in float32 whatever comes in."""

import pytest
import torch
from torch import Tensor

from siamese.similarity import Cosine, Euclidean, Similarity, WeightedL1

D = 12


def weighted(seed: int = 0) -> WeightedL1:
    """With weights of both signs."""
    similarity = WeightedL1(D)
    with torch.no_grad():
        similarity.alpha.copy_(torch.randn(D, generator=torch.Generator().manual_seed(seed)))
        similarity.bias.fill_(0.3)
    return similarity


ALL = [pytest.param(make, id=make.__name__) for make in (weighted, Euclidean, Cosine)]


def embeddings(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, D, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("make", ALL)
@pytest.mark.parametrize("lead", [(), (3,), (2, 3)])
def test_all_pairs_are_the_given_pairs(make, lead):
    similarity: Similarity = make()
    queries, supports = embeddings(*lead, 5), embeddings(*lead, 7, seed=1)
    scores = similarity(queries, supports)
    assert scores.shape == (*lead, 5, 7)
    one_by_one = similarity.paired(queries.unsqueeze(-2), supports.unsqueeze(-3))
    torch.testing.assert_close(scores, one_by_one, atol=2e-6, rtol=1e-5)


@pytest.mark.parametrize("make", ALL)
def test_alike_both_ways_and_most_with_itself(make):
    similarity: Similarity = make()
    if make is weighted:
        similarity = WeightedL1(D)  # as it starts: all that differs speaks against
    points = embeddings(6)
    scores = similarity(points, points)
    torch.testing.assert_close(scores, scores.T)
    assert (scores.argmax(dim=1) == torch.arange(6)).all()


def literal(queries: Tensor, supports: Tensor, alpha: Tensor, bias: Tensor) -> Tensor:
    """``b + sum_j alpha_j |x_j - y_j|`` (Koch et al. 2015, 3.1)."""
    return bias + (alpha * (queries.unsqueeze(-2) - supports.unsqueeze(-3)).abs()).sum(dim=-1)


def test_weighted_l1_is_the_formula_and_so_are_its_gradients():
    queries, supports, weight = embeddings(4), embeddings(6, seed=1), torch.randn(4, 6)
    found = []
    for formula in (False, True):
        similarity = weighted()
        assert (similarity.alpha > 0).any()
        assert (similarity.alpha < 0).any()
        inputs = [x.clone().requires_grad_() for x in (queries, supports)]
        scores = literal(*inputs, similarity.alpha, similarity.bias) if formula else similarity(*inputs)
        (scores * weight).sum().backward()
        found.append([scores, *(x.grad for x in (*inputs, similarity.alpha, similarity.bias))])
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-4)


def test_weighted_l1_has_one_weight_a_coordinate_and_a_bias():
    assert sum(p.numel() for p in WeightedL1(4096).parameters()) == 4097


def test_euclidean_of_known_points():
    zero, far = torch.zeros(1, 2), torch.tensor([[3.0, 4.0]])
    assert Euclidean()(zero, far).item() == -5
    assert Euclidean().paired(zero, far).item() == -5


def test_euclidean_is_exactly_zero_for_equals_and_exact_for_near():
    points = 1000 + embeddings(40)
    assert (Euclidean()(points, points).diagonal() == 0).all()
    near = points.clone()
    near[:, 0] += 0.01
    exact = (near.double() - points.double()).norm(dim=1).float()
    torch.testing.assert_close(-Euclidean()(points, near).diagonal(), exact, atol=0, rtol=1e-5)


def test_cosine_of_known_vectors():
    vectors = torch.tensor([[2.0, 0.0], [0.0, 0.1], [-5.0, 0.0], [3.0, 3.0], [0.0, 0.0]])
    half = 0.5**0.5
    expected = torch.tensor([1.0, 0.0, -1.0, half, 0.0])
    torch.testing.assert_close(Cosine()(vectors[:1], vectors)[0], expected)
    torch.testing.assert_close(Cosine().paired(vectors[:1], vectors), expected)
    torch.testing.assert_close(Cosine()(vectors[4:], vectors)[0], torch.zeros(5))


def test_cosine_has_the_gradients_of_the_matrix_product():
    queries, supports, weight = embeddings(4), embeddings(6, seed=1), torch.randn(4, 6)
    found = []
    for product in (False, True):
        inputs = [x.clone().requires_grad_() for x in (queries, supports)]
        unit = [torch.nn.functional.normalize(x, dim=-1) for x in inputs]
        ((unit[0] @ unit[1].T if product else Cosine()(*inputs)) * weight).sum().backward()
        found.append([x.grad for x in inputs])
    torch.testing.assert_close(*found, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("make", ALL)
@pytest.mark.parametrize("queries", [1, 3, 20])
@pytest.mark.parametrize("size", [3, 64, 255, 4096])
def test_equal_supports_tie_exactly(make, queries, size):
    """Wherever they stand: a matrix product may round its last columns differently."""
    similarity = WeightedL1(size) if make is weighted else make()
    one = torch.randn(2, size, generator=torch.Generator().manual_seed(0))
    scores = similarity(one[:1].expand(queries, -1).contiguous(), one[1:].expand(23, -1).contiguous())
    assert (scores == scores[0, 0]).all()


@pytest.mark.parametrize("make", ALL)
def test_scores_are_float32_under_autocast_and_of_bfloat16(make):
    similarity: Similarity = make()
    queries, supports = embeddings(5), embeddings(5, seed=1)
    all_pairs, given = similarity(queries, supports), similarity.paired(queries, supports)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(similarity(queries, supports), all_pairs)
        assert torch.equal(similarity.paired(queries, supports), given)
        low = [x.bfloat16() for x in (queries, supports)]
        assert similarity(*low).dtype == similarity.paired(*low).dtype == torch.float32
    assert similarity(*low).dtype == torch.float32
    torch.testing.assert_close(similarity(*low), similarity(*(x.float() for x in low)))


@pytest.mark.parametrize("make", ALL)
def test_no_gradient_is_nan_for_equal_embeddings(make):
    similarity: Similarity = make()
    points = embeddings(3).requires_grad_()
    (similarity(points, points).sum() + similarity.paired(points, points.flip(0)).sum()).backward()
    assert points.grad.isfinite().all()
