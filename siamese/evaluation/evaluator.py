"""What all evaluators share: they are callbacks that score what a validation or test has embedded."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import pytorch_lightning as pl
from matplotlib.figure import Figure
from torch import Tensor

from siamese.errors import UserError
from siamese.systems.data import FewShotData
from siamese.systems.siamese import Siamese
from siamese.tables import Table

NETWORK = "this network"  # among the methods of a report
EMPTY = 16  # pixels below it are paper


class Evaluator(pl.Callback):
    """An evaluation listed in the YAML's ``trainer.callbacks``.

    After a test, ``results`` holds its part of ``results.json`` and ``pictures`` its figures by file name. ``chosen_at`` is the
    step whose weights the last ``choose`` was about, None before the first.
    """

    chosen_at: int | None = None
    several = False  # whether it asks which labels an image carries, not which class it is of

    def __init__(self) -> None:
        self.results: dict[str, Any] = {}
        self.pictures: dict[str, Figure] = {}

    def prepare(self, data: FewShotData) -> None:
        """Draw what is to be scored, before anything is trained, so that what cannot be drawn is told at once."""

    def choose(self, system: Siamese, data: FewShotData) -> dict[str, float]:
        """Figures on the validation split, to log and to choose by."""
        return {}

    def stored(self) -> dict[str, Any]:
        """What a checkpoint of the weights of the last ``choose`` is to carry of it: plain values by name."""
        return {}

    @abstractmethod
    def report(self, system: Siamese, data: FewShotData) -> None:
        """Score the test split: fill ``results`` and ``pictures``."""

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        if stage == "predict":
            return
        data = _data(trainer)
        if self.several != (data.targets("test") is not None):
            carry = "one class" if self.several else "several labels"
            raise UserError(
                f"{type(self).__name__} cannot judge {data.table('test').name}, whose images have {carry} each"
            )
        self.prepare(data)

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if _whole(trainer, pl_module, "val"):
            for name, value in self.choose(_system(pl_module), _data(trainer)).items():
                pl_module.log(name, value, prog_bar=True)
            self.chosen_at = trainer.global_step

    def on_test_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if _whole(trainer, pl_module, "val") and _whole(trainer, pl_module, "test"):
            self.report(_system(pl_module), _data(trainer))


def _whole(trainer: pl.Trainer, module: pl.LightningModule, split: str) -> bool:
    """Whether the whole split was embedded: in a dry run of a few batches there is nothing to score."""
    return _system(module).embedded(split) == _data(trainer).images(split)


def _data(trainer: pl.Trainer) -> FewShotData:
    return trainer.datamodule  # type: ignore[attr-defined]


def _system(module: pl.LightningModule) -> Siamese:
    assert isinstance(module, Siamese)
    return module


def visible(table: Table, rows: Tensor) -> Any:
    """Images of the rows ``int64 [R]`` for pictures, as ``visible_images`` gives them."""
    return visible_images(table, table.images[rows])


def visible_images(table: Table, chosen: Tensor) -> Any:
    """Images ``uint8 [R, C, H, W]`` of a table for pictures, numpy ``uint8``: of three channels ``[R, H, W, 3]``, of one
    ``[R, H, W]``.

    Of one channel it is as ``ink`` gives it, 255 for what is drawn dark. A photograph, told by its median pixel, which is
    no empty paper, is turned around, so that its light stays light.
    """
    if table.image_shape[0] == 3:
        return chosen.movedim(1, -1).numpy()
    some = table.images[:: max(1, len(table) // 200)]
    return ink(chosen) if int(some.flatten().median()) < EMPTY else 255 - ink(chosen)


def ink(images: Tensor) -> Any:
    """``uint8 [..., H, W]`` numpy of images ``uint8 [..., C, H, W]``, for pictures."""
    return images.float().mean(dim=-3).round().byte().numpy()
