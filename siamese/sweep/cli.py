"""``python -m siamese sweep``: search options by many short trainings, and write the best as a YAML to train with."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

import optuna
from filelock import FileLock, Timeout
from tqdm import tqdm

from siamese.arguments import count
from siamese.cli import Preparation, run_command
from siamese.errors import UserError
from siamese.sweep import EXAMPLE, Sweep
from siamese.sweep.report import counts, ranked, table, write_best, write_trials
from siamese.sweep.space import examples, options, shown
from siamese.sweep.storage import finished, opened, stop_running
from siamese.sweep.trial import Job, conduct
from siamese.workers import each_done


def main(arguments: list[str]) -> int:
    """``python -m siamese sweep FILE [options of fit]``."""
    parser = argparse.ArgumentParser(
        "python -m siamese sweep",
        description="Search options by many short trainings, judged on validation images only, and write the best as a YAML. "
        "Called again, it goes on with the trials that are there. Further options are those of fit and hold for all "
        "trials and for the YAML, for instance: --model.loss Binary",
        allow_abbrev=False,
    )
    parser.add_argument("sweep", type=Path, help=f"YAML of the sweep, in W&B's form, such as {EXAMPLE}")
    parser.add_argument(
        "--trials", type=count, help="how many in all, those that are there included (run_cap of the YAML)"
    )
    parser.add_argument(
        "--workers", type=count, default=1, help="trials trained at the same time, each in its own process"
    )
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="folder that keeps the runs")
    given, typed = parser.parse_known_args(arguments)
    sweep = Sweep.read(given.sweep)
    try:
        search = Search(sweep, typed, given.runs)
    except SystemExit as error:
        if error.code != 2:
            raise  # such as that of --help
        raise UserError(
            f"that is what fit says (above) to the parameters or the command of {given.sweep}, or to the options after it"
        ) from error
    try:
        with FileLock(search.folder / "sweep.lock", timeout=0):
            return search.conduct(given.trials, given.workers, "python -m siamese sweep " + shlex.join(arguments))
    except Timeout:
        raise UserError(
            f"another sweep is at work in {search.folder}; let it end, and give it more --workers"
        ) from None


class Search:
    """A sweep with its data and the folder of its trials.

    What cannot be drawn and what data is missing is told at once, before anything is trained.

    Args:
        typed: further options of ``fit``.
        runs: the folder above its folder.
    """

    def __init__(self, sweep: Sweep, typed: list[str], runs: Path) -> None:
        self.sweep, self.typed, self.every = sweep, typed, [*sweep.options, *typed]
        drawn = [["fit", *self.every, *options(draw)] for draw in examples(sweep.space)]
        prepared = run_command(drawn[0], Preparation)
        assert isinstance(prepared, Preparation)
        for each in drawn[1:]:
            prepared.spelt_out(each)
        self.prepared, own = prepared, prepared.config["fit"].experiment
        self.folder = runs / prepared.experiment().replace(own, sweep.name)  # it may say that data is generated
        self.folder.mkdir(parents=True, exist_ok=True)

    def conduct(self, trials: int | None, workers: int, command: str) -> int:
        """Do the trials that are missing, and report, also after a Ctrl-C; the exit code."""
        sweep, trials = self.sweep, trials or self.sweep.trials
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        data, configuration = self.prepared.datamodule.fingerprint, self.prepared.spelt_out(["fit", *self.every])
        study = opened(self.folder, sweep, data, configuration)
        done = finished(study)
        jobs = [Job(sweep, self.folder, tuple(self.every), draw) for draw in range(trials) if draw not in done]
        print(f"{trials} trials, of which {trials - len(jobs)} are there, in {self.folder}", flush=True)
        try:
            with tqdm(total=trials, initial=trials - len(jobs), desc="sweep", unit="trial", dynamic_ncols=True) as bar:
                for _ in each_done(conduct, jobs, workers):
                    if best := ranked(study, sweep)[:1]:
                        bar.set_postfix_str(f"{sweep.metric} {shown(best[0].value)} at best", refresh=False)
                    bar.update()
        except KeyboardInterrupt:
            print(f"\nstopped; what is done stays in {self.folder}, and the same command does the rest", flush=True)
            self.report(study, command)
            raise
        if not self.report(study, command):
            raise UserError(
                f"none of {counts(study)} came to its end, so nothing is chosen; lower the bounds of the learning rates, "
                f"or give more --trials (logs: {self.folder / 'trials'})"
            )
        return 0

    def report(self, study: optuna.Study, command: str) -> bool:
        """Write and print what was found; whether there is a best trial."""
        stop_running(study)
        write_trials(self.folder / "trials.csv", study, self.sweep)
        if not (best := ranked(study, self.sweep)[:1]):
            return False
        chosen = ["fit", *self.sweep.configs, *self.typed, *options(best[0].params)]
        path = self.folder / "best.yaml"
        typed = {word.partition("=")[0] for word in self.typed}
        short = [word for word in self.sweep.shortening if word.partition("=")[0] not in typed]
        write_best(path, study, self.sweep, self.prepared.spelt_out(chosen), command, short)
        print(
            f"\n{table(study, self.sweep)}\n\nall trials: {path.with_name('trials.csv')}\ntrain with: {path}",
            flush=True,
        )
        return True
