"""A trained network as one ONNX file that takes pixels and gives embeddings, checked against the network it was made of."""

from __future__ import annotations

import argparse
import copy
import json
import logging
import sys
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from siamese.datasets.glyphs import Glyphs
from siamese.datasets.pictures import Picture, image_files, read_pictures
from siamese.errors import UserError
from siamese.model import Model

if TYPE_CHECKING:
    import onnx

TOLERANCE = 1e-4  # of an embedding's numbers, between torch and onnxruntime
OPSET = 18  # of 2022: what reads ONNX files today reads this one


class Exported(nn.Module):
    """From pixels as ``Preprocessing.pixels`` gives them to embeddings: resizing, scaling to [0, 1], network.

    Args:
        model: whose network, copied to the CPU, it takes.
    """

    down: Tensor
    across: Tensor
    rows: Tensor
    columns: Tensor

    def __init__(self, model: Model) -> None:
        super().__init__()
        height, width, side = model.preprocessing.height, model.preprocessing.width, model.image_size
        self.network = copy.deepcopy(model.network).cpu().to(memory_format=torch.contiguous_format)
        self.resizes = side is not None and (height, width) != (side, side)
        if side is None:
            return
        if side <= min(height, width):
            # Sums of whole numbers are exact, so that a mean halfway between two numbers is rounded as the table's is.
            down, across = _bins(height, side), _bins(width, side)
        else:
            down, across = _weights(height, side), _weights(width, side)
        self.register_buffer("down", down)
        self.register_buffer("across", across.T.contiguous())
        self.register_buffer("rows", down.sum(1, keepdim=True).round())
        self.register_buffer("columns", across.sum(1).round())

    def forward(self, images: Tensor) -> Tensor:
        """Embeddings ``float32 [N, D]`` of pixels ``uint8 [N, C, height, width]``."""
        pixels = images.float()
        if self.resizes:
            pixels = (self.down @ pixels @ self.across / self.rows / self.columns).round()
        return self.network(pixels / 255).float()


def export_onnx(model: Model, to: Path, images: Sequence[Picture] = ()) -> float:
    """Write the model's preprocessing of pixels and its network to one ONNX file, whole or not at all.

    The file maps ``images uint8 [N, C, height, width]``, pixels as ``model.preprocessing.pixels`` gives them, to
    ``embeddings float32 [N, D]``, for any ``N``. Its metadata hold what else it takes to use them (see ``metadata``).

    Args:
        model: a trained one.
        to: the file; one that is there is replaced.
        images: on which onnxruntime is compared with torch; if there are none, on generated characters.

    Returns:
        The largest difference between a number of an embedding by onnxruntime and by ``model.embed``.

    Raises:
        UserError: the extra ``export`` is not installed, the network cannot be exported, or the difference is greater than
            1e-4; there is then no new file.
        BadImage: an image cannot be read.
    """
    onnx = _library()
    pixels = _pixels(model, images)
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
        difference = _difference(model, made, pixels)
        if not difference <= TOLERANCE:
            raise UserError(
                f"the exported network differs from the trained one by {difference:.1e}, more than {TOLERANCE:.0e}; "
                f"{to} was not written{_why(model)}"
            )
        made.replace(to)
    return difference


def metadata(model: Model) -> dict[str, str]:
    """What an ONNX file says about itself, by key.

    ``fingerprint`` and ``dataset`` as of the model; ``preprocessing``: JSON of the fields of ``Preprocessing``, and
    ``image_size``; ``similarity``: the name of its class, and ``similarity_weights``: JSON of what it has learned, if
    anything. With an operating point: ``threshold``, ``threshold_from``, and ``calibration``: JSON of ``slope`` and
    ``intercept`` of the log odds of "same".
    """
    preprocessing = model.preprocessing.entry() | {"image_size": model.image_size}
    held = {
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
    return held


def main(arguments: list[str]) -> int:
    """``export --model CKPT --to model.onnx [--images PATH …]``: a trained network as one ONNX file."""
    parser = argparse.ArgumentParser("python -m siamese export", description=main.__doc__)
    parser.add_argument("--model", required=True, type=Path, help="a checkpoint of a run, such as …/best.ckpt")
    parser.add_argument("--to", required=True, type=Path, help="the file to write")
    parser.add_argument("--images", nargs="+", type=Path, default=[], help="images, or folders of them, to check it on")
    given = parser.parse_args(arguments)
    model = Model.load(given.model, "cpu")
    images = [file for path in given.images for file in image_files(path)]
    difference = export_onnx(model, given.to, images)
    what = f"{len(images):,} images" if images else "generated characters"
    print(f"{given.to}: differs from the trained network by at most {difference:.1e} on {what}")
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


def _pixels(model: Model, images: Sequence[Picture]) -> Tensor:
    if not images:
        images = [image.numpy() for image in Glyphs(3, (4, 4), 2).load().images[:, 0]]
    pixels, _, broken = read_pictures(images, model.preprocessing)
    if broken and not len(pixels):
        raise broken[0]
    for one in broken:
        print(f"left out {one}", file=sys.stderr)
    return pixels


def _program(model: Model) -> onnx.ModelProto:
    frame = model.preprocessing
    example = torch.zeros(2, frame.channels, frame.height, frame.width, dtype=torch.uint8)
    level = logging.getLogger("torch.onnx").level
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it warns of operators that no network here has
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            made = torch.onnx.export(
                Exported(model).eval(), (example,), dynamo=True, verbose=False, opset_version=OPSET,
                input_names=["images"], output_names=["embeddings"],
                dynamic_shapes={"images": {0: torch.export.Dim("batch")}},
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


def _difference(model: Model, path: Path, pixels: Tensor) -> float:
    """The largest difference between onnxruntime and torch, image by image and all at once."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])

    def embedded(part: Tensor) -> np.ndarray:
        return session.run(["embeddings"], {"images": part.numpy()})[0]

    ours = np.concatenate([embedded(pixels[:1]), *(embedded(part) for part in pixels.split(32))])
    theirs = model.embed(torch.cat([pixels[:1], pixels])).numpy()
    return float(np.abs(ours - theirs).max())


def _why(model: Model) -> str:
    side = min(model.preprocessing.height, model.preprocessing.width)
    if model.image_size is None or model.image_size <= side:
        return ""
    return (
        f". Its images are enlarged to {model.image_size} pixels, which each library rounds in its own way; a network "
        f"trained with data.image_size {side} has no such difference"
    )


def _bins(before: int, after: int) -> Tensor:
    """``float32 [after, before]``: 1 where a pixel before goes into the mean that is a pixel after, as in F.interpolate."""
    place, pixel = torch.arange(after).unsqueeze(1), torch.arange(before)
    first, end = place * before // after, ((place + 1) * before + after - 1) // after
    return ((first <= pixel) & (pixel < end)).float()


def _weights(before: int, after: int) -> Tensor:
    """``float32 [after, before]``: what F.interpolate does, which is linear, to each pixel by itself."""
    one = torch.eye(before)[None, None]
    return F.interpolate(one, size=(after, before), mode="bilinear", align_corners=False)[0, 0]
