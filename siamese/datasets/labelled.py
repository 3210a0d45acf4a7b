"""A folder of images and a CSV that says which of several labels each of them carries."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from iterstrat.ml_stratifiers import IterativeStratification

from siamese.datasets.base import DataSet, Splits, cached_table, data_folder
from siamese.datasets.csv_labels import match_files, read_labels
from siamese.datasets.pictures import VERSION, BadImage, Fit, Preprocessing, each_picture, image_files
from siamese.errors import DataError, DataUnavailable, UserError
from siamese.tables import Table

RARE = 10  # images, below which the count of a label is printed


class LabelledImages(DataSet):
    """Images with several labels each. The splits are closed, and each has its share of every label.

    The rows are split by iterative stratification (Sechidis, Tsoumakas, Vlahavas (2011), On the stratification of multi-label
    data) over all labels of the CSV: the split is the same whichever labels are left out. ``sources`` is 0 for images that
    teach, 1 for those that choose, 2 for those that report; an image without any label is kept.

    What is left out is counted in what is printed when the table is made, and named, with the reason, in a log file beside
    it in the cache. Making the table needs memory for 64 images at their size in the table, for a few whole ones (as many
    as there are threads, 8 at most), and for the CSV: pixels go to the disk one image after the other, which for a moment
    needs room for them twice. The table itself is memory-mapped, as are its splits, so it may be larger than memory.

    Args:
        csv: the labels; ``siamese.datasets.csv_labels.read_labels`` says what it may look like.
        images: the folder; folders in it are searched too, and their names are part of the ids.
        height, width: of the images in the table, in pixels.
        colour: three channels instead of grey.
        fit: ``stretch`` gives an image this height and width, ``pad`` keeps its shape and fills the rest with 0.
        least: labels with fewer images are left out.
        leave_out: labels that are left out, by name.
        shares: shares of the images that teach, choose and report.
        seed: of the split, 0 or more.
    """

    def __init__(
        self,
        csv: str,
        images: str,
        height: int,
        width: int,
        colour: bool = True,
        fit: Fit = "stretch",
        least: int = 0,
        leave_out: Sequence[str] = (),
        shares: tuple[float, float, float] = (0.7, 0.15, 0.15),
        seed: int = 0,
    ) -> None:
        if len(shares) != 3 or min(shares) <= 0 or abs(sum(shares) - 1) > 1e-6:
            raise UserError(f"shares must be three parts of 1 for training, choosing and reporting, not {list(shares)}")
        if min(least, seed) < 0:
            raise UserError(f"least and seed must be 0 or more, not {least} and {seed}")
        self.csv, self.images = Path(csv).expanduser(), Path(images).expanduser()
        self.least, self.leave_out, self.shares, self.seed = least, tuple(leave_out), tuple(shares), seed
        self.made = Preprocessing(height, width, colour, fit=fit)

    def load(self) -> Table:
        """All images that can be read and have a row, those that teach first.

        Raises:
            DataUnavailable: there is no such CSV or folder.
            DataError: the CSV is none of labels, or nothing is left of the images or of the labels.
            UserError: ``leave_out`` names a label that the CSV does not have, or the disk is full.
        """
        name, csv, folder = self.where()
        if not csv.is_file():
            raise DataUnavailable(f"there is no file {csv}")
        if not folder.is_dir():
            raise DataUnavailable(f"there is no folder {folder}")
        files = [path for path in image_files(folder) if not (path.name == csv.name and path.samefile(csv))]
        state = [(str(path.relative_to(folder)), path.stat().st_mtime_ns, path.stat().st_size) for path in files]
        settings = (name, str(folder.resolve()), self.made, VERSION, self.shares, self.seed, self.least, self.leave_out)
        content = hashlib.sha256(csv.read_bytes()).hexdigest()
        key = f"labelled-{hashlib.sha256(repr((content, state, settings)).encode()).hexdigest()[:16]}"
        return cached_table(key, lambda: self._make(name, csv, folder, files, data_folder() / "cache" / f"{key}.log"))

    def split(self, table: Table) -> Splits:
        """The three parts; of a memory-mapped table they are views. Raises UserError where one has no image."""
        train, val, test = (table.rows(table.sources == part) for part in range(3))
        if not min(len(train), len(val), len(test)):
            raise UserError(
                f"of the {len(table)} images of {table.name}, {len(train)} teach, {len(val)} choose and {len(test)} report; "
                "each needs one"
            )
        return Splits(train, val, test, closed=True)

    def preprocessing(self, table: Table) -> Preprocessing:
        return self.made

    def where(self) -> tuple[str, Path, Path]:
        """The table's name, that of the folder the CSV is in; the CSV; the folder of images."""
        return self.csv.resolve().parent.name, self.csv, self.images

    def _make(self, name: str, csv: Path, folder: Path, files: list[Path], log: Path) -> Table:
        rows = read_labels(csv)
        if unknown := [label for label in self.leave_out if label not in rows.names]:
            raise UserError(
                f"{csv} has no label {', '.join(map(repr, unknown))} to leave out; it has {', '.join(rows.names)}"
            )
        found = match_files(rows, [path.relative_to(folder).as_posix() for path in files])
        if not found.files:
            raise DataError(
                f"no row of {csv} is of a file in {folder}; ids are names of files, with or without the ending"
            )
        parts = self._parts(found.targets)
        order = np.argsort(parts, kind="stable")
        pixels, kept, broken = self._read([folder / found.files[place] for place in order], log.parent)
        if not kept:
            raise DataError(f"none of the {len(order):,} files in {folder} that have a row is a readable image")
        order = order[kept]
        targets = found.targets[order]
        remarks = found.remarks | ({"unreadable images": [str(error) for error in broken]} if broken else {})
        counts = targets.sum(axis=0).tolist()
        about = f"{name}: {len(order):,} images of {csv}"
        labels = self._report(about, rows.names, counts, remarks, log)
        if not labels:
            raise DataError(f"no label of {csv} is left; the one with most images has {max(counts)}")
        zeros = torch.zeros(len(order), dtype=torch.int64)
        return Table(
            name=name,
            images=pixels,
            labels=zeros,
            groups=zeros.clone(),
            sources=torch.from_numpy(parts[order]),
            class_names=tuple(rows.names[label] for label in labels),
            group_names=(name,),
            file_names=tuple(found.files[place] for place in order),
            targets=torch.from_numpy(targets[:, labels]),
        )

    def _parts(self, targets: np.ndarray) -> np.ndarray:
        """``int64 [N]``, 0, 1 or 2, for images with the labels ``bool [N, L]``."""
        # Of NumPy's generators the only one whose numbers will never change, and with them the split.
        random = np.random.RandomState(self.seed)
        shuffled = random.permutation(len(targets))
        parts = np.empty(len(targets), dtype=np.int64)
        parts[shuffled] = IterativeStratification(targets[shuffled], np.array(self.shares), random)
        return parts

    def _read(self, paths: list[Path], folder: Path) -> tuple[torch.Tensor, list[int], list[BadImage]]:
        """Pixels ``uint8 [N, C, H, W]`` in a file without a name in ``folder``, which goes when they do; the places of the
        images that can be read; what is wrong with the others."""
        kept, broken = [], []
        with _written_to(folder), tempfile.TemporaryFile(dir=folder) as file:
            for place, result in enumerate(each_picture(paths, self.made)):
                if isinstance(result, BadImage):
                    broken.append(result)
                else:
                    file.write(result.data)
                    kept.append(place)
            file.flush()
            shape = (len(kept), self.made.channels, self.made.height, self.made.width)
            pixels = np.memmap(file, np.uint8, "r+", shape=shape) if kept else np.empty(shape, np.uint8)
        return torch.from_numpy(pixels), kept, broken

    def _report(
        self, about: str, names: tuple[str, ...], counts: list[int], remarks: dict[str, list[str]], log: Path
    ) -> list[int]:
        """Print counts, write the log file, and return which labels are kept."""
        kept, rare, lines = [], [], []
        for label, (name, count) in enumerate(zip(names, counts, strict=True)):
            out = name in self.leave_out or count < self.least
            why = "by name" if name in self.leave_out else f"it has less than {self.least} images"
            lines.append(f"label {name}: {count:,} images" + (f", left out, {why}" if out else ""))
            if out or count < RARE:
                rare.append(f"{name} {count:,}" + (" (left out)" if out else ""))
            if not out:
                kept.append(label)
        summary = [about, *(f"{kind}: {len(each):,}" for kind, each in remarks.items())]
        lines += [line for each in remarks.values() for line in each]
        with _written_to(log.parent):
            log.write_text("\n".join([*summary, *lines, ""]), encoding="utf-8", errors="backslashreplace")
        summary += [f"rare labels: {', '.join(rare)}"] if rare else []
        print("\n".join([*summary, f"details: {log}"]), flush=True)
        return kept


@contextmanager
def _written_to(folder: Path) -> Iterator[None]:
    """The folder is there; that it or the disk takes no more is an error that a user can mend."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise UserError(
            f"the images cannot be kept in {folder} ({error.strerror}); SIAMESE_DATA names another folder for data"
        ) from error
