"""From a checkpoint back to the system that it was saved from, by the configuration it carries."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
import yaml
from jsonargparse import ArgumentParser

from siamese.checkpoints import Checkpoint, check_fits
from siamese.errors import UserError
from siamese.systems.siamese import Siamese


def rebuild(checkpoint: Checkpoint, path: Path) -> Siamese:
    """The trained system, but for its optimization. The classes that the configuration names are imported.

    Args:
        checkpoint: what ``read_checkpoint`` gives.
        path: where it is from, for what is said of it.

    Raises:
        UserError: there is no configuration, a class in it cannot be imported or does not accept its arguments, or the
            weights do not fit.
    """
    try:
        config = yaml.safe_load(checkpoint.about["config"])["model"]
        # The optimization is of no use any more, and may be of a class that only the training's machine has.
        given = {"network": config["network"], "loss": config["loss"], "similarity": config.get("similarity")}
    except (AttributeError, KeyError, TypeError, yaml.YAMLError) as error:
        raise UserError(f"{path} does not hold the configuration of its network; train anew") from error
    system = _built(given, path)
    try:
        check_fits(checkpoint, system, path)
        system.load_state_dict(checkpoint.weights)
    except (AttributeError, TypeError, RuntimeError) as error:
        raise UserError(f"{path} does not hold the weights of its network") from error
    return system


def _built(given: dict[str, Any], path: Path) -> Siamese:
    """What the configuration describes, by the same rules as the command line's."""
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(Siamese, "model", fail_untyped=False)
    try:
        with torch.random.fork_rng(devices=[]):  # the first weights, soon replaced, are drawn at random
            return parser.instantiate(parser.parse_object({"model": given})).model
    except UserError:
        raise
    except Exception as error:  # a class of the user's own may raise anything
        for name in _class_paths(given):
            if not _importable(name):
                raise UserError(
                    f"{path} needs {name}, which cannot be imported; install what it belongs to, or start where it lies"
                ) from error
        raise UserError(f"the network of {path} cannot be built: {' '.join(str(error).split())}") from error


def _class_paths(config: Any) -> Iterator[str]:
    """All class paths in a configuration."""
    if isinstance(config, dict):
        if isinstance(config.get("class_path"), str):
            yield config["class_path"]
        for value in config.values():
            yield from _class_paths(value)


def _importable(class_path: str) -> bool:
    module, _, name = class_path.rpartition(".")
    try:
        return hasattr(importlib.import_module(module), name)
    except Exception:  # importing runs a module, which may raise anything
        return False
