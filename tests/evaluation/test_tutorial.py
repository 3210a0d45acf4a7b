"""What the tutorial calls accuracy is the precision of the near pairs."""

from types import SimpleNamespace

import pytest
import torch

from siamese.evaluation.tutorial import TutorialAccuracy
from siamese.similarity import Euclidean


def test_precision_is_not_accuracy(tiny):
    data = SimpleNamespace(table=lambda split: tiny)
    evaluator = TutorialAccuracy(pairs=1000)
    evaluator.prepare(data)
    # Half of each class lies at its own place, half far away and apart: few genuine pairs are near, but no impostors.
    vectors = torch.zeros(len(tiny), 2)
    vectors[:, 0] = tiny.labels * 10.0
    far = tiny.sources >= 2
    vectors[far, 1] = 100 + 10.0 * torch.arange(int(far.sum()))
    system = SimpleNamespace(embeddings=lambda split: vectors, similarity=Euclidean())
    evaluator.report(system, data)
    found = evaluator.results["tutorial"]
    assert found["precision"] == 1.0
    assert found["tar"] == pytest.approx(0.1, abs=0.05)  # 2 of the 20 ordered pairs of five images
    assert found["accuracy"] == pytest.approx(0.55, abs=0.03)
    assert found["far"] == 0


def test_the_tutorials_network_takes_every_second_pixel():
    from siamese.errors import UserError
    from siamese.networks import Tutorial

    network = Tutorial().eval()
    images = torch.rand(3, 1, 112, 92)
    with torch.no_grad():
        first = network(images)
        images[..., 1::2, :] = 0
        images[..., :, 1::2] = 0
        assert torch.equal(network(images), first)
    assert first.shape == (3, 50)
    assert [layer.out_channels for layer in network.layers if isinstance(layer, torch.nn.Conv2d)] == [6, 12]
    with pytest.raises(UserError, match="1x112x92, not 1x56x46"):
        network(torch.rand(1, 1, 56, 46))
