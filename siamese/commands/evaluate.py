"""``evaluate``: test checkpoints again, one by itself, or several networks or views of an image as one ensemble."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import yaml

from siamese.arguments import count
from siamese.checkpoints import Checkpoint, read_checkpoint
from siamese.cli import Command, run_command
from siamese.errors import UserError


def main(arguments: list[str]) -> int:
    """The benchmark again, with the configuration the checkpoint carries.

    Several checkpoints are one ensemble, with the configuration of the first; its run is named apart.
    """
    parser = argparse.ArgumentParser("python -m siamese evaluate", description=main.__doc__, allow_abbrev=False)
    add_checkpoints(parser)
    parser.add_argument(
        "--support",
        choices=("nearest", "mean"),
        help="answer few-shot episodes by the nearest support embedding or by the mean of a class's support "
        "embeddings (as the configuration says)",
    )
    given, options = parser.parse_known_args(arguments)
    config = read_alike(given.checkpoint)[0].config_for("test")
    if len(given.checkpoint) > 1 or given.views > 1:
        config = _of_ensemble(config, ensemble(given.checkpoint, given.views))
    else:
        options = ["--ckpt_path", str(given.checkpoint[0]), *options]
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(config)
        file.flush()
        run_command(
            ["test", "--config", file.name, *options], _answered_by(given.support) if given.support else Command
        )
    return 0


def add_checkpoints(parser: argparse.ArgumentParser) -> None:
    """The options that name an ensemble."""
    parser.add_argument(
        "--checkpoint",
        required=True,
        nargs="+",
        action="extend",
        type=Path,
        help="checkpoints of runs, such as …/best.ckpt",
    )
    parser.add_argument("--views", type=count, default=1, help="the mean of this many views of every image (1)")


def read_alike(paths: list[Path]) -> list[Checkpoint]:
    """The checkpoints. Raises UserError where they were trained on other data, or images of another size, than the first."""
    read = [read_checkpoint(path) for path in paths]
    for path, one in zip(paths, read, strict=True):
        if _seen(one) != _seen(read[0]):
            raise UserError(f"{path} was trained on other data, or images of another size, than {paths[0]}")
    return read


def ensemble(paths: list[Path], views: int) -> dict[str, Any]:
    """The configuration of ``siamese.ensemble.Ensemble`` of these checkpoints."""
    init = {"checkpoints": [str(path.resolve()) for path in paths], "views": views}
    return {"class_path": "siamese.ensemble.Ensemble", "init_args": init}


def _seen(checkpoint: Checkpoint) -> tuple[Any, ...]:
    """What networks of one ensemble have in common: the data, and the size of images."""
    data = yaml.safe_load(checkpoint.about["config"])["data"]
    return (
        data["source"],
        data.get("image_size"),
        data.get("ink"),
        checkpoint.about["dataset"],
        checkpoint.about["fingerprint"],
    )


def _answered_by(support: str) -> type[Command]:
    """The command whose few-shot episodes are answered by this rule; it raises UserError where it evaluates none."""

    class Answered(Command):
        def before_instantiate_classes(self) -> None:
            # Not in the configuration the checkpoint carries: the evaluators of a --config beside it take the place of those.
            callbacks = self.config[self.subcommand].trainer.callbacks or []
            callbacks = callbacks if isinstance(callbacks, list) else [callbacks]  # one may be given by itself
            found = [each for each in callbacks if each.class_path.rpartition(".")[2] == "OneShot"]
            if not found:
                raise UserError(
                    "--support says how few-shot episodes are answered, and the configuration evaluates none: it has no "
                    "siamese.evaluation.OneShot"
                )
            for each in found:
                each.init_args.support = support

    return Answered


def _of_ensemble(text: str, network: dict[str, Any]) -> str:
    """The configuration of a training, as that of a test of an ensemble."""
    config = yaml.safe_load(text)
    config["model"] = {
        "network": network,
        # It teaches nothing any more, but says that embeddings are compared by the cosine.
        "loss": {
            "class_path": "siamese.losses.MetricLearning",
            "init_args": {"loss": {"class_path": "pytorch_metric_learning.losses.SupConLoss"}},
        },
    }
    return yaml.safe_dump(config)
