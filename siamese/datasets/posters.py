"""Movie posters with 25 genres, several of them on most.

Chu, Guo (2017), Movie genre classification based on poster images with deep neural networks. The posters are copyrighted by
their studios: nothing of them is to be passed on.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
import time
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

from siamese.datasets.base import data_folder
from siamese.datasets.labelled import LabelledImages
from siamese.datasets.pictures import Fit
from siamese.datasets.registry import fetch
from siamese.errors import DataError, UserError

SAMPLE, FOLDER, FULL_CSV, SAMPLE_CSV = "posters_800.zip", "Multi_Label_dataset", "train.csv", "train_800.csv"
_WANTED = re.compile(rf"{FOLDER}/(Images/[^/\\]+\.jpg|{re.escape(SAMPLE_CSV)})")


class Posters(LabelledImages):
    """Movie posters in colour. One of the 25 "genres" is ``N/A``, which is none.

    The table is ``posters`` where ``data/posters/Multi_Label_dataset`` holds ``Images/`` and ``train.csv``, the full set.
    Otherwise it is ``posters-800``, a sample with more of the rare genres: figures of one are none of the other.

    Args:
        height, width, fit, least, leave_out, shares, seed: as those of ``LabelledImages``.
    """

    def __init__(
        self,
        height: int = 128,
        width: int = 96,
        fit: Fit = "stretch",
        least: int = 0,
        leave_out: Sequence[str] = (),
        shares: tuple[float, float, float] = (0.7, 0.15, 0.15),
        seed: int = 0,
    ) -> None:
        super().__init__(
            FULL_CSV, "Images", height, width, fit=fit, least=least, leave_out=leave_out, shares=shares, seed=seed
        )

    def where(self) -> tuple[str, Path, Path]:
        """The full set, else the sample. Raises DataUnavailable where neither can be had, DataError for a damaged zip."""
        full = data_folder() / "posters" / FOLDER
        if (full / FULL_CSV).is_file() and (full / "Images").is_dir():
            return "posters", full / FULL_CSV, full / "Images"
        sample = _unpacked(fetch("posters", SAMPLE)) / FOLDER
        return "posters-800", sample / SAMPLE_CSV, sample / "Images"


def _unpacked(path: Path) -> Path:
    """The folder in the cache with the posters and labels of the zip, whole or not at all; nothing else is unpacked."""
    folder = data_folder() / "cache" / f"posters-800-files-{hashlib.sha256(path.read_bytes()).hexdigest()[:12]}"
    if folder.is_dir():
        return folder
    made = None
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
        (made / FOLDER / "Images").mkdir(parents=True)
        with zipfile.ZipFile(path) as archive:
            for entry in archive.infolist():
                # A name that would lead elsewhere is not one of these.
                if _WANTED.fullmatch(entry.filename):
                    (made / entry.filename).write_bytes(archive.read(entry))
                    # So that what is unpacked again is the same to the table in the cache.
                    then = time.mktime((*entry.date_time, 0, 0, -1))
                    os.utime(made / entry.filename, (then, then))
        if not (made / FOLDER / SAMPLE_CSV).is_file():
            raise zipfile.BadZipFile(f"it holds no {FOLDER}/{SAMPLE_CSV}")
        made.rename(folder)
    except (EOFError, RuntimeError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{path} is not the whole zip of the posters ({error}); put it there anew") from error
    except OSError as error:
        if not folder.is_dir():  # It is there where another process was faster.
            raise UserError(
                f"the posters cannot be unpacked to {folder.parent} ({error.strerror}); "
                "SIAMESE_DATA names another folder for data"
            ) from error
    finally:
        if made is not None:
            shutil.rmtree(made, ignore_errors=True)
    return folder
