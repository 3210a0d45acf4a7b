"""The table: a whole data set in memory, one image tensor and parallel label columns.

A data set is decoded once into a table. Everything after it, pairs, episodes, batches, is integer rows of it.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import mmap
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from siamese.errors import DataError

_COLUMNS = ("labels", "groups", "sources")
_ADDED = "extra "  # so begin the names of groups that were joined to a table


@dataclass(frozen=True)
class Table:
    """A data set of ``N`` images.

    Attributes:
        name: what the data is; every figure measured on the table is labelled with it.
        images: ``uint8 [N, C, H, W]``, ink or light is 255, paper or dark is 0.
        labels: ``int64 [N]``, the class (a character, a person), an index into ``class_names``.
        groups: ``int64 [N]``, the class's group (an alphabet), an index into ``group_names``.
        sources: ``int64 [N]``, who or what made the image (a drawer, a shot number), from 0.
        class_names, group_names: names by index. A subset keeps the whole list, so that indices keep their meaning.
        file_names: ``N`` names by which a person finds the image again.
        targets: ``bool [N, L]``, where an image carries several labels at once: which of the ``L`` ``class_names``. ``labels``
            say nothing then. None where every image is of one class.
    """

    name: str
    images: Tensor
    labels: Tensor
    groups: Tensor
    sources: Tensor
    class_names: tuple[str, ...]
    group_names: tuple[str, ...]
    file_names: tuple[str, ...]
    targets: Tensor | None = None

    def __post_init__(self) -> None:
        if self.images.dtype != torch.uint8 or self.images.ndim != 4:
            raise DataError(
                f"{self.name}: images must be uint8 [N, C, H, W], not {self.images.dtype} {tuple(self.images.shape)}"
            )
        wrong = [c for c in _COLUMNS if getattr(self, c).shape != (len(self),) or getattr(self, c).dtype != torch.int64]
        if wrong or len(self.file_names) != len(self):
            raise DataError(
                f"{self.name}: {', '.join(wrong) or 'file_names'} must hold one int64 or name for each of {len(self)} images"
            )
        several, expected = self.targets, (len(self), len(self.class_names))
        if several is not None and (several.dtype != torch.bool or several.shape != expected):
            raise DataError(
                f"{self.name}: targets must be bool {list(expected)}, not {several.dtype} {list(several.shape)}"
            )

    def __len__(self) -> int:
        return self.images.shape[0]

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """``(C, H, W)`` of every image."""
        channels, height, width = self.images.shape[1:]
        return channels, height, width

    @cached_property
    def classes(self) -> Tensor:
        """``int64 [M]``: the labels that occur, sorted."""
        return self.labels.unique()

    @cached_property
    def added(self) -> Tensor:
        """``bool [G]``: which of the ``group_names`` came with a table that was joined to this one."""
        return torch.tensor([name.startswith(_ADDED) for name in self.group_names], dtype=torch.bool)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of the decoded content: pixels, columns, class and group names; not of the file that carried it."""
        digest = hashlib.sha256(json.dumps([list(self.images.shape), self.class_names, self.group_names]).encode())
        for column in (*self._columns, "images"):
            digest.update(np.ascontiguousarray(getattr(self, column).numpy()).data)
        return digest.hexdigest()

    @property
    def _columns(self) -> tuple[str, ...]:
        return _COLUMNS if self.targets is None else (*_COLUMNS, "targets")

    def rows(self, keep: Tensor) -> Table:
        """The table of the rows where ``keep`` (``bool [N]``) is true; labels and names keep their meaning.

        Rows that follow one another are a view: those of a memory-mapped table stay on the disk.
        """
        index = keep.nonzero().flatten()
        found = index.tolist()
        together = bool(found) and found[-1] - found[0] + 1 == len(found)
        where = slice(found[0], found[-1] + 1) if together else index
        columns = {column: getattr(self, column)[where] for column in ("images", *self._columns)}
        return dataclasses.replace(self, **columns, file_names=tuple(self.file_names[i] for i in found))

    def of_groups(self, names: Iterable[str]) -> Table:
        """The rows of the named groups. Raises DataError naming a group the table does not have."""
        wanted = list(names)
        unknown = [name for name in wanted if name not in self.group_names]
        if unknown:
            raise DataError(
                f"{self.name} has no group {', '.join(map(repr, unknown))}; it has {', '.join(self.group_names)}"
            )
        index = torch.tensor([self.group_names.index(name) for name in wanted])
        if missing := [name for name, i in zip(wanted, index, strict=True) if not (self.groups == i).any()]:
            raise DataError(f"of {self.name}, no image here is of {', '.join(missing)}")
        return self.rows(torch.isin(self.groups, index))

    def of_sources(self, sources: Iterable[int]) -> Table:
        """The rows made by these sources (drawers, shots)."""
        return self.rows(torch.isin(self.sources, torch.tensor(list(sources))))

    def resized(self, size: int | None) -> Table:
        """The same table with square images of ``size`` pixels, as ``resized_images`` makes them; None leaves them alone."""
        images = resized_images(self.images, size)
        return self if images is self.images else dataclasses.replace(self, images=images)

    def save(self, folder: Path) -> None:
        """Write the table to ``folder``, whole or not at all."""
        folder.parent.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
        try:
            np.save(made / "images.npy", self.images.numpy())
            np.savez(made / "columns.npz", **{column: getattr(self, column).numpy() for column in self._columns})
            names = {field: getattr(self, field) for field in ("name", "class_names", "group_names", "file_names")}
            (made / "table.json").write_text(json.dumps(names | {"fingerprint": self.fingerprint}))
            shutil.rmtree(folder, ignore_errors=True)
            made.rename(folder)
        finally:
            shutil.rmtree(made, ignore_errors=True)

    @classmethod
    def load(cls, folder: Path) -> Table:
        """The table saved in ``folder``, its images memory-mapped, its content checked against its fingerprint.

        Raises:
            DataError: nothing is there, it is unreadable, or its content has changed since it was saved.
        """
        try:
            names = json.loads((folder / "table.json").read_text())
            with np.load(folder / "columns.npz") as columns:
                there = (*_COLUMNS, *(["targets"] if "targets" in columns else []))
                tensors: dict[str, Any] = {column: torch.from_numpy(columns[column]) for column in there}
            images = torch.from_numpy(_mapped(folder / "images.npy"))
            fingerprint = names.pop("fingerprint")
            lists: dict[str, Any] = {
                key: tuple(value) if isinstance(value, list) else value for key, value in names.items()
            }
            table = cls(images=images, **tensors, **lists)
        except (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError, zipfile.BadZipFile) as error:
            raise DataError(f"{folder} holds no readable table: {error}") from error
        if table.fingerprint != fingerprint:
            raise DataError(f"{folder}: the content does not have the fingerprint it was saved with; delete the folder")
        return table


def _mapped(path: Path) -> np.ndarray:
    """The array of a ``.npy`` file, memory-mapped copy-on-write: torch wants writable memory, the file must not change.

    The file may be larger than memory: Linux would refuse to promise memory for all that might be written, and need not.
    """
    if sys.platform != "linux":
        return np.load(path, mmap_mode="c")
    array = np.load(path, mmap_mode="r")
    with path.open("rb") as file:
        flags = mmap.MAP_PRIVATE | getattr(mmap, "MAP_NORESERVE", 0x4000)  # Python has its name from 3.13 on
        memory = mmap.mmap(file.fileno(), 0, flags, mmap.PROT_READ | mmap.PROT_WRITE)
    return np.ndarray(array.shape, array.dtype, memory, array.offset, array.strides)


def concatenated(*tables: Table) -> Table:
    """The rows of several subsets of one table, one after the other."""
    first = tables[0]
    columns: dict[str, Any] = {
        name: torch.cat([getattr(table, name) for table in tables]) for name in ("images", *first._columns)
    }
    names = tuple(name for table in tables for name in table.file_names)
    return dataclasses.replace(first, **columns, file_names=names)


def joined(table: Table, extra: Table) -> Table:
    """The rows of both tables, the groups of ``extra`` after those of ``table``. It keeps the name of ``table``.

    Raises:
        DataError: their images have different shapes, or several labels each.
    """
    if table.targets is not None or extra.targets is not None:
        raise DataError(f"{table.name} and {extra.name} cannot be joined: their images are to have one class each")
    if table.image_shape != extra.image_shape:
        one, other = ("x".join(map(str, each.image_shape)) for each in (table, extra))
        raise DataError(
            f"images of {extra.name} are {other}, those of {table.name} {one}; only equal ones can be joined"
        )
    return Table(
        name=table.name,
        images=torch.cat([table.images, extra.images]),
        labels=torch.cat([table.labels, extra.labels + len(table.class_names)]),
        groups=torch.cat([table.groups, extra.groups + len(table.group_names)]),
        sources=torch.cat([table.sources, extra.sources]),
        class_names=table.class_names + tuple(f"{extra.name}/{name}" for name in extra.class_names),
        group_names=table.group_names + tuple(f"{_ADDED}{name}" for name in extra.group_names),
        file_names=table.file_names + tuple(f"{extra.name}/{name}" for name in extra.file_names),
    )


def resized_images(images: Tensor, size: int | None) -> Tensor:
    """``uint8 [N, C, size, size]`` of images ``uint8 [N, C, H, W]``: area averages when shrinking, bilinear when growing.

    The images themselves where they have that size, or where ``size`` is None.
    """
    if size is None or images.shape[2:] == (size, size):
        return images
    if len(images) == 0:
        return images.new_empty(0, images.shape[1], size, size)
    shrinks = size <= min(images.shape[2:])
    mode: dict[str, Any] = {"mode": "area"} if shrinks else {"mode": "bilinear", "align_corners": False}
    chunks = [F.interpolate(chunk.float(), size=(size, size), **mode) for chunk in images.split(2048)]
    return torch.cat([chunk.round().to(torch.uint8) for chunk in chunks])


def assert_disjoint(images: bool = False, **tables: Table) -> None:
    """Raise DataError if a class, or with ``images`` an image, occurs in two of the named tables: nothing that an evaluation
    asks for may be in training."""
    seen: dict[str, str] = {}
    for name, table in tables.items():
        found = table.file_names if images else (table.class_names[label] for label in table.classes.tolist())
        for each in found:
            known = seen.setdefault(each, name)
            if known != name:
                raise DataError(f"{'image' if images else 'class'} {each} is both in {known} and in {name}")
