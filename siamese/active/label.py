"""``python -m siamese label``: sort a pool of images by class, and put aside those that a person had better look at.

``--json`` writes one JSON object and nothing else to standard output: ``schema`` (1), ``command``, ``out``, ``manifest``,
``strategy``, ``below``, ``classifier``, ``placed`` (images that are new), ``known`` (placed before), ``folders`` (images of
each, earlier ones included), ``broken`` [{``file``, ``reason``}], ``model`` (fingerprint).
"""

from __future__ import annotations

import argparse
import io
import json
import sys
from collections import Counter
from pathlib import Path

from siamese.active.classifiers import CLASSIFIERS
from siamese.active.manifest import opened
from siamese.active.placing import How
from siamese.active.sorting import UNCERTAIN, Sorting, teach
from siamese.active.strategies import UNCERTAINTY
from siamese.arguments import fraction
from siamese.datasets.pictures import image_files
from siamese.errors import UserError
from siamese.gallery.results import aligned, printable
from siamese.model import Model

SCHEMA = 1
BELOW = 0.3  # of the plain margin

_MORE = """\
what --below is compared with; an image is uncertain where it is less:
  margin           probability of the best class minus that of the second (0.3 unless said otherwise)
  least-confident  probability of the best class
  entropy          1 - entropy / log(number of classes): uncertain is a normalised entropy above 1 - BELOW
Forests are sure of little before they have many labels: with few, most images are uncertain to them.

OUT/uncertain/ gets those, OUT/<class>/ the others, and OUT/manifest.csv a line for each: predicted class and its probability,
least_confident, margin and entropy as uncertainties from 0 (sure) to 1, plain_margin, and where it went. Two files of one
name both stay, the second as 1-2.jpg. Stopped and started again, the command goes on where it was. Sorted with other labels
or settings takes another OUT. OUT may lie in the pool; neither it nor the labelled images are sorted.

exit code: 0 sorted, 2 an error
example:
  python -m siamese label --model runs/folder/latest/checkpoints/best.ckpt --labeled known/ --pool new/ --out sorted/
"""


def main(arguments: list[str]) -> int:
    """Sort a pool of images by class, and put aside those that a person had better look at."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a terminal may not know the letters of a name
    given = _parser().parse_args(arguments)
    if given.below is None:
        if given.strategy != "margin":
            raise UserError(f"{given.strategy} has no usual threshold; give one (--below, see --help)")
        given.below = BELOW
    _check_folders(given)
    files = _pool(given)
    model = Model.load(given.model)
    taught = teach(model, given.labeled, given.classifier)
    settings = (
        f"{given.strategy} below {given.below}, {given.classifier}, model {model.fingerprint[:12]}, "
        f"labels {taught.digest[:12]}"
    )
    how: How = "move" if given.move else "link" if given.link else "copy"
    with opened(given.out) as manifest:
        sorting = Sorting(model, taught, given.strategy, given.below, manifest, settings, broken=list(taught.broken))
        sorting.run(given.pool, files, how)
    for error in sorting.broken:
        print(f"left out {printable(str(error))}", file=sys.stderr)
    if not manifest.rows:
        raise UserError(f"there is no image in {given.pool} that could be sorted")
    _tell(given, sorting)
    return 0


def _check_folders(given: argparse.Namespace) -> None:
    for folder in (given.labeled, given.pool):
        if not folder.is_dir():
            raise UserError(f"there is no folder {folder}")
    out, pool, labeled = (path.resolve() for path in (given.out, given.pool, given.labeled))
    if pool.is_relative_to(out):
        raise UserError(f"--out {given.out} holds the pool, which would be taken for output; choose another")
    if pool.is_relative_to(labeled):
        raise UserError(f"--labeled {given.labeled} holds the pool, whose images have no labels yet; keep them apart")
    if out.is_relative_to(labeled) or labeled.is_relative_to(out):
        raise UserError("--out and --labeled must not lie in each other: a guess is no label; choose another --out")


def _pool(given: argparse.Namespace) -> list[Path]:
    """The images of the pool; output of an earlier call, and labelled images, may lie in it and do not count."""
    files = image_files(given.pool)
    others = [path.resolve() for path in (given.out, given.labeled)]
    folders = {folder: folder.resolve() for folder in {file.parent for file in files}}
    outside = {folder for folder, real in folders.items() if not any(map(real.is_relative_to, others))}
    return [file for file in files if file.parent in outside]


def _tell(given: argparse.Namespace, sorting: Sorting) -> None:
    manifest, left = sorting.manifest, sorting.broken
    counts = Counter(Path(row.placed).parts[0] for row in manifest.rows)
    folders = {name: counts[name] for name in (UNCERTAIN, *sorting.taught.names)}
    if given.json:
        told = {
            "schema": SCHEMA, "command": "label", "out": str(given.out), "manifest": str(manifest.path),
            "strategy": given.strategy, "below": given.below, "classifier": given.classifier,
            "placed": sorting.placed, "known": sorting.known, "folders": folders,
            "broken": [{"file": error.where, "reason": error.reason} for error in left],
            "model": sorting.model.fingerprint,
        }  # fmt: skip
        # Escaped to ASCII, which any terminal, file and file name that is no UTF-8 can be written in.
        print(json.dumps(told, allow_nan=False))
        return
    more = f", {len(left):,} left out" if left else ""
    print(f"sorted {sorting.placed:,} images, {sorting.known:,} were there already{more}")
    print(aligned([("folder", "images"), *((name, f"{count:,}") for name, count in folders.items())]))
    print(f"what was decided of each stands in {printable(str(manifest.path))}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m siamese label",
        description=main.__doc__,
        epilog=_MORE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--model", required=True, type=Path, help="a checkpoint of a run, such as …/best.ckpt")
    parser.add_argument("--labeled", required=True, type=Path, metavar="DIR", help="one folder of images a class")
    parser.add_argument("--pool", required=True, type=Path, metavar="DIR", help="images to sort, however deep they lie")
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="where the sorted images go")
    parser.add_argument("--strategy", choices=UNCERTAINTY, default="margin", help="how to tell doubt (margin)")
    parser.add_argument(
        "--below", type=fraction, metavar="X", help="an image is uncertain below this, 0 to 1; see below"
    )
    parser.add_argument("--classifier", choices=CLASSIFIERS, default="logistic", help="what learns (logistic)")
    ways = parser.add_mutually_exclusive_group()
    ways.add_argument("--link", action="store_true", help="link to the images instead of copying them")
    ways.add_argument("--move", action="store_true", help="move the images out of the pool")
    parser.add_argument("--json", action="store_true", help="write JSON instead of text")
    return parser
