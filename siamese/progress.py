"""One bar for the whole training: loss, validation accuracy, time left."""

from __future__ import annotations

import sys
import time
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import ProgressBar
from tqdm import tqdm

QUIET = 60.0  # seconds


class TrainingBar(ProgressBar):
    """A tqdm bar over all steps; where the output is no terminal, a line each time something was validated, and each time
    ``QUIET`` seconds have brought none."""

    def __init__(self) -> None:
        super().__init__()
        self._bar: tqdm | None = None
        self._enabled = True

    def disable(self) -> None:
        self._enabled = False

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self._enabled:
            total, done = int(trainer.estimated_stepping_batches), trainer.global_step
            shown = None if sys.stderr.isatty() else True  # None: as tqdm decides; True: no bar, lines instead
            self._began = self._told = time.monotonic()
            self._first = done
            self._bar = tqdm(total=total, initial=done, desc="training", unit="step", disable=shown, dynamic_ncols=True)

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, *_: Any) -> None:
        if self._bar is not None:
            self._bar.update()
            if trainer.global_step % 10 == 0:
                self._bar.set_postfix_str(", ".join(self._figures(trainer)), refresh=False)
            if time.monotonic() - self._told >= QUIET:
                self._tell(trainer)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not trainer.sanity_checking:
            self._tell(trainer)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _tell(self, trainer: pl.Trainer) -> None:
        """The line, where there is no bar."""
        if self._bar is None or not self._bar.disable:
            return
        self._told = time.monotonic()
        left = (self._told - self._began) / max(trainer.global_step - self._first, 1)
        left *= int(self._bar.total or 0) - trainer.global_step
        said = ", ".join([*self._figures(trainer), f"{tqdm.format_interval(left)} left"])
        print(f"step {trainer.global_step} of {self._bar.total}: {said}", flush=True)

    def _figures(self, trainer: pl.Trainer) -> list[str]:
        figures = trainer.callback_metrics
        shown = {"loss": "train/loss", "val loss": "val/loss"}
        parts = [f"{name} {float(figures[key]):.3f}" for name, key in shown.items() if key in figures]
        if "val/one_shot" in figures:
            parts.append(f"val one-shot {float(figures['val/one_shot']):.1%}")
        return parts
