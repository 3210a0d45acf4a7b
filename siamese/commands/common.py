"""What the commands for one's own images share: how they speak to people and to programs, and small pictures of files."""

from __future__ import annotations

import io
import json
import sys
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from siamese.gallery.results import printable

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure

    from siamese.datasets.decoding import BadImage

SCHEMA = 1  # of the JSON, raised whenever a field goes or changes its meaning


def write_any_letter() -> None:
    """Let standard output escape the letters of a name that the terminal does not know."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def name_broken(broken: Iterable[BadImage]) -> None:
    """Say on standard error which images were left out, and why."""
    for error in broken:
        print(f"left out {printable(str(error))}", file=sys.stderr)


def broken_entries(broken: Iterable[BadImage]) -> list[dict[str, str]]:
    """The same for the JSON."""
    return [{"file": error.where, "reason": error.reason} for error in broken]


def write_json(command: str, **fields: Any) -> None:
    """Write the one JSON object of a command to standard output."""
    # Escaped to ASCII, which any terminal, file and file name that is no UTF-8 can be written in.
    print(json.dumps({"schema": SCHEMA, "command": command} | fields, allow_nan=False))


def thumbnails(files: Sequence[Path], side: int) -> list[np.ndarray]:
    """Images ``uint8 [H, W, 3]`` of at most ``side`` pixels each way, for a picture. Raises BadImage."""
    import numpy as np

    from siamese.datasets.decoding import decode, quiet

    found = []
    for file in files:
        with quiet():
            image = decode(file, "RGB", 2 * side)
        image.thumbnail((side, side))
        found.append(np.asarray(image))
    return found


def save_sheet(figure: Figure, to: Path) -> None:
    """Write a picture with names of any letters: in those that the font lacks they are drawn as boxes."""
    from siamese.plots.style import save

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")
        save(figure, to)
