"""What both ways of ``make bench`` work on: a data set, its images as files, the episodes, and the recipes."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
import yaml
from PIL import Image

from siamese.datasets import Glyphs, Omniglot
from siamese.datasets.base import DataSet, Splits
from siamese.errors import DataUnavailable
from siamese.evaluation.benchmark import VALIDATION
from siamese.sampling.episodes import Episodes, sample_episodes
from siamese.sampling.seeds import generator
from siamese.tables import Table

YAML = Path(__file__).parent / "omniglot.yaml"


def loaded() -> tuple[DataSet, Table]:
    """Omniglot, or where it cannot be had generated characters."""
    source: DataSet = Omniglot()
    try:
        table = source.load()
        source.official_runs(source.split(table).test)  # of another file, which may be missing by itself
        return source, table
    except DataUnavailable:
        return Glyphs(), Glyphs().load()


def recipe(network: str, source: DataSet) -> dict[str, Any]:
    """``model`` and ``data`` of experiments/omniglot.yaml, ink, whitening and descriptor included, whose network is the
    ``compact`` one; for ``koch`` with network, loss and resolution of the paper, images as they are, and 128 of them a batch,
    which are as much work as thousands of the compact one's."""
    config = yaml.safe_load(YAML.read_text())
    if isinstance(source, Glyphs):
        config["data"]["source"] = {"class_path": "siamese.datasets.glyphs.Glyphs"}
    if network == "koch":
        config["model"] |= {"network": {"class_path": "siamese.networks.Koch"}, "loss": "siamese.losses.Binary"}
        # AdamW: to make 38 million weights orthogonal would take longer than the rest of a step.
        config["model"].pop("optimization")
        config["data"].pop("ink")
        config["data"]["image_size"] = 105
        config["data"]["sampler"]["init_args"] |= {"classes": 32, "shots": 4}
    return {"model": config["model"], "data": config["data"]}


def recipe_steps(config: dict[str, Any] | None = None) -> int:
    """The steps of a training by an experiment's YAML, read already; None for experiments/omniglot.yaml."""
    config = config or yaml.safe_load(YAML.read_text())
    return config["trainer"]["max_epochs"] * config["data"]["sampler"]["init_args"]["steps"]


def unpack(splits: Splits, official: Episodes | None, folder: Path, n_way: int = 20, peers: int = 0) -> None:
    """Write all images as files ``<split>/<class>/<row>.png``, and the episodes of both ways.

    ``timed.pt`` has as many trials as the official runs, ``validation.pt`` are those of ``val/one_shot``, ``official.pt`` the
    official runs where there are any; all but these are of validation classes, and so are as many ``peers.pt`` as asked for.
    """
    for split in ("train", "val", "test"):
        table: Table = getattr(splits, split)
        # Black ink on white paper, one bit a pixel where that suffices: what the published files are.
        bits = bool(((table.images == 0) | (table.images == 255)).all())
        for label in table.classes.tolist():
            (folder / split / f"{label:04d}").mkdir(parents=True)
        for row, (image, label) in enumerate(zip(table.images, table.labels.tolist(), strict=True)):
            made = Image.fromarray((255 - image[0]).numpy())
            (made.convert("1") if bits else made).save(folder / split / f"{label:04d}" / f"{row:05d}.png")
    episodes = {
        "timed": sample_episodes(splits.val, 20, n_way, 1, generator(0)),
        "validation": sample_episodes(splits.val, 500, n_way, 1, generator(0, VALIDATION)),
        "official": official,
        "peers": sample_episodes(splits.val, peers, n_way, 1, generator(1, VALIDATION)) if peers else None,
    }
    for name, drawn in episodes.items():
        if drawn is not None:
            torch.save(asdict(drawn), folder / f"{name}.pt")
