"""What a run leaves behind: checkpoints that say what they are, results, pictures, the report, and the W&B page."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
import yaml
from pytorch_lightning.callbacks import Timer
from pytorch_lightning.loggers import WandbLogger
from pytorch_lightning.trainer.states import TrainerFn

import siamese
from siamese.evaluation.evaluator import Evaluator
from siamese.lineage import lineage, refuse_taught
from siamese.losses import LabelLoss
from siamese.plots.style import save
from siamese.progress import Longer
from siamese.report import benchmark_table, read_metrics, write_report
from siamese.run import commit, first_process, hardware, point_latest

CHECKPOINT_KEY = "siamese"  # of what a checkpoint says about itself, beside Lightning's own keys


class GracefulStop(pl.Callback):
    """Ctrl-C ends the training after the step it is in: it is validated and saved there. A second one ends it at once."""

    def __init__(self) -> None:
        self.stopped = False

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        def stop(number: int, frame: Any) -> None:
            print("\nstopping; the best and the last checkpoint stay (Ctrl-C again to stop at once)", flush=True)
            self.stopped = trainer.should_stop = True
            signal.signal(signal.SIGINT, signal.default_int_handler)

        self._before = signal.signal(signal.SIGINT, stop)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        signal.signal(signal.SIGINT, self._before)


class Record(pl.Callback):
    """Writes what the evaluators found into the run's folder, shows it, and sends it to W&B.

    Args:
        folder: of the run.
        config: the resolved configuration.
        command: what was typed.
        stop: tells whether the training was ended early.
        timer: tells how long it was.
        resumed_from: the checkpoint it went on from, if any.
        before: what the checkpoints of its teachers, and of the network it began with, say of themselves.
        longer: a recipe that trains longer, to be named at the end.
    """

    def __init__(
        self,
        folder: Path,
        config: dict[str, Any],
        command: str,
        stop: GracefulStop,
        timer: Timer,
        resumed_from: str | None,
        before: list[dict[str, Any]],
        longer: Longer | None = None,
    ) -> None:
        self.longer = longer
        self.folder, self.config, self.command, self.resumed_from = folder, config, command, resumed_from
        self.stop, self.timer, self.before = stop, timer, before
        self.trained: tuple[float, int] | None = None  # seconds and steps
        self.about: list[dict[str, Any]] = []  # what the checkpoint that was loaded says of itself

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        data = trainer.datamodule  # type: ignore[attr-defined]
        about = {
            "version": siamese.__version__,
            "config": yaml.safe_dump(self.config),
            "dataset": data.taught_by,
            "classes": data.taught_classes,
            "fingerprint": data.fingerprint,
            "before": lineage(self.before),
            "teachers": len(self.before) - bool(self.config.get("start")),
            "train_seconds": self.timer.time_elapsed("train"),
            "preprocessing": getattr(data, "preprocessing_entry", dict)(),
            # What dropout draws from: sampling and augmentation have generators of their own.
            "random": [torch.get_rng_state(), *torch.cuda.get_rng_state_all()],
        }
        if getattr(pl_module, "knows_classes", False) and not isinstance(pl_module.loss, LabelLoss):
            about["class_names"] = list(data.table("train").class_names)
        for evaluator in _evaluators(trainer):
            if evaluator.chosen_at == trainer.global_step:  # what was found with other weights is not true of these
                about |= evaluator.stored()
        checkpoint[CHECKPOINT_KEY] = about
        _leave_unfinished_epoch_open(checkpoint["loops"]["fit_loop"])

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        # Now, because loading the best checkpoint sets the timer back to when that was saved.
        self.trained = self.timer.time_elapsed("train"), trainer.global_step

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        if self.trained is None:  # this process evaluates what another has trained
            self.trained = checkpoint[CHECKPOINT_KEY]["train_seconds"], checkpoint["global_step"]
        self.about = [checkpoint[CHECKPOINT_KEY]]
        random = checkpoint[CHECKPOINT_KEY].get("random")
        # On another machine there is no going on bit for bit, and processes are not to draw alike.
        if trainer.state.fn == TrainerFn.FITTING and trainer.world_size == 1 and random:
            torch.set_rng_state(random[0])
            if len(random) == torch.cuda.device_count() + 1:
                torch.cuda.set_rng_state_all(random[1:])

    def on_test_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Raises UserError where the network, or a teacher of its, was taught classes that are to be tested."""
        self.about = getattr(pl_module.network, "about", self.about)
        refuse_taught(self.about, trainer.datamodule, "test")  # type: ignore[attr-defined]

    def on_test_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        results = self._circumstances(trainer)
        for evaluator in _evaluators(trainer):
            results |= evaluator.results
            for name, figure in evaluator.pictures.items():
                save(figure, self.folder / "pictures" / name)
        _write(self.folder / "results.json", json.dumps(results, indent=1))
        page = write_report(self.folder)
        for logger in trainer.loggers:
            if isinstance(logger, WandbLogger):
                self._send(logger, results)
        print(f"\n{benchmark_table(results)}\n\nthe report: {page}", flush=True)
        if self.longer and self.trained and not self.stop.stopped:
            print(self.longer.sentence(self.trained[0]), flush=True)

    def _circumstances(self, trainer: pl.Trainer) -> dict[str, Any]:
        data = trainer.datamodule  # type: ignore[attr-defined]
        seconds, steps = self.trained or (None, None)
        taught_by = " and ".join(dict.fromkeys(about["dataset"] for about in lineage(self.about)))
        checkpoint = Path(trainer.ckpt_path) if trainer.ckpt_path else None  # none: as the training left it
        if checkpoint and checkpoint.is_relative_to(self.folder):
            checkpoint = checkpoint.relative_to(self.folder)
        return {
            "experiment": self.folder.parent.name,
            "dataset": data.table("test").name,
            "trained_on": taught_by or data.taught_by,
            "teachers": max((about.get("teachers", 0) for about in self.about), default=0),
            "fingerprint": data.fingerprint,
            "seed": self.config.get("seed_everything"),
            "commit": commit(),
            "version": siamese.__version__,
            "hardware": hardware(str(trainer.precision)),
            "train_seconds": seconds,
            "steps": steps,
            "interrupted": self.stop.stopped,
            "resumed_from": self.resumed_from,
            "checkpoint": str(checkpoint) if checkpoint else None,
            "command": self.command,
            "config": self.config,
        }

    def _send(self, logger: WandbLogger, results: dict[str, Any]) -> None:
        """The benchmark table, accuracies by run, ROC and pictures, and the circumstances of the run."""
        import wandb

        shot = results.get("one_shot", {})
        rows = [[b["name"], b["accuracy"], b["source"]] for b in results.get("baselines", [])]
        if official := shot.get("official"):
            rows.append(["this run", official["accuracy"], "measured in this run"])
        for each in shot.get("sampled", []):
            rows.append(
                [f"{each['protocol']} {each['n_way']}-way {each['k_shot']}-shot", each["accuracy"], "sampled episodes"]
            )
        logged: dict[str, Any] = {"benchmark": wandb.Table(columns=["name", "accuracy", "source"], data=rows)}
        if official:
            per_run = [[number + 1, accuracy] for number, accuracy in enumerate(official["per_run"])]
            logged["per_run"] = wandb.Table(columns=["run", "accuracy"], data=per_run)
            logged["official/accuracy"] = official["accuracy"]
        for section in ("verification", "classification", "novelty", "labels"):
            logged |= fractions(results.get(section), section)
        for picture in sorted((self.folder / "pictures").glob("*.png")):
            logged[f"pictures/{picture.stem}"] = wandb.Image(str(picture))
        logger.experiment.log(logged)
        kept = ("dataset", "fingerprint", "seed", "commit", "hardware", "train_seconds", "checkpoint", "command")
        logger.experiment.summary.update({key: results[key] for key in kept})


def fractions(found: Any, name: str) -> dict[str, float]:
    """Every fraction in nested results, by its names joined with ``/``."""
    if isinstance(found, dict):
        return {
            inner: value for key, each in found.items() for inner, value in fractions(each, f"{name}/{key}").items()
        }
    return {name: found} if isinstance(found, float) else {}


class Beginning(pl.Callback):
    """Says what is trained on what, and sends the configuration to the loggers before the first step."""

    def __init__(self, folder: Path, config: dict[str, Any]) -> None:
        self.folder, self.config = folder, config

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        data = trainer.datamodule  # type: ignore[attr-defined]
        table = data.table("train")
        parameters = sum(p.numel() for p in pl_module.parameters())
        several, one = f"{len(table.class_names):,} labels", f"{len(table.classes):,} classes"
        print(
            f"training {type(pl_module.network).__name__} ({parameters:,} parameters) on {table.name}: {len(table):,} images "
            f"of {one if table.targets is None else several}; this run: {self.folder}",
            flush=True,
        )
        point_latest(self.folder)
        circumstances = {"dataset": table.name, "fingerprint": data.fingerprint, "commit": commit()}
        for logger in trainer.loggers:
            if isinstance(logger, WandbLogger):
                logger.experiment.config.update(self.config | circumstances, allow_val_change=True)


def _leave_unfinished_epoch_open(loop: dict[str, Any]) -> None:
    """An epoch whose last batch was not seen counts as begun in a checkpoint, not as done, so that resuming goes on within it.

    Args:
        loop: the fit loop as the checkpoint holds it, which is a copy; the training itself is not touched.
    """
    # Lightning ends a training that is told to stop like any epoch: it counts the epoch as processed, and only then saves. The
    # resumed training would begin the next epoch, and never see the rest of this one. Within an epoch both counts are equal.
    if not loop["epoch_loop.batch_progress"]["is_last_batch"]:
        for count in (loop["epoch_progress"]["total"], loop["epoch_progress"]["current"]):
            count["processed"] = count["completed"]


def _evaluators(trainer: pl.Trainer) -> list[Evaluator]:
    return [callback for callback in trainer.callbacks if isinstance(callback, Evaluator)]  # type: ignore[attr-defined]


def keep_earlier_metrics(folder: Path) -> None:
    """Before a training is resumed in ``folder``: put aside its metrics, which the CSV logger would begin anew."""
    rows = read_metrics(folder)
    if rows and first_process():
        names = list(dict.fromkeys(name for row in rows for name in row))
        lines = [",".join(names)] + [",".join(str(row.get(name, "")) for name in names) for row in rows]
        _write(folder / "metrics_earlier.csv", "\n".join(lines) + "\n")


def _write(path: Path, text: str) -> None:
    """Write a text whole or not at all."""
    made = path.with_name(f".{path.name}")
    made.write_text(text, "utf-8")
    made.replace(path)
