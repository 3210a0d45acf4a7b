"""Omniglot: 1,623 handwritten characters of 50 alphabets, each drawn once by 20 people.

Lake, Salakhutdinov, Tenenbaum (2015), Human-level concept learning through probabilistic program induction.
"""

from __future__ import annotations

import dataclasses
import io
import zipfile
import zlib
from pathlib import Path, PurePosixPath

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from siamese.datasets import omniglot_lists
from siamese.datasets.base import DataSet, Splits
from siamese.datasets.glyphs import Glyphs
from siamese.datasets.pictures import Preprocessing
from siamese.datasets.registry import fetch, published_table
from siamese.errors import DataError
from siamese.sampling.episodes import Episodes
from siamese.tables import Table

HALVES = ("images_background.zip", "images_evaluation.zip")
SIZE = 105
DRAWERS = 20
RUNS = 20  # of as many trials with as many classes


class Omniglot(DataSet):
    """Omniglot with disjoint alphabets for training, choosing and reporting.

    Args:
        train: alphabets that teach: a name from ``siamese.datasets.omniglot_lists`` (``background``, ``small1``, ``small2``,
            ``unused``, ``official``) or a list of alphabets.
        val: alphabets that choose. ``unused`` are the ten evaluation alphabets that no official run uses.
        test: alphabets that report. ``official`` are the ten of the official runs.
        koch_drawers: keep only drawers 1-12 for training and 13-16 for validation, as Koch et al. (2015) do.
    """

    def __init__(
        self,
        train: str | list[str] = "background",
        val: str | list[str] = "unused",
        test: str | list[str] = "official",
        koch_drawers: bool = False,
    ) -> None:
        self.train, self.val, self.test = (omniglot_lists.resolve(names) for names in (train, val, test))
        self.koch_drawers = koch_drawers

    def load(self) -> Table:
        """All 32,460 images as ``uint8 [32460, 1, 105, 105]``, labels in the order of the published character numbers."""
        return published_table("omniglot", _decode)

    def split(self, table: Table) -> Splits:
        train, val, test = (table.of_groups(names) for names in (self.train, self.val, self.test))
        if self.koch_drawers:
            train, val = train.of_sources(range(12)), val.of_sources(range(12, 16))
        return Splits(train, val, test)

    def official_runs(self, test: Table) -> Episodes | None:
        """The 20 official within-alphabet 20-way one-shot runs as rows of ``test``; None if it lacks their alphabets."""
        if not set(omniglot_lists.LISTS["official"]) <= set(self.test):
            return None
        return read_runs(fetch("omniglot", "all_runs.zip"), test)

    def preprocessing(self, table: Table) -> Preprocessing:
        return dataclasses.replace(super().preprocessing(table), invert=True)  # files have black ink on white paper

    def stand_in(self) -> DataSet:
        return Glyphs()


def _decode() -> Table:
    """The table from the two published zips."""
    paths = [
        fetch("omniglot", half) for half in HALVES
    ]  # both before the long part, so that a missing one is told at once
    found = [entry for path, half in zip(paths, HALVES, strict=True) for entry in _images(path, half)]
    found.sort(key=lambda entry: entry[0])  # NNNN_DD.png: character number, drawer
    files = tuple(file for _, file, _ in found)
    classes = tuple(dict.fromkeys(str(PurePosixPath(file).parent) for file in files))
    groups = tuple(dict.fromkeys(PurePosixPath(file).parts[0] for file in files))
    if len(files) != len(classes) * DRAWERS or len(classes) != 964 + 659 or len(groups) != 50:
        raise DataError(
            f"the Omniglot zips hold {len(files)} images of {len(classes)} characters and {len(groups)} alphabets, "
            "not 32460 of 1623 and 50; delete data/omniglot and fetch them again"
        )
    return Table(
        name="omniglot",
        images=torch.from_numpy(np.stack([pixels for *_, pixels in found])[:, None]),
        labels=torch.arange(len(classes)).repeat_interleave(DRAWERS),
        groups=torch.tensor([groups.index(PurePosixPath(file).parts[0]) for file in files]),
        sources=torch.tensor([int(file[-6:-4]) - 1 for file in files]),
        class_names=classes,
        group_names=groups,
        file_names=files,
    )


def _images(path: Path, half: str) -> list[tuple[str, str, np.ndarray]]:
    """``(NNNN_DD, file name without the half, ink uint8 [105, 105])`` of every PNG in the zip."""
    with _opened(path) as archive:
        names = [name for name in archive.namelist() if name.endswith(".png") and not name.startswith("__MACOSX")]
        return [
            (name[-11:-4], name.split("/", 1)[1], _ink(archive, name))
            for name in tqdm(names, desc=f"decoding {half}", unit="image", mininterval=0.5, leave=False)
        ]


def read_runs(path: Path, table: Table) -> Episodes:
    """The official runs in the zip at ``path``, matched to rows of ``table`` by their pixels.

    Raises DataError for a damaged zip or an image that is not in the table.
    """
    where = {image.numpy().tobytes(): row for row, image in enumerate(table.images)}
    supports, queries, targets = [], [], []
    with _opened(path) as archive:
        runs = sorted({name.split("/")[0] for name in archive.namelist() if name.startswith("run")})
        for run in runs:
            try:
                lines = archive.read(f"{run}/class_labels.txt").decode().split("\n")
                tests, answers = zip(*(line.split() for line in lines if line.strip()), strict=True)
                training = sorted(set(answers))
                supports.append([where[_ink(archive, name).tobytes()] for name in training])
                queries.append([where[_ink(archive, name).tobytes()] for name in tests])
                targets.append([training.index(name) for name in answers])
            except (KeyError, ValueError, zipfile.BadZipFile, zlib.error) as error:
                raise DataError(
                    f"{path}: an image or list of {run} is missing, or is not one of the table's"
                ) from error
    if [len(row) for row in supports + queries + targets] != 3 * RUNS * [RUNS]:
        raise DataError(
            f"{path} does not hold {RUNS} runs of {RUNS} trials in {RUNS} ways; delete it and fetch it again"
        )
    return Episodes(_rows(supports).unsqueeze(2), _rows(queries), _rows(targets))


def _rows(rows: list[list[int]]) -> Tensor:
    return torch.tensor(rows, dtype=torch.int64)


def _opened(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except zipfile.BadZipFile as error:
        raise DataError(f"{path} is not a whole zip file; delete it and run the command again") from error


def _ink(archive: zipfile.ZipFile, name: str) -> np.ndarray:
    """``uint8 [105, 105]``, ink 255: the files have black ink on white paper."""
    try:
        with Image.open(io.BytesIO(archive.read(name))) as image:
            pixels = np.asarray(image.convert("L"))
    except (OSError, EOFError, SyntaxError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{archive.filename}: {name} is not a readable image ({error})") from error
    if pixels.shape != (SIZE, SIZE):
        raise DataError(f"{archive.filename}: {name} has {pixels.shape[1]}x{pixels.shape[0]} pixels, not {SIZE}x{SIZE}")
    return 255 - pixels
