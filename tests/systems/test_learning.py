"""Network, loss and training together: the paper's overfit a small subset; members of a committee learn by themselves."""

import pytest
import torch
from pytorch_metric_learning.losses import SupConLoss

from siamese.datasets.glyphs import Glyphs
from siamese.losses import Binary, Contrastive, MetricLearning
from siamese.networks import Committee, Compact, Koch
from siamese.systems import Siamese
from siamese.systems.data import Batch
from siamese.systems.optimization import LayerwiseSGD


def test_koch_overfits_a_small_subset():
    torch.manual_seed(0)
    network, loss = Koch(), Binary()
    similarity = loss.similarity(network.embedding_size)
    system = torch.nn.ModuleDict({"network": network, "similarity": similarity})
    learning = LayerwiseSGD(lr=0.03, momentum=0.9).configure(system, steps=30, epochs=1)
    for group in learning["optimizer"].param_groups:
        group["momentum"] = group["final_momentum"]  # as after the ramp
    table = Glyphs(alphabets=3, characters=(2, 2), drawers=2).load()
    images, labels = table.images[:6].float() / 255, table.labels[:6]
    before = loss(similarity, network(images), labels).item()
    for _ in range(30):
        value = loss(similarity, network(images), labels)
        learning["optimizer"].zero_grad()
        value.backward()
        learning["optimizer"].step()
    with torch.no_grad():
        embeddings = network(images)
        scores = similarity(embeddings, embeddings)
    assert before > 0.5
    assert loss(similarity, embeddings, labels).item() < 0.1
    assert torch.equal(scores > 0, labels[:, None] == labels)


@pytest.mark.parametrize(
    "loss", [Binary(), Contrastive(), MetricLearning(SupConLoss())], ids=lambda loss: type(loss).__name__
)
def test_each_member_of_a_committee_has_its_own_loss(loss):
    torch.manual_seed(0)
    committee = Committee(Compact((4,), 8, image_size=16), 2)
    system = Siamese(committee, loss).train()
    images, labels = torch.rand(6, 1, 16, 16), torch.tensor([0, 0, 1, 1, 2, 2])
    found = system._loss(Batch(images, "train", labels))
    said = committee(images)
    each = [loss(system.similarity, one, labels) for one in said]
    torch.testing.assert_close(found, (each[0] + each[1]) / 2)
    joint = loss(system.similarity, said.sum(0), labels)
    assert (found - joint).abs() > 1e-4, "one loss of the whole row is another"
