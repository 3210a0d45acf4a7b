"""What a study found: each arm's figures as mean and deviation, in a table, pictures, one page, and on W&B."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from textwrap import wrap
from typing import Any

import numpy as np

import siamese
from siamese.report.page import encoded_pictures, rendered, write_page
from siamese.report.text import interval, novelty_lines, percent
from siamese.study import Run, file_name
from siamese.study.summary import summary

# The figures of a method, what they are called, and with how many decimals in per cent they are shown; None: as they are.
FIGURES = {
    "accuracy": ("accuracy", 2),
    "exact_match": ("exact match", 2),
    "label_accuracy": ("per label", 2),
    "f1_macro": ("macro F1", 1),
    "map": ("mAP", 1),
    "eer": ("EER", 1),
    "auc": ("AUC", None),
    "tar_at_1": ("TAR @ 1 % FAR", 1),
    "5-way": ("5-way one-shot", 1),
    "10-way": ("10-way", 1),
    "20-way": ("20-way", 1),
    "official": ("official runs", 2),
}


KINDS = ("within ", "across ")  # the first words of kinds of sampled episodes

# Pictures of one training that the study shows of each arm.
OF_A_RUN = {
    "tsne_pixels": "t-SNE of the pixels of test images.",
    "tsne_embeddings": "t-SNE of the embeddings of test images, first seed.",
    "mistakes": "Every test image that is named wrongly, first seed.",
    "novelty": "How outlying the embeddings of known and of novel images are, and the thresholds, first seed.",
    "labels": "How well each label is ranked, beside what a random order has, first seed.",
    "label_examples": "Test images and what was said of them, each label from its own threshold on; in brackets what was "
    "missed; first seed.",
    "training_curves": "Loss and validation figures against the step, first seed.",
}


def report(runs: list[Run], folder: Path, experiment: str, command: str, seconds: float) -> None:
    """Write ``results.json``, the pictures and ``report.html`` into the study's folder, send them to W&B, and print."""
    from siamese.plots.labels import curve_pair
    from siamese.plots.study import curves, splits, trainings
    from siamese.plots.style import save
    from siamese.run import commit, hardware

    done = [run for run in runs if run.results is not None]
    first = done[0].results or {}
    results: dict[str, Any] = {
        "experiment": experiment, "command": command, "commit": commit(), "version": siamese.__version__,
        "hardware": (first.get("hardware") or hardware("")), "seconds": seconds,
        "datasets": sorted({(run.results or {})["dataset"] for run in done}), "arms": summary(done),
    }  # fmt: skip
    pictures = {}
    for arm in results["arms"]:
        if arm["far"] and not arm["note"]:
            stem = file_name(arm["name"])
            pictures[f"roc_{stem}"] = curves(arm)
            pictures[f"splits_{stem}"] = splits(arm)
    accuracies = {
        arm["name"]: figures[key]["values"]
        for arm in results["arms"]
        for figures in list(arm["methods"].values())[:1]  # the network stands first
        for key in ("accuracy", "official")
        if key in figures
    }
    if accuracies:
        pictures["accuracy"] = trainings(accuracies)
    if validated := validation_curves(results["arms"]):
        title = "All labels right, on validation images: mean over the seeds"
        pictures["exact_match"] = curve_pair(validated, title, "exact match")
    for name, figure in pictures.items():
        save(figure, folder / "pictures" / f"{name}.png")
    keep_of_a_run(done, folder / "pictures")
    (folder / "results.json").write_text(json.dumps(results, indent=1))
    page = rendered(
        "study.html",
        r=results,
        rows=[(arm, list(_rows(arm, _columns(results["arms"])))) for arm in results["arms"]],
        columns=_titles(results["arms"]),
        of_a_run=OF_A_RUN,
        file_name=file_name,
        official_line=official_line,
        pictures=encoded_pictures(folder / "pictures"),
    )
    path = write_page(folder / "report.html", page)
    _send(results, folder, experiment)
    print(f"\n{table(results['arms'])}\n\nthe report: {path}", flush=True)


def keep_of_a_run(runs: list[Run], folder: Path) -> None:
    """Copy to ``folder`` what shows one training, of the first of each arm without a note, as ``<picture>_<arm>.png``."""
    first = {run.arm.name: run for run in reversed(runs) if not run.arm.note}
    for name, run in first.items():
        for stem in OF_A_RUN:
            if (drawn := run.folder / "pictures" / f"{stem}.png").exists():
                shutil.copyfile(drawn, folder / f"{stem}_{file_name(name)}.png")


def validation_curves(arms: list[dict[str, Any]]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Steps and shares of each arm that was validated by exact match, by its name and note."""
    found = {}
    for arm in arms:
        if logged := arm["validation"]:
            name = f"{arm['name']} ({arm['note']})" if arm["note"] else arm["name"]
            found[name] = np.array(logged["step"]), np.array(logged["exact_match"])
    return found


def _columns(arms: list[dict[str, Any]]) -> list[str]:
    """The figures that were measured of any method; sampled episodes last, which are called by their kind: "within 20-way 1" is
    20-way one-shot within a group."""
    measured = dict.fromkeys(key for arm in arms for figures in arm["methods"].values() for key in figures)
    return [*(key for key in FIGURES if key in measured), *(key for key in measured if key.startswith(KINDS))]


def _column(key: str) -> tuple[str, int | None]:
    """Title and decimals."""
    return FIGURES.get(key, (key, 2))


def _titles(arms: list[dict[str, Any]]) -> list[str]:
    return [_column(key)[0] for key in _columns(arms)]


def _rows(arm: dict[str, Any], columns: list[str]) -> Iterator[tuple[str, list[str]]]:
    """Each method with its figures as ``mean ± deviation``, of one seed without, a dash where one was not measured; then what
    others have published."""
    for name, figures in arm["methods"].items():
        yield name, [_shown(figures.get(key), _column(key)[1]) for key in columns]
    for name, stated in arm["published"].items():
        given = {key: {"mean": value, "values": [value]} for key, value in stated.items()}
        yield f"published: {name}", [_shown(given.get(key), _column(key)[1]) for key in columns]


def _seeds(arm: dict[str, Any]) -> str:
    return "one seed" if arm["seeds"] == 1 else f"mean ± deviation of {arm['seeds']} seeds"


def _shown(figure: dict[str, Any] | None, decimals: int | None) -> str:
    if figure is None:
        return "–"
    unit, places = (1, 3) if decimals is None else (100, decimals)
    spread = f" ± {unit * figure['deviation']:.{places}f}" if len(figure["values"]) > 1 else ""
    return f"{unit * figure['mean']:.{places}f}{spread}"


def official_line(found: dict[str, Any]) -> str:
    """The official runs of an arm beyond their mean."""
    return (
        f"Official runs: worst seed {percent(found['worst'])} %, best {percent(found['best'])} %; Wilson 95 % of "
        f"{found['trials']} trials at the mean: {interval(found)} %"
    )


def table(arms: list[dict[str, Any]]) -> str:
    """The study as plain text for a terminal."""
    lines = []
    width = 2 + max([18, *(len(name) for arm in arms for name, _ in _rows(arm, []))])
    widths = [max(16, len(title) + 2) for title in _titles(arms)]
    for arm in arms:
        note = f" ({arm['note'].upper()})" if arm["note"] else ""
        lines.append(f"{arm['name']}{note}: {arm['dataset']}, {_seeds(arm)}, {arm['how']}")
        for name, cells in [("", _titles(arms)), *_rows(arm, _columns(arms))]:
            lines.append(f"  {name:<{width}}" + "".join(f"{cell:>{w}}" for cell, w in zip(cells, widths, strict=True)))
        if found := arm["official"]:
            lines.append(f"  {official_line(found)}")
        if arm["compared"]:
            lines += wrap(arm["compared"], 120, initial_indent="  ", subsequent_indent="  ")
        if found := arm["tutorial"]:
            lines.append(
                f"  what the tutorial prints as accuracy, the precision of pairs nearer than 0.5: "
                f"{found['precision']['mean']:.3f}; genuine pairs that it finds so: {found['tar']['mean']:.3f}"
            )
        if found := arm["novelty"]:
            lines += ["", f"  novelty, {found['how']}", *(f"  {line}" for line in novelty_lines(found))]
        lines.append("")
    return "\n".join(lines).rstrip()


def _send(results: dict[str, Any], folder: Path, experiment: str) -> None:
    """The table and the pictures to W&B, as one run for the whole study."""
    from pytorch_lightning.loggers import WandbLogger

    from siamese.run import loggers

    for logger in loggers(folder, experiment, wandb=True):
        if isinstance(logger, WandbLogger):
            import wandb

            arms = results["arms"]
            rows = [[arm["name"], name, *cells] for arm in arms for name, cells in _rows(arm, _columns(arms))]
            columns: list[str | int] = ["arm", "method", *_titles(arms)]
            logged: dict[str, Any] = {"study": wandb.Table(columns=columns, data=rows)}
            logged |= {path.stem: wandb.Image(str(path)) for path in sorted((folder / "pictures").glob("*.png"))}
            logger.experiment.log(logged)
            logger.experiment.summary.update({key: results[key] for key in ("commit", "hardware", "seconds")})
            wandb.finish()
