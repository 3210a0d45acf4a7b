"""``python -m siamese study``: train every arm of a study with every seed, and report."""

from __future__ import annotations

import argparse
import os
import shlex
import time
from pathlib import Path

from siamese.cli import Preparation, run_command
from siamese.errors import UserError
from siamese.run import ENVIRONMENT, make_run_folder, point_latest
from siamese.study import Study, carry_out, plan
from siamese.study.report import report


def main(arguments: list[str]) -> int:
    """``python -m siamese study FILE [options of fit]``."""
    parser = argparse.ArgumentParser(
        "python -m siamese study",
        description="Train every arm of a study with every seed and put the figures together. "
        "Further options are those of fit and hold for all runs, for instance: --model.loss Binary",
    )
    parser.add_argument("study", type=Path, help="YAML of the study, such as experiments/att_faces_study.yaml")
    parser.add_argument("--seeds", type=int, help="at most so many seeds of each arm")
    parser.add_argument("--arms", nargs="+", help="only these arms, by name")
    parser.add_argument(
        "--workers",
        type=int,
        default=min(4, os.cpu_count() or 1),
        help="runs trained at the same time, each in its own process; small networks use several cores better so",
    )
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="folder that keeps the runs")
    parser.add_argument(
        "--resume", nargs="?", const="true", default="false", help="go on with the latest of this study"
    )
    given, options = parser.parse_known_args(arguments)
    given.typed = "python -m siamese study " + shlex.join(arguments)
    if given.workers < 1 or (given.seeds is not None and given.seeds < 1):
        raise UserError("--workers and --seeds are at least 1")
    study = Study.read(given.study, given.seeds).only(given.arms)
    return _conduct(study, given, options)


def _conduct(study: Study, given: argparse.Namespace, options: list[str]) -> int:
    # The data first: a study is named after what it is really trained on, and what is missing is told at once.
    prepared = run_command(plan(study, given.study.parent, Path(), options)[0].arguments, Preparation)
    experiment = prepared.experiment().replace(prepared.config["fit"].experiment, study.experiment)
    if given.resume.lower() in ("true", "1", "yes"):
        folder = (given.runs / experiment / "latest").resolve()
        if not folder.is_dir():
            raise UserError(f"there is nothing to resume: {given.runs / experiment / 'latest'} does not exist")
    else:
        folder = make_run_folder(given.runs, experiment)
        os.environ.pop(ENVIRONMENT)  # the runs of the study have folders of their own
        point_latest(folder)
    runs = plan(study, given.study.parent, folder, options)
    began = time.monotonic()
    try:
        carry_out(runs, given.workers)
    except KeyboardInterrupt:
        print(f"\nstopped; what is done stays in {folder}, and --resume does the rest", flush=True)
        raise
    report(runs, folder, experiment, given.typed, time.monotonic() - began)
    return 0
