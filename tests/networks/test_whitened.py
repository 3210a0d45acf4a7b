"""Whitening within classes: what it does to distances, what it is fitted on, and what teaches beneath it."""

import pytest
import torch
from torch import nn

from siamese.errors import UserError
from siamese.evaluation.verification import roc
from siamese.losses import Binary, Contrastive, MetricLearning
from siamese.networks import Committee, Compact, Koch, Whitened
from siamese.similarity import Cosine, Euclidean, WeightedL1
from siamese.systems import Siamese
from siamese.systems.data import Batch


class Pixels(nn.Module):
    """Its features are the pixels, its embedding the first of them."""

    embedding_size, feature_size = 1, 4

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.features(images)[:, :1]

    def features(self, images: torch.Tensor) -> torch.Tensor:
        return images.flatten(1)


class Plain(nn.Linear):
    """A network without features."""

    embedding_size = 2

    def __init__(self) -> None:
        super().__init__(4, 2)


def views(classes: int = 40, shots: int = 25, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Classes that differ in the last two coordinates, and images of one class that differ in a mix of the first two."""
    draw = torch.Generator().manual_seed(seed)
    labels = torch.arange(classes).repeat_interleave(shots)
    means = torch.randn(classes, 4, generator=draw) * torch.tensor([0.1, 0.1, 1.0, 1.0])
    mix = torch.tensor([[5.0, 3.0, 0, 0], [0, 2.0, 0, 0], [0, 0, 0.1, 0], [0, 0, 0, 0.1]])
    images = means[labels] + torch.randn(len(labels), 4, generator=draw) @ mix + 7
    return images.view(-1, 1, 2, 2), labels


def test_the_covariance_within_classes_becomes_the_identity():
    network = Whitened(Pixels(), shrinkage=1e-6)
    images, labels = views()
    network.fit([(images, labels)], [images])
    white = network.whiten(images.flatten(1))
    inner = white - torch.stack([white[labels == each].mean(0) for each in labels.unique()])[labels]
    torch.testing.assert_close(inner.T @ inner / (len(inner) - 40), torch.eye(4), atol=1e-3, rtol=0)
    torch.testing.assert_close(network.centre, images.flatten(1).mean(0))


def test_statistics_of_many_batches_are_those_of_one():
    """Batches of whole classes, in any order, and a class whose images are in two batches has a mean in each."""
    images, labels = views()
    one, many, split = (Whitened(Pixels()) for _ in range(3))
    one.fit([(images, labels)], [images])
    many.fit([(images[part], labels[part]) for part in (labels >= 20, labels < 20)], images.split(300))
    torch.testing.assert_close(one.whitening, many.whitening)
    torch.testing.assert_close(one.centre, many.centre)
    split.fit([(images[part::2], labels[part::2]) for part in (0, 1)], [images])
    assert not torch.equal(split.whitening, one.whitening)
    torch.testing.assert_close(split.whitening, one.whitening, rtol=0.1, atol=0.1)


def test_new_classes_are_told_apart_only_when_whitened():
    network = Whitened(Pixels(), shrinkage=1e-5)

    def area() -> float:
        images, labels = views(classes=20, shots=2, seed=1)
        first, second = torch.triu_indices(len(labels), len(labels), 1)
        scores = Cosine()(network(images), network(images))[first, second]
        return roc(scores, labels[first] == labels[second]).auc

    before = area()
    network.fit([views()], [views()[0]])
    assert before < 0.75
    assert area() > 0.85


def test_the_originals_set_the_centre():
    images, labels = views()
    network = Whitened(Pixels())
    network.fit([(images, labels)], [images[:50], images[50:70]])
    torch.testing.assert_close(network.centre, images[:70].flatten(1).mean(0))


def test_images_without_any_difference_do_not_break_it():
    network = Whitened(Pixels())
    images = torch.ones(4, 1, 2, 2)
    network.fit([(images, torch.tensor([0, 0, 1, 1]))], [images])
    assert network(torch.rand(3, 1, 2, 2)).isfinite().all()


@pytest.mark.parametrize("training", [True, False])
def test_fitting_uses_the_batch_norms_of_use_and_leaves_the_mode(training):
    network = Whitened(Compact((4, 8), 8, image_size=16)).train(training)
    images = torch.rand(8, 1, 16, 16)
    norms = {name: value.clone() for name, value in network.network.state_dict().items()}
    network.fit([(images, torch.tensor([0, 0, 1, 1, 2, 2, 3, 3]))], [images])
    assert network.training == training
    for name, value in network.network.state_dict().items():
        torch.testing.assert_close(value, norms[name], rtol=0, atol=0)


def test_what_teaches_can_be_whitened_in_place_of_the_features():
    torch.manual_seed(0)
    own = Compact((4, 8), 5, image_size=16)
    network = Whitened(own, shrinkage=1e-6, of="embedding").eval()
    assert (network.embedding_size, network.head_size, network.feature_size) == (5, 5, 12)
    images, labels = torch.rand(60, 1, 16, 16), torch.arange(6).repeat_interleave(10)
    network.fit([(images, labels)], [images])
    with torch.no_grad():
        white = network.whiten(own(images))
        torch.testing.assert_close(network(images), nn.functional.normalize(white, dim=1))
        torch.testing.assert_close(network.features(images), own.features(images))
    inner = white - torch.stack([white[labels == each].mean(0) for each in labels.unique()])[labels]
    torch.testing.assert_close(inner.T @ inner / 54, torch.eye(5), atol=1e-2, rtol=0)
    assert Whitened(own).feature_size == 0, "they are its embedding"
    assert Whitened(Koch(), of="embedding").feature_size == 0, "it has none"


def test_what_it_cannot_do():
    with pytest.raises(UserError, match="Koch has no features"):
        Whitened(Koch())
    with pytest.raises(UserError, match="Committee has no features"):
        Whitened(Committee(Plain(), 2))
    with pytest.raises(UserError, match="shrinkage must be above 0"):
        Whitened(Pixels(), shrinkage=0.0)
    network = Whitened(Pixels())
    images, labels, one = torch.rand(3, 1, 2, 2), torch.arange(3), torch.zeros(3, dtype=torch.int64)
    for given, originals in (([], [images]), ([(images, labels)], [images]), ([(images, one)], [])):
        with pytest.raises(UserError, match="several images of a class"):
            network.fit(given, originals)


@pytest.mark.parametrize("mirrored", [True, False])
def test_features_of_a_compact_network(mirrored):
    torch.manual_seed(0)
    network = Compact((4, 8), 16, image_size=16, mirrored=mirrored, standardise=True).eval()
    images = torch.rand(3, 1, 16, 16)
    features = network.features(images)
    assert features.shape == (3, 12)
    assert features.dtype == torch.float32
    assert network.feature_size == 12
    torch.testing.assert_close(features, network.features(0.5 * images + 0.2), atol=0.05, rtol=0)  # other exposure
    assert torch.allclose(features, network.features(images.flip(3)), atol=1e-6) == mirrored
    if not mirrored:
        torch.testing.assert_close(features[:, :4].norm(dim=1), torch.ones(3))
        torch.testing.assert_close(features[:, 4:].norm(dim=1), torch.ones(3))


def test_features_of_a_committee_are_those_of_its_members():
    committee = Committee(Compact((4,), 8, image_size=16), 3).eval()
    images = torch.rand(2, 1, 16, 16)
    features = committee.features(images)
    assert features.shape == (2, committee.feature_size) == (2, 12)
    torch.testing.assert_close(features[:, 4:8], committee.members[1].features(images))


@pytest.mark.parametrize("loss", [Binary(), Contrastive()])
def test_the_own_embedding_of_the_network_teaches(loss):
    torch.manual_seed(0)
    network = Compact((4,), 8, image_size=16)
    system = Siamese(Whitened(network), loss).train()
    assert isinstance(system.similarity, Cosine)
    images, labels = torch.rand(6, 1, 16, 16), torch.tensor([0, 0, 1, 1, 2, 2])
    found = system._loss(Batch(images, "train", labels))
    torch.testing.assert_close(found, loss(system.taught, network(images), labels))
    found.backward()
    assert network.embed.weight.grad.abs().sum() > 0
    system.eval()
    assert system(images).shape == (6, 4)


def test_the_similarity_of_whitened_embeddings():
    network = Whitened(Compact((4,), 8, image_size=16))
    assert isinstance(Siamese(network, Binary(), Euclidean()).similarity, Euclidean)
    with pytest.raises(UserError, match="does not teach WeightedL1"):
        Siamese(network, Binary(), WeightedL1(4))
    with pytest.raises(UserError, match="does not teach Cosine"):
        Siamese(network.network, Contrastive(), Cosine())
    assert Siamese(network, MetricLearning(nn.Identity())).taught is not None


def test_features_say_in_which_places_something_is():
    torch.manual_seed(0)
    image = torch.zeros(1, 1, 32, 32)
    image[..., 6:10, 6:10] = 1
    moved = image.roll((16, 16), (2, 3))
    anywhere, somewhere = (Compact([4, 8], image_size=32, places=places).eval() for places in (None, [1, 2]))
    somewhere.load_state_dict(anywhere.state_dict())
    assert (anywhere.feature_size, somewhere.feature_size) == (12, 4 + 8 + 8 * 2 * 2)
    torch.testing.assert_close(anywhere.features(image), anywhere.features(moved))
    corner, other = (somewhere.features(each)[0, 12:].view(8, 2, 2) for each in (image, moved))
    torch.testing.assert_close(corner[:, 0, 0], other[:, 1, 1])
    assert not torch.allclose(corner[:, 0, 0], corner[:, 1, 1])
    for wrong in ([1], [1, 0], [1, 1, 1]):
        with pytest.raises(UserError, match="places has a number of at least 1 for each of the 2 blocks"):
            Compact([4, 8], image_size=16, places=wrong)


def test_each_member_of_a_committee_is_whitened_by_itself():
    torch.manual_seed(0)
    images, labels = torch.rand(60, 1, 8, 8), torch.arange(6).repeat_interleave(10)
    network = Whitened(Committee(Compact([4], 2, image_size=8), members=3), shrinkage=1e-6).eval()
    network.fit([(images, labels)], [images])
    assert network.whitening.shape == (3, 4, 4)
    with torch.no_grad():
        white = network.whiten(network.network.features(images))
    inner = white - torch.stack([white[labels == each].mean(0) for each in labels.unique()])[labels]
    within = inner.T @ inner / 54
    for part in range(3):
        own = slice(4 * part, 4 * part + 4)
        torch.testing.assert_close(within[own, own], torch.eye(4), atol=1e-2, rtol=0)
    assert within[:4, 4:].abs().max() > 0.05
