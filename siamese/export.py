"""A trained network as one ONNX file that takes images and gives embeddings, checked against the network it was made of.

``EXAMPLE`` is all it takes to use the file of a network trained on ink, without this project.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import tempfile
import textwrap
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from siamese.datasets.glyphs import Glyphs
from siamese.datasets.pictures import BadImage, Picture, image_files, read_pictures
from siamese.errors import UserError
from siamese.exported import Exported, outcomes, probabilities
from siamese.model import Model

if TYPE_CHECKING:
    import onnx

TOLERANCE = 1e-4  # of an embedding's numbers, and of probabilities, between torch and onnxruntime
OPSET = 18  # of 2022: what reads ONNX files today reads this one
EXAMPLE = """\
import numpy as np
import onnxruntime
from PIL import Image

session = onnxruntime.InferenceSession("model.onnx")
grey = np.asarray(Image.open("drawing.png").convert("L"), np.float32)  # dark ink on white paper
ink = (255 - grey) / (255 - grey.min())
embedding = session.run(None, {"images": ink[None, None]})[0]  # float32 [1, D]
"""
_MORE = """\
The file takes one input, images, and says so itself, in its metadata at "input".

  Of a network trained on ink (data.ink) it is float32 [N, 1, H, W] from 0, paper, to 1, ink, of any size: the file places the
  drawing and brings it to its size.
  Of any other it is uint8 [N, C, height, width] from 0 to 255, of the size that "preprocessing" in the metadata says.

It gives embeddings, float32 [N, D], and of a network that knows classes or labels also their probabilities, float32 [N, L].

example:
  python -m siamese export --model runs/folder/latest/checkpoints/best.ckpt --to model.onnx --images people/

and then, of a network trained on ink, for a drawing of at most 256 pixels a side:
"""


def export_onnx(model: Model, to: Path, images: Sequence[Picture] = ()) -> float:
    """Write the model's preprocessing of pixels and its network to one ONNX file, whole or not at all.

    The file maps ``images uint8 [N, C, height, width]``, pixels as ``model.preprocessing.pixels`` gives them, to
    ``embeddings float32 [N, D]``, for any ``N``. Of a model with ink it maps ``images float32 [N, 1, H, W]``, as
    ``model.preprocessing.found_ink`` gives them, for any ``N``, ``H`` and ``W``. Where the model's loss knows classes or labels
    there is a second output ``probabilities float32 [N, L]``. Its metadata hold what else it takes (see ``metadata``).

    Args:
        model: a trained one.
        to: the file; one that is there is replaced.
        images: on which onnxruntime is compared with torch; if there are none, on generated characters.

    Returns:
        The largest difference between a number of an embedding, or a probability, by onnxruntime and by the model.

    Raises:
        UserError: the extra ``export`` is not installed, the network cannot be exported, or the difference is greater than
            1e-4; there is then no new file.
        BadImage: an image cannot be read.
    """
    onnx = _library()
    calls, given = _checks(model, images)
    program = _program(model)
    program.metadata_props.extend(
        onnx.StringStringEntryProto(key=key, value=value) for key, value in metadata(model).items()
    )
    to.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{to.name}-", dir=to.parent) as folder:
        made = Path(folder) / to.name
        try:
            onnx.save(program, made)
        except ValueError as error:  # a message of more than 2 GB
            raise UserError(f"the network is too large for one ONNX file ({error})") from error
        difference = _difference(model, made, calls, given)
        if not difference <= TOLERANCE:
            raise UserError(
                f"the exported network differs from the trained one by {difference:.1e}, more than {TOLERANCE:.0e}; "
                f"{to} was not written{_why(model)}"
            )
        made.replace(to)
    return difference


def metadata(model: Model) -> dict[str, str]:
    """What an ONNX file says about itself, by key.

    ``input``: a sentence on what it takes, and how a file becomes it; ``fingerprint`` and ``dataset`` as of the model;
    ``preprocessing``: JSON of the fields of ``Preprocessing``, and ``image_size``; ``similarity``: the name of its class, and
    ``similarity_weights``: JSON of what it has learned, if anything. With an operating point: ``threshold``,
    ``threshold_from``, and ``calibration``: JSON of ``slope`` and ``intercept`` of the log odds of "same".

    Of probabilities, in their order: ``labels``, JSON of their names, with ``label_threshold``, one for all, and
    ``label_thresholds``, JSON of one for each; or ``classes``, JSON of their names. They are left out where the checkpoint does
    not tell them.
    """
    preprocessing = model.preprocessing.entry() | {"image_size": model.image_size}
    held = {
        "input": model.preprocessing.input_text,
        "fingerprint": model.fingerprint,
        "dataset": model.dataset,
        "preprocessing": json.dumps(preprocessing),
        "similarity": type(model.similarity).__name__,
    }
    if weights := {name: value.tolist() for name, value in model.similarity.state_dict().items()}:
        held["similarity_weights"] = json.dumps(weights)
    if point := model.operating_point:
        held["threshold"] = repr(point.threshold)
        held["threshold_from"] = point.source
        held["calibration"] = json.dumps({"slope": point.slope, "intercept": point.intercept})
    count = outcomes(model)
    if count and model.labels:
        held["labels"] = json.dumps(model.labels.names)
        held["label_threshold"] = repr(model.labels.threshold)
        held["label_thresholds"] = json.dumps(model.labels.thresholds)
    elif model.class_names and len(model.class_names) == count:
        # There are more outcomes than names where turned images were taught as classes of their own.
        held["classes"] = json.dumps(model.class_names)
    return held


def main(arguments: list[str]) -> int:
    """``export --model CKPT --to model.onnx [--images PATH …]``: a trained network as one ONNX file."""
    more, plain = _MORE + "\n" + textwrap.indent(EXAMPLE, "  "), argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        "python -m siamese export", description=main.__doc__, epilog=more, formatter_class=plain
    )
    parser.add_argument("--model", required=True, type=Path, help="a checkpoint of a run, such as …/best.ckpt")
    parser.add_argument("--to", required=True, type=Path, help="the file to write")
    parser.add_argument("--images", nargs="+", type=Path, default=[], help="images, or folders of them, to check it on")
    given = parser.parse_args(arguments)
    model = Model.load(given.model, "cpu")
    images = [file for path in given.images for file in image_files(path)]
    difference = export_onnx(model, given.to, images)
    what = f"{len(images):,} images" if images else "generated characters"
    print(f"{given.to}: differs from the trained network by at most {difference:.1e} on {what}")
    print(model.preprocessing.input_text)
    return 0


def _library():
    """The package onnx, with all that goes with it."""
    try:
        import onnx
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise UserError("exporting takes a few more packages: pip install 'siamese[export]'") from error
    return onnx


def _checks(model: Model, images: Sequence[Picture]) -> tuple[list[np.ndarray], Sequence[Picture] | Tensor]:
    """What onnxruntime is given, call by call, and what ``model.embed`` is given for the same embeddings.

    Of pixels that is one image by itself and all at once; of ink, which has any size, image by image.
    """
    made = model.preprocessing
    if not images:
        drawn = Glyphs(3, (4, 4), 2).load().images[:, 0].numpy()
        images = list(255 - drawn if made.ink else drawn)
    calls: list[np.ndarray] = []
    broken: list[BadImage] = []
    if made.ink:
        kept: list[Picture] = []
        for image in images:
            try:
                calls.append(made.found_ink(image)[None, None])
                kept.append(image)
            except BadImage as error:
                broken.append(error)
    else:
        pixels, _, broken = read_pictures(images, made)
        calls = [part.numpy() for part in (pixels[:1], *pixels.split(32))]
    if len(broken) == len(images):
        raise broken[0]
    for one in broken:
        print(f"left out {one}", file=sys.stderr)
    return calls, kept if made.ink else torch.cat([pixels[:1], pixels])


def _program(model: Model) -> onnx.ModelProto:
    frame = model.preprocessing
    dynamic = {0: torch.export.Dim("batch")}
    if frame.ink:
        example = torch.zeros(2, 1, 40, 50)
        dynamic |= {2: torch.export.Dim("height"), 3: torch.export.Dim("width")}
    else:
        example = torch.zeros(2, frame.channels, frame.height, frame.width, dtype=torch.uint8)
    names = ["embeddings"] if outcomes(model) is None else ["embeddings", "probabilities"]
    level = logging.getLogger("torch.onnx").level
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it warns of operators that no network here has
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            made = torch.onnx.export(
                Exported(model).eval(), (example,), dynamo=True, verbose=False, opset_version=OPSET,
                input_names=["images"], output_names=names, dynamic_shapes={"images": dynamic},
            )  # fmt: skip
    except UserError:
        raise
    except Exception as error:  # a network of the user's own may be anything
        first = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise UserError(f"{type(model.network).__name__} cannot be exported: {first}") from error
    finally:
        logging.getLogger("torch.onnx").setLevel(level)
    assert made is not None
    return made.model_proto


def _difference(model: Model, path: Path, calls: list[np.ndarray], given: Sequence[Picture] | Tensor) -> float:
    """The largest difference between onnxruntime and torch, in any output."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    said = zip(*(session.run(None, {"images": call}) for call in calls), strict=True)
    embeddings = model.embed(given)
    expected = (found.numpy() for found in (embeddings, probabilities(model, embeddings)) if found is not None)
    return float(np.max([np.abs(np.concatenate(ours) - one).max() for ours, one in zip(said, expected, strict=True)]))


def _why(model: Model) -> str:
    side = min(model.preprocessing.height, model.preprocessing.width)
    if model.image_size is None or model.image_size <= side:
        return ""
    return (
        f". Its images are enlarged to {model.image_size} pixels, which each library rounds in its own way; a network "
        f"trained with data.image_size {side} has no such difference"
    )
