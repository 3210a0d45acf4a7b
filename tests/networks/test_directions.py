"""Direction maps say which way edges run, and where."""

import pytest
import torch
import torch.nn.functional as F

from siamese.errors import UserError
from siamese.networks import Compact, Directions


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
