"""Where the files of a data set are: on disk, on a mirror, or at their public home."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pooch
import requests
import yaml

from siamese.datasets.base import PROJECT, cached_table, data_folder
from siamese.errors import DataError, DataUnavailable, UserError
from siamese.tables import Table

TIMEOUT = 10  # seconds without an answer after which a server counts as out of reach


@cache
def registry() -> dict[str, dict[str, Any]]:
    """The committed ``data/registry.yaml``: per data set its title, licence, citation, home, fingerprint and files."""
    return yaml.safe_load((PROJECT / "data" / "registry.yaml").read_text())


def fetch(data_set: str, file: str) -> Path:
    """A local path of ``file``: from ``data/``, else from ``$SIAMESE_MIRROR`` (a folder or an URL), else downloaded.

    A download shows a progress bar and appears under its name only once it is whole and has its checksum.

    Raises:
        DataUnavailable: the file is in none of the three places, or they are out of reach; some files have no public home.
        DataError: a download that has another checksum than the registry's.
    """
    entry = registry()[data_set]
    inside = Path(data_set, entry.get("folder", ""), file)
    kept = data_folder() / inside
    if kept.exists():
        return kept
    mirror = os.environ.get("SIAMESE_MIRROR", "").rstrip("/")
    tried = [str(kept.parent)]
    if mirror and "://" not in mirror:
        if (there := Path(mirror) / inside).exists():
            return there
        tried.append(f"{mirror}/{data_set}")
    elif mirror:
        # A mirror may hold the same images packed anew, so its checksum is not ours to ask: the content will be.
        if found := _download(f"{mirror}/{inside.as_posix()}", kept, None):
            return found
        tried.append(f"{mirror}/{data_set}")
    home = entry["files"][file].get("home", entry["home"])
    if home and (found := _download(home + file, kept, entry["files"][file]["checksum"])):
        return found
    at_home = f"{home} is out of reach" if home else "there is no public home of it"
    raise DataUnavailable(
        f"{data_set}: {file} is not in {' nor in '.join(tried)}, and {at_home}; "
        f"put the files into {kept.parent}, or set SIAMESE_MIRROR to a folder or URL that has {inside.as_posix()}"
    )


def published_table(data_set: str, decode: Callable[[], Table]) -> Table:
    """The table from the cache, else ``decode()``; either way with the fingerprint in the registry, or a DataError."""
    expected = registry()[data_set]["fingerprint"]

    def checked(table: Table) -> Table:
        if table.fingerprint != expected:
            raise DataError(
                f"the {data_set} images have the fingerprint {table.fingerprint[:12]}, not {expected[:12]}: they are not the "
                f"published ones; delete data/{data_set} and data/cache and fetch them again"
            )
        return table

    return checked(cached_table(f"{data_set}-{expected[:12]}", lambda: checked(decode())))


def _download(url: str, to: Path, checksum: str | None) -> Path | None:
    """The file at ``url``, kept as ``to``; None where the server is out of reach or does not have it."""
    pooch.get_logger().setLevel("WARNING")  # what it would say, the error or the progress bar says
    downloader = pooch.HTTPDownloader(progressbar=True, timeout=TIMEOUT)
    try:
        # pooch writes to a temporary file beside `to` and renames it once the checksum is right.
        return Path(pooch.retrieve(url, known_hash=checksum, fname=to.name, path=to.parent, downloader=downloader))
    except requests.exceptions.RequestException:
        return None
    except OSError as error:
        raise UserError(f"cannot keep {to.name} in {to.parent}: {error.strerror}") from error
    except ValueError as error:
        raise DataError(f"{url} does not have the checksum in data/registry.yaml ({checksum})") from error
