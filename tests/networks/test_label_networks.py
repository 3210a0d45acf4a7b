"""Networks for images of several labels: their layers, what sizes they take, and that they learn."""

import pytest
import torch
from torch import Tensor, nn

from siamese.errors import UserError
from siamese.losses import BinaryLabels
from siamese.networks import FourConv, Residual, Vgg13
from siamese.sampling.tiles import tiled
from siamese.similarity import Cosine

SMALL = {
    "Vgg13": lambda: Vgg13(widths=(4, 6, 8, 10)),
    "FourConv": lambda: FourConv(height=80, width=84, dropout=0.0),
    "Residual": lambda: Residual(widths=(4, 6, 8)),
    "Residual of cells": lambda: Residual(widths=(4, 6, 8), cells=2),
}


@pytest.fixture(params=SMALL)
def network(request) -> nn.Module:
    torch.manual_seed(0)
    return SMALL[request.param]()


def images_for(network: nn.Module, count: int = 4) -> Tensor:
    side = (80, 84) if isinstance(network, FourConv) else (24, 24)
    return torch.rand(count, 3, *side, generator=torch.Generator().manual_seed(1))


def size(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def kinds(network: nn.Module, kind: type) -> int:
    return sum(isinstance(module, kind) for module in network.modules())


def test_vgg13_has_thirteen_layers_with_that_of_the_loss():
    network = Vgg13()
    assert kinds(network, nn.Conv2d) == kinds(network, nn.BatchNorm2d) == 12
    assert kinds(network, nn.AvgPool2d) == 3, "between four blocks"
    assert kinds(network, nn.Linear) == 0
    assert kinds(BinaryLabels(10, network.embedding_size), nn.Linear) == 1
    widths = [module.out_channels for module in network.modules() if isinstance(module, nn.Conv2d)]
    assert widths == [32] * 3 + [64] * 3 + [128] * 3 + [256] * 3
    weights = 9 * sum(before * after for before, after in zip([3, *widths], widths, strict=False))
    assert size(network) == weights + 2 * sum(widths), "no bias but that of the norms"


def test_four_convolutions_have_the_layers_of_the_recipe():
    network = FourConv()
    shapes = [tuple(module.weight.shape) for module in network.modules() if isinstance(module, nn.Conv2d)]
    assert shapes == [(16, 3, 5, 5), (32, 16, 5, 5), (64, 32, 5, 5), (64, 64, 5, 5)]
    assert [module.out_features for module in network.modules() if isinstance(module, nn.Linear)] == [128, 64]
    assert [module.p for module in network.modules() if isinstance(module, nn.Dropout)] == [0.25] * 4 + [0.5] * 2
    # 400 -> 396 -> 198 -> 194 -> 97 -> 93 -> 46 -> 42 -> 21
    assert [module.in_features for module in network.modules() if isinstance(module, nn.Linear)] == [64 * 21 * 21, 128]
    assert [module.p for module in FourConv(dropout=0.1).modules() if isinstance(module, nn.Dropout)] == [0.1] * 4 + [
        0.2
    ] * 2


def test_embeddings_have_the_size_that_the_network_says(network):
    images = images_for(network)
    for training in (True, False):
        found = network.train(training)(images)
        assert found.shape == (4, network.embedding_size)
        assert found.isfinite().all()


@pytest.mark.parametrize("width", [(2, 3), (3, 4, 5, 6)])
@pytest.mark.parametrize("channels", [1, 4])
def test_widths_and_channels_are_what_they_are_told(width, channels):
    for kind in (Vgg13, Residual):
        network = kind(channels=channels, widths=width)
        assert network(torch.rand(2, channels, 16, 16)).shape == (2, width[-1])
        assert network.embedding_size == width[-1]
    assert FourConv(channels, 76, 84)(torch.rand(2, channels, 76, 84)).shape == (2, 64)


@pytest.mark.parametrize(("shape", "said"), [((3, 7, 8), "3x7x8"), ((3, 8, 7), "3x8x7"), ((1, 32, 32), "1x32x32")])
def test_vgg_tells_a_wrong_size(shape, said):
    network = Vgg13(widths=(2, 3, 4, 5))
    assert network(torch.rand(2, 3, 8, 8)).shape == (2, 5), "the least it takes"
    with pytest.raises(UserError, match=f"3 channels and at least 8 pixels a side, not {said}"):
        network(torch.rand(2, *shape))


@pytest.mark.parametrize("shape", [(3, 400, 399), (3, 399, 400), (1, 400, 400)])
def test_four_convolutions_tell_a_wrong_size(shape):
    with pytest.raises(UserError, match=f"3x400x400, not {'x'.join(map(str, shape))}"):
        FourConv()(torch.rand(1, *shape))


def test_four_convolutions_need_images_of_76_pixels():
    assert FourConv(height=76, width=76)(torch.rand(1, 3, 76, 76)).shape == (1, 64)
    with pytest.raises(UserError, match="leave nothing of images of 75x400"):
        FourConv(height=75, width=400)


@pytest.mark.parametrize("cells", [1, 2, 3])
def test_residual_tells_a_wrong_size(cells):
    network, least = Residual(widths=(2, 3, 4), cells=cells), 5 * cells
    assert network(torch.rand(2, 3, least, least)).shape == (2, 4), "the least it takes: 5 -> 4 -> 2 -> 1"
    for shape in ((least - cells, least), (least, least - cells)):
        with pytest.raises(UserError, match=f"at least {least} pixels a side"):
            network(torch.rand(2, 3, *shape))
    with pytest.raises(UserError, match="takes 3 channels"):
        network(torch.rand(2, 1, 2 * least, 2 * least))
    if cells > 1:
        with pytest.raises(UserError, match=f"a multiple of {cells}"):
            network(torch.rand(2, 3, 2 * least + 1, 2 * least))


@pytest.mark.parametrize("options", [{"cells": 0}, {"widths": (4,)}])
def test_residual_needs_a_block_and_a_cell(options):
    with pytest.raises(UserError, match="one block and one cell at least"):
        Residual(**options)


def test_images_are_standardised_by_the_given_numbers():
    network = Residual(widths=(2, 3), mean=0.2, deviation=0.5).eval()
    plain = Residual(widths=(2, 3), mean=0.0, deviation=1.0).eval()
    plain.load_state_dict(network.state_dict())
    images = torch.rand(2, 3, 9, 9)
    torch.testing.assert_close(network(images), plain((images - 0.2) / 0.5))


@pytest.fixture
def celled() -> Residual:
    torch.manual_seed(0)
    return Residual(widths=(4, 6, 8), cells=2).eval()


def features(network: Residual, images: Tensor) -> Tensor:
    """``[B, 4, D]``: what each of the four cells has before the highest is taken, in reading order."""
    seen: list[Tensor] = []
    handle = network.blocks.register_forward_hook(lambda *given: seen.append(given[2]))
    with torch.no_grad():
        network(images)
    handle.remove()
    return seen[0].amax((2, 3)).unflatten(0, (len(images), 4))


def test_no_cell_sees_another(celled):
    """Other pixels in one quarter change what is made of it, and nothing of what is made of the others."""
    parts = torch.rand(3, 4, 3, 10, 10)
    before = features(celled, tiled(parts))
    for cell in range(4):
        other = parts.clone()
        other[:, cell] = torch.rand(3, 3, 10, 10)
        changed = (features(celled, tiled(other)) != before).any(2)
        assert changed[:, cell].all()
        assert not changed[:, torch.arange(4) != cell].any()


def test_the_embedding_of_cells_does_not_depend_on_their_order(celled):
    parts = torch.rand(3, 4, 3, 10, 10)
    whole = Residual(widths=(4, 6, 8)).eval()
    whole.load_state_dict(celled.state_dict())
    with torch.no_grad():
        first = celled(tiled(parts))
        for order in ([3, 2, 1, 0], [1, 0, 3, 2], [0, 2, 3, 1]):
            torch.testing.assert_close(celled(tiled(parts[:, order])), first)
        torch.testing.assert_close(first, torch.stack([whole(parts[:, cell]) for cell in range(4)]).amax(0))
        assert (whole(tiled(parts)) - first).abs().max() > 1e-3, "across the borders there is more to see"


def test_an_image_is_embedded_alike_in_any_batch(network):
    network.eval()
    images = images_for(network, 5)
    with torch.no_grad():
        alone = torch.cat([network(image.unsqueeze(0)) for image in images])
        torch.testing.assert_close(network(images), alone, atol=1e-4, rtol=1e-4)


def test_it_overfits_a_small_batch(network):
    images, loss = images_for(network, 8), BinaryLabels(3, network.embedding_size)
    targets = torch.tensor([[0, 0, 1], [0, 1, 0], [1, 1, 0], [1, 0, 1]]).bool().repeat(2, 1)
    rate = 1e-3 if isinstance(network, FourConv) else 1e-2  # that one has no norms
    optimizer = torch.optim.Adam([*network.parameters(), *loss.parameters()], lr=rate)
    values = []
    for _ in range(150):
        optimizer.zero_grad()
        value = loss(Cosine(), network.train()(images), targets)
        value.backward()
        optimizer.step()
        values.append(value.item())
        if values[-1] < 0.05:
            break
    assert values[0] > 1
    assert values[-1] < 0.05, values[::10]
    with torch.no_grad():
        assert torch.equal(loss.logits(network(images)) > 0, targets)


@pytest.mark.parametrize("cells", [1, 2])
def test_mirrored_an_image_is_embedded_as_the_mean_of_both_sides_of_each_cell(cells):
    torch.manual_seed(0)
    plain, mirrored = (Residual((4, 8, 8), cells=cells, apart=True, mirrored=both).eval() for both in (False, True))
    mirrored.load_state_dict(plain.state_dict())
    images = torch.rand(3, 3, 32, 32)
    flipped = torch.cat([side.flip(3) for side in images.chunk(cells, 3)], 3)
    with torch.no_grad():
        torch.testing.assert_close(mirrored(images), (plain(images) + plain(flipped)) / 2)
        torch.testing.assert_close(mirrored(images), mirrored(flipped))
        assert not torch.allclose(plain(images), plain(flipped), atol=1e-3)
    torch.testing.assert_close(mirrored.train()(images), plain.train()(images))


@pytest.mark.parametrize("cells", [1, 2])
def test_moved_an_image_is_embedded_as_the_mean_of_itself_and_two_shifts_of_each_cell(cells):
    torch.manual_seed(0)
    plain, moved, both = (
        Residual((4, 8, 8), cells=cells, apart=True, **options).eval()
        for options in ({}, {"moved": 2}, {"moved": 2, "mirrored": True})
    )
    moved.load_state_dict(plain.state_dict())
    both.load_state_dict(plain.state_dict())
    images = torch.rand(3, 3, 32, 32)

    def shifted(places: torch.Tensor) -> torch.Tensor:
        """Each cell as it is with its rows and columns at other places, those at its border again where it ends."""
        side = 32 // cells
        there = places.clamp(0, side - 1)
        order = torch.cat([there + side * cell for cell in range(cells)])
        return images[:, :, order][:, :, :, order]

    with torch.no_grad():
        places = torch.arange(32 // cells)
        expected = (plain(images) + plain(shifted(places - 2)) + plain(shifted(places + 2))) / 3
        torch.testing.assert_close(moved(images), expected)
        assert not torch.allclose(plain(images), expected, atol=1e-3)
        mirrored = [
            plain(torch.cat([side.flip(3) for side in view.chunk(cells, 3)], 3))
            for view in (images, shifted(places - 2), shifted(places + 2))
        ]
        torch.testing.assert_close(both(images), (moved(images) + sum(mirrored) / 3) / 2)
    torch.testing.assert_close(moved.train()(images), plain.train()(images))


def test_an_image_is_not_moved_by_less_than_nothing():
    with pytest.raises(UserError, match="moved by 0 pixels or more, not -1"):
        Residual((4, 8), moved=-1)
