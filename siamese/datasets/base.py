"""What a data set is to the rest of the house: a table, its splits, and perhaps its official episodes."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from siamese.datasets.pictures import Preprocessing
from siamese.errors import DataError, DataUnavailable, UserError
from siamese.ink import Ink
from siamese.ink.ink import VERSION as INK_VERSION
from siamese.sampling.episodes import Episodes
from siamese.tables import Table, assert_disjoint

PROJECT = Path(__file__).resolve().parents[2]


def data_folder() -> Path:
    """Where data sets are kept: ``$SIAMESE_DATA``, else ``data/`` of the project."""
    return Path(os.environ.get("SIAMESE_DATA") or PROJECT / "data")


@dataclass(frozen=True)
class Splits:
    """Three tables without a common class: ``train`` teaches, ``val`` chooses, ``test`` reports.

    ``closed`` splits have the same classes, and no image in common: what is asked is which of the known classes an image is of.
    ``leaking`` splits have common images on purpose, to show what that does to a figure; what they are measured on must be
    labelled so.
    """

    train: Table
    val: Table
    test: Table
    leaking: bool = False
    closed: bool = False

    def __post_init__(self) -> None:
        if not self.leaking:
            assert_disjoint(images=self.closed, train=self.train, val=self.val, test=self.test)


class DataSet(ABC):
    """One source of images. A new data set is a subclass with ``load`` and ``split``; a YAML names it by class path."""

    @abstractmethod
    def load(self) -> Table:
        """The whole table. Raises DataUnavailable where it cannot be had, DataError where it is damaged."""

    @abstractmethod
    def split(self, table: Table) -> Splits:
        """The rows that teach, choose and report."""

    def official_runs(self, test: Table) -> Episodes | None:
        """The published episodes as rows of ``test``, or None where the data set has none."""
        return None

    def tiles(self, split: str, table: Table) -> Tensor | None:
        """``int64 [T, 4]``: rows of the split's table that together make each image to choose by (``val``) or to report on
        (``test``), always the same; None where an image is one row."""
        return None

    def preprocessing(self, table: Table) -> Preprocessing:
        """How an image file is made comparable with the table.

        Raises UserError where the table's images are neither grey nor in colour, so that no file is.
        """
        channels, height, width = table.image_shape
        if channels not in (1, 3):
            raise UserError(f"images of {table.name} have {channels} channels; an image file has 1 or 3")
        return Preprocessing(height, width, colour=channels == 3, fit="stretch")

    def stand_in(self) -> DataSet | None:
        """The generated data set that takes this one's place where it cannot be had, or None."""
        return None


def loaded(source: DataSet, strict: bool = False) -> tuple[DataSet, Table]:
    """A data set and its whole table; where it cannot be had, its generated stand-in and that one's, which is printed.

    Raises DataUnavailable where it cannot be had and nothing stands in for it, or ``strict``.
    """
    try:
        return source, source.load()
    except DataUnavailable as missing:
        stand_in = source.stand_in()
        if strict or stand_in is None:
            raise
        print(
            f"{missing}.\nGoing on with {type(stand_in).__name__}, which are generated: no result below is one on "
            f"{type(source).__name__}. STRICT=1 makes this an error.",
            flush=True,
        )
        return stand_in, stand_in.load()


def preprocessing_entry(
    source: DataSet, table: Table, image_size: int | None, ink: Ink | None = None
) -> dict[str, Any] | None:
    """What a checkpoint holds under ``preprocessing``, in plain values: the fields of ``Preprocessing``, and ``image_size``.

    None for tables that image files cannot be compared with, whose images are neither grey nor in colour. With ``ink`` a file
    is normalised as it was read, and not in the frame of the table.
    """
    if table.image_shape[0] not in (1, 3):
        return None
    if ink is not None:
        assert image_size is not None  # as FewShotData has made sure
        return Preprocessing(image_size, image_size, ink=ink).entry() | {"image_size": None}
    return source.preprocessing(table).entry() | {"image_size": image_size}


def drawn_table(table: Table, ink: Ink, size: int) -> Table:
    """The table with every image's ink normalised, square images of ``size`` pixels; kept in the cache."""
    chosen = json.dumps([table.fingerprint, asdict(ink), size, INK_VERSION])
    key = hashlib.sha256(chosen.encode()).hexdigest()[:16]
    return cached_table(f"ink-{key}", lambda: dataclasses.replace(table, images=ink.pages(table.images, size)))


def cached_table(key: str, make: Callable[[], Table]) -> Table:
    """The table kept under ``key`` in the cache, else ``make()``, which is then kept. ``key`` names all it depends on."""
    folder = data_folder() / "cache" / key
    if folder.exists():
        try:
            return Table.load(folder)
        except DataError:
            pass  # A damaged cache is no loss: it is made again.
    table = make()
    try:
        table.save(folder)
    except OSError as error:
        print(f"could not keep the table in {folder} ({error.strerror}); it is made anew next time")
        return table
    return Table.load(folder)
