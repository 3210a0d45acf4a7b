"""``novelty``: which of one's own images show nothing that a folder of known images shows, by a trained network.

``--json`` writes one JSON object to standard output: ``schema`` (1), ``command``, ``detector``, ``neighbours``,
``contamination``, ``threshold``, ``vectors`` (``features`` or ``embeddings``), ``known`` (how many images it was fitted on),
``probes`` [{``file``, ``novel``, ``score``}], ``broken`` [{``file``, ``reason``}] and ``model`` (fingerprint).
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from siamese.arguments import share
from siamese.commands.common import (
    broken_entries,
    name_broken,
    save_sheet,
    thumbnails,
    write_any_letter,
    write_json,
)
from siamese.datasets.pictures import image_files
from siamese.errors import UserError
from siamese.evaluation.novelty import NEIGHBOURS, Detector, LocalOutliers, NearestKnown, threshold
from siamese.gallery.results import aligned, printable
from siamese.model import Model

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from siamese.datasets.decoding import BadImage

DETECTORS: dict[str, Callable[[], Detector]] = {"lof": LocalOutliers, "knn": NearestKnown}
LEAST = NEIGHBOURS + 1  # known images: each has so many neighbours
THUMBNAIL = 96  # pixels of the longer side, in the picture


class Judged(NamedTuple):
    """The probes that could be read, what was made of them, ``float64 [M]`` and ``bool [M]``, and what it rests on."""

    files: list[Path]
    scores: np.ndarray
    novel: np.ndarray
    threshold: float
    known: int
    broken: list[BadImage]
    vectors: str  # what was compared, features or embeddings


def main(arguments: list[str]) -> int:
    """``novelty --model CKPT --known FOLDER --probe FOLDER``: which probes show nothing known; the exit code.

    The detector is fitted on the features of the known images, or on their embeddings where the network tells no features.
    A probe is novel whose score is below that of all but the contamination of them.

    Raises:
        UserError: there are too few known images, no probe can be read, or the model cannot be loaded.
    """
    write_any_letter()
    given = _parser().parse_args(arguments)
    model = Model.load(given.model)
    judged = _judged(model, given)
    if given.plot:
        _draw(given.plot, judged)
    if given.json:
        _write_json(judged, given, model.fingerprint)
    else:
        print(_text(judged, given))
    return int(judged.novel.any())


def _judged(model: Model, given: argparse.Namespace) -> Judged:
    files, probed = ([file for path in paths for file in image_files(path)] for paths in (given.known, given.probe))
    features = model.feature_size is not None and not given.embeddings
    known, kept, broken = _embedded(model, files, features)
    if len(kept) < LEAST:
        raise UserError(
            f"novelty takes at least {LEAST} known images, since each is compared with {NEIGHBOURS} others; "
            f"{len(kept)} of {len(files)} in {' '.join(map(str, given.known))} can be read"
        )
    probes, shown, more = _embedded(model, probed, features)
    if not shown:
        raise UserError(f"none of the images of {' '.join(map(str, given.probe))} could be read")
    detector = DETECTORS[given.detector]()
    detector.fit(known.numpy())
    bar, scores = threshold(detector.known_scores, given.contamination), detector.score(probes.numpy())
    return Judged(shown, scores, scores < bar, bar, len(kept), broken + more, "features" if features else "embeddings")


def _write_json(judged: Judged, given: argparse.Namespace, fingerprint: str) -> None:
    each = zip(judged.files, judged.novel, judged.scores, strict=True)
    write_json(
        "novelty",
        detector=given.detector,
        neighbours=NEIGHBOURS,
        contamination=given.contamination,
        threshold=judged.threshold,
        vectors=judged.vectors,
        known=judged.known,
        probes=[{"file": str(file), "novel": bool(new), "score": float(score)} for file, new, score in each],
        broken=broken_entries(judged.broken),
        model=fingerprint,
    )


def _text(judged: Judged, given: argparse.Namespace) -> str:
    bar, novel = f"{judged.threshold:.4f}", int(judged.novel.sum())
    rows = [
        (str(file), "novel" if new else "known", f"{score:.4f}", bar)
        for file, new, score in zip(judged.files, judged.novel, judged.scores, strict=True)
    ]
    left = f", {len(judged.broken):,} left out" if judged.broken else ""
    return (
        f"{aligned([('probe', '', 'score', 'threshold'), *rows])}\n"
        f"{len(rows):,} images: {len(rows) - novel:,} known, {novel:,} novel{left}\n"
        f"{_SAID[given.detector]}, by their {judged.vectors}; {100 * given.contamination:g} % of {judged.known:,} known images "
        "score below the threshold"
    )


_SAID = {
    "lof": f"score: minus the local outlier factor among {NEIGHBOURS} neighbours, about -1 for known images",
    "knn": f"score: minus the distance to the {NEIGHBOURS}th nearest known image",
}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m siamese novelty",
        description="Tell which images show nothing that the known images show.",
        epilog="example:\n  python -m siamese novelty --model runs/mnist/latest/checkpoints/best.ckpt --known digits/ "
        "--probe new/\n\nexit code: 0 all are known, 1 any is novel, 2 an error",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--model", required=True, type=Path, help="a checkpoint of a run, such as …/best.ckpt")
    parser.add_argument("--known", required=True, nargs="+", type=Path, help="known images, or folders of them")
    parser.add_argument("--probe", required=True, nargs="+", type=Path, help="images to judge, or folders of them")
    parser.add_argument(
        "--contamination",
        type=share,
        default=0.01,
        metavar="X",
        help="share of the known images that may be taken for novel (0.01)",
    )
    parser.add_argument(
        "--detector",
        choices=DETECTORS,
        default="lof",
        help="local outlier factor (lof), or distance to the k-th nearest known image (knn)",
    )
    parser.add_argument(
        "--embeddings",
        action="store_true",
        help="compare the embeddings, even where the network tells the features of all its layers, in which more is left of "
        "what was not taught",
    )
    parser.add_argument("--json", action="store_true", help="write JSON instead of text")
    parser.add_argument("--plot", type=Path, metavar="PNG", help="draw the probes, the most novel first")
    return parser


def _embedded(model: Model, files: list[Path], features: bool) -> tuple[Tensor, list[Path], list[BadImage]]:
    """As ``Model.embed_files``; what cannot be read is named."""
    found, kept, broken = model.embed_files(files, features)
    name_broken(broken)
    return found, kept, broken


def _draw(to: Path, judged: Judged) -> None:
    from siamese.plots.novelty import MOST, judged_sheet

    order = judged.scores.argsort(kind="stable")[:MOST]
    images = thumbnails([judged.files[place] for place in order], THUMBNAIL)
    names = [printable(judged.files[place].name) for place in order]
    novel = judged.novel[order].tolist()
    said = [
        f"{'novel' if new else 'known'} {judged.scores[place]:.2f}" for place, new in zip(order, novel, strict=True)
    ]
    title = f"Novel below a score of {judged.threshold:.4g}, the most novel first"
    save_sheet(judged_sheet(images, names, said, novel, title, len(judged.files)), to)
