"""One self-contained HTML page from a template: no address of another host, no script, pictures inside."""

from __future__ import annotations

import base64
import os
import tempfile
from pathlib import Path
from typing import Any

from jinja2 import ChainableUndefined, Environment, PackageLoader

from siamese.report.labels import map_interval
from siamese.report.text import interval, number, percent


def rendered(template: str, /, **values: Any) -> str:
    """The page that a template of the package makes of the values; what is missing among them is left out."""
    environment = Environment(
        loader=PackageLoader("siamese.report", ""),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=ChainableUndefined,
    )
    environment.filters |= {"percent": percent, "interval": interval, "map_interval": map_interval, "number": number}
    return environment.get_template(template).render(**values)


def encoded_pictures(folder: Path) -> dict[str, str]:
    """Every whole PNG in the folder as base64, by its name without ``.png``."""
    contents = {path.stem: path.read_bytes() for path in sorted(folder.glob("[!.]*.png"))}
    whole = {stem: data for stem, data in contents.items() if data.startswith(b"\x89PNG") and b"IEND" in data[-16:]}
    return {stem: base64.b64encode(data).decode() for stem, data in whole.items()}


def write_page(path: Path, text: str) -> Path:
    """Write the file whole or not at all."""
    handle, name = tempfile.mkstemp(prefix=f".{path.stem}-", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(name, 0o644)
        os.replace(name, path)
    finally:
        Path(name).unlink(missing_ok=True)
    return path
