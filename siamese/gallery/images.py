"""Image files on their way into a gallery: whose they are, what identifies their content, and how small they are kept."""

from __future__ import annotations

import hashlib
import io
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from siamese.datasets.decoding import BadImage, decode, quiet
from siamese.datasets.pictures import image_files
from siamese.errors import UserError
from siamese.gallery.entries import Entries

if TYPE_CHECKING:
    from siamese.model import Model

THUMBNAIL = 64  # pixels of the longer side


@dataclass(frozen=True)
class Named:
    """A file to be enrolled: where it is, whose it is, and how the gallery calls it."""

    path: Path
    name: str
    file: str


def as_paths(images: str | Path | Sequence[str | Path]) -> list[Path]:
    """One path or several."""
    return [Path(images)] if isinstance(images, str | Path) else [Path(each) for each in images]


def named_files(paths: Sequence[Path], name: str | None) -> tuple[list[Named], list[BadImage]]:
    """The files to enroll, and those that lie in no one's folder.

    Args:
        paths: without a name, folders that hold one folder a person; with a name, images or folders of them.
        name: whom they all show.

    Raises:
        UserError: there is no image, nobody's name can be told, or a path does not exist.
    """
    if name is not None and not (name := unicodedata.normalize("NFC", name.strip())):
        raise UserError("a name needs at least one letter")
    found: list[Named] = []
    strays: list[BadImage] = []
    for path in paths:
        if name is None and path.is_file():
            raise UserError(f"whom does {path} show? Give a name (--name), or a folder that holds one folder a person")
        for file in image_files(path):
            inside = Path(file.name) if path.is_file() else file.relative_to(path)
            # A Mac spells é as two characters, others as one; the person is the same.
            whose = unicodedata.normalize("NFC", inside.parts[0]) if name is None else name
            if name is None and len(inside.parts) == 1:
                strays.append(BadImage(str(file), "lies in no person's folder"))
            else:
                found.append(Named(file, whose, inside.as_posix()))
    if strays and not found:
        raise UserError(
            f"{strays[0].where} lies in no person's folder; give a name (--name), or a folder that holds one folder a person"
        )
    if not found:
        raise UserError(f"there is no image in {', '.join(map(str, paths)) or 'nothing'}")
    return found, strays


def content_hash(path: Path) -> bytes:
    """SHA-256 of the file's bytes. Raises BadImage where it cannot be read."""
    if not path.is_file():  # a pipe would be waited for
        raise BadImage(str(path), "is not a file")
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(2**20):
                digest.update(block)
    except OSError as error:
        raise BadImage(str(path), f"cannot be read ({error.strerror})") from error
    return digest.digest()


def thumbnail(path: Path) -> bytes:
    """The image as a JPEG of at most 64 x 64 pixels, about 2 kB; nothing where it cannot be read (any more)."""
    try:
        with quiet():
            small = decode(path, "RGB", 2 * THUMBNAIL)
    except BadImage:
        return b""
    small.thumbnail((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX)
    held = io.BytesIO()
    small.save(held, "JPEG", quality=85)
    return held.getvalue()


def embedded(
    model: Model, files: Sequence[Named], keys: set[tuple[bytes, str]], thumbnails: bool
) -> tuple[Entries, int, list[BadImage]]:
    """Entries of the files whose content and name are not among ``keys``, how many are, and what is wrong with others."""
    known, broken, fresh = 0, [], []
    for each in files:
        try:
            key = content_hash(each.path)
        except BadImage as error:
            broken.append(error)
            continue
        if (key, each.name) in keys:
            known += 1
        else:
            fresh.append((each, key))
    embeddings, kept, wrong = model.embed_files([each.path for each, _ in fresh])
    readable = set(kept)
    rows = [(each, key) for each, key in fresh if each.path in readable]
    entries = Entries(
        [each.name for each, _ in rows],
        [each.file for each, _ in rows],
        np.frombuffer(b"".join(key for _, key in rows), np.uint8).reshape(-1, 32),
        embeddings.numpy().astype(np.float32, copy=False),
        [thumbnail(each.path) if thumbnails else b"" for each, _ in rows],
    )
    return entries, known, broken + wrong
