"""What is said of a training while it goes on: one bar with loss, validation accuracy and time left, and how long it takes."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import ProgressBar
from tqdm import tqdm

QUIET = 60.0  # seconds
FIRST, MANY = 6, 50  # steps, after which the time of the whole training is told, if it has so many


def in_words(seconds: float) -> str:
    """A time such as ``40 seconds`` or ``25 minutes``, to two digits."""
    if seconds < 100:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 60:.1f} minutes" if seconds < 600 else f"{seconds / 60:.0f} minutes"


@dataclass
class Longer:
    """A recipe that trains longer than this one, and what that brings.

    Attributes:
        config: its YAML.
        times: how many times as long its training takes.
        brings: what it reaches, in words.
    """

    config: str
    times: float
    brings: str

    @classmethod
    def of(cls, given: Any) -> Longer | None:
        """From what the command line made of it."""
        return given if given is None or isinstance(given, cls) else cls(**given)

    def sentence(self, seconds: float) -> str:
        """The sentence after a training of so many seconds."""
        return (
            f"{self.brings}: make train-omniglot CONFIG={self.config}, which would take about "
            f"{in_words(self.times * seconds)} of training on this machine"
        )


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
            self._foretell(trainer)
            if time.monotonic() - self._told >= QUIET:
                self._tell(trainer)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not trainer.sanity_checking:
            self._tell(trainer)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _foretell(self, trainer: pl.Trainer) -> None:
        """How long it will take here. The first step, which takes longer than the others, does not count."""
        assert self._bar is not None
        done, total = trainer.global_step - self._first, int(self._bar.total or 0) - self._first
        if done == 1:
            self._second = time.monotonic()
        if done == FIRST and total >= MANY:
            step = (time.monotonic() - self._second) / (FIRST - 1)
            said = f"{total:,} steps of {step:.2f} s on this machine: about {in_words(step * total)} of training"
            tqdm.write(f"{said}, then the test", file=sys.stdout)

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
