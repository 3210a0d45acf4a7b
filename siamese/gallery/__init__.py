"""A gallery of enrolled images in one file, and who of them an image shows.

from siamese import Gallery, Model
model = Model.load("runs/att-faces/latest/checkpoints/best.ckpt")
gallery = Gallery("people.gallery", model)
gallery.enroll("people/")  # people/anna/*.jpg, people/boris/*.jpg: the folder is the name
print(gallery.identify("photo.jpg", top=5))
"""

from __future__ import annotations

import difflib
import time
import unicodedata
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from siamese.errors import UserError
from siamese.gallery.entries import Content, Entries, Header
from siamese.gallery.file import change, read
from siamese.gallery.results import Enrolled, Match, Probe, Probes

if (
    TYPE_CHECKING
):  # listing and removing take no model; torch, which takes a second to load, is imported where it is used
    from torch import Tensor

    from siamese.datasets.decoding import BadImage
    from siamese.gallery.search import Searcher
    from siamese.model import Model

BATCH = 64  # images embedded between two looks at the clock
SAVE_EVERY = 15.0  # seconds of work that a killed enrolment loses at most, unless saving takes more than a tenth of it


class Gallery:
    """Names, file names and embeddings of enrolled images in one file, for one model.

    The file is replaced whole or not at all, and several processes may enroll into it at once. It needs none of the images.

    Args:
        path: the file; made by the first enrolment.
        model: what embeds; without it a gallery can be read and entries removed, no more.
        index: how to search, as in :class:`siamese.gallery.search.Searcher`.

    Raises:
        UserError: the gallery was made with another model.
        DataError: the file is no gallery, or a damaged one.
    """

    def __init__(self, path: str | Path, model: Model | None = None, index: str = "auto") -> None:
        self.path, self.index, self._model = Path(path), index, model
        self._seen: tuple[object, Content] | None = None
        self._ready: tuple[Content, Searcher] | None = None
        if model is not None and self.path.exists():
            self._same_model(self.content)

    @property
    def model(self) -> Model:
        """Raises UserError where none was given."""
        if self._model is None:
            raise UserError("enrolling and identifying take a model: Gallery(path, model)")
        return self._model

    @property
    def content(self) -> Content:
        """What the file holds now. Raises UserError where there is none, DataError where it is damaged."""
        # Every change is another file put in its place.
        stat = self.path.stat() if self.path.exists() else None
        state = stat and (stat.st_ino, stat.st_mtime_ns, stat.st_size)
        if self._seen is None or state is None or self._seen[0] != state:
            self._seen = (state, read(self.path))
        return self._seen[1]

    def __len__(self) -> int:
        return len(self.content.entries) if self.path.exists() else 0

    def enroll(
        self,
        images: str | Path | Sequence[str | Path],
        name: str | None = None,
        thumbnails: bool = True,
        every: float = SAVE_EVERY,
        report: Callable[[int, int], object] | None = None,
    ) -> Enrolled:
        """Add the images that are not there yet, known by their content and name; the work is saved in portions.

        Args:
            images: a folder that holds one folder a person, whose name is the person's; with a ``name``, images or folders
                of images.
            name: whom they all show.
            thumbnails: keep a small picture of each, for contact sheets.
            every: seconds of work after which it is saved.
            report: is told how many images are done, and of how many.

        Raises:
            UserError: nothing is there, nobody's name can be told, or the gallery is another model's.
            OSError: the gallery cannot be written; it is then as it was last saved.
        """
        from siamese.gallery.images import as_paths, embedded, named_files

        (files, broken), size = named_files(as_paths(images), name), self.model.embedding_size
        # What cannot be is told before the work, not after it.
        change(self.path, lambda old: old and self._same_model(old))
        keys = set(self.content.entries.keys) if self.path.exists() else set()
        pending, added, known, pause, began = Entries.none(size), 0, 0, every, time.monotonic()
        try:
            for start in range(0, len(files), BATCH):
                fresh, there, wrong = embedded(self.model, files[start : start + BATCH], keys, thumbnails)
                before, pending = len(pending), pending.with_new(fresh)
                known, broken = known + there + len(fresh) - (len(pending) - before), broken + wrong
                keys.update(fresh.keys)
                if report:
                    report(min(start + BATCH, len(files)), len(files))
                if time.monotonic() - began >= pause or start + BATCH >= len(files):
                    began = time.monotonic()
                    new = self._save(pending)
                    added, known, pending = added + new, known + len(pending) - new, Entries.none(size)
                    pause, began = max(every, 10 * (time.monotonic() - began) * (every > 0)), time.monotonic()
        except KeyboardInterrupt:
            self._save(pending)
            raise
        return Enrolled(added, known, broken)

    def identify(
        self, images: str | Path | Sequence[str | Path], top: int = 5, threshold: float | None = None
    ) -> Probes:
        """Whom each image shows: the ``top`` nearest names, and whether the nearest is near enough.

        Args:
            images: an image, a folder of images, or several of them.
            top: how many names of each; a name is as near as its nearest image.
            threshold: the least score to be known at; None for the model's operating point. That one is chosen for single
                pairs: in a gallery of n entries, up to n times as many strangers are taken for somebody.

        Raises:
            UserError: there is no gallery, no entry or no image, or no threshold; the gallery is another model's.
        """
        from siamese.datasets.pictures import image_files
        from siamese.gallery.images import as_paths

        content, model = self._same_model(self.content), self.model
        if top < 1:
            raise UserError(f"at least the nearest name is told, not the nearest {top}")
        if not len(content.entries):
            raise UserError(f"{self.path} is empty; enroll somebody first")
        source = "given with the question"
        if threshold is None:
            if (point := model.operating_point) is None:
                raise UserError("the model holds no threshold chosen on validation classes; give one (--threshold)")
            threshold, source = point.threshold, point.source
        files = [file for path in as_paths(images) for file in image_files(path)]
        if not files:
            raise UserError("there is no image to identify")
        probes: list[Probe] = []
        broken: list[BadImage] = []
        for start in range(0, len(files), BATCH * 4):
            embeddings, kept, wrong = model.embed_files(files[start : start + BATCH * 4])
            broken += wrong
            for file, matches in zip(kept, self._matches(embeddings, content, top), strict=True):
                probes.append(Probe(file, matches[0].score >= threshold, matches))
        return Probes(probes, broken, threshold, source)

    def remove(self, name: str | None = None, file: str | None = None) -> int:
        """Remove all entries of a name, of a file as the gallery calls it, or of both; how many they were.

        Raises UserError where there are none, or neither is given.
        """

        if name is None and file is None:
            raise UserError("what is to be removed? Give a name (--name) or a file (--file)")
        name, removed = name and unicodedata.normalize("NFC", name), 0

        def without(old: Content | None) -> Content:
            nonlocal removed
            content = old or read(self.path)  # which says that there is none
            entries = content.entries
            wanted = [
                name in (None, n) and file in (None, f) for n, f in zip(entries.names, entries.files, strict=True)
            ]
            removed = sum(wanted)
            if not removed:
                raise UserError(self._nothing_of(entries, name, file))
            return Content(content.header, entries.at(row for row, gone in enumerate(wanted) if not gone))

        change(self.path, without)
        return removed

    def _nothing_of(self, entries: Entries, name: str | None, file: str | None) -> str:
        asked = " and ".join(repr(each) for each in (name, file) if each is not None)
        near = difflib.get_close_matches(name or file or "", {*(entries.names if name else entries.files)}, 1)
        return f"{self.path} has no entry {asked}" + (f"; did you mean {near[0]!r}?" if near else "")

    def _same_model(self, content: Content) -> Content:
        theirs, model = content.header, self._model
        if model is not None and theirs.fingerprint != model.fingerprint:
            raise UserError(
                f"{self.path} was made with another model ({theirs.fingerprint[:12]}, trained on {theirs.dataset}) than this "
                f"one ({model.fingerprint[:12]}, trained on {model.dataset}); use that model, or enroll into a new gallery"
            )
        return content

    def _save(self, new: Entries) -> int:
        """Add the entries to whatever the file holds by now; how many were not there yet."""
        added = 0

        def merged(old: Content | None) -> Content | None:
            nonlocal added
            kind = type(self.model.similarity).__name__
            header = Header(self.model.fingerprint, self.model.dataset, kind, self.model.embedding_size)
            before = self._same_model(old) if old else Content(header, Entries.none(self.model.embedding_size))
            after = before.entries.with_new(new)
            added = len(after) - len(before.entries)
            return Content(before.header, after) if added else old

        if len(new):
            change(self.path, merged)
        return added

    def _matches(self, embeddings: Tensor, content: Content, top: int) -> list[list[Match]]:
        """The nearest names of each embedding, the best first."""
        import torch

        from siamese.gallery.search import Searcher

        entries, model = content.entries, self.model
        if self._ready is None or self._ready[0] is not content:
            self._ready = content, Searcher(torch.from_numpy(entries.embeddings), model.similarity, self.index)
        searcher, distinct = self._ready[1], len(set(entries.names))
        found: list[list[Match]] = [[] for _ in range(len(embeddings))]
        left, k = list(range(len(embeddings))), 4 * top
        while left:  # until enough names are among the nearest entries
            scores, rows = searcher.nearest(embeddings[left], k)
            chances = model.probability(scores)
            again = []
            for place, probe in enumerate(left):
                nearest: dict[str, int] = {}
                for column, row in enumerate(rows[place].tolist()):
                    nearest.setdefault(entries.names[row], column)
                if len(nearest) < min(top, distinct) and k < len(entries):
                    again.append(probe)
                    continue
                for name, column in list(nearest.items())[:top]:
                    row = int(rows[place, column])
                    chance = None if chances is None else float(chances[place, column])
                    score, file, small = float(scores[place, column]), entries.files[row], entries.thumbnails[row]
                    found[probe].append(Match(name, score, chance, file, small))
            left, k = again, 4 * k
        return found
