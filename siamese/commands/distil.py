"""``distil``: train one network to compare images as several networks, or several views of an image, do together."""

from __future__ import annotations

import argparse
import tempfile

import yaml

from siamese.cli import run_command
from siamese.commands.evaluate import add_checkpoints, ensemble, read_alike


def main(arguments: list[str]) -> int:
    """A training like that of the first checkpoint, whose loss is replaced by what all see together.

    The network, the data and everything else may be changed by options of fit.
    """
    parser = argparse.ArgumentParser("python -m siamese distil", description=main.__doc__, allow_abbrev=False)
    add_checkpoints(parser)
    given, options = parser.parse_known_args(arguments)
    config = yaml.safe_load(read_alike(given.checkpoint)[0].config_for("fit"))
    config["model"]["distillation"] = {
        "class_path": "siamese.systems.distillation.Distillation",
        "init_args": {"teacher": ensemble(given.checkpoint, given.views)},
    }
    config.pop("benchmark", None)  # the new network is tested unless it is said here that it is not
    config["experiment"] = config["experiment"].removesuffix("-distilled") + "-distilled"
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        yaml.safe_dump(config, file)
        file.flush()
        run_command(["fit", "--config", file.name, *options])
    return 0
