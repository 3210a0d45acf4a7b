"""The system: a network, a loss and the similarity it teaches, trained by Lightning."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, cast

import pytorch_lightning as pl
import torch
import torch.distributed as dist
from pytorch_lightning.trainer.states import TrainerFn
from torch import Tensor, nn

from siamese.errors import Diverged, UserError
from siamese.losses import LabelLoss, Loss
from siamese.similarity import Cosine, Similarity
from siamese.systems.data import Batch, FewShotData
from siamese.systems.distillation import Distillation
from siamese.systems.optimization import OneCycle, Optimization


class Siamese(pl.LightningModule):
    """Both images of a pair go through the same network, so every image of a batch is embedded once, and its pairs are
    compared as embeddings.

    Args:
        network: images ``[B, C, H, W]`` to embeddings ``[B, D]``. One with a ``head`` learns by what this says, embeddings of
            ``head_size``; one with ``fit`` is fitted in closed form after every epoch. ``Whitened`` has both.
        loss: what teaches it; the switch between ``Binary``, ``Contrastive`` and ``MetricLearning``.
        similarity: what compares embeddings; None for the one that the loss teaches, or ``Cosine`` where another embedding
            takes the place of the one that it teaches.
        optimization: optimizer and schedule; None for ``OneCycle()``.
        distillation: other networks that teach it, instead of the loss or beside it.
    """

    def __init__(
        self,
        network: nn.Module,
        loss: Loss,
        similarity: Similarity | None = None,
        optimization: Optimization | None = None,
        distillation: Distillation | None = None,
    ) -> None:
        super().__init__()
        self.network = network.to(memory_format=torch.channels_last)
        self.loss = loss
        head = getattr(network, "head_size", None)
        size = int(network.embedding_size if head is None else head)  # type: ignore[arg-type]
        if (expected := getattr(loss, "embedding_size", size)) != size:
            raise UserError(
                f"{type(loss).__name__} takes embeddings of {expected} numbers, and those of {type(network).__name__} have "
                f"{size}; say so in model.loss.embedding_size"
            )
        self.taught = None if head is None else loss.similarity(size)
        own = Cosine() if self.taught else loss.similarity(size)
        self.similarity = similarity or own
        learned = any(True for _ in self.similarity.parameters())
        if learned if self.taught else not loss.teaches(self.similarity):
            raise UserError(
                f"{type(loss).__name__} does not teach {type(self.similarity).__name__}; leave out model.similarity, or "
                "choose another loss"
            )
        if distillation and not isinstance(self.taught or self.similarity, Cosine):
            raise UserError(
                f"a distillation teaches cosines, and {type(loss).__name__} {type(self.taught or self.similarity).__name__}; "
                "take a loss such as MetricLearning"
            )
        self.optimization, self.distillation = optimization or OneCycle(), distillation
        self._size = size
        self._embedded: dict[str, list[Tensor]] = {}
        self._fitted_at = -1

    def forward(self, images: Tensor) -> Tensor:
        """Embeddings ``[B, D]`` of images ``[B, C, H, W]`` in [0, 1]."""
        return self.network(images)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        loss = self._loss(batch)
        self.log("train/loss", loss, prog_bar=True, batch_size=len(batch.images))
        return loss

    def validation_step(self, batch: Batch, batch_idx: int, dataloader_idx: int = 0) -> None:
        """Keeps the embeddings of a split for the evaluators; batches with labels measure the loss."""
        if batch.labels is None:
            self._embedded.setdefault(batch.split, []).append(self(batch.images).float())
        else:
            self.log("val/loss", self._loss(batch), add_dataloader_idx=False, batch_size=len(batch.images))

    test_step = validation_step

    def predict_step(self, batch: Batch, batch_idx: int, dataloader_idx: int = 0) -> Tensor:
        return self(batch.images).float()

    @property
    def knows_classes(self) -> bool:
        """Whether the loss has learned something of each class, or label, that teaches."""
        with torch.no_grad():
            return self.loss.logits(torch.zeros(1, self._size, device=self.device)) is not None

    def embeddings(self, split: str) -> Tensor:
        """``float32 [N, D]``: what the running validation or test has embedded of a split, in order of its rows.

        Raises Diverged if a number in it is not finite.
        """
        if len(self._embedded[split]) > 1:
            self._embedded[split] = [torch.cat(self._embedded[split])]
        (found,) = self._embedded[split]
        if not found.isfinite().all():
            raise Diverged(
                "the network's embeddings are not finite: the training has diverged; try a lower learning rate"
            )
        return found

    def embedded(self, split: str) -> int:
        """How many rows of a split have been embedded so far."""
        return sum(len(part) for part in self._embedded.get(split, []))

    def on_fit_start(self) -> None:
        if getattr(self.trainer.datamodule, "warp", None) is not None and self.knows_classes:  # type: ignore[attr-defined]
            raise UserError(
                f"data.warp makes other classes in every batch, and {type(self.loss).__name__} learns the same ones; take a "
                "loss that compares images, such as MetricLearning with SupConLoss"
            )

    def on_validation_epoch_start(self) -> None:
        self._embedded.clear()
        self._fit()

    def on_test_epoch_start(self) -> None:
        self._embedded.clear()

    def on_train_epoch_end(self) -> None:
        self._fit()  # no validation has come first where there is nothing to validate on

    def _fit(self) -> None:
        """What of the network is fitted in closed form follows the weights that were trained."""
        step = self.trainer.global_step
        if not hasattr(self.network, "fit") or self.trainer.state.fn != TrainerFn.FITTING or self._fitted_at == step:
            return
        data: FewShotData = self.trainer.datamodule  # type: ignore[attr-defined]
        with self.trainer.precision_plugin.forward_context():
            views, originals = (Repeated(partial(draw, self.device)) for draw in (data.views, data.originals))
            self.network.fit(views, originals)  # type: ignore[operator]
        self._fitted_at = step

    def configure_optimizers(self) -> Any:
        return self.optimization.configure(
            self, int(self.trainer.estimated_stepping_batches), self.trainer.max_epochs or 1
        )

    def _loss(self, batch: Batch) -> Tensor:
        assert batch.labels is not None
        if batch.labels.ndim == 2 and not isinstance(self.loss, LabelLoss):
            raise UserError(
                f"{type(self.loss).__name__} takes images of one class each, and these carry several labels; take a loss such "
                "as siamese.losses.BinaryLabels"
            )
        embeddings = (self.network.head if self.taught else self)(batch.images)  # type: ignore[operator]
        # A network of several members gives what each says, [members, B, D], and each has its own loss.
        each = embeddings if embeddings.ndim == 3 else embeddings.unsqueeze(0)
        labels, distillation = batch.labels, self.distillation if self.training else None
        seen = distillation.seen(batch.images) if distillation else None
        if self.training and batch.pairs is None and _processes() > 1:
            each, labels = self._of_all_processes(each, 1), self._of_all_processes(labels)
            seen = None if seen is None else self._of_all_processes(seen)
        taught = self.taught or self.similarity
        own = lambda: torch.stack([self.loss(taught, one, labels, batch.pairs) for one in each]).mean()  # noqa: E731
        if distillation is None or seen is None:
            return own()
        told = torch.stack([distillation.loss(one, seen) for one in each]).mean()
        return told if distillation.share == 1 else distillation.share * told + (1 - distillation.share) * own()

    def _of_all_processes(self, rows: Tensor, dim: int = 0) -> Tensor:
        """What all W processes have, ``[…, W * B, …]`` of each one's ``[…, B, …]``, so that pairs across them count.

        Every process then has the same loss. A gradient flows back to where its embedding came from, and is the sum of what
        the W processes send; as DDP takes the mean over the processes, the step is that of one process with the whole batch.
        """
        gathered = cast(Tensor, self.all_gather(rows, sync_grads=rows.requires_grad))  # [W, …]
        return gathered.movedim(0, dim).flatten(dim, dim + 1)


class Repeated:
    """An iterable that begins anew each time, from a function that gives an iterator."""

    def __init__(self, draw: Callable[[], Iterator[Any]]) -> None:
        self.draw = draw

    def __iter__(self) -> Iterator[Any]:
        return self.draw()


def _processes() -> int:
    """How many processes train together."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1
