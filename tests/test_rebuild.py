"""The system in a checkpoint is built again by the configuration it carries, and by nothing else."""

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch import Tensor, nn

from siamese.checkpoints import Checkpoint
from siamese.errors import UserError
from siamese.losses import Contrastive
from siamese.networks import Compact
from siamese.rebuild import rebuild
from siamese.similarity import Cosine, Euclidean, WeightedL1
from siamese.systems import Siamese

CONFIG: dict[str, Any] = {
    "network": {
        "class_path": "siamese.networks.Compact",
        "init_args": {"widths": [4, 8], "embedding_size": 6, "image_size": 20},
    },
    "loss": {"class_path": "siamese.losses.Contrastive", "init_args": {"margin": 1.0}},
    "similarity": None,
    "optimization": {"class_path": "somebody.elses.Optimization"},  # of no use any more
}
SUPCON = {
    "class_path": "siamese.losses.MetricLearning",
    "init_args": {"loss": {"class_path": "pytorch_metric_learning.losses.SupConLoss"}},
}


def weights() -> dict[str, Tensor]:
    return Siamese(Compact((4, 8), 6, image_size=20), Contrastive()).state_dict()


def rebuilt(given: Any, **changes: Any) -> Siamese:
    config = yaml.safe_dump({"model": CONFIG | changes})
    return rebuild(Checkpoint(given, {"config": config}), Path("best.ckpt"))


def test_weights_are_those_saved_and_no_random_number_is_drawn():
    given, before = weights(), torch.random.get_rng_state()
    made = rebuilt(given)
    assert torch.equal(torch.random.get_rng_state(), before)
    found = made.state_dict()
    assert found.keys() == given.keys()
    assert all(torch.equal(found[name], given[name]) for name in given)


@pytest.mark.parametrize(
    ("loss", "similarity", "expected"),
    [
        (CONFIG["loss"], None, Euclidean),
        ({"class_path": "siamese.losses.Binary"}, None, WeightedL1),
        ({"class_path": "siamese.losses.Binary"}, {"class_path": "siamese.similarity.Cosine"}, Cosine),
        (SUPCON, None, Cosine),
    ],
)
def test_similarities_are_the_ones_trained_with(loss, similarity, expected):
    given = weights()
    if expected is WeightedL1:
        given |= {"similarity.alpha": torch.arange(6.0), "similarity.bias": torch.tensor(2.0)}
    made = rebuilt(given, loss=loss, similarity=similarity)
    assert type(made.similarity) is expected
    if expected is WeightedL1:
        assert made.similarity.alpha.tolist() == [0, 1, 2, 3, 4, 5]


class Own(nn.Module):
    """A network of the user's own."""

    embedding_size = 3

    def __init__(self, times: float = 2.0) -> None:
        super().__init__()
        self.times = nn.Parameter(torch.tensor(times))


def test_a_network_of_ones_own_and_one_that_is_not_there(monkeypatch):
    monkeypatch.setitem(sys.modules, "my_networks", sys.modules[__name__])
    given = {"network.times": torch.tensor(3.0)}
    made = rebuilt(given, network={"class_path": "my_networks.Own"})
    assert type(made.network) is Own
    assert made.network.times == 3
    for name in ("my_networks.Others", "nowhere.Network"):
        with pytest.raises(UserError, match=f"best.ckpt needs {name}, which cannot be imported"):
            rebuilt(given, network={"class_path": name})


@pytest.mark.parametrize(
    ("network", "sentence"),
    [
        ({"class_path": "siamese.networks.Compact", "init_args": {"depth": 3}}, "cannot be built: .*depth"),
        ({"class_path": "siamese.networks.Compact", "init_args": {"image_size": 3}}, "halve an image of 3 pixels"),
        ({"class_path": "siamese.augment.Affine"}, "best.ckpt"),
        ({"class_path": "os.system", "init_args": {"command": "true"}}, "best.ckpt"),
        (None, "best.ckpt"),
    ],
)
def test_networks_that_cannot_be_built(network, sentence):
    with pytest.raises(UserError, match=sentence):
        rebuilt(weights(), network=network)


@pytest.mark.parametrize(
    "about", [{}, {"config": "a: [1"}, {"config": "text"}, {"config": "model: text"}, {"config": 3}]
)
def test_no_configuration(about):
    with pytest.raises(UserError, match="does not hold the configuration of its network"):
        rebuild(Checkpoint(weights(), about), Path("best.ckpt"))


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"network.embed.bias": torch.zeros(6)}, "another architecture"),
        ([1, 2], "does not hold the weights"),
        ({"network.embed.bias": "text"}, "does not hold the weights"),
    ],
)
def test_weights_that_do_not_fit(given, sentence):
    with pytest.raises(UserError, match=sentence):
        rebuilt(given)
