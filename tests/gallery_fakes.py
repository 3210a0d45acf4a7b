"""A model of colours, and people of one colour each, for tests of the gallery that need no network."""

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from PIL import Image

from siamese.datasets.decoding import BadImage, decode
from siamese.gallery import Gallery
from siamese.similarity import Euclidean


class FakeModel:
    """Embeds an image as its mean colour in [0, 1]: D = 3. Counts what it embeds."""

    dataset, embedding_size = "colours", 3

    def __init__(self, fingerprint: str = "f" * 64, threshold: float | None = -0.1) -> None:
        self.fingerprint, self.similarity, self.embedded = fingerprint, Euclidean(), 0
        self.operating_point = threshold and SimpleNamespace(threshold=threshold, source="chosen on colours")

    def embed_files(self, paths: Sequence[Path]) -> tuple[torch.Tensor, list[Path], list[BadImage]]:
        rows, kept, broken = [], [], []
        for path in map(Path, paths):
            try:
                rows.append(np.asarray(decode(path, "RGB", 64)).mean(axis=(0, 1)) / 255)
                kept.append(path)
            except BadImage as error:
                broken.append(error)
        self.embedded += len(kept)
        return torch.tensor(np.array(rows).reshape(-1, 3), dtype=torch.float32), kept, broken

    def probability(self, scores: torch.Tensor) -> torch.Tensor | None:
        return scores.double().exp() if self.operating_point else None


def paint(path: Path, *colour: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (80, 40), colour).save(path)
    return path


def paint_people(folder: Path) -> Path:
    """Two images of Anna, reddish, two of Žofie, greenish, one of 王 芳, blue; and one that is no image."""
    for name, colours in {
        "anna": [(200, 0, 0), (220, 10, 0)],
        "Žofie Nováková": [(0, 200, 0), (0, 220, 0)],
        "王 芳": [(0, 0, 200)],
    }.items():
        for number, colour in enumerate(colours):
            paint(folder / name / f"no {number}.png", *colour)
    (folder / "anna" / "notes.txt").write_text("no image")
    return folder


def rows(gallery: Gallery) -> set[tuple[str, str]]:
    """Name and file of each entry."""
    entries = gallery.content.entries
    return set(zip(entries.names, entries.files, strict=True))
