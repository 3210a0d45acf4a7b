"""``evaluate``: test checkpoints again, one by itself, or several networks or views of an image as one ensemble."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import yaml

from siamese.arguments import count
from siamese.checkpoints import Checkpoint, read_checkpoint
from siamese.cli import run_command
from siamese.errors import UserError


def main(arguments: list[str]) -> int:
    """The benchmark again, with the configuration the checkpoint carries.

    Several checkpoints are one ensemble, with the configuration of the first; its run is named apart.
    """
    parser = argparse.ArgumentParser("python -m siamese evaluate", description=main.__doc__, allow_abbrev=False)
    parser.add_argument(
        "--checkpoint",
        required=True,
        nargs="+",
        action="extend",
        type=Path,
        help="checkpoints of runs, such as …/best.ckpt",
    )
    parser.add_argument("--views", type=count, default=1, help="the mean of this many views of every image (1)")
    given, options = parser.parse_known_args(arguments)
    read = [read_checkpoint(path) for path in given.checkpoint]
    config = read[0].config_for("test")
    if len(read) > 1 or given.views > 1:
        for path, one in zip(given.checkpoint, read, strict=True):
            if _seen(one) != _seen(read[0]):
                raise UserError(
                    f"{path} was trained on other data, or images of another size, than {given.checkpoint[0]}"
                )
        config = _of_ensemble(config, [str(path.resolve()) for path in given.checkpoint], given.views)
    else:
        options = ["--ckpt_path", str(given.checkpoint[0]), *options]
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(config)
        file.flush()
        run_command(["test", "--config", file.name, *options])
    return 0


def _seen(checkpoint: Checkpoint) -> tuple[Any, ...]:
    """What networks of one ensemble have in common: the data, and the size of images."""
    data = yaml.safe_load(checkpoint.about["config"])["data"]
    return data["source"], data.get("image_size"), checkpoint.about["dataset"], checkpoint.about["fingerprint"]


def _of_ensemble(text: str, checkpoints: list[str], views: int) -> str:
    """The configuration of a training, as that of a test of an ensemble."""
    config = yaml.safe_load(text)
    config["model"] = {
        "network": {
            "class_path": "siamese.ensemble.Ensemble",
            "init_args": {"checkpoints": checkpoints, "views": views},
        },
        # It teaches nothing any more, but says that embeddings are compared by the cosine.
        "loss": {
            "class_path": "siamese.losses.MetricLearning",
            "init_args": {"loss": {"class_path": "pytorch_metric_learning.losses.SupConLoss"}},
        },
    }
    return yaml.safe_dump(config)
