"""What a sweep draws options from: W&B's ``parameters`` as Optuna's distributions, and what is drawn as options."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from siamese.errors import UserError

# What W&B knows and is known here, with its keys.
KINDS = {
    "uniform": {"min", "max"},
    "log_uniform_values": {"min", "max"},
    "int_uniform": {"min", "max"},
    "categorical": {"values"},
    "constant": {"value"},
}


def distribution(name: str, entry: Any) -> BaseDistribution:
    """What the option ``name`` is drawn from, by its entry in ``parameters``. Raises UserError where that is not known."""
    kind = entry.get("distribution", _implied(entry)) if isinstance(entry, dict) else None
    if kind not in KINDS or entry.keys() - {"distribution"} != KINDS[kind]:
        known = ", ".join(f"{each} ({' and '.join(sorted(keys))})" for each, keys in KINDS.items())
        raise UserError(f"of the parameter {name} it is not known what it is drawn from; there are {known}")
    if kind in ("categorical", "constant"):
        values = entry["values"] if kind == "categorical" else [entry["value"]]
        if not isinstance(values, list) or not values:
            raise UserError(f"the values of the parameter {name} are a list of at least one")
        # As words of a command line: a database of Optuna holds no lists and no dictionaries.
        return CategoricalDistribution([value if isinstance(value, str) else json.dumps(value) for value in values])
    low, high = entry["min"], entry["max"]
    if words := [value for value in (low, high) if isinstance(value, bool) or not isinstance(value, int | float)]:
        raise UserError(f"the parameter {name} has {words[0]!r}, no number, as a bound; 1e-4 is 1.0e-4 in YAML")
    try:
        if kind == "int_uniform":
            return IntDistribution(low, high)
        return FloatDistribution(low, high, log=kind == "log_uniform_values")
    except ValueError as error:
        raise UserError(f"the bounds of the parameter {name} cannot be: {error}") from error


def _implied(entry: dict[str, Any]) -> str:
    """The distribution of an entry that names none, as W&B has it."""
    if "values" in entry or "value" in entry:
        return "categorical" if "values" in entry else "constant"
    return "int_uniform" if all(isinstance(entry.get(key), int) for key in ("min", "max")) else "uniform"


def shown(value: Any) -> str:
    """A value drawn, as it is trained with, and as a person reads it: four digits say enough."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def options(drawn: Mapping[str, Any]) -> list[str]:
    """Values by the names of their options, as words of a command line."""
    return [f"--{name}={shown(value)}" for name, value in drawn.items()]


def examples(space: Mapping[str, BaseDistribution]) -> list[dict[str, Any]]:
    """As few draws as hold each choice and each lower bound at least once, to be tried before anything is trained."""
    choices = {
        name: list(each.choices) if isinstance(each, CategoricalDistribution) else [each.low]  # type: ignore[attr-defined]
        for name, each in space.items()
    }
    most = max(map(len, choices.values()))
    return [{name: each[min(number, len(each) - 1)] for name, each in choices.items()} for number in range(most)]
