"""This project's side of ``make bench``: the data, system and trainer that ``make train-omniglot`` would build and run."""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import pytorch_lightning as pl
import torch
from jsonargparse import ArgumentParser
from torch import Tensor, nn

import siamese.systems.orthogonal  # noqa: F401  timm takes seconds to import: no way's imports are part of its training
from siamese.evaluation.one_shot import credits, episode_scores
from siamese.precision import best_precision
from siamese.sampling.episodes import Episodes
from siamese.similarity import Similarity, WeightedL1
from siamese.systems import FewShotData, Siamese
from siamese.systems.data import Batch
from siamese.systems.siamese import Repeated


def built(config: dict[str, Any]) -> tuple[Siamese, FewShotData]:
    """What the ``model`` and ``data`` of an experiment's YAML describe; the data is not set up yet."""
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(Siamese, "model", fail_untyped=False)
    parser.add_class_arguments(FewShotData, "data", fail_untyped=False)
    made = parser.instantiate(parser.parse_object({"model": config["model"], "data": config["data"]}))
    return made.model, made.data


class Stamps(pl.Callback):
    """Keeps when every step ended, and ends the training when ``enough(stamps)``. The first batch goes into ``seen``."""

    def __init__(self, enough: Callable[[list[float]], bool], seen: list[Batch] | None) -> None:
        self.enough, self.seen = enough, seen
        self.stamps: list[float] = []

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Batch, *_: Any) -> None:
        if self.seen is not None and not self.seen:
            self.seen.append(batch)

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        self.stamps.append(time.perf_counter())
        if self.enough(self.stamps):
            trainer.should_stop = True


def train(
    system: Siamese,
    data: FewShotData,
    steps: int,
    enough: Callable[[list[float]], bool],
    accelerator: str = "cpu",
    seen: list[Batch] | None = None,
) -> list[float]:
    """Train for so many steps, or until ``enough``, without looks at the validation split. Returns when each step ended.

    A GPU may be some steps behind, which many seconds of them make little of.
    """
    warnings.filterwarnings("ignore", message=".*(IterableDataset.*__len__|many workers|LeafSpec)")
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    stamps = Stamps(enough, seen)
    trainer = pl.Trainer(
        accelerator=accelerator,
        devices=1,
        precision=best_precision(),  # type: ignore[arg-type]
        max_steps=steps,
        max_epochs=-1,
        limit_val_batches=0,
        num_sanity_val_steps=0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[stamps],
    )
    trainer.fit(system, datamodule=data)
    return stamps.stamps


def learner(network: nn.Module) -> nn.Module:
    """What learns by gradients within what is fitted in closed form around it, such as ``Whitened`` and ``Fused``."""
    while hasattr(network, "head_size"):
        network = network.network  # type: ignore[assignment]
    return network


def closed_form(config: dict[str, Any], data: FewShotData) -> tuple[nn.Module, float] | None:
    """The descriptor of a recipe by itself, fitted to the training images without a step of gradient descent, and the seconds
    that this took; None of a recipe that has none."""
    torch.manual_seed(0)
    descriptor = getattr(built(config)[0].network, "descriptor", None)
    if descriptor is None:
        return None
    began, cpu = time.perf_counter(), torch.device("cpu")
    descriptor.fit(Repeated(partial(data.views, cpu)), Repeated(partial(data.originals, cpu)))
    return descriptor, time.perf_counter() - began


@torch.inference_mode()
def embedded(network: nn.Module, images: Tensor, at_once: int, precision: str) -> Tensor:
    """``float32 [N, D]`` of images ``uint8 [N, C, H, W]``."""
    network.eval()
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16-mixed"):
        return torch.cat([network(chunk.float().div_(255)).float() for chunk in images.split(at_once)])


def score(
    network: nn.Module, similarity: Similarity, images: Tensor, episodes: Episodes, at_once: int, precision: str
) -> float:
    """The share of trials answered rightly: every image that one asks for is embedded once, then all are scored at once."""
    rows = torch.cat([episodes.support.flatten(), episodes.query.flatten()])
    asked, place = rows.unique(return_inverse=True)
    support, query = place.split([episodes.support.numel(), episodes.query.numel()])
    few = Episodes(support.view_as(episodes.support), query.view_as(episodes.query), episodes.target)
    found = episode_scores(embedded(network, images[asked], at_once, precision), few, similarity)
    return float(credits(found, few.target).mean())


@torch.no_grad()
def weighted_l1(out: nn.Linear) -> WeightedL1:
    """A layer on |h1 - h2| as the similarity that it is, with which every image needs to be embedded only once."""
    similarity = WeightedL1(out.in_features)
    similarity.alpha.copy_(out.weight[0])
    similarity.bias.copy_(out.bias[0])
    return similarity
