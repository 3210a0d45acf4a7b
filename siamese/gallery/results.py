"""What a gallery answers, for programs as values and for people as aligned text."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from siamese.datasets.decoding import BadImage


@dataclass(frozen=True)
class Enrolled:
    """What an enrolment did.

    Attributes:
        added: images that were not in the gallery.
        known: images that were, under the same name, whatever their file was called.
        broken: what is wrong with the others.
    """

    added: int
    known: int
    broken: list[BadImage]


@dataclass(frozen=True)
class Match:
    """A name in the gallery, and the enrolled image of that name that is the nearest to a probe.

    Attributes:
        name: whose image it is.
        score: the similarity to the probe; higher is more alike.
        probability: the calibrated one that both show the same; None where the model has no calibration.
        file: the enrolled image, below the folder it was enrolled from.
        thumbnail: it as a small JPEG; empty where none was kept.
    """

    name: str
    score: float
    probability: float | None
    file: str
    thumbnail: bytes = field(default=b"", repr=False)


@dataclass(frozen=True)
class Probe:
    """An image that was looked for.

    Attributes:
        file: the image.
        known: whether the best score is at least the threshold.
        matches: the nearest names, the best first.
    """

    file: Path
    known: bool
    matches: list[Match]


class Probes(list[Probe]):
    """The probes that could be read, in order, as a list; printed as a table.

    Attributes:
        broken: what is wrong with the others.
        threshold, threshold_from: what the best scores were compared with, and where it comes from, in words.
    """

    def __init__(self, probes: Sequence[Probe], broken: Sequence[BadImage], threshold: float, source: str) -> None:
        super().__init__(probes)
        self.broken, self.threshold, self.threshold_from = list(broken), threshold, source

    def __str__(self) -> str:
        rows = [("probe", "", "name", "score", "probability", "nearest image")]
        for probe in self:
            for rank, match in enumerate(probe.matches):
                which = ("", "") if rank else (str(probe.file), "known" if probe.known else "unknown")
                chance = "" if match.probability is None else f"{match.probability:.3f}"
                rows.append((*which, match.name, f"{match.score:.4f}", chance, match.file))
        return f"{aligned(rows)}\nknown from a score of {self.threshold:.4f}: {self.threshold_from}"


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Rows of as many cells each as text in columns, whatever alphabet the cells are written in."""
    cells = [[printable(cell) for cell in row] for row in rows]
    widths = [max(map(_width, column)) for column in zip(*cells, strict=True)]
    lines = ("  ".join(c + " " * (w - _width(c)) for c, w in zip(row, widths, strict=True)) for row in cells)
    return "\n".join(line.rstrip() for line in lines)


def printable(text: str) -> str:
    """The text without what would break its line, move the cursor or cannot be written: file names may hold anything."""
    return "".join(
        c if unicodedata.category(c) not in ("Cc", "Cs", "Zl", "Zp") else "\N{REPLACEMENT CHARACTER}" for c in text
    )


def _width(text: str) -> int:
    """Columns that a terminal takes for it: two for a wide character, none for an accent of its own."""
    zero = ("Mn", "Me", "Cf")
    return sum(0 if unicodedata.category(c) in zero else 1 + (unicodedata.east_asian_width(c) in "WF") for c in text)
