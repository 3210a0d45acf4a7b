"""Labels from a CSV: which image files of a folder carry which of several labels."""

from __future__ import annotations

import ast
import csv
import io
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np

from siamese.errors import DataError

_CELLS = {"0": False, "0.0": False, "false": False, "1": True, "1.0": True, "true": True}


@dataclass(frozen=True)
class LabelRows:
    """The ``R`` rows of a CSV.

    Attributes:
        names: ``L`` labels.
        ids: ``R`` ids of images, some perhaps more than once, or empty.
        lines: ``R`` lines of the file, from 1, on which the rows end.
        targets: ``bool [R, L]``, which labels each row gives.
    """

    names: tuple[str, ...]
    ids: tuple[str, ...]
    lines: tuple[int, ...]
    targets: np.ndarray


@dataclass(frozen=True)
class LabelledFiles:
    """The ``N`` image files that have labels, sorted by name.

    Attributes:
        files: names, relative to the folder.
        targets: ``bool [N, L]``.
        remarks: by kind, such as ``ids without a file``, a line for each thing left out or passed over.
    """

    files: tuple[str, ...]
    targets: np.ndarray
    remarks: dict[str, list[str]] = field(default_factory=dict)


def read_labels(path: Path) -> LabelRows:
    """The rows of a CSV in UTF-8.

    The ids are in the column ``Id`` (however it is capitalized), else in the first one. Every other column is a label, with
    0 or 1 (0.0, 1.0, false, true) in its cells, but for ``Genre``, which may list labels: it is read where there are no
    columns of labels, as ``['Comedy', 'Drama']``, ``Comedy|Drama`` or ``Comedy, Drama``. Blank lines are passed over.

    Raises:
        DataError: it is no such CSV; the sentence names the line and the column.
    """
    (_, header), *rows = _cells(path)
    lower = [name.lower() for name in header]
    for place, name in enumerate(lower):
        if not name:
            raise DataError(f"{path}: column {place + 1} has no name; name it or take it out")
        if name in lower[:place]:
            raise DataError(f"{path} has more than one column {header[place]!r}")
    ids = lower.index("id") if "id" in lower else 0
    labels = [place for place in range(len(header)) if place != ids and lower[place] != "genre"]
    if len(header) == 1:
        raise DataError(f"{path} has the one column {header[0]!r}; it needs one of ids and at least one of labels")
    if not rows:
        raise DataError(f"{path} has a header but no rows")
    for line, row in rows:
        if len(row) != len(header):
            raise DataError(f"{path}, line {line} has {len(row)} cells; the header has {len(header)}")
    if labels:
        names = [header[place] for place in labels]
        targets = [[_truth(row[place], path, line, header[place]) for place in labels] for line, row in rows]
    else:
        lists = [_listed(row[1 - ids], path, line, header[1 - ids]) for line, row in rows]
        names = sorted({label for listed in lists for label in listed})
        targets = [[name in listed for name in names] for listed in lists]
        if not names:
            raise DataError(f"{path}: no row names a label in the column {header[1 - ids]!r}")
    found = [row[ids] for _, row in rows]
    return LabelRows(tuple(names), tuple(found), tuple(line for line, _ in rows), np.array(targets, dtype=bool))


def match_files(rows: LabelRows, files: Sequence[str]) -> LabelledFiles:
    """The files that the rows give labels to.

    An id is a file's name, with its ending or without; the case of the ending is of no account. Left out, and named in
    ``remarks``, are ids without a file, ids that several files fit, files without a row, files whose rows differ.

    Args:
        rows: of the CSV.
        files: names relative to the folder, with ``/`` between folders. No other file is ever looked at.
    """
    remarks: defaultdict[str, list[str]] = defaultdict(list)
    fitting = [_by(key, files) for key in (_whole, _lower, _bare)]
    places: defaultdict[str, list[int]] = defaultdict(list)  # rows by the file they are of
    by_id: defaultdict[str, list[int]] = defaultdict(list)
    for place, identity in enumerate(rows.ids):
        by_id[identity].append(place)
    with_row: set[str] = set()
    for identity, found in by_id.items():
        path = PurePosixPath(identity)
        if not identity:
            remarks["rows without an id"] += [f"line {rows.lines[place]}: has no id" for place in found]
        elif path.is_absolute() or ".." in path.parts or not path.name:
            remarks["ids that lead out of the folder"].append(f"{identity}: is no file inside the folder")
        else:
            keys = (_whole(identity), _lower(identity), _whole(identity))
            fits = next((names[key] for names, key in zip(fitting, keys, strict=True) if key in names), [])
            with_row.update(fits)
            if not fits:
                remarks["ids without a file"].append(f"{identity}: has no file")
            elif len(fits) > 1:
                remarks["ids that several files fit"].append(f"{identity}: may be any of {', '.join(fits)}")
            else:
                places[fits[0]] += found
    kept: dict[str, np.ndarray] = {}
    for file, found in places.items():
        labels, lines = rows.targets[found], ", ".join(str(rows.lines[place]) for place in found)
        if (labels != labels[0]).any():
            remarks["files with rows that differ"].append(f"{file}: has different labels on lines {lines}")
            continue
        if len(found) > 1:
            remarks["files with equal rows, taken once"].append(f"{file}: has the same labels on lines {lines}")
        kept[file] = labels[0]
    remarks["files without a row"] = [f"{file}: has no row" for file in sorted(files) if file not in with_row]
    names = sorted(kept)
    targets = np.array([kept[name] for name in names], dtype=bool).reshape(len(names), len(rows.names))
    return LabelledFiles(tuple(names), targets, {kind: lines for kind, lines in remarks.items() if lines})


def _cells(path: Path) -> list[tuple[int, list[str]]]:
    """The rows that are not blank, the header first, each with the line it ends on; without blanks around the cells."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
        reader = csv.reader(io.StringIO(text, newline=""), skipinitialspace=True, strict=True)
        rows = [(reader.line_num, [cell.strip() for cell in row]) for row in reader]
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 (byte {error.start + 1:,}); save it as UTF-8") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error
    except csv.Error as error:
        raise DataError(f"{path}, line {reader.line_num}: {error}") from error
    if not (filled := [(line, row) for line, row in rows if any(row)]):
        raise DataError(f"{path} is empty")
    return filled


def _truth(cell: str, path: Path, line: int, column: str) -> bool:
    try:
        return _CELLS[cell.lower()]
    except KeyError:
        raise DataError(f"{path}, line {line}, column {column!r}: {cell[:40]!r} is neither 0 nor 1") from None


def _listed(cell: str, path: Path, line: int, column: str) -> set[str]:
    """The labels that a cell lists."""
    labels: object = cell.split("|" if "|" in cell else ",")
    if cell.startswith("["):
        try:
            labels = ast.literal_eval(cell)  # runs nothing
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            labels = None
    if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
        raise DataError(f"{path}, line {line}, column {column!r}: {cell[:40]!r} is no list of labels")
    return {label.strip() for label in labels} - {""}


def _whole(name: str) -> str:
    """One spelling of a name: systems write é as one character or as two."""
    return unicodedata.normalize("NFC", str(PurePosixPath(name)))


def _lower(name: str) -> str:
    return _bare(name) + PurePosixPath(name).suffix.lower()


def _bare(name: str) -> str:
    return _whole(str(PurePosixPath(name).with_suffix("")))


def _by(key: Callable[[str], str], files: Sequence[str]) -> dict[str, list[str]]:
    """The files by what ``key`` makes of their names."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for file in sorted(files):
        found[key(file)].append(file)
    return dict(found)
