"""Embedding networks: their size, shapes and initialisation."""

import pytest
import torch
from torch import nn

from siamese.errors import UserError
from siamese.networks import Committee, Compact, Koch
from siamese.similarity import WeightedL1


@pytest.fixture(scope="module")
def koch() -> Koch:
    torch.manual_seed(0)
    return Koch()


def size(*modules: nn.Module) -> int:
    return sum(parameter.numel() for module in modules for parameter in module.parameters())


def test_koch_has_the_published_number_of_parameters(koch):
    assert size(koch, WeightedL1(koch.embedding_size)) == 38_951_745
    assert size(koch) == 38_947_648


def test_koch_has_the_published_stages(koch):
    """Figure 4: 105x105 -> 96x96 -> 48x48 -> 42x42 -> 21x21 -> 18x18 -> 9x9 -> 6x6 -> 4096."""
    shapes = {}
    for name, layer in koch.layers.named_children():
        layer.register_forward_hook(lambda _, __, output, name=name: shapes.update({name: tuple(output.shape[1:])}))
    with torch.no_grad():
        embeddings = koch(torch.rand(2, 1, 105, 105))
    stages = ("conv1", "pool1", "conv2", "pool2", "conv3", "pool3", "conv4", "flatten", "fc")
    assert [shapes[stage] for stage in stages] == [
        (64, 96, 96), (64, 48, 48), (128, 42, 42), (128, 21, 21), (128, 18, 18), (128, 9, 9), (256, 6, 6), (9216,), (4096,)
    ]  # fmt: skip
    assert embeddings.shape == (2, 4096)
    assert embeddings.min() >= 0
    assert embeddings.max() <= 1


def test_koch_starts_as_published(koch):
    """Section 3.2: weights N(0, 0.01), of the fully connected layer N(0, 0.2); biases N(0.5, 0.01)."""
    for name, layer in koch.layers.named_children():
        if not isinstance(layer, nn.Conv2d | nn.Linear):
            continue
        weight, bias = layer.weight.detach(), layer.bias.detach()
        expected = 0.2 if name == "fc" else 0.01
        assert abs(float(weight.mean())) < 0.05 * expected
        assert float(weight.std()) == pytest.approx(expected, rel=0.03)
        assert float(bias.mean()) == pytest.approx(0.5, abs=0.006)
        assert float(bias.std()) == pytest.approx(0.01, rel=0.35)


@pytest.mark.parametrize("shape", [(2, 1, 35, 35), (2, 3, 105, 105), (2, 1, 104, 105)])
def test_koch_tells_a_wrong_size(koch, shape):
    with pytest.raises(UserError, match=f"1x105x105, not {'x'.join(map(str, shape[1:]))}"):
        koch(torch.rand(shape))


@pytest.mark.parametrize("widths", [(4,), (4, 6, 8), (64, 128, 256, 256)])
@pytest.mark.parametrize(("channels", "image_size"), [(1, 35), (3, 28)])
def test_compact_takes_what_it_is_told(widths, channels, image_size):
    network = Compact(widths, embedding_size=10, channels=channels, image_size=image_size)
    assert network(torch.rand(3, channels, image_size, image_size)).shape == (3, 10)
    assert network.embedding_size == 10
    with pytest.raises(UserError, match=f"{channels}x{image_size}x{image_size}, not {channels}x36x36"):
        network(torch.rand(3, channels, 36, 36))
    with pytest.raises(UserError, match="channels"):
        network(torch.rand(3, channels + 1, image_size, image_size))


def test_compact_blocks_halve_the_image():
    network = Compact((4, 6, 8), image_size=35)
    image, shapes = torch.rand(2, 1, 35, 35), []
    for block in network.blocks:
        image = block(image)
        shapes.append(tuple(image.shape[1:]))
    assert shapes == [(4, 17, 17), (6, 8, 8), (8, 4, 4)]
    assert image.min() >= 0, "blocks end with a ReLU"


def test_too_many_blocks_are_told():
    Compact((2,) * 5, image_size=35)
    with pytest.raises(UserError, match="6 blocks halve an image of 35 pixels to nothing"):
        Compact((2,) * 6, image_size=35)


@pytest.mark.parametrize("scale", [1.0, 0.0])
def test_an_image_is_embedded_alike_in_any_batch(scale):
    network = Compact((4, 6), 8, image_size=16).eval()
    images = scale * torch.rand(5, 1, 16, 16)
    with torch.no_grad():
        alone = torch.cat([network(image.unsqueeze(0)) for image in images])
        torch.testing.assert_close(network(images), alone)


def test_a_unit_network_has_embeddings_of_length_one():
    network = Compact((4, 6), 8, image_size=16, radius=1.0)
    for training in (True, False):
        lengths = network.train(training)(torch.rand(5, 1, 16, 16)).norm(dim=1)
        torch.testing.assert_close(lengths, torch.ones(5))


def test_a_mirrored_network_cannot_tell_left_from_right():
    images = torch.rand(5, 1, 16, 16)
    network = Compact((4, 6), 8, image_size=16, radius=1.0, mirrored=True).eval()
    with torch.no_grad():
        torch.testing.assert_close(network(images), network(images.flip(3)))
        torch.testing.assert_close(network(images).norm(dim=1), torch.ones(5))
    plain = Compact((4, 6), 8, image_size=16).eval()
    assert (plain(images) - plain(images.flip(3))).abs().max() > 1e-3


def test_a_standardising_network_does_not_see_the_exposure():
    images = torch.rand(5, 1, 16, 16)
    network = Compact((4, 6), 8, image_size=16, standardise=True).eval()
    with torch.no_grad():
        torch.testing.assert_close(network(images + 3), network(images), atol=1e-4, rtol=1e-4)
        assert (network(images) - network(images / 2)).abs().max() < 0.2 * network(images).abs().max()
        assert network(torch.full((1, 1, 16, 16), 0.5)).isfinite().all()


def test_a_committee_is_the_mean_of_its_members():
    torch.manual_seed(0)
    committee = Committee(Compact((4, 6), 8, image_size=16, radius=1.0), 3).eval()
    images = torch.rand(5, 1, 16, 16)
    with torch.no_grad():
        whole, each = committee(images), [member(images) for member in committee.members]
    assert whole.shape == (5, committee.embedding_size) == (5, 24)
    squared = torch.stack([torch.cdist(one, one).square() for one in each])
    torch.testing.assert_close(torch.cdist(whole, whole).square(), squared.mean(0), atol=1e-4, rtol=1e-3)
    assert (squared[0] - squared[1]).abs().max() > 1e-3, "members begin alike"


def test_members_learn_by_themselves():
    committee = Committee(Compact((4,), 8, image_size=16), 3).train()
    said = committee(torch.rand(5, 1, 16, 16))
    assert said.shape == (3, 5, 24)
    assert all(bool(said[m, :, 8 * n : 8 * n + 8].any()) == (m == n) for m in range(3) for n in range(3))
    said[1].square().sum().backward()
    touched = [any(p.grad is not None and p.grad.abs().sum() > 0 for p in m.parameters()) for m in committee.members]
    assert touched == [False, True, False]


def test_an_averaging_network_has_one_weight_for_all_positions():
    network = Compact((4, 6), 8, image_size=16, average=True).eval()
    assert network.embed.weight.shape == (8, 6)
    image = torch.zeros(2, 1, 16, 16)
    image[0, 0, 4:8, 4:8] = image[1, 0, 8:12, 8:12] = 1  # the same shape elsewhere, a whole number of cells away
    with torch.no_grad():
        here, there = network(image)
    torch.testing.assert_close(here, there)


def test_blocks_of_several_convolutions():
    """One before the pool, the others after it, each with its norm: 48 -> 24 -> 12 -> 6."""
    network = Compact((4, 6, 8), 5, image_size=48, depths=(1, 3, 2))
    sides = []
    for layer in network.blocks.modules():
        if isinstance(layer, nn.Conv2d):
            layer.register_forward_hook(lambda _, __, output: sides.append(tuple(output.shape[1:])))
    assert network(torch.rand(2, 1, 48, 48)).shape == (2, 5)
    assert sides == [(4, 48, 48), (6, 24, 24), (6, 12, 12), (6, 12, 12), (8, 12, 12), (8, 6, 6)]
    assert network.embed.in_features == 8 * 6 * 6
    assert sum(isinstance(layer, nn.BatchNorm2d) for layer in network.modules()) == len(sides)


@pytest.mark.parametrize("depths", [(1, 2), (1, 0, 1)])
def test_depths_that_make_no_sense(depths):
    with pytest.raises(UserError, match="depths has a number of at least 1 for each of the 3 blocks"):
        Compact((4, 6, 8), 5, depths=depths)
