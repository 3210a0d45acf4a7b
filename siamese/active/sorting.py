"""From a folder of labelled images to a classifier, and by it from a pool of images to folders."""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from siamese.active.classifiers import fitted
from siamese.active.manifest import NAME, Manifest, Row
from siamese.active.placing import How, Places, put
from siamese.active.strategies import UNCERTAINTY, certainty, plain_margin
from siamese.datasets.decoding import BadImage
from siamese.datasets.pictures import image_files
from siamese.errors import UserError
from siamese.gallery.images import content_hash
from siamese.model import Model

UNCERTAIN = "uncertain"
BATCH = 256  # images embedded, then placed: the work that a killed process loses at most
SEED = 0  # of the forests


@dataclass(frozen=True)
class Taught:
    """A classifier that has learned the labelled images.

    Attributes:
        classifier: of scikit-learn's kind; its classes are places in ``names``.
        names: of the classes, sorted.
        digest: SHA-256 (hex) of the labels and the images' content.
        broken: labelled images left out.
    """

    classifier: Any
    names: list[str]
    digest: str
    broken: list[BadImage]


def teach(model: Model, labeled: Path, name: str) -> Taught:
    """A classifier taught by the folder ``labeled``, which holds one folder a class.

    Args:
        model: what embeds.
        labeled: the folder.
        name: of the classifier, as in ``siamese.active.CLASSIFIERS``.

    Raises:
        UserError: there are not two classes, one has no image that can be read, or a name that means something else.
    """
    class_of, strays = {}, []
    for path in image_files(labeled):
        if path.parent == labeled:
            strays.append(BadImage(str(path), "lies in no class's folder"))
        else:  # é may be written as one character or as two, by different systems: it is one class
            class_of[path] = unicodedata.normalize("NFC", path.relative_to(labeled).parts[0])
    if not class_of:
        raise UserError(f"{labeled} has no images in folders; it needs one folder a class")
    for each in sorted(set(class_of.values())):
        if each.casefold() in (UNCERTAIN, NAME):
            raise UserError(
                f"a class cannot be called {each!r}: that is where doubtful images or the manifest go; rename {labeled / each}"
            )
    embeddings, kept, wrong = model.embed_files(list(class_of))
    names = sorted({class_of[path] for path in kept})
    if missing := sorted(set(class_of.values()) - set(names)):
        raise UserError(f"no image of {', '.join(missing)} in {labeled} can be read ({wrong[0]})")
    if len(names) < 2:
        raise UserError(f"{labeled} has one class, {names[0]}; to tell apart takes two, a folder each")
    # In the order of the content: what a file is called teaches nothing.
    content = [(class_of[path], content_hash(path).hex()) for path in kept]
    order = sorted(range(len(kept)), key=lambda row: content[row])
    labels = np.array([names.index(content[row][0]) for row in order])
    learned = fitted(name, SEED, embeddings.numpy()[order], labels)
    digest = hashlib.sha256(json.dumps([content[row] for row in order]).encode()).hexdigest()
    return Taught(learned, names, digest, strays + wrong)


@dataclass
class Sorting:
    """Images of a pool on their way into ``out/<class>`` and ``out/uncertain``.

    Attributes:
        model, taught: what embeds and what decides.
        strategy, below: an image whose certainty is less is uncertain; see ``siamese.active.certainty``.
        manifest: that of ``out``, opened.
        settings: all of the above in a line.
        placed, known: images placed now, and those that were decided on in an earlier call.
        broken: what is wrong with those left out.
    """

    model: Model
    taught: Taught
    strategy: str
    below: float
    manifest: Manifest
    settings: str
    placed: int = 0
    known: int = 0
    broken: list[BadImage] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Raises UserError where the manifest is one of other settings."""
        self._out = self.manifest.path.parent
        self._where = {(row.file, row.sha256): row.placed for row in self.manifest.rows}
        self._free = Places(self._out, self._where.values())
        if other := next((row.sorted_by for row in self.manifest.rows if row.sorted_by != self.settings), None):
            raise UserError(
                f"{self._out} was sorted by {other}; now it would be by {self.settings}; choose another --out"
            )

    def run(self, pool: Path, files: Sequence[Path], how: How) -> None:
        """Sort ``files``, which lie in the folder ``pool``; an image is known by its name below it and its content.

        Raises OSError where one cannot be placed; the same call again then goes on.
        """
        # The bar is hidden where no terminal shows it.
        with tqdm(desc="sorting", total=len(files), unit="image", leave=False, disable=None) as bar:
            for start in range(0, len(files), BATCH):
                some = files[start : start + BATCH]
                keys = self._keys(pool, some, how)
                fresh = [path for path, key in keys.items() if key not in self._where]
                self.known += len(keys) - len(fresh)
                self._decide(fresh, keys)
                for path, key in keys.items():
                    if key in self._where:  # earlier ones as well, which may have been stopped on the way
                        put(path, self._out, self._where[key], how)
                bar.update(len(some))

    def _keys(self, pool: Path, files: Sequence[Path], how: How) -> dict[Path, tuple[str, str]]:
        """Name below the pool and content of each file that can be read."""
        keys = {}
        for path in files:
            try:
                if how == "move" and path.is_symlink():  # what it points to may be in the pool itself
                    raise BadImage(str(path), "is a link, which is not moved")
                keys[path] = path.relative_to(pool).as_posix(), content_hash(path).hex()
            except BadImage as error:
                self.broken.append(error)
        return keys

    def _decide(self, files: Sequence[Path], keys: dict[Path, tuple[str, str]]) -> None:
        """Add a row for each image that can be read to the manifest."""
        embeddings, kept, wrong = self.model.embed_files(files)
        self.broken += wrong
        if not kept:
            return
        p = self.taught.classifier.predict_proba(embeddings.numpy())
        doubtful = certainty(self.strategy, p) < self.below
        numbers = {name.replace("-", "_"): uncertainty(p) for name, uncertainty in UNCERTAINTY.items()}
        numbers |= {"probability": p.max(1), "plain_margin": plain_margin(p)}
        rows = []
        for place, path in enumerate(kept):
            (file, sha256), predicted = keys[path], self.taught.names[int(p[place].argmax())]
            placed = self._free.take(UNCERTAIN if doubtful[place] else predicted, path.name)
            cells = {name: f"{values[place]:.6f}" for name, values in numbers.items()}
            rows.append(
                Row(file=file, sha256=sha256, predicted=predicted, placed=placed, sorted_by=self.settings, **cells)
            )
        self.manifest.add(rows)
        self._where.update({(row.file, row.sha256): row.placed for row in rows})
        self.placed += len(rows)
