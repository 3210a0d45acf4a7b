"""One trial of a sweep: a training that tells Optuna each validation, keeps no weights, and never sees test images."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import optuna
import pytorch_lightning as pl
import torch
from optuna.trial import TrialState
from pytorch_lightning.callbacks import ModelCheckpoint

from siamese.cli import Command, run_command
from siamese.errors import Diverged, UserError
from siamese.record import GracefulStop
from siamese.sweep import Sweep
from siamese.sweep.space import options
from siamese.sweep.storage import DRAW, NAME, storage
from siamese.workers import elsewhere

DIVERGED = "diverged"


@dataclass(frozen=True)
class Job:
    """A trial to do.

    Attributes:
        sweep: what it is one of.
        folder: of the sweep.
        options: of ``fit``, but for what is drawn.
        draw: its number among the trials asked for, and the seed of what is drawn.
    """

    sweep: Sweep
    folder: Path
    options: tuple[str, ...]
    draw: int


def conduct(job: Job, threads: int | None = None) -> None:
    """Draw options, train with them, and put down what came of it. A training that diverged is one that was ended early."""
    if threads:
        torch.set_num_threads(threads)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sweep = job.sweep
    study = optuna.load_study(
        study_name=NAME, storage=storage(job.folder), sampler=sweep.sampler(job.draw), pruner=sweep.pruner()
    )
    trial = study.ask(sweep.space)
    trial.set_user_attr(DRAW, job.draw)
    folder = job.folder / "trials" / f"{trial.number:04d}"
    arguments = ["fit", *job.options, *options(trial.params), "--benchmark=false", f"--folder={folder}"]
    reports = Reports(trial, sweep)
    try:
        with elsewhere(folder / "log.txt"):
            run_command(arguments, partial(TrialRun, reports))  # type: ignore[arg-type]
        study.tell(trial, reports.best())
    except optuna.TrialPruned:
        study.tell(trial, state=TrialState.PRUNED)
    except Diverged:
        trial.set_user_attr(DIVERGED, True)
        study.tell(trial, state=TrialState.PRUNED)
    except BaseException as error:
        study.tell(trial, state=TrialState.FAIL)
        if isinstance(error, SystemExit):
            if isinstance(error.__context__, KeyboardInterrupt):  # Lightning makes this of a Ctrl-C
                raise KeyboardInterrupt from error
            raise UserError(f"trial {trial.number} did not take its options; {folder / 'log.txt'} says why") from error
        raise


class TrialRun(Command):
    """``fit`` as a trial. The weights are not kept: 0.6 GB a trial for the network of Koch et al., and nobody asks for them."""

    def __init__(self, reports: Reports, *args: Any, **kwargs: Any) -> None:
        self.reports = reports
        super().__init__(*args, **kwargs)

    def instantiate_trainer(self, **kwargs: Any) -> pl.Trainer:
        trainer = super().instantiate_trainer(**kwargs)
        kept = [each for each in trainer.callbacks if not isinstance(each, ModelCheckpoint)]  # type: ignore[attr-defined]
        trainer.callbacks = kept  # type: ignore[attr-defined]
        return trainer

    def _own_callbacks(self, resumed: str | None) -> list[pl.Callback]:
        # Without the graceful stop: half a trial says nothing, so Ctrl-C ends it at once.
        usual = [each for each in super()._own_callbacks(resumed) if not isinstance(each, GracefulStop)]
        return [*usual, self.reports]


class Reports(pl.Callback):
    """Tells Optuna what each validation found, and ends the training where Optuna says so."""

    def __init__(self, trial: optuna.Trial, sweep: Sweep) -> None:
        self.trial, self.metric, self.better = trial, sweep.metric, max if sweep.maximize else min
        self.values: list[float] = []

    def best(self) -> float:
        """The best value of the training."""
        if not self.values:
            raise UserError("a trial was trained without a validation, so nothing can be chosen; give it more epochs")
        return self.better(self.values)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.sanity_checking:
            return
        figures = trainer.callback_metrics
        if self.metric not in figures:
            there = ", ".join(sorted(name for name in figures if name.startswith("val/"))) or "none"
            raise UserError(f"no validation tells {self.metric}; metric.name can be one of: {there}")
        value = float(figures[self.metric])
        if not math.isfinite(value):
            raise Diverged(f"{self.metric} is not finite: the training has diverged")
        self.values.append(value)
        self.trial.report(value, len(self.values))
        if self.trial.should_prune():
            raise optuna.TrialPruned()
