"""Two processes that train together, joined by gloo, take the step of one process with both their batches."""

import copy

import pytest
import pytorch_lightning as pl
import torch
from pytorch_metric_learning.losses import SupConLoss
from torch import Tensor, nn

from siamese.datasets.glyphs import Glyphs
from siamese.losses import Binary, MetricLearning
from siamese.networks import Committee
from siamese.sampling.batches import ClassBatches, IndexBatch, Sampler
from siamese.systems import FewShotData, Siamese
from siamese.systems.distillation import Distillation
from siamese.systems.optimization import SGD

PIXELS = 8


class Linear(nn.Module):
    """Without batch norm, which each process has of its own batch."""

    embedding_size = 5

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(PIXELS**2, 5))

    def forward(self, images: Tensor) -> Tensor:
        return self.layers(images)


class Joined(Sampler):
    """Every two batches of another sampler as one."""

    def __init__(self, sampler: Sampler) -> None:
        self.sampler = sampler

    def epoch(self, table, symmetries, seed, epoch) -> IndexBatch:
        whole = self.sampler.epoch(table, symmetries, seed, epoch)
        return IndexBatch(*(column.unflatten(0, (-1, 2)).flatten(1, 2) for column in whole[:4]))


def trained(loss, network, sampler, distillation=None, **trainer) -> tuple[dict[str, Tensor], float]:
    """Weights after an epoch, and the loss of its last step."""
    pl.seed_everything(0, verbose=False)
    system = Siamese(copy.deepcopy(network), copy.deepcopy(loss), None, SGD(0.05), distillation)
    data = FewShotData(Glyphs(3, (5, 6), 4, PIXELS), sampler, augment=None, image_size=None, val_batches=0)
    fit = pl.Trainer(
        accelerator="cpu", max_epochs=1, limit_val_batches=0, logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, **trainer,
    )  # fmt: skip
    fit.fit(system, data)
    return system.state_dict(), float(fit.callback_metrics["train/loss"])


@pytest.mark.parametrize(
    ("loss", "network", "distillation"),
    [
        (MetricLearning(SupConLoss()), Linear(), None),
        (Binary(), Committee(Linear(), 2), None),
        (MetricLearning(SupConLoss()), Committee(Linear(), 2), Distillation(Linear(), 0.5)),
    ],
)
def test_all_pairs_across_processes_count(loss, network, distillation):
    sampler = ClassBatches(3, 2, None, 4)
    weights, value = trained(loss, network, Joined(sampler), distillation)
    shared, found = trained(loss, network, sampler, distillation, devices=2, strategy="ddp_spawn")
    assert found == pytest.approx(value, abs=1e-5)
    torch.testing.assert_close(shared, weights, atol=1e-5, rtol=1e-5)
    # Not so if each process compared its own batch only, whose losses' mean is another.
    halves, _ = trained(loss, network, sampler, distillation, accumulate_grad_batches=2)
    assert any((halves[name] - weights[name]).abs().max() > 1e-4 for name in weights)
