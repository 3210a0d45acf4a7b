"""Your own images: a folder with a folder of images for each class."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from tqdm import tqdm

from siamese.datasets.base import DataSet, Splits, cached_table
from siamese.errors import DataError, DataUnavailable, UserError
from siamese.sampling.seeds import generator
from siamese.tables import Table


class Folder(DataSet):
    """``root/<class>/<image>``, any formats that Pillow reads. All classes are one group.

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
        self.root, self.size, self.colour, self.invert = Path(root), size, colour, invert
        self.shares, self.seed = shares, seed

    def load(self) -> Table:
        if not self.root.is_dir():
            raise DataUnavailable(f"there is no folder {self.root}")
        files = sorted(path for path in self.root.glob("*/*") if path.is_file() and not path.name.startswith("."))
        if not files:
            raise DataError(f"{self.root} has no images in folders, one folder a class")
        # A file that changes changes its time or size, and with it the key of the cached table.
        state = [(str(path.resolve()), path.stat().st_mtime_ns, path.stat().st_size) for path in files]
        settings = (state, self.size, self.colour, self.invert)
        key = hashlib.sha256(repr(settings).encode()).hexdigest()[:16]
        return cached_table(f"folder-{key}", lambda: self._read(files))

    def split(self, table: Table) -> Splits:
        classes = table.classes[torch.randperm(len(table.classes), generator=generator(self.seed))]
        val, test = (max(2, round(share * len(classes))) for share in self.shares[1:])
        if len(classes) < val + test + 2:
            raise UserError(f"{table.name} has {len(classes)} classes; training, choosing and reporting need two each")
        parts = classes.split([len(classes) - val - test, val, test])
        return Splits(*(table.rows(torch.isin(table.labels, part)) for part in parts))

    def _read(self, files: list[Path]) -> Table:
        images, kept = [], []
        for path in tqdm(files, desc=f"reading {self.root.name}", unit="image", leave=False):
            try:
                images.append(self._pixels(path))
                kept.append(path)
            except (OSError, UnidentifiedImageError, ValueError, Image.DecompressionBombError) as error:
                print(f"left out {path}: {error}")
        if not kept:
            raise DataError(f"none of the {len(files)} files in {self.root} is a readable image")
        classes = sorted({path.parent.name for path in kept})
        labels = [classes.index(path.parent.name) for path in kept]
        sources = [labels[:place].count(label) for place, label in enumerate(labels)]
        return Table(
            name=self.root.resolve().name,
            images=torch.from_numpy(np.stack(images)),
            labels=torch.tensor(labels),
            groups=torch.zeros(len(kept), dtype=torch.int64),
            sources=torch.tensor(sources),
            class_names=tuple(classes),
            group_names=(self.root.resolve().name,),
            file_names=tuple(str(path.relative_to(self.root)) for path in kept),
        )

    def _pixels(self, path: Path) -> np.ndarray:
        """``uint8 [C, size, size]``: the whole image, its longer side fitted, the rest padded with 0."""
        with Image.open(path) as image:
            image = image.convert("RGB" if self.colour else "L")
            scale = self.size / max(image.size)
            width, height = (max(1, round(side * scale)) for side in image.size)
            pixels = np.asarray(
                image.resize((width, height), Image.Resampling.BOX if scale < 1 else Image.Resampling.BILINEAR)
            )
        pixels = pixels if pixels.ndim == 3 else pixels[..., None]
        pixels = 255 - pixels if self.invert else pixels
        canvas = np.zeros((self.size, self.size, pixels.shape[2]), dtype=np.uint8)
        top, left = (self.size - height) // 2, (self.size - width) // 2
        canvas[top : top + height, left : left + width] = pixels
        return canvas.transpose(2, 0, 1)
