"""Checkpoints as a user hands them in: read without running code in them, and checked before they are used."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import yaml
from torch import Tensor, nn

from siamese.errors import UserError

if TYPE_CHECKING:
    from siamese.evaluation.calibration import OperatingPoint


NETWORK = "network."  # what the names of the network's weights begin with


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint of this project holds.

    Attributes:
        weights: of the whole system, by name.
        about: version, config (YAML), dataset, classes, fingerprint, train_seconds and more.
    """

    weights: dict[str, Tensor]
    about: dict[str, Any]

    def config_for(self, command: str) -> str:
        """The configuration it was trained with, as YAML for another command of the command line."""
        config = yaml.safe_load(self.about["config"])
        # Its own folder keeps what its training found, and what it began with may be gone.
        for key in ("ckpt_path", "resume", "weights_only", "folder", "start"):
            config.pop(key, None)
        config["data"].pop("seed", None)  # follows seed_everything
        config["model"].pop("distillation", None)  # what taught it may be gone
        return yaml.safe_dump(config)


@dataclass(frozen=True)
class KnownLabels:
    """The labels of which a network tells whether an image carries them. Thresholds are chosen on validation images.

    Attributes:
        names: L, in the order of the probabilities.
        threshold: the least probability at which a label is said, one for all.
        thresholds: L, one for each label.
    """

    names: tuple[str, ...]
    threshold: float
    thresholds: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.names) != len(self.thresholds):
            raise ValueError(f"{len(self.names)} labels have {len(self.thresholds)} thresholds")


def operating_point(checkpoint: Checkpoint) -> OperatingPoint | None:
    """Threshold and calibration for pairs, None where none were chosen. Raises TypeError where they are other values."""
    from siamese.evaluation.calibration import OperatingPoint  # slow to load, with all of evaluation

    entry = checkpoint.about.get("operating_point")
    return None if entry is None else OperatingPoint(**entry)


def known_labels(checkpoint: Checkpoint) -> KnownLabels | None:
    """None where an image has one class. Raises KeyError, TypeError or ValueError where they are other values."""
    entry = checkpoint.about.get("labels")
    if entry is None:
        return None
    thresholds = tuple(map(float, entry["thresholds"]))
    return KnownLabels(tuple(map(str, entry["names"])), float(entry["threshold"]), thresholds)


def class_names(checkpoint: Checkpoint) -> tuple[str, ...] | None:
    """Of the classes that the loss knows, in their order; None where it knows none, or an earlier version did not keep them.
    Raises TypeError where they are other values."""
    entry = checkpoint.about.get("class_names")
    return None if entry is None else tuple(map(str, entry))


def read_checkpoint(path: Path) -> Checkpoint:
    """Raises UserError where ``path`` is no checkpoint of this project."""
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        return Checkpoint(content["state_dict"], content["siamese"])
    except FileNotFoundError:
        raise UserError(f"there is no checkpoint {path}") from None
    except Exception as error:  # the bytes of another file may raise anything
        # Of torch's advice only the first sentence: the rest tells how to run what is in a file.
        first = str(error).strip().split("\n")[0].split(". ")[0]
        raise UserError(
            f"{path} is not a whole checkpoint of this project ({type(error).__name__}: {first})"
        ) from error


def check_fits(checkpoint: Checkpoint, system: nn.Module, path: str | Path) -> None:
    """Raise UserError, saying what differs, where the weights are of another architecture than ``system``."""
    _check(checkpoint.weights, system, path)


def begin_with(network: nn.Module, checkpoint: Checkpoint, path: str | Path) -> None:
    """Give a network the weights of the checkpoint's. Raises UserError where it is of another architecture."""
    weights = {
        name.removeprefix(NETWORK): value for name, value in checkpoint.weights.items() if name.startswith(NETWORK)
    }
    _check(weights, network, path)
    network.load_state_dict(weights)


def _check(theirs: dict[str, Tensor], module: nn.Module, path: str | Path) -> None:
    shapes = {name: tuple(value.shape) for name, value in theirs.items()}
    ours = {name: tuple(value.shape) for name, value in module.state_dict().items()}
    different = sorted(name for name in ours.keys() | shapes.keys() if ours.get(name) != shapes.get(name))
    if different:
        name = different[0]
        raise UserError(
            f"{path} holds another architecture: {len(different)} of its tensors do not fit, for instance {name}, "
            f"{shapes.get(name, 'missing')} there, {ours.get(name, 'missing')} here; use the configuration it was trained with"
        )
