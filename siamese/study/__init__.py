"""A study: arms of experiments, each trained with many seeds, put together as mean and deviation.

Every training of it is an ordinary run with its own folder, checkpoint and report.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from tqdm import tqdm

from siamese.errors import UserError
from siamese.report import one_shot
from siamese.workers import each_done, elsewhere


def file_name(arm: str) -> str:
    """The name of an arm in the names of its folder and its pictures."""
    return "".join(letter if letter.isalnum() else "-" for letter in arm).strip("-")


@dataclass(frozen=True)
class Arm:
    """One of the things compared.

    Attributes:
        name: in tables and pictures.
        config: YAML of the experiment, beside the study's.
        seeds: the first so many, from 0.
        vary: options that take the seed, beside ``seed_everything``.
        options: further options, as on the command line.
        note: what a reader must know of its figures, shown beside them.
        published: figures of others to stand beside them, by a name that says whose and of what data.
    """

    name: str
    config: str
    seeds: int
    vary: tuple[str, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)
    note: str = ""
    published: dict[str, dict[str, float]] = field(default_factory=dict)

    @property
    def folder(self) -> str:
        return file_name(self.name)


@dataclass(frozen=True)
class Study:
    """What a study's YAML says."""

    experiment: str
    arms: tuple[Arm, ...]

    @classmethod
    def read(cls, path: Path, seeds: int | None = None) -> Study:
        """Raises UserError where the YAML is not one of a study. ``seeds``, if given, limits every arm."""
        try:
            content = yaml.safe_load(path.read_text())
            experiment = str(content["experiment"])
            arms = [Arm(**{**arm, "vary": tuple(arm.get("vary", ()))}) for arm in content["arms"]]
        except OSError as error:
            raise UserError(f"cannot read the study {path}: {error.strerror}") from error
        except (yaml.YAMLError, KeyError, TypeError, AttributeError) as error:
            raise UserError(
                f"{path} is not the YAML of a study ({error}); experiments/att_faces_study.yaml is one"
            ) from error
        if seeds is not None:
            arms = [Arm(**{**vars(arm), "seeds": min(seeds, arm.seeds)}) for arm in arms]
        return cls(experiment, tuple(arms))

    def only(self, names: list[str] | None) -> Study:
        """The study with the named arms only; all for None. Raises UserError for a name it does not have."""
        if names is None:
            return self
        known = {arm.name: arm for arm in self.arms}
        if unknown := [name for name in names if name not in known]:
            raise UserError(f"the study has no arm {', '.join(unknown)}; it has {', '.join(known)}")
        return Study(self.experiment, tuple(known[name] for name in names))


@dataclass(frozen=True)
class Run:
    """One training of a study: where it is kept, and the arguments of ``fit`` that make it."""

    arm: Arm
    seed: int
    folder: Path
    arguments: list[str]

    @property
    def results(self) -> dict[str, Any] | None:
        """What it found; None as long as it has not come to its end."""
        try:
            found = json.loads((self.folder / "results.json").read_text())
        except (OSError, ValueError):
            return None
        return None if found.get("interrupted") else found


def plan(study: Study, beside: Path, folder: Path, options: list[str]) -> list[Run]:
    """All runs of the study, seed by seed, so that the arms grow together."""
    runs = []
    for seed in range(max(arm.seeds for arm in study.arms)):
        for arm in study.arms:
            if seed < arm.seeds:
                where = folder / arm.folder / f"seed-{seed:02d}"
                config = str((beside / arm.config).resolve())
                varied = [f"--{option}={seed}" for option in ("seed_everything", *arm.vary)]
                own = [
                    f"--{option}={value if isinstance(value, str) else json.dumps(value)}"
                    for option, value in arm.options.items()
                ]
                arguments = ["fit", "--config", config, *varied, *own, *options, "--folder", str(where)]
                runs.append(Run(arm, seed, where, arguments))
    return runs


def execute(run: Run, threads: int | None = None) -> None:
    """Train and test one run, all it prints kept in ``log.txt`` of its folder."""
    import torch

    from siamese.cli import run_command

    if threads:
        torch.set_num_threads(threads)
    with elsewhere(run.folder / "log.txt"):
        run_command(run.arguments)


def carry_out(runs: list[Run], workers: int) -> None:
    """Do the runs that have no results yet, several at a time with ``workers`` processes, under one progress bar."""
    missing = [run for run in runs if run.results is None]
    with tqdm(total=len(runs), initial=len(runs) - len(missing), desc="study", unit="run", dynamic_ncols=True) as bar:
        for run in each_done(execute, missing, workers):
            found = run.results
            if found is None and (run.folder / "results.json").exists():
                raise KeyboardInterrupt  # its training took the Ctrl-C for itself
            if found is None:
                raise UserError(f"the run in {run.folder} left no results; its log.txt says why")
            bar.set_postfix_str(f"{run.arm.name} seed {run.seed}: {headline(found)}", refresh=False)
            bar.update()


def headline(results: dict[str, Any]) -> str:
    """The one figure of a run that the progress bar shows."""
    if shown := one_shot(results):
        return f"{shown['accuracy']:.2%}"
    for figures in (results.get("methods") or {}).values():
        for key, name in (("exact_match", "exact match"), ("accuracy", "accuracy")):
            if key in figures:
                return f"{name} {figures[key]:.2%}"
        if "eer" in figures:
            return f"EER {figures['eer']:.1%}"
    return "done"
