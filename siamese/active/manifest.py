"""``manifest.csv``: what was decided about each image of a pool and where it went, readable by people and spreadsheets.

Rows are added before the files they tell of are placed. So a process that is killed leaves no file that the manifest does
not know, and what it knows but is not there yet can be placed without deciding again.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import IO

from filelock import FileLock, Timeout

from siamese.errors import DataError, UserError

NAME = "manifest.csv"


@dataclass(frozen=True)
class Row:
    """One image. All is text, as it stands in the file.

    Attributes:
        file: below the pool.
        sha256: of its bytes, hex.
        predicted: the likeliest class.
        probability: of that class.
        least_confident, margin, entropy: uncertainties as of ``siamese.active``; high is worth asking.
        plain_margin: 1 minus margin.
        placed: below the manifest's folder.
        sorted_by: strategy, threshold, classifier, model and labels that decided it.
    """

    file: str
    sha256: str
    predicted: str
    probability: str
    least_confident: str
    margin: str
    entropy: str
    plain_margin: str
    placed: str
    sorted_by: str


COLUMNS = [field.name for field in fields(Row)]


class Manifest:
    """The rows in a file, to which rows can be added. See ``opened``.

    Attributes:
        path: the file.
        rows: all of them, in order.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows, whole = _read(path)
        if not whole:
            self._replace()

    def add(self, rows: Iterable[Row]) -> None:
        """Append rows; they are on the disk when this returns."""
        new = list(rows)
        with _text(self.path, "a") as file:
            file.write(_lines(map(_cells, new)))
            file.flush()
            os.fsync(file.fileno())
        self.rows += new

    def _replace(self) -> None:
        made = self.path.with_name(f".{self.path.name}.tmp")
        with _text(made, "w") as file:
            file.write(_lines([COLUMNS, *map(_cells, self.rows)]))
            file.flush()
            os.fsync(file.fileno())
        os.replace(made, self.path)


@contextmanager
def opened(folder: Path) -> Iterator[Manifest]:
    """The manifest of a folder, made with the folder where there is none, while no other process has it open.

    Raises:
        UserError: another process has.
        DataError: the file is no manifest of this project.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / f".{NAME}.lock", timeout=0):
            yield Manifest(folder / NAME)
    except Timeout:
        raise UserError(f"another process is sorting into {folder}; wait for it, or choose another --out") from None


def _read(path: Path) -> tuple[list[Row], bool]:
    """The rows, and whether the file is there and ends with a whole one: the last may have been cut off by a kill."""
    if not path.exists():
        return [], False
    try:
        with _text(path, "r") as file:
            text = file.read()
        header, *cells = csv.reader(io.StringIO(text, newline=""))
    except (csv.Error, ValueError) as error:  # no line at all is a ValueError as well
        raise _not_one(path) from error
    if header != COLUMNS:
        raise _not_one(path)
    whole = text.endswith("\r\n") and len(cells[-1] if cells else COLUMNS) == len(COLUMNS)
    if not whole and cells:
        cells.pop()
    if any(len(each) != len(COLUMNS) for each in cells):
        raise _not_one(path)
    return [Row(*each) for each in cells], whole


def _not_one(path: Path) -> DataError:
    return DataError(f"{path} is no manifest of this command, or a damaged one; choose another --out")


def _text(path: Path, mode: str) -> IO[str]:
    """The file, whose names may be no UTF-8, with line ends left as they are: a name may hold any."""
    return open(path, mode, encoding="utf-8", errors="surrogateescape", newline="")


def _cells(row: Row) -> list[str]:
    return list(asdict(row).values())


def _lines(rows: Iterable[list[str]]) -> str:
    made = io.StringIO(newline="")
    csv.writer(made).writerows(rows)  # ends lines with \r\n, and so quotes both characters in a name
    return made.getvalue()
