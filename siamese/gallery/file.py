"""The gallery's one file: read without running anything in it, replaced whole or not at all, changed by one at a time.

It is a ZIP file of ``header.json``, ``names.json``, ``files.json`` and NumPy arrays, every part with its checksum. A process
that is killed leaves the file as it was; the lock beside it is the system's own, which dies with the process that held it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import json
import os
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from siamese.errors import DataError, UserError
from siamese.gallery.entries import Content, Entries, Header

FORMAT, VERSION = "siamese gallery", 1
PATIENCE = 120.0  # seconds to wait for another process; saving a million entries takes a few
_UNREADABLE = (
    EOFError, KeyError, TypeError, ValueError, OverflowError, MemoryError, RecursionError, NotImplementedError, RuntimeError,
    zipfile.BadZipFile, zlib.error, struct.error,
)  # fmt: skip


def read(path: Path) -> Content:
    """The gallery in a file.

    Raises:
        UserError: there is none.
        DataError: it is no gallery, damaged, or of a newer version.
    """
    try:
        # Opened once: another process may replace the file meanwhile, and parts of two would not fit.
        with open(path, "rb") as file, zipfile.ZipFile(file) as archive:
            about = json.loads(archive.read("header.json"))
            if about["format"] != FORMAT:
                raise ValueError("it is a file of another kind")
            if about["version"] != VERSION:
                theirs = about["version"]
                raise DataError(
                    f"{path} is a gallery of format {theirs}, and this program reads {VERSION}; enroll anew"
                )
            header = Header(**{each.name: about[each.name] for each in dataclasses.fields(Header)})
            entries = _entries(archive)
        _check(header, entries)
    except FileNotFoundError:
        raise UserError(f"there is no gallery {path}; python -m siamese enroll makes one") from None
    except (*_UNREADABLE, OSError) as error:
        if isinstance(error, OSError) and error.errno != errno.EINVAL:  # a place in the file that there is not
            raise
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"{path} is no gallery, or a damaged one ({type(error).__name__}: {reason})") from error
    return Content(header, entries)


def change(path: Path, edit: Callable[[Content | None], Content | None]) -> None:
    """Replace the file by what ``edit`` makes of its content (None where there is no file), while no other process does.

    Where ``edit`` gives its argument back, nothing is written.

    Raises:
        UserError: another process holds the lock for minutes; and whatever ``read`` and ``edit`` raise.
        OSError: the file cannot be written; it is then as it was.
    """
    path = path.resolve()  # a link stays one
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(path.with_name(f".{path.name}.lock"), timeout=PATIENCE):
            _sweep(path)
            old = read(path) if path.exists() else None
            new = edit(old)
            if new is not None and new is not old:
                _write(path, new)
    except Timeout:
        raise UserError(
            f"another process has been changing {path.name} for minutes; try again when it is done"
        ) from None


def _entries(archive: zipfile.ZipFile) -> Entries:
    names, files = json.loads(archive.read("names.json")), json.loads(archive.read("files.json"))
    labels, ends = _array(archive, "labels.npy"), _array(archive, "thumbnail_ends.npy").tolist()
    if labels.ndim != 1 or not all(isinstance(text, str) for text in [*names, *files]) or labels.min(initial=0) < 0:
        raise ValueError("names, files and labels do not fit")
    pictures = archive.read("thumbnails.bin")
    thumbnails = [pictures[start:end] for start, end in zip([0, *ends], ends, strict=False)]
    hashes, embeddings = _array(archive, "hashes.npy"), _array(archive, "embeddings.npy")
    return Entries([names[label] for label in labels.tolist()], files, hashes, embeddings, thumbnails)


def _array(archive: zipfile.ZipFile, name: str) -> np.ndarray:
    with archive.open(name) as file:
        array = np.lib.format.read_array(file, allow_pickle=False)
        if file.read(1):  # to the end, where the checksum is compared
            raise ValueError(f"{name} is longer than it says")
    return array


def _check(header: Header, entries: Entries) -> None:
    count = len(entries)
    fits = (
        all(len(column) == count for column in (entries.files, entries.thumbnails))
        and isinstance(header.fingerprint, str)
        and entries.hashes.shape == (count, 32)
        and entries.hashes.dtype == np.uint8
        and entries.embeddings.shape == (count, header.embedding_size)
        and entries.embeddings.dtype == np.float32
    )
    if not fits:
        raise ValueError("its parts do not fit each other")


def _write(path: Path, content: Content) -> None:
    made = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(made, "xb") as file:
            _fill(file, content)
            file.flush()
            os.fsync(file.fileno())
        if path.exists():
            os.chmod(made, path.stat().st_mode & 0o777)  # who may see faces stays as its owner decided
        os.replace(made, path)
    finally:
        made.unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # not every system lets a folder be opened
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _fill(file: Any, content: Content) -> None:
    entries = content.entries
    place = {name: label for label, name in enumerate(sorted(set(entries.names)))}
    texts = {
        "header.json": {"format": FORMAT, "version": VERSION} | dataclasses.asdict(content.header),
        "names.json": list(place),
        "files.json": entries.files,
    }
    arrays = {
        "labels.npy": np.array([place[name] for name in entries.names], np.int64),
        "hashes.npy": entries.hashes,
        "embeddings.npy": entries.embeddings,
        "thumbnail_ends.npy": np.cumsum([len(each) for each in entries.thumbnails], dtype=np.int64),
    }
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, value in texts.items():
            archive.writestr(
                name, json.dumps(value)
            )  # escaped to ASCII, which even a file name that is no UTF-8 can be
        for name, array in arrays.items():
            with archive.open(name, "w", force_zip64=True) as part:
                np.lib.format.write_array(part, np.ascontiguousarray(array), allow_pickle=False)
        with archive.open("thumbnails.bin", "w", force_zip64=True) as part:
            part.write(b"".join(entries.thumbnails))


def _sweep(path: Path) -> None:
    """Remove what killed processes left half written; nobody else writes while the lock is held."""
    before, after = f".{path.name}.", ".tmp"
    for name in os.listdir(path.parent):
        if name.startswith(before) and name.endswith(after) and name[len(before) : -len(after)].isdigit():
            (path.parent / name).unlink(missing_ok=True)
