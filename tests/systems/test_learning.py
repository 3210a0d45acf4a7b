"""The paper's network, loss and training overfit a small subset: every part of them learns together."""

import torch

from siamese.datasets.glyphs import Glyphs
from siamese.losses import Binary
from siamese.networks import Koch
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
