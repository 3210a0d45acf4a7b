"""Network, loss and training together: the paper's overfit a small subset; members of a committee learn by themselves."""

import pytest
import pytorch_lightning as pl
import torch
from pytorch_metric_learning.losses import SupConLoss
from torch import Tensor

from siamese.augment import Affine
from siamese.datasets.glyphs import Glyphs
from siamese.losses import Binary, Contrastive, MetricLearning
from siamese.networks import Committee, Compact, Koch, Whitened
from siamese.sampling.batches import ClassBatches
from siamese.systems import FewShotData, Siamese
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


class Untouched(pl.Callback):
    """What the network's whitening was when it was saved, validated and tested."""

    def __init__(self) -> None:
        self.seen: dict[str, list[Tensor]] = {"validated": [], "saved": [], "tested": []}

    def keep(self, moment: str, weights: dict[str, Tensor]) -> None:
        self.seen[moment].append(weights["network.whitening"].clone())

    def on_validation_batch_start(self, trainer, system, *_) -> None:
        self.keep("validated", system.state_dict())

    def on_save_checkpoint(self, trainer, system, checkpoint) -> None:
        self.keep("saved", checkpoint["state_dict"])

    def on_test_batch_start(self, trainer, system, *_) -> None:
        self.keep("tested", system.state_dict())


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("validated", [True, False])
def test_what_is_fitted_follows_every_epoch_before_it_is_judged_or_saved(tmp_path, validated):
    torch.manual_seed(0)
    data = FewShotData(
        Glyphs(alphabets=6, characters=(4, 4), drawers=4, size=28), ClassBatches(4, 3, None, 3), Affine(),
        image_size=28, val_batches=0,
    )  # fmt: skip
    system = Siamese(Whitened(Compact((4, 8), 8, image_size=28)), Contrastive())
    seen = Untouched()
    saving = pl.callbacks.ModelCheckpoint(tmp_path, save_top_k=-1, filename="{epoch}")
    trainer = pl.Trainer(
        max_epochs=2, accelerator="cpu", logger=False, callbacks=[seen, saving], enable_progress_bar=False,
        enable_model_summary=False, num_sanity_val_steps=0, limit_val_batches=None if validated else 0,
    )  # fmt: skip
    trainer.fit(system, datamodule=data)
    trainer.test(system, datamodule=data, verbose=False)
    saved = seen.seen["saved"]
    assert len(saved) == 2
    assert not torch.equal(saved[0], torch.eye(12)), "fitted"
    assert not torch.equal(saved[0], saved[1]), "and fitted anew"
    if validated:
        (first, *_, last) = seen.seen["validated"]
        assert torch.equal(first, saved[0])
        assert torch.equal(last, saved[1])
    assert all(torch.equal(each, saved[1]) for each in seen.seen["tested"]), "a test fits nothing"
    expected, cpu = Whitened(system.network.network), torch.device("cpu")
    expected.fit(data.views(cpu), data.originals(cpu))
    torch.testing.assert_close(expected.whitening, saved[1])
