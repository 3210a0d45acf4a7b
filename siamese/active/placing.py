"""Files on their way into folders: under a name that is free, whole or not at all, and nothing written over."""

from __future__ import annotations

import errno
import os
import shutil
import unicodedata
from collections import Counter
from collections.abc import Iterable
from pathlib import Path, PurePath
from typing import Literal

from siamese.datasets.decoding import BadImage
from siamese.gallery.images import content_hash

How = Literal["copy", "link", "move"]
HALF = ".part"  # what is being copied; one at a time, and a killed process's is written over


class Places:
    """Free names in the folders below ``out``: the second ``1.jpg`` of a folder becomes ``1-2.jpg``.

    Args:
        out: the folder.
        taken: places below it that are spoken for, whether or not a file is there yet.
    """

    def __init__(self, out: Path, taken: Iterable[str]) -> None:
        self.out, self._taken = out, {_key(place) for place in taken}
        self._last: Counter[str] = Counter()

    def take(self, folder: str, name: str) -> str:
        """``folder/name`` below ``out``, or with a number before the name's ending; nobody is given it again."""
        path = PurePath(name)
        wanted = _key(f"{folder}/{name}")
        while True:
            self._last[wanted] += 1
            number = self._last[wanted]
            place = f"{folder}/{name}" if number == 1 else f"{folder}/{path.stem}-{number}{path.suffix}"
            if _key(place) not in self._taken and not os.path.lexists(self.out / place):
                self._taken.add(_key(place))
                return place


def put(source: Path, out: Path, place: str, how: How) -> None:
    """Have the file stand at ``out/place``, by a copy, a link, or its own move. What stands there already stays.

    A move that finds an equal copy there, which an earlier one left when it was stopped, only removes the source.

    Raises OSError where that cannot be done; the source is then where it was.
    """
    target = out / place
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.is_symlink() and not target.exists():  # the pool has gone elsewhere since it was linked to
        target.unlink()
    if os.path.lexists(target):
        if how == "move":
            _finish(source, target, out / HALF)
    elif how == "link":
        _link(source, target)
    elif how == "move":
        _move(source, target, out / HALF)
    else:
        _copy(source, target, out / HALF)


def _copy(source: Path, target: Path, half: Path) -> None:
    half.unlink(missing_ok=True)  # that of a file that may not be written could not be opened
    shutil.copy2(source, half)
    os.replace(half, target)


def _link(source: Path, target: Path) -> None:
    try:
        target.symlink_to(source.resolve())
    except (OSError, NotImplementedError):  # some systems allow hard links only
        os.link(source, target)


def _move(source: Path, target: Path, half: Path) -> None:
    try:
        os.rename(source, target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        _copy(source, target, half)  # on another disk
        source.unlink()


def _finish(source: Path, target: Path, half: Path) -> None:
    if target.is_symlink():  # an earlier --link, maybe to this very source
        _copy(source, target, half)
        source.unlink()
        return
    if source.resolve() == target.resolve():  # a folder of the one is a link to a folder of the other
        return
    try:
        if content_hash(target) == content_hash(source):
            source.unlink()
    except BadImage:  # one of them cannot be read: both stay
        return


def _key(place: str) -> str:
    """Equal for names that some file system takes for one."""
    return unicodedata.normalize("NFC", place).casefold()
