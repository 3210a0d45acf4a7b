"""Direction maps say which way edges run, and where."""

import pytest
import torch
import torch.nn.functional as F

from siamese.errors import UserError
from siamese.networks import Compact, Descriptor, Directions, Fused, Whitened


def edge(towards: str) -> torch.Tensor:
    """``[1, 1, 32, 32]``, dark on one side and bright on the side it is named after."""
    image = torch.zeros(32, 32)
    where = {"right": image[:, 16:], "down": image[16:], "left": image[:, :16], "up": image[:16]}
    where[towards].fill_(1.0)
    return image[None, None]


@pytest.mark.parametrize("directions", [4, 8, 12])
@pytest.mark.parametrize("number, towards", list(enumerate(("right", "down", "left", "up"))))
def test_an_edge_is_in_the_map_of_its_direction(directions, number, towards):
    layer = Directions(directions)
    maps = layer(edge(towards))
    assert maps.shape == (1, directions, 16, 16)
    middle = maps[0, :, 6:10, 6:10].amax((1, 2))
    own = number * directions // 4
    assert int(middle.argmax()) == own
    assert float(middle[(own + directions // 2) % directions]) < 0.01  # of the opposite direction there is none


def test_directions_turn_with_the_image():
    smooth = torch.rand(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    image = F.pad(F.interpolate(smooth, size=32, mode="bicubic"), (8, 8, 8, 8))
    layer = Directions(8)
    whole = layer(image).square().sum((2, 3))  # before the square root maps are linear, and a sum is wherever they are
    turned = layer(image.rot90(-1, (2, 3))).square().sum((2, 3))  # clockwise: what pointed right points down
    torch.testing.assert_close(turned, whole.roll(2, 1), rtol=0.02, atol=0.01)


def test_paper_of_any_level_is_empty():
    for level in (0.0, 0.4, 1.0):
        inside = Directions()(torch.full((1, 1, 32, 32), level))[..., 4:12, 4:12]
        assert float(inside.max()) < 2e-3


def test_nothing_of_it_is_learned_or_kept():
    layer = Directions()
    assert not list(layer.parameters()) and not layer.state_dict()


def test_a_compact_network_behind_it():
    network = Compact((8, 16), 6, image_size=20, front=Directions(6))
    assert network(torch.rand(3, 1, 20, 20)).shape == (3, 6)
    assert network.blocks[0][0].in_channels == 6
    assert network.features(torch.rand(3, 1, 20, 20)).shape == (3, network.feature_size)
    for wrong in ({"channels": 3}, {"image_size": 21}):
        with pytest.raises(UserError, match="a front takes grey images"):
            Compact((8, 16), 6, front=Directions(), **{"image_size": 20} | wrong)


@pytest.mark.parametrize("options", [{"directions": 3}, {"blur": 0.0}])
def test_options_that_cannot_be(options):
    with pytest.raises(UserError, match="direction maps take"):
        Directions(**options)


def test_a_descriptor_has_the_means_of_its_cells():
    images = torch.rand(2, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    maps = Directions(8, 1.5)(images)
    found = Descriptor(16, 4).forward(images).view(2, 8, 4, 4)
    torch.testing.assert_close(found[1, 3, 2, 1], maps[1, 3, 4:6, 2:4].mean())
    for wrong in (15, 20):
        with pytest.raises(UserError, match=r"cannot be divided|takes images"):
            Descriptor(wrong, 4)(images)


def fused(weight: float = 0.3) -> Fused:
    torch.manual_seed(0)
    learned = Whitened(Compact((4, 8), 6, image_size=16), 1.0, "embedding")
    made = Fused(learned, Whitened(Descriptor(16, 2), 1.0, "embedding"), weight).eval()
    images, labels = torch.rand(40, 1, 16, 16), torch.arange(10).repeat_interleave(4)
    made.fit([(images, labels)], [images])
    return made


@pytest.mark.parametrize("weight", [0.0, 0.3, 2.0])
def test_cosines_are_added_by_weight(weight):
    network = fused(weight)
    images = torch.rand(3, 1, 16, 16, generator=torch.Generator().manual_seed(1))
    whole, one, other = (each(images) for each in (network, network.network, network.descriptor))
    assert whole.shape == (3, network.embedding_size) and network.embedding_size == 6 + 32
    torch.testing.assert_close(whole @ whole.T, (one @ one.T + weight * other @ other.T) / (1 + weight))


def test_only_the_network_learns():
    network = fused()
    learned = {id(parameter) for parameter in network.network.parameters()}
    assert {id(parameter) for parameter in network.parameters()} == learned
    assert network.head(torch.rand(2, 1, 16, 16)).shape == (2, network.head_size)
    with pytest.raises(UserError, match="weights to learn"):
        Fused(network.network, network.network)
    with pytest.raises(UserError, match="0 or more"):
        Fused(network.network, network.descriptor, -1.0)
