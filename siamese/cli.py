"""The command line: Lightning's own, with this project's defaults, run folders and plain errors."""

from __future__ import annotations

import difflib
import logging
import re
import shlex
import sys
import warnings
from pathlib import Path
from typing import Any, NoReturn

import pytorch_lightning as pl
import torch
import yaml
from pytorch_lightning.callbacks import LearningRateMonitor, ModelCheckpoint, Timer
from pytorch_lightning.cli import LightningArgumentParser, LightningCLI

from siamese.checkpoints import begin_with, check_fits, read_checkpoint
from siamese.ensemble import Ensemble
from siamese.errors import UserError
from siamese.lineage import check_before, taught_before
from siamese.precision import best_precision
from siamese.progress import Longer, TrainingBar
from siamese.record import Beginning, GracefulStop, Record, keep_earlier_metrics
from siamese.report import GENERATED
from siamese.run import freed_memory_kept, loggers, make_run_folder
from siamese.systems import FewShotData, Siamese


class Parser(LightningArgumentParser):
    """Names the nearest right option where one is misspelt."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        # An option is what it is called: --trainer.max_epoch is a slip of the pen, not --trainer.max_epochs.
        super().__init__(*args, **{**kwargs, "allow_abbrev": False})

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        known = _options(self)
        words = re.findall(r"'([^']+)'|--([\w.]+)", message)
        wrong = [word for pair in words for word in pair if word and word not in known]
        for word in wrong:
            # The nearest whole option; else the nearest in its last part, for options of a class named in the YAML.
            leaves = {option.rpartition(".")[2] for option in known}
            near = difflib.get_close_matches(word, known, 1, 0.8)
            near = near or difflib.get_close_matches(word.rpartition(".")[2], leaves, 1, 0.8)
            if near:
                message += f"\nDid you mean {near[0]!r}?"
                break
        print(f"error: {message}\n(all options: python -m siamese <command> --help)", file=sys.stderr)
        raise SystemExit(2)


def _options(parser: Any) -> set[str]:
    """The option names of a parser and of its subcommands, and the subcommands themselves."""
    found = {option.lstrip("-") for option in parser._option_string_actions}
    commands = getattr(getattr(parser, "_subcommands_action", None), "_name_parser_map", {})
    return found.union(commands, *(_options(each) for each in commands.values()))


class Command(LightningCLI):
    """``fit``, ``validate``, ``test``, ``predict``. ``fit`` ends with a test of the best checkpoint."""

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        parser.add_argument(
            "--experiment", type=str, default="run", help="Name of the experiment, a folder below --runs."
        )
        parser.add_argument("--runs", type=str, default="runs", help="Folder that keeps the runs.")
        parser.add_argument(
            "--folder", type=str | None, default=None, help="The run's folder, instead of one below --runs."
        )
        parser.add_argument(
            "--resume", type=bool, default=False, help="Go on from the last checkpoint of the latest run."
        )
        parser.add_argument(
            "--start",
            type=str | None,
            default=None,
            help="Checkpoint whose network goes on to learn (fine-tuning); fit alone takes it.",
        )
        parser.add_argument(
            "--benchmark", type=bool, default=True, help="Whether fit ends with a test of the best checkpoint."
        )
        parser.add_argument(
            "--longer",
            type=Longer | None,
            default=None,
            help="A recipe that trains longer, which is named after the test: config, times (as long), brings (in words).",
        )
        parser.add_lightning_class_args(ModelCheckpoint, "checkpoint")
        parser.set_defaults(
            {
                "checkpoint.monitor": "val/one_shot",
                "checkpoint.mode": "max",
                "checkpoint.filename": "best",
                "checkpoint.auto_insert_metric_name": False,
                "checkpoint.enable_version_counter": False,
            }
        )
        parser.link_arguments("seed_everything", "data.seed", compute_fn=int)

    def instantiate_trainer(self, **kwargs: Any) -> pl.Trainer:
        """The trainer of a new run: the data comes first, because a run is named after what it is really trained on."""
        config, fits = self.config[self.subcommand], self.subcommand == "fit"
        self.datamodule.setup("prepare")
        start = read_checkpoint(Path(config.start)) if fits and config.start else None
        self.before = taught_before(self.model.distillation, start.about if start else None) if fits else []
        check_before(self.before, self.datamodule)
        if start is not None:
            begin_with(self.model.network, start, config.start)
        experiment = self.experiment()
        if config.resume:
            config.ckpt_path = self.config_init[self.subcommand].ckpt_path = _last(Path(config.runs) / experiment)
        if config.get("ckpt_path"):
            check_fits(read_checkpoint(Path(config.ckpt_path)), self.model, config.ckpt_path)
        if config.resume:
            self.folder = Path(config.ckpt_path).parents[1]
            keep_earlier_metrics(self.folder)
        else:
            self.folder = make_run_folder(
                Path(config.runs), experiment, "" if fits else f"-{self.subcommand}", config.folder
            )
        self._dump_config()

        given = self._get(self.config_init, "trainer")
        own: dict[str, Any] = {
            "default_root_dir": str(self.folder),
            "precision": given["precision"] or best_precision(),
        }
        if given["logger"] is None:
            own["logger"] = loggers(self.folder, experiment, wandb=fits)
        self._get(self.config_init, "checkpoint").dirpath = str(self.folder / "checkpoints")
        callbacks = given["callbacks"] or []
        given["callbacks"] = [
            *(callbacks if isinstance(callbacks, list) else [callbacks]),  # one may be given by itself
            *self._own_callbacks(config.get("ckpt_path") if fits else None),
        ]
        trainer = super().instantiate_trainer(**own, **kwargs)
        # After the one that keeps the best, so that the last checkpoint knows of it.
        trainer.callbacks.append(  # type: ignore[attr-defined]
            ModelCheckpoint(self.folder / "checkpoints", "last", save_top_k=1, enable_version_counter=False)
        )
        return trainer

    def experiment(self) -> str:
        """The experiment's name, which says if several networks or views are evaluated as one, and if generated data takes the
        place of the data set it is named after."""
        name, table = str(self.config[self.subcommand].experiment), self.datamodule.table("train").name
        if isinstance(network := self.model.network, Ensemble):
            name += f"-ensemble-{len(network.networks)}x{network.views}"
        generated = next((kind for kind in GENERATED if table.startswith(kind)), "")
        return f"{name}-{generated}" if generated not in name else name

    def _own_callbacks(self, resumed: str | None) -> list[pl.Callback]:
        """What every command has beside the callbacks of the YAML."""
        stop, timer = GracefulStop(), Timer()
        typed = "python -m siamese " + shlex.join(sys.argv[1:])
        longer = Longer.of(self.config_init[self.subcommand].get("longer")) if self.subcommand == "fit" else None
        record = Record(self.folder, self.config_dump, typed, stop, timer, resumed, self.before, longer)
        rates = [LearningRateMonitor()] if self.subcommand == "fit" else []
        return [*rates, stop, timer, Beginning(self.folder, self.config_dump), record, TrainingBar()]

    def after_fit(self) -> None:
        """The benchmark, on the best checkpoint; where none was chosen yet, on the network as it is."""
        if self.trainer.fast_dev_run or not self.config[self.subcommand].benchmark:  # type: ignore[attr-defined]
            return
        best = getattr(self.trainer.checkpoint_callback, "best_model_path", "")
        self.trainer.test(self.model, datamodule=self.datamodule, ckpt_path=best or None, verbose=False)

    def after_predict(self) -> None:
        print(f"embeddings: {self.folder / 'embeddings.pt'}")

    def predict(self, **kwargs: Any) -> None:
        """Writes the test split's embeddings ``float32 [N, D]`` with the names of their images."""
        embeddings = torch.cat(self.trainer.predict(**kwargs))  # type: ignore[arg-type]
        names = self.datamodule.file_names("test")
        torch.save({"embeddings": embeddings, "files": names}, self.folder / "embeddings.pt")


def _last(runs: Path) -> str:
    last = runs / "latest" / "checkpoints" / "last.ckpt"
    if not last.exists():
        raise UserError(f"there is nothing to resume: {last} does not exist")
    return str(last.resolve())


class Preparation(Command):
    """``fit`` up to the point where the data is there: the first step of a study and of a sweep."""

    def instantiate_trainer(self, **kwargs: Any) -> pl.Trainer:
        self.datamodule.setup("prepare")
        return pl.Trainer(logger=False, enable_checkpointing=False)

    def _run_subcommand(self, subcommand: str) -> None:
        pass

    def spelt_out(self, arguments: list[str]) -> str:
        """What arguments of ``fit`` say beyond the defaults, as a YAML to train with; where it is kept is left out.

        Arguments that ``fit`` does not take are told, and exit with 2.
        """
        config = self.parser.parse_args(arguments)
        text = self._parser("fit").dump(config["fit"], skip_default=True, skip_none=False, skip_link_targets=True)
        said = yaml.safe_load(text) or {}
        parts = ("experiment", "seed_everything", "model", "data", "trainer", "checkpoint")
        chosen = {part: said[part] for part in parts if part in said}
        return yaml.safe_dump(chosen, sort_keys=False, default_flow_style=None, width=120)


def run_command(arguments: list[str], command: type[Command] = Command) -> Command:
    """Do what the command line says. Returns the command, with all that it made."""
    # What Lightning warns of does not apply: batches are integers, there is nothing for workers to load; the run's
    # folder holds earlier metrics on purpose; a training stopped within an epoch goes on with the batch that comes next; and
    # it is this program that hands over the arguments.
    does_not_apply = (
        "IterableDataset.*__len__|many workers|LeafSpec|logs directory|args parameter is intended"
        "|dirpath has changed|Checkpoint directory|across ranks is zero|ended before the epoch ended"
    )
    warnings.filterwarnings("ignore", message=f".*({does_not_apply})")
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    torch.set_flush_denormal(True)  # vanishing gradients would otherwise slow a CPU down several times
    with freed_memory_kept():
        return command(
            Siamese,
            FewShotData,
            args=[re.sub(r"^--data\.root\b", "--data.source.init_args.root", each) for each in arguments],
            seed_everything_default=0,
            parser_class=Parser,
            save_config_kwargs={"overwrite": True},
            trainer_defaults={"num_sanity_val_steps": 0, "enable_model_summary": False, "log_every_n_steps": 10},
        )
