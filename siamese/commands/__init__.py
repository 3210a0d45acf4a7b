"""``verify``, ``enroll``, ``identify``, ``gallery``: a trained network at work on one's own images.

Text is for people; ``--json`` writes one JSON object and nothing else to standard output, for programs. Its fields:

- all: ``schema`` (1; raised whenever a field goes or changes its meaning) and ``command``;
- ``verify``: ``images`` [2 paths], ``same``, ``score``, ``probability`` (null without calibration), ``threshold``,
  ``threshold_from``, ``model`` (fingerprint);
- ``enroll``: ``gallery``, ``added``, ``known``, ``broken`` [{``file``, ``reason``}], ``entries``, ``names`` (counts after),
  ``model``;
- ``identify``: ``gallery``, ``threshold``, ``threshold_from``, ``broken``, ``model``, ``probes`` [{``file``, ``known``,
  ``matches`` [{``name``, ``score``, ``probability``, ``file``}], the best first}];
- ``list``: ``gallery``, ``names`` [{``name``, ``files`` [path]}]; ``remove``: ``gallery``, ``removed``, ``entries``;
- ``info``: ``gallery``, ``format``, ``model``, ``dataset``, ``similarity``, ``embedding_size``, ``entries``, ``names``,
  ``thumbnails`` (counts), ``bytes``.

Exit codes: 0 for the same and for known, 1 for different and where any probe is unknown, 2 for what the user can mend.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from siamese.commands.common import broken_entries, name_broken, save_sheet, write_any_letter, write_json
from siamese.commands.parser import parser
from siamese.errors import UserError
from siamese.gallery import Gallery
from siamese.gallery.file import VERSION
from siamese.gallery.results import Probes, aligned, printable

if TYPE_CHECKING:
    from siamese.model import Model


def main(arguments: list[str]) -> int:
    """Run the command that the first argument names; the exit code. Raises UserError, and what ``Gallery`` raises."""
    write_any_letter()
    given = parser().parse_args(arguments)
    return _RUN[given.command](given)


def _verify(given: argparse.Namespace) -> int:
    model = _model(given)
    first, second = given.images
    verdict = model.verify(first, second, given.threshold)
    if given.json:
        write_json(
            given.command, images=[str(image) for image in given.images], **vars(verdict), model=model.fingerprint
        )
    else:
        chance = "" if verdict.probability is None else f"probability {verdict.probability:.3f}, "
        sign = "at least" if verdict.same else "below"
        answer = f"score {verdict.score:.4f}, {sign} the threshold {verdict.threshold:.4f} ({verdict.threshold_from})"
        print(f"{'same' if verdict.same else 'different'}: {chance}{printable(answer)}")
    return 0 if verdict.same else 1


def _enroll(given: argparse.Namespace) -> int:
    from tqdm import tqdm

    gallery = Gallery(given.gallery, _model(given))
    with tqdm(desc="enrolling", unit="image", leave=False, disable=None) as bar:  # hidden where no terminal shows it

        def report(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        done = gallery.enroll(given.images, given.name, not given.no_thumbnails, report=report)
    name_broken(done.broken)
    if not done.added and not done.known:
        raise UserError("none of the images could be enrolled")
    entries = gallery.content.entries
    counts = {"entries": len(entries), "names": len(set(entries.names))}
    if given.json:
        about = {"gallery": str(given.gallery), "added": done.added, "known": done.known}
        write_json(
            given.command, **about, broken=broken_entries(done.broken), **counts, model=gallery.model.fingerprint
        )
    else:
        left = f", {len(done.broken):,} left out" if done.broken else ""
        print(f"added {done.added:,} images, {done.known:,} were there already{left}")
        print(f"{printable(str(given.gallery))} holds {counts['entries']:,} images of {counts['names']:,} names")
    return 0


def _identify(given: argparse.Namespace) -> int:
    gallery = Gallery(given.gallery, _model(given))
    probes = gallery.identify(given.images, given.top, given.threshold)
    name_broken(probes.broken)
    if not probes:
        raise UserError("none of the images could be read")
    if given.plot:
        from siamese.gallery.sheet import contact_sheet

        save_sheet(contact_sheet(probes), given.plot)
    if given.json:
        found: list[dict[str, Any]] = []
        for probe in probes:
            keys = ("name", "score", "probability", "file")
            matches = [{key: getattr(match, key) for key in keys} for match in probe.matches]
            found.append({"file": str(probe.file), "known": probe.known, "matches": matches})
        about = {"threshold": probes.threshold, "threshold_from": probes.threshold_from}
        ends = {"broken": broken_entries(probes.broken), "model": gallery.model.fingerprint}
        write_json(given.command, gallery=str(given.gallery), **about, probes=found, **ends)
    else:
        print(_summary(probes))
    return 0 if all(probe.known for probe in probes) else 1


def _summary(probes: Probes) -> str:
    known = sum(probe.known for probe in probes)
    left = f", {len(probes.broken):,} left out" if probes.broken else ""
    return f"{probes}\n{len(probes):,} images: {known:,} known, {len(probes) - known:,} unknown{left}"


def _list(given: argparse.Namespace) -> int:
    entries = Gallery(given.gallery).content.entries
    files: dict[str, list[str]] = {name: [] for name in sorted(set(entries.names))}
    for name, file in zip(entries.names, entries.files, strict=True):
        files[name].append(file)
    if given.json:
        write_json(
            given.command, gallery=str(given.gallery), names=[{"name": n, "files": of} for n, of in files.items()]
        )
    else:
        rows = [(name if not place else "", file) for name, of in files.items() for place, file in enumerate(of)]
        print(aligned([("name", "image"), *rows]))
    return 0


def _info(given: argparse.Namespace) -> int:
    content = Gallery(given.gallery).content
    header, entries = content.header, content.entries
    about = {
        "format": VERSION,
        "model": header.fingerprint,
        "dataset": header.dataset,
        "similarity": header.similarity,
        "embedding_size": header.embedding_size,
        "entries": len(entries),
        "names": len(set(entries.names)),
        "thumbnails": sum(map(bool, entries.thumbnails)),
        "bytes": given.gallery.stat().st_size,
    }
    if given.json:
        write_json(given.command, gallery=str(given.gallery), **about)
    else:
        print(aligned([(key.replace("_", " "), str(value)) for key, value in about.items()]))
        kept = (
            "and a thumbnail of each image; whoever has the file can see them" if about["thumbnails"] else "no images"
        )
        print(f"It holds names, file names, embeddings, {kept}.")
    return 0


def _remove(given: argparse.Namespace) -> int:
    gallery = Gallery(given.gallery)
    removed = gallery.remove(given.name, given.file)
    if given.json:
        write_json(given.command, gallery=str(given.gallery), removed=removed, entries=len(gallery))
    else:
        print(f"removed {removed:,} images; {printable(str(given.gallery))} holds {len(gallery):,}")
    return 0


def _model(given: argparse.Namespace) -> Model:
    from siamese.model import Model  # seconds, with torch and Lightning

    return Model.load(given.model)


_RUN = {
    "verify": _verify,
    "enroll": _enroll,
    "identify": _identify,
    "list": _list,
    "info": _info,
    "remove": _remove,
}
