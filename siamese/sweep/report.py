"""What a sweep leaves: a table in the terminal, ``trials.csv`` with all its trials, ``best.yaml`` to train with."""

from __future__ import annotations

import csv
import shlex
from pathlib import Path

from optuna import Study
from optuna.trial import FrozenTrial, TrialState

from siamese.sweep import Sweep
from siamese.sweep.space import shown
from siamese.sweep.storage import FINISHED
from siamese.sweep.trial import DIVERGED

SHOWN = 5  # of the best trials, in the terminal


def ranked(study: Study, sweep: Sweep) -> list[FrozenTrial]:
    """The trials that were trained to their end, the best first."""
    done = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    return sorted(done, key=lambda trial: trial.value or 0.0, reverse=sweep.maximize)


def outcome(trial: FrozenTrial) -> str:
    """What became of a trial, in a word."""
    if trial.user_attrs.get(DIVERGED):
        return "diverged"
    words = {TrialState.COMPLETE: "complete", TrialState.PRUNED: "ended early"}
    return words.get(trial.state, "stopped")


def write_trials(path: Path, study: Study, sweep: Sweep) -> None:
    """All trials as CSV, in the order they began."""
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["trial", "outcome", sweep.metric, "validations", "seconds", *sweep.space])
        for trial in study.get_trials(deepcopy=False):
            seconds = f"{trial.duration.total_seconds():.1f}" if trial.duration else ""
            value = "" if trial.value is None else f"{trial.value:.6g}"
            drawn = [shown(trial.params[name]) if name in trial.params else "" for name in sweep.space]
            rows.writerow([trial.number, outcome(trial), value, len(trial.intermediate_values), seconds, *drawn])


def table(study: Study, sweep: Sweep) -> str:
    """The best few trials side by side, their options below one another, by the last parts of their names."""
    best = ranked(study, sweep)[:SHOWN]
    rows = [("", [f"trial {trial.number}" for trial in best])]
    rows.append((sweep.metric, [shown(trial.value) for trial in best]))
    rows += [(name.rpartition(".init_args.")[2], [shown(trial.params[name]) for trial in best]) for name in sweep.space]
    wide = max(len(name) for name, _ in rows)
    lines = [f"  {name:<{wide}}" + "".join(f"{cell:>13}" for cell in cells) for name, cells in rows]
    return "\n".join([f"the best of {counts(study)}:", "", *lines])


def counts(study: Study) -> str:
    """How many trials there are, and how many of them came to their end."""
    outcomes = [outcome(trial) for trial in study.get_trials(deepcopy=False, states=FINISHED)]
    early, diverged = outcomes.count("ended early"), outcomes.count("diverged")
    trials = "1 trial" if len(outcomes) == 1 else f"{len(outcomes)} trials"
    return f"{trials} ({early} ended early, {diverged} diverged)"


def write_best(path: Path, study: Study, sweep: Sweep, content: str, command: str, short: list[str]) -> None:
    """The configuration to train with, ``content``, under a header that says where it comes from.

    Args:
        command: what was typed.
        short: the options that made the trials short, which are not in ``content``.
    """
    best = ranked(study, sweep)[0]
    wide = max(map(len, best.params))
    header = [
        f"Chosen on validation images: trial {best.number}, {sweep.metric} {shown(best.value)}, the best of {counts(study)}.",
        "",
        f"Made by:  {command}",
        f"Train:    python -m siamese fit --config {shlex.quote(str(path))}",
        *([f"Trials:   as this, but {shlex.join(short)}"] if short else []),
        "",
        "What was chosen:",
        *(f"  {name:<{wide}}  {shown(value)}" for name, value in best.params.items()),
    ]
    lines = [f"# {line}".rstrip() for line in header]
    path.write_text("\n".join([*lines, content]), "utf-8")
