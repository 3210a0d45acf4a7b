"""The figures of a study: what its runs found, as mean and deviation over the seeds of each arm."""

from __future__ import annotations

import statistics
from typing import Any

from siamese.evaluation.intervals import wilson
from siamese.report import read_metrics
from siamese.report.labels import comparison
from siamese.study import Run


def summary(runs: list[Run]) -> list[dict[str, Any]]:
    """Each arm with mean and standard deviation over its seeds of every figure of every method."""
    arms = []
    for arm in dict.fromkeys(run.arm.name for run in runs):
        mine = [run for run in runs if run.arm.name == arm and run.results is not None]
        found = [results for run in mine if (results := run.results) is not None]
        methods = {
            # Figures that all seeds have: one may have been tested by an earlier version, which told fewer.
            name: {
                key: _spread([results["methods"][name][key] for results in found])
                for key in figures
                if all(key in results["methods"].get(name, {}) for results in found)
            }
            for name, figures in found[0].get("methods", {}).items()
        }
        arms.append(
            {
                "name": arm,
                "note": mine[0].arm.note,
                "seeds": len(found),
                "dataset": found[0]["dataset"],
                "how": found[0].get("methods_how", ""),
                "train_seconds": statistics.fmean(results["train_seconds"] for results in found),
                "methods": methods,
                "far": found[0].get("methods_far"),
                "tutorial": _tutorial(found),
                "novelty": mean_of([results["novelty"] for results in found]) if "novelty" in found[0] else None,
                "labels": mean_of([each["labels"]["per_label"] for each in found]) if "labels" in found[0] else None,
                "compared": comparison(*(each.get("labels") or {} for each in found)),
                "published": mine[0].arm.published,
                "validation": _validation(mine),
                "official": _official(found),
            }
        )
    return arms


def mean_of(found: list[Any]) -> Any:
    """Results of equal structure with the mean in place of every fraction, of those seeds that have it; what is no fraction
    is that of the first."""
    if isinstance(found[0], dict):
        return {key: mean_of([each[key] for each in found]) for key in found[0]}
    fractions = [each for each in found if isinstance(each, float)]
    return statistics.fmean(fractions) if fractions else found[0]


def _validation(runs: list[Run]) -> dict[str, list[float]] | None:
    """``step`` and ``exact_match``, the share of validation images with all labels right: the mean over the runs, at the steps
    where all of them have logged it. None where there are none."""
    wanted = "step", "val/exact_match"
    rows = [[row for row in read_metrics(run.folder) if {*wanted} <= {*row}] for run in runs]
    each = [{row["step"]: row["val/exact_match"] for row in of_run} for of_run in rows]
    if not (steps := sorted(set.intersection(*map(set, each)))):
        return None
    return {"step": steps, "exact_match": [statistics.fmean(one[step] for one in each) for step in steps]}


def _official(found: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Of the official runs: the ``worst`` and the ``best`` seed, and Wilson's interval, ``low`` and ``high``, at the mean. All
    seeds answer the same trials, so the interval is that of the trials of one. None where there are no official runs."""
    each = [results["one_shot"]["official"] for results in found if "official" in results.get("one_shot", {})]
    if not each:
        return None
    accuracies, trials = [one["accuracy"] for one in each], each[0]["trials"]
    low, high = wilson(statistics.fmean(accuracies) * trials, trials)
    return {"worst": min(accuracies), "best": max(accuracies), "low": low, "high": high, "trials": trials}


def _tutorial(found: list[dict[str, Any]]) -> dict[str, Any] | None:
    each = [results["tutorial"] for results in found if "tutorial" in results]
    return (
        {key: _spread([one[key] for one in each]) for key in ("precision", "accuracy", "tar", "far")} if each else None
    )


def _spread(values: list[Any]) -> dict[str, Any]:
    if isinstance(values[0], list):
        return {"mean": [statistics.fmean(column) for column in zip(*values, strict=True)]}
    deviation = statistics.stdev(values) if len(values) > 1 else 0.0
    return {"mean": statistics.fmean(values), "deviation": deviation, "values": values}
