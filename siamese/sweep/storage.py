"""The database of a sweep: SQLite in its folder, which several processes write, and which a later call goes on with."""

from __future__ import annotations

from pathlib import Path

import optuna
from optuna import Study
from optuna.storages import RDBStorage
from optuna.study import StudyDirection
from optuna.trial import TrialState
from sqlalchemy.exc import SQLAlchemyError

from siamese.errors import UserError
from siamese.sweep import Sweep

NAME = "sweep"  # of the one study that it holds
DRAW = "draw"  # the number of a trial among those asked for, which is its seed; a stopped one is done again as another
FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)


def storage(folder: Path) -> RDBStorage:
    """The database, which waits up to a minute while another process writes."""
    return RDBStorage(f"sqlite:///{folder / 'sweep.db'}", engine_kwargs={"connect_args": {"timeout": 60}})


def opened(folder: Path, sweep: Sweep, data: str, configuration: str) -> Study:
    """The trials that the folder holds, or none yet.

    Raises UserError where some were found in another search: on other data, or of another configuration.
    """
    direction = StudyDirection.MAXIMIZE if sweep.maximize else StudyDirection.MINIMIZE
    searched = {
        "metric": f"{direction.name} {sweep.metric}",
        "parameters": {name: repr(each) for name, each in sweep.space.items()},
        "configuration": configuration,
        "data": data,
    }
    try:
        kept = storage(folder)
        study = optuna.create_study(storage=kept, study_name=NAME, direction=direction, load_if_exists=True)
    except SQLAlchemyError as error:
        raise UserError(f"{folder / 'sweep.db'} is no database of a sweep ({error}); move it away") from error
    stop_running(study)
    different = [name for name, value in searched.items() if study.user_attrs.get(name) != value]
    if different and finished(study):
        raise UserError(
            f"{folder} holds trials of another search (another {', another '.join(different)}); move it away, or choose "
            "another folder with --runs"
        )
    if different:
        optuna.delete_study(study_name=NAME, storage=kept)
        study = optuna.create_study(storage=kept, study_name=NAME, direction=direction)
        for name, value in searched.items():
            study.set_user_attr(name, value)
    return study


def finished(study: Study) -> set[int]:
    """The draws that need not be done again: trained to their end, ended early, or diverged."""
    return {trial.user_attrs[DRAW] for trial in study.get_trials(deepcopy=False, states=FINISHED)}


def stop_running(study: Study) -> None:
    """What a killed process has left half done counts as stopped; the caller knows that no process is at work."""
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        study.tell(trial.number, state=TrialState.FAIL)
