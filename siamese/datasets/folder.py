"""Your own images: a folder with a folder of images for each class."""

from __future__ import annotations

import hashlib
import unicodedata
from collections import defaultdict
from itertools import count
from pathlib import Path

import torch

from siamese.datasets.base import DataSet, Splits, cached_table
from siamese.datasets.pictures import VERSION, Preprocessing, is_image_name, read_images
from siamese.errors import DataError, DataUnavailable, UserError
from siamese.sampling.seeds import generator
from siamese.tables import Table


class Folder(DataSet):
    """``root/<class>/<image>``, any formats that Pillow reads. All classes are one group. Images that cannot be read are
    named and left out.

    Args:
        root: the folder.
        size: images are shrunk or padded to squares of this many pixels.
        colour: three channels instead of grey.
        invert: for dark ink on light paper, so that ink is bright and what augmentation moves in is paper.
        shares: shares of the classes that teach, choose and report; at least two classes each.
        seed: of the split.
    """

    def __init__(
        self,
        root: str,
        size: int = 105,
        colour: bool = False,
        invert: bool = False,
        shares: tuple[float, float, float] = (0.6, 0.2, 0.2),
        seed: int = 0,
    ) -> None:
        if len(shares) != 3 or min(shares) < 0 or sum(shares[1:]) >= 1:
            raise UserError(f"shares must be three parts of 1 for training, choosing and reporting, not {list(shares)}")
        self.root, self.shares, self.seed = Path(root).expanduser(), shares, seed
        self.made = Preprocessing(size, size, colour, invert)

    def load(self) -> Table:
        """All images that can be read; of each other one it is printed why it is left out.

        Raises:
            DataUnavailable: there is no such folder.
            DataError: it holds no folders of images, or none of the images can be read.
        """
        if not self.root.is_dir():
            raise DataUnavailable(f"there is no folder {self.root}")
        files = sorted(path for path in self.root.glob("*/*") if path.is_file() and is_image_name(path.name))
        files = [path for path in files if is_image_name(path.parent.name)]
        if not files:
            raise DataError(self._why_nothing())
        # A file that changes changes its time or size, and with it the key of the cached table.
        state = [(str(path.resolve()), path.stat().st_mtime_ns, path.stat().st_size) for path in files]
        key = hashlib.sha256(repr((state, self.made, VERSION)).encode()).hexdigest()[:16]
        return cached_table(f"folder-{key}", lambda: self._read(files))

    def split(self, table: Table) -> Splits:
        """By class, as shares say. Raises UserError where there are not enough classes."""
        classes = table.classes[torch.randperm(len(table.classes), generator=generator(self.seed))]
        val, test = (max(2, round(share * len(classes))) for share in self.shares[1:])
        if len(classes) < val + test + 2:
            raise UserError(
                f"{table.name} has {len(classes)} {'class' if len(classes) == 1 else 'classes'}; training, choosing and "
                f"reporting need two each, here {val + test + 2} in all; a class is a folder of images"
            )
        parts = classes.split([len(classes) - val - test, val, test])
        teach, choose, report = (table.rows(torch.isin(table.labels, part)) for part in parts)
        return Splits(teach, choose, report)

    def preprocessing(self, table: Table) -> Preprocessing:
        return self.made

    def _why_nothing(self) -> str:
        names = [path for path in self.root.iterdir() if is_image_name(path.name)]
        if any(path.is_file() for path in names):
            return f"{self.root} holds files but no folders of images; put the images of each class into a folder of its own"
        if any(path.is_file() for path in self.root.glob("*/*/*")):
            return f"the images in {self.root} lie too deep; it needs one folder a class, and in that the images"
        return f"{self.root} has no images in folders, one folder a class"

    def _read(self, files: list[Path]) -> Table:
        images, kept, broken = read_images(files, self.made, report=lambda line: print(line, flush=True))
        if not kept:
            raise DataError(f"none of the {len(broken):,} files in {self.root} is a readable image")
        # One name may be written with é as one character or as two, by different systems: it is one class.
        names = [unicodedata.normalize("NFC", path.parent.name) for path in kept]
        classes = {name: label for label, name in enumerate(sorted(set(names)))}
        labels = [classes[name] for name in names]
        sources: defaultdict[int, count] = defaultdict(count)
        return Table(
            name=self.root.resolve().name,
            images=images,
            labels=torch.tensor(labels),
            groups=torch.zeros(len(kept), dtype=torch.int64),
            sources=torch.tensor([next(sources[label]) for label in labels]),
            class_names=tuple(classes),
            group_names=(self.root.resolve().name,),
            file_names=tuple(str(path.relative_to(self.root)) for path in kept),
        )
