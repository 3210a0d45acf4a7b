"""A sweep: many short trainings with options drawn from ranges, each drawn where the earlier ones were good.

One YAML, in the form of W&B's sweeps, says what is searched: Optuna reads it here, and ``wandb sweep`` reads it there.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from optuna.distributions import BaseDistribution
from optuna.pruners import BasePruner, NopPruner, SuccessiveHalvingPruner
from optuna.samplers import BaseSampler, RandomSampler, TPESampler

from siamese.errors import UserError
from siamese.sweep.space import distribution

EXAMPLE = "experiments/omniglot_sweep.yaml"
ARGUMENTS = "${args}"  # where W&B puts the options it has drawn
KEYS = {"name", "description", "program", "method", "metric", "parameters", "early_terminate", "command", "run_cap"}
METHODS = {"bayes": TPESampler, "random": RandomSampler}


@dataclass(frozen=True)
class Sweep:
    """What a sweep's YAML says.

    Attributes:
        name: of the folder below ``--runs``.
        method: how options are drawn, a key of METHODS.
        metric: what is logged of each validation. The best value that a trial has reached is its own.
        maximize: whether more of it is better.
        space: what each option is drawn from.
        configs: the options of ``fit`` that name YAMLs.
        shortening: its other options, which make trials short, and are no part of what is chosen.
        halving: first rung and factor of successive halving, which W&B calls hyperband; None trains every trial to its end.
        trials: how many, unless the command line says.
    """

    name: str
    method: str
    metric: str
    maximize: bool
    space: dict[str, BaseDistribution]
    configs: tuple[str, ...]
    shortening: tuple[str, ...]
    halving: tuple[int, int] | None = None
    trials: int = 20

    @classmethod
    def read(cls, path: Path) -> Sweep:
        """Raises UserError where the YAML is not one of a sweep, or W&B's form of it has more than is known here."""
        try:
            content = yaml.safe_load(path.read_text("utf-8"))
        except OSError as error:
            raise UserError(f"cannot read the sweep {path}: {error.strerror}") from error
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise UserError(f"{path} is not YAML: {error}") from error
        try:
            return cls._of(content, path.stem)
        except (KeyError, TypeError, AttributeError) as error:
            wrong = f"it has no {error}" if isinstance(error, KeyError) else str(error)
            raise UserError(f"{path} is not the YAML of a sweep ({wrong}); {EXAMPLE} is one") from error
        except UserError as error:
            raise UserError(f"{path}: {error}; {EXAMPLE} is an example") from error

    @classmethod
    def _of(cls, content: dict[str, Any], stem: str) -> Sweep:
        if unknown := sorted(content.keys() - KEYS):
            raise UserError(f"there is no {', '.join(unknown)} in a sweep; there are {', '.join(sorted(KEYS))}")
        if (method := content["method"]) not in METHODS:
            raise UserError(f"method {method!r} is not known here; there are {', '.join(METHODS)}")
        # W&B would minimize what does not say.
        if (goal := content["metric"].get("goal")) not in ("maximize", "minimize"):
            raise UserError(f"metric.goal is maximize or minimize, not {goal!r}")
        if not isinstance(trials := content.get("run_cap", cls.trials), int) or trials < 1:
            raise UserError(f"run_cap is a whole number from 1 on, not {trials!r}")
        if not (space := {name: distribution(name, entry) for name, entry in content["parameters"].items()}):
            raise UserError("parameters has none")
        return cls(
            str(content.get("name", stem)),
            method,
            str(content["metric"]["name"]),
            goal == "maximize",
            space,
            *_options([str(word) for word in content["command"]]),
            _halving(content.get("early_terminate")),
            trials,
        )

    @property
    def options(self) -> tuple[str, ...]:
        """All options of ``fit`` that the trials have in common."""
        return (*self.configs, *self.shortening)

    def sampler(self, seed: int) -> BaseSampler:
        """What draws the next trial's options, knowing those before it."""
        return METHODS[self.method](seed=seed)

    def pruner(self) -> BasePruner:
        """What ends a trial early that is not among the better ones after some validations."""
        if self.halving is None:
            return NopPruner()
        return SuccessiveHalvingPruner(min_resource=self.halving[0], reduction_factor=self.halving[1])


def _options(command: list[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The options of ``fit`` in the command that W&B's agent runs: those that name YAMLs, and the others."""
    if "fit" not in command or ARGUMENTS not in command:
        raise UserError(f"command has to run fit with some options, {ARGUMENTS} among them")
    words = [word for word in command[command.index("fit") + 1 :] if word != ARGUMENTS]
    if unknown := [word for word in words if word.startswith("${") or not word.startswith("--") or "=" not in word]:
        raise UserError(
            f"{unknown[0]!r} in the command is not known; what follows fit is --option=value, or {ARGUMENTS}"
        )
    configs = [word for word in words if word.startswith("--config=")]
    return tuple(configs), tuple(word for word in words if word not in configs)


def _halving(entry: Any) -> tuple[int, int] | None:
    if entry is None:
        return None
    known = entry.keys() <= {"type", "min_iter", "eta"} and entry.get("type") == "hyperband"
    first, factor = entry.get("min_iter"), entry.get("eta", 3)
    if not known or not isinstance(first, int) or not isinstance(factor, int) or first < 1 or factor < 2:
        raise UserError("early_terminate has type hyperband, min_iter from 1 on and maybe eta from 2 on, whole numbers")
    return first, factor
