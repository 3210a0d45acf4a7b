"""The loss of images made of parts, each of which shows one label."""

import math
from itertools import product

import pytest
import torch

from siamese.errors import UserError
from siamese.losses import PartLabels
from siamese.losses.parts import log_likelihood
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


def test_the_loss_is_that_of_every_way_to_show_the_labels():
    """Images of four parts with one to four of six labels each, against all 6^4 ways."""
    draw = torch.Generator().manual_seed(0)
    embeddings = 2 * torch.randn(60, 12, generator=draw)
    counts = torch.arange(60) % 4 + 1
    targets = torch.rand(60, 6, generator=draw).argsort(1).argsort(1) < counts.unsqueeze(1)
    loss = PartLabels(6, 12)
    with torch.no_grad():
        found = loss.losses(embeddings, targets)
        shows = loss.linear(embeddings.view(60, 4, 3)).softmax(2).double()
        for row, image in enumerate(shows):
            expected = sum(
                math.prod(image[part, label].item() for part, label in enumerate(way))
                for way in product(range(6), repeat=4)
                if set(way) == set(targets[row].nonzero().flatten().tolist())
            )
            assert found[row].item() == pytest.approx(-math.log(expected), rel=1e-4)
        assert loss(loss.similarity(12), embeddings, targets).item() == pytest.approx(found.mean().item())


def test_the_likelihoods_of_all_sets_of_labels_add_up_to_one():
    shows = torch.randn(1, 3, 5, generator=torch.Generator().manual_seed(3)).log_softmax(2)
    sets = torch.tensor([[bool(number >> label & 1) for label in range(5)] for number in range(1, 32)])
    total = sum(
        log_likelihood(shows.expand(int(mine.sum()), -1, -1), sets[mine]).exp().sum()
        for count in (1, 2, 3)
        if (mine := sets.sum(1) == count).any()
    )
    assert float(total) == pytest.approx(1, abs=1e-5)


def test_smoothing_is_a_share_of_the_cross_entropy_of_all_labels():
    draw = torch.Generator().manual_seed(1)
    embeddings, targets = torch.randn(8, 12, generator=draw), torch.arange(5).expand(8, 5) < 4
    plain, smooth = PartLabels(5, 12), PartLabels(5, 12, smoothing=0.2)
    smooth.load_state_dict(plain.state_dict())
    with torch.no_grad():
        shows = plain.linear(embeddings.view(8, 4, 3)).log_softmax(2)
        uniform = -shows.mean(2).sum(1)
        torch.testing.assert_close(
            smooth.losses(embeddings, targets), 0.8 * plain.losses(embeddings, targets) + 0.2 * uniform
        )


@pytest.mark.parametrize(("count", "said"), [(0, "shows 1 to 4 labels, not 0"), (5, "shows 1 to 4 labels, not 5")])
def test_labels_that_the_parts_cannot_show_are_refused(count, said):
    targets = torch.arange(6).expand(2, 6) < torch.tensor([[2], [count]])
    with pytest.raises(UserError, match=said):
        PartLabels(6, 12).losses(torch.zeros(2, 12), targets)


def test_no_more_parts_than_sets_can_be_kept():
    assert PartLabels(12, 9, parts=9).losses(torch.zeros(2, 9), torch.arange(12).expand(2, 12) < 9).isfinite().all()
    with pytest.raises(UserError, match="at most 9 parts, not 10"):
        PartLabels(12, 10, parts=10)


def test_under_autocast_only_the_linear_layer_is_in_bfloat16():
    draw = torch.Generator().manual_seed(0)
    loss, embeddings, targets = PartLabels(5, 12), torch.randn(9, 12, generator=draw), torch.arange(5).expand(9, 5) < 4
    with torch.autocast("cpu", torch.bfloat16):
        found = loss(loss.similarity(12), embeddings, targets)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, loss(loss.similarity(12), embeddings, targets), atol=0.03, rtol=0.03)


@pytest.mark.parametrize("smoothing", [-0.1, 1.0])
def test_smoothing_is_a_share(smoothing):
    with pytest.raises(
        UserError, match=f"smoothing is a share of the loss, at least 0 and less than 1, not {smoothing}"
    ):
        PartLabels(6, 12, smoothing=smoothing)


def test_which_part_shows_what_does_not_matter():
    loss, draw = PartLabels(5, 12, parts=4), torch.Generator().manual_seed(0)
    embeddings = torch.randn(7, 4, 3, generator=draw)
    turned = embeddings[:, torch.tensor([2, 0, 3, 1])]
    torch.testing.assert_close(loss.logits(embeddings.flatten(1)), loss.logits(turned.flatten(1)))


@pytest.mark.parametrize("size", [1.0, 30.0, 1e4])
def test_sure_parts_have_finite_losses_and_gradients(size):
    loss, draw = PartLabels(5, 12, parts=4), torch.Generator().manual_seed(1)
    embeddings = (size * torch.randn(64, 12, generator=draw)).requires_grad_()
    targets = torch.rand(64, 5, generator=draw).argsort(1) < torch.arange(64).view(64, 1) % 4 + 1
    value = loss(loss.similarity(12), embeddings, targets)
    assert value.isfinite()
    value.backward()
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


def test_the_likeliest_set_is_the_likeliest_of_all_sets():
    """Of six labels and three parts, six are asked for: against the likelihood of every set."""
    draw = torch.Generator().manual_seed(4)
    loss, embeddings = PartLabels(6, 9, parts=3), 3 * torch.randn(40, 9, generator=draw)
    loss.temperature.fill_(0.7)
    sets = torch.tensor([[bool(number >> label & 1) for label in range(6)] for number in range(1, 64)])
    sets = sets[sets.sum(1) <= 3]
    with torch.no_grad():
        shows = loss.shows(embeddings)
        each = torch.stack([log_likelihood(shows, one.expand(40, 6)) for one in sets])
        found = loss.likeliest(embeddings)
    assert torch.equal(found, sets[each.argmax(0)])
    assert len(found.sum(1).unique()) > 1, "sets of several sizes"


def test_two_parts_that_show_either_of_two_labels_show_both():
    """Each shows the first with 0.5, the second with 0.4: both are there with 0.4, the first alone with 0.25."""
    loss = taught(torch.tensor([[math.log(5), 0.0], [math.log(4), 0.0], [0.0, 0.0]]))
    assert loss.likeliest(torch.tensor([[1.0, 0.0, 1.0, 0.0]])).tolist() == [[True, True, False]]
