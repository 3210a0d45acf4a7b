"""Checkpoints as a user hands them in: read without running code in them, and checked before they are used."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor, nn

from siamese.errors import UserError


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint of this project holds.

    Attributes:
        weights: of the whole system, by name.
        about: version, config (YAML), dataset, fingerprint, train_seconds.
    """

    weights: dict[str, Tensor]
    about: dict[str, Any]

    def config_for(self, command: str) -> str:
        """The configuration it was trained with, as YAML for another command of the command line."""
        config = yaml.safe_load(self.about["config"])
        for key in ("ckpt_path", "resume", "weights_only"):
            config.pop(key, None)
        config["data"].pop("seed", None)  # follows seed_everything
        return yaml.safe_dump(config)


def read_checkpoint(path: Path) -> Checkpoint:
    """Raises UserError where ``path`` is no checkpoint of this project."""
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        return Checkpoint(content["state_dict"], content["siamese"])
    except FileNotFoundError:
        raise UserError(f"there is no checkpoint {path}") from None
    except (OSError, RuntimeError, EOFError, KeyError, TypeError, ValueError, pickle.UnpicklingError) as error:
        first = str(error).strip().split("\n")[0]
        raise UserError(
            f"{path} is not a whole checkpoint of this project ({type(error).__name__}: {first})"
        ) from error


def check_fits(checkpoint: Checkpoint, system: nn.Module, path: str | Path) -> None:
    """Raise UserError, saying what differs, where the weights are of another architecture than ``system``."""
    ours = {name: tuple(value.shape) for name, value in system.state_dict().items()}
    theirs = {name: tuple(value.shape) for name, value in checkpoint.weights.items()}
    different = sorted(name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name))
    if different:
        name = different[0]
        raise UserError(
            f"{path} holds another architecture: {len(different)} of its tensors do not fit, for instance {name}, "
            f"{theirs.get(name, 'missing')} there, {ours.get(name, 'missing')} here; use the configuration it was trained with"
        )
