"""The AT&T (ORL) faces: 40 people, ten photographs of each, 92x112 grey.

Samaria, Harter (1994), Parameterisation of a stochastic model for human face identification.
"""

from __future__ import annotations

import dataclasses
import io
import re
import zipfile
import zlib

import numpy as np
import torch
from PIL import Image

from siamese.datasets.base import DataSet, Splits
from siamese.datasets.cartoons import Cartoons
from siamese.datasets.people import split_by_people
from siamese.datasets.registry import fetch, published_table
from siamese.errors import DataError
from siamese.tables import Table

PEOPLE, SHOTS = 40, 10
HEIGHT, WIDTH = 112, 92


class AttFaces(DataSet):
    """The AT&T faces, split by people.

    Args:
        val: people who choose; 0 where nothing is to be chosen.
        test: people who report; the rest teach. 5 and 10 are the usual protocols, 35/5 and 30/10.
        split_seed: shuffles the people. The error rate of one split says little: it differs by several points from the next.
        leaking: no split at all: everybody teaches and reports, as where pairs are split at random. All figures are labelled.
    """

    def __init__(self, val: int = 5, test: int = 10, split_seed: int = 0, leaking: bool = False) -> None:
        self.val, self.test, self.split_seed, self.leaking = val, test, split_seed, leaking

    def load(self) -> Table:
        """All 400 images as ``uint8 [400, 1, 112, 92]``, person by person; the sources are the ten shots."""
        return published_table("att_faces", _decode)

    def split(self, table: Table) -> Splits:
        if self.leaking:
            everybody = dataclasses.replace(table, name=f"{table.name} (leaking: test people taught)")
            return Splits(everybody, everybody, everybody, leaking=True)
        return split_by_people(table, self.val, self.test, self.split_seed)

    def stand_in(self) -> DataSet:
        return Cartoons(val=self.val, test=self.test, split_seed=self.split_seed)


def _decode() -> Table:
    """The table from the published zip, whose images are ``s<person>/<shot>.pgm``."""
    path = fetch("att_faces", "att_faces.zip")
    found: dict[tuple[int, int], np.ndarray] = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                if (match := re.search(r"(?:^|/)s(\d+)/(\d+)\.pgm$", name)) and not name.startswith("__MACOSX"):
                    with Image.open(io.BytesIO(archive.read(name))) as image:
                        found[int(match[1]), int(match[2])] = np.asarray(image.convert("L"))
    except (OSError, EOFError, SyntaxError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(
            f"{path} is not the whole zip of the AT&T faces ({error}); delete it and fetch it again"
        ) from error
    wanted = [(person, shot) for person in range(1, PEOPLE + 1) for shot in range(1, SHOTS + 1)]
    if sorted(found) != wanted or any(pixels.shape != (HEIGHT, WIDTH) for pixels in found.values()):
        raise DataError(
            f"{path} holds {len(found)} images, not ten of {WIDTH}x{HEIGHT} of each of 40 people; delete it and fetch it again"
        )
    return Table(
        name="att-faces",
        images=torch.from_numpy(np.stack([found[key] for key in wanted])[:, None]),
        labels=torch.arange(PEOPLE).repeat_interleave(SHOTS),
        groups=torch.zeros(len(wanted), dtype=torch.int64),
        sources=torch.arange(SHOTS).repeat(PEOPLE),
        class_names=tuple(f"s{person}" for person in range(1, PEOPLE + 1)),
        group_names=("att-faces",),
        file_names=tuple(f"s{person}/{shot}.pgm" for person, shot in wanted),
    )
