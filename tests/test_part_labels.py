"""The loss of images made of parts, each of which shows one label."""

import math
from itertools import product

import pytest
import torch

from siamese.errors import UserError
from siamese.losses import PartLabels
from siamese.networks import Residual


def taught(weights: torch.Tensor) -> PartLabels:
    """A loss of two parts of two numbers each, whose linear layer has these weights ``[L, 2]`` and no bias."""
    loss = PartLabels(len(weights), 4, parts=2)
    with torch.no_grad():
        loss.linear.weight.copy_(weights)
        loss.linear.bias.zero_()
    return loss


def test_a_label_is_there_if_any_part_shows_it():
    """Of three labels the parts show one with 1/2, 1/4, 1/4 and with 1/7, 2/7, 4/7."""
    loss = taught(torch.tensor([[math.log(2), 0.0], [0.0, math.log(2)], [0.0, 2 * math.log(2)]]))
    found = loss.probabilities(loss.logits(torch.tensor([[1.0, 0.0, 0.0, 1.0]])))
    # By every way in which the two parts can show labels.
    shows = [[0.5, 0.25, 0.25], [1 / 7, 2 / 7, 4 / 7]]
    expected = torch.zeros(1, 3)
    for one, other in product(range(3), repeat=2):
        for label in {one, other}:
            expected[0, label] += shows[0][one] * shows[1][other]
    torch.testing.assert_close(found, expected)


def test_the_loss_is_the_binary_cross_entropy_of_that():
    loss = taught(torch.zeros(3, 2))  # each part shows each label with 1/3: it is there with 5/9
    targets = torch.tensor([[True, False, False]])
    value = loss(loss.similarity(4), torch.ones(1, 4), targets)
    assert value.item() == pytest.approx(-math.log(5 / 9) - 2 * math.log(4 / 9), rel=1e-5)


def test_which_part_shows_what_does_not_matter():
    loss, draw = PartLabels(5, 12, parts=4), torch.Generator().manual_seed(0)
    embeddings = torch.randn(7, 4, 3, generator=draw)
    turned = embeddings[:, torch.tensor([2, 0, 3, 1])]
    torch.testing.assert_close(loss.logits(embeddings.flatten(1)), loss.logits(turned.flatten(1)))


@pytest.mark.parametrize("size", [1.0, 30.0, 1e4])
def test_sure_parts_have_finite_losses_and_gradients(size):
    loss, draw = PartLabels(5, 12, parts=4), torch.Generator().manual_seed(1)
    embeddings = (size * torch.randn(64, 12, generator=draw)).requires_grad_()
    loss(loss.similarity(12), embeddings, torch.rand(64, 5, generator=draw) < 0.5).backward()
    assert embeddings.grad.isfinite().all() and loss.linear.weight.grad.isfinite().all()
    assert loss.linear.weight.grad.abs().sum() > 0


@pytest.mark.parametrize(("size", "parts"), [(10, 4), (4, 0), (3, 4)])
def test_parts_are_equal(size, parts):
    with pytest.raises(UserError, match=f"an embedding of {size} numbers is not one of {parts} equal parts"):
        PartLabels(5, size, parts)


def test_it_learns_which_part_shows_what_though_nobody_says():
    """Four cells of one colour each; the label is the set of their colours."""
    torch.manual_seed(0)
    draw = torch.Generator().manual_seed(0)
    colours = torch.rand(6, 3, generator=draw)
    shown = torch.rand(64, 6, generator=draw).topk(4).indices
    images = colours[shown].view(64, 2, 2, 3).permute(0, 3, 1, 2).repeat_interleave(8, 2).repeat_interleave(8, 3)
    targets = torch.zeros(64, 6, dtype=torch.bool).scatter(1, shown, True)
    network = Residual((4, 8, 8), cells=2, apart=True)
    loss = PartLabels(6, network.embedding_size)
    learner = torch.optim.Adam([*network.parameters(), *loss.parameters()], lr=0.03)
    for _ in range(150):
        learner.zero_grad()
        loss(loss.similarity(1), network(images), targets).backward()
        learner.step()
    network.eval()
    with torch.no_grad():
        parts = loss.linear(network(images).unflatten(1, (4, -1))).argmax(2)
    assert float((parts == shown).double().mean()) > 0.95


def test_apart_the_embedding_is_that_of_each_cell_in_reading_order():
    torch.manual_seed(0)
    network = Residual((4, 8, 6), cells=2, apart=True).eval()
    together = Residual((4, 8, 6), cells=2).eval()
    together.load_state_dict(network.state_dict())
    images = torch.rand(3, 3, 32, 32)
    with torch.no_grad():
        each = network(images)
        assert each.shape == (3, network.embedding_size) == (3, 24)
        torch.testing.assert_close(each.view(3, 4, 6).amax(1), together(images))
        changed = images.clone()
        changed[:, :, :16, 16:] = 0
        same = (network(changed) == each).view(3, 4, 6).all(2)
    assert same.tolist() == [[True, False, True, True]] * 3
