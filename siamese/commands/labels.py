"""``predict-labels``: which of several labels one's own images carry, by a network that was taught labels.

``--json`` writes one JSON object to standard output: ``schema`` (1), ``command``, ``images`` [{``file``, ``labels`` [{``name``,
``probability``, ``threshold``, ``said``}], all that the model knows, the likeliest first}], ``broken`` [{``file``,
``reason``}] and ``model`` (fingerprint).
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import NamedTuple

from torch import Tensor

from siamese.arguments import count
from siamese.checkpoints import KnownLabels
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
from siamese.gallery.results import aligned, printable
from siamese.model import Model

THUMBNAIL = 192  # pixels of the longer side, in the picture


class Told(NamedTuple):
    """What was made of one label of an image; it is said from its threshold on."""

    name: str
    probability: float
    threshold: float
    said: bool


def main(arguments: list[str]) -> int:
    """``predict-labels --model CKPT IMAGE…``: how likely each image carries each label; the exit code.

    A label is said whose probability is at least the threshold that the checkpoint stores for it.

    Raises:
        UserError: the model knows no labels or cannot be loaded, or no image can be read.
    """
    write_any_letter()
    given = _parser().parse_args(arguments)
    model = Model.load(given.model)
    if model.labels is None:
        raise UserError(
            f"{model.path} knows no labels; a model does that was trained with a loss such as siamese.losses.BinaryLabels and "
            "judged by siamese.evaluation.Labels, as by experiments/multilabel.yaml"
        )
    files = [file for path in given.images for file in image_files(path)]
    embeddings, kept, broken = model.embed_files(files)
    name_broken(broken)
    if not kept:
        raise UserError(f"none of the images of {' '.join(map(str, given.images))} could be read")
    probabilities = model.label_probabilities(embeddings)
    assert probabilities is not None  # it has labels
    told = ranked(probabilities, model.labels)
    if given.plot:
        _draw(given.plot, kept, told, given.top)
    if given.json:
        images = [
            {"file": str(file), "labels": [label._asdict() for label in labels]}
            for file, labels in zip(kept, told, strict=True)
        ]
        write_json("predict-labels", images=images, broken=broken_entries(broken), model=model.fingerprint)
    else:
        print(_text(kept, told, given.top, len(broken)))
    return 0


def ranked(probabilities: Tensor, labels: KnownLabels) -> list[list[Told]]:
    """Of each image all labels, the likeliest first, of probabilities ``[N, L]``."""
    found = []
    for row in probabilities.tolist():
        each = zip(labels.names, row, labels.thresholds, strict=True)
        told = [Told(name, share, threshold, share >= threshold) for name, share, threshold in each]
        found.append(sorted(told, key=lambda label: -label.probability))
    return found


def _text(files: list[Path], told: list[list[Told]], top: int, broken: int) -> str:
    rows = [("image", "label", "probability", "threshold", "")]
    for file, labels in zip(files, told, strict=True):
        for rank, label in enumerate(labels[:top]):
            figures = f"{label.probability:.3f}", f"{label.threshold:.3f}"
            rows.append(("" if rank else str(file), label.name, *figures, "said" if label.said else ""))
    said = sum(label.said for labels in told for label in labels)
    left = f", {broken:,} left out" if broken else ""
    images = "1 image" if len(files) == 1 else f"{len(files):,} images"
    return (
        f"{aligned(rows)}\n{images}: {said:,} labels said{left}\n"
        "said: as likely as the label's threshold or more, which was chosen on validation images"
    )


def _draw(to: Path, files: list[Path], told: list[list[Told]], top: int) -> None:
    from siamese.plots.labels import MOST, told_sheet

    images = thumbnails(files[:MOST], THUMBNAIL)
    names = [printable(file.name) for file in files[:MOST]]
    lines = [
        [(printable(label.name), label.probability, label.said) for label in labels[:top]] for labels in told[:MOST]
    ]
    save_sheet(told_sheet(images, names, lines, len(files)), to)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m siamese predict-labels",
        description="Tell which labels images carry.",
        epilog="example:\n  python -m siamese predict-labels --model runs/posters/latest/checkpoints/best.ckpt poster.jpg "
        "folder/\n\nexit code: 0 where any image can be read, 2 an error",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("images", nargs="+", type=Path, help="images, or folders of them")
    parser.add_argument("--model", required=True, type=Path, help="a checkpoint of a run, such as …/best.ckpt")
    parser.add_argument("--top", type=count, default=3, metavar="N", help="how many labels of each image (3)")
    parser.add_argument("--json", action="store_true", help="write JSON instead of text, with all labels")
    parser.add_argument(
        "--plot", type=Path, metavar="PNG", help="draw the images with their labels, five at most of each"
    )
    return parser
