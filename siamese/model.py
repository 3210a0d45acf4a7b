"""A trained network put to use: from a checkpoint to embeddings, scores and decisions about your own images."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from siamese.checkpoints import KnownLabels, class_names, known_labels, operating_point, read_checkpoint
from siamese.datasets.pictures import BadImage, Picture, Preprocessing, read_images, read_pictures
from siamese.errors import UserError
from siamese.losses import LabelLoss
from siamese.rebuild import rebuild
from siamese.similarity import Similarity
from siamese.systems.siamese import Siamese
from siamese.tables import resized_images

if TYPE_CHECKING:
    from siamese.evaluation.calibration import OperatingPoint

BATCH = 128  # images embedded at a time
MEMORY = 2**29  # bytes of pixels read from files at a time


@dataclass(frozen=True)
class Verdict:
    """Whether two images show the same.

    Attributes:
        same: the score is at least the threshold.
        score: the similarity of their embeddings; higher is more alike.
        probability: that they show the same, where genuine and impostor pairs are equally likely beforehand; None without
            an operating point.
        threshold: what the score was compared with.
        threshold_from: where it comes from, in words.
    """

    same: bool
    score: float
    probability: float | None
    threshold: float
    threshold_from: str


class Model:
    """A trained embedding network with all it takes to use it: preprocessing, similarity, threshold, calibration.

    Attributes:
        path: of the checkpoint.
        fingerprint: SHA-256 (hex) of the weights of network and similarity, preprocessing, image size and the similarity's
            class: models of equal fingerprints give equal images equal embeddings and scores.
        network: images ``float32 [B, C, H, W]`` in [0, 1] to embeddings ``[B, D]``, on ``device``.
        similarity: scores embeddings, on the CPU.
        loss: what taught the network, on the CPU; it may know classes.
        embedding_size: D.
        feature_size: F, of the features of all layers; None where the network does not tell them.
        preprocessing: how an image file becomes pixels of a table.
        image_size: side in pixels of the squares to which those are resized for the network; None: they are not.
        dataset: name of what it learned on.
        operating_point: threshold and calibration, or None where none was chosen.
        labels: which it tells of an image, with their thresholds, or None where none were chosen.
        class_names: of the classes that the loss knows, in their order; None where it knows none, or where an earlier version
            wrote the checkpoint.
    """

    def __init__(
        self,
        path: Path,
        system: Siamese,
        preprocessing: Preprocessing,
        image_size: int | None,
        dataset: str,
        operating_point: OperatingPoint | None = None,
        device: str | torch.device = "cpu",
        labels: KnownLabels | None = None,
        class_names: tuple[str, ...] | None = None,
    ) -> None:
        system = system.eval().requires_grad_(False)
        self.path, self.device, self.dataset = path, torch.device(device), dataset
        self.preprocessing, self.image_size = preprocessing, image_size
        self.operating_point, self.labels, self.class_names = operating_point, labels, class_names
        self.similarity: Similarity = system.similarity
        self.loss = system.loss
        self.fingerprint = _fingerprint(system.network, system.similarity, preprocessing, image_size)
        self.network = system.network.to(self.device)
        self.embedding_size = int(system.network.embedding_size)  # type: ignore[arg-type]
        self.feature_size: int | None = getattr(system.network, "feature_size", None) or None

    @classmethod
    def load(cls, path: str | Path, device: str | None = None) -> Model:
        """The model in a checkpoint. No code in it is run; the classes that its configuration names are imported.

        Args:
            path: such as ``runs/…/checkpoints/best.ckpt``.
            device: of the network; None for the GPU where there is one.

        Raises:
            UserError: it is no checkpoint of this project, or of a version that did not keep the preprocessing; a class of
                its network cannot be imported; the device does not exist.
        """
        path, where = Path(path), _device(device)
        checkpoint = read_checkpoint(path)
        try:
            entry = dict(checkpoint.about["preprocessing"])
            size = entry.pop("image_size")
            image_size = None if size is None else int(size)
            preprocessing = Preprocessing.from_entry(entry)
            point, labels, names = operating_point(checkpoint), known_labels(checkpoint), class_names(checkpoint)
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(
                f"{path} was written by another version of this project, and does not say how to preprocess images for it "
                f"({type(error).__name__}: {error}); train or evaluate anew"
            ) from error
        system = rebuild(checkpoint, path)
        dataset = str(checkpoint.about.get("dataset", "an unknown data set"))
        return cls(path, system, preprocessing, image_size, dataset, point, where, labels, names)

    def embed(self, images: Sequence[Picture] | Tensor) -> Tensor:
        """Embeddings ``float32 [N, D]`` on the CPU, always computed in float32; equal calls give equal results.

        Args:
            images: paths, Pillow images or arrays ``uint8 [H, W]`` or ``[H, W, 3]``; or a tensor ``uint8 [N, C, H, W]`` of
                pixels as a table holds them, to which no preprocessing is applied but the resizing, or the normalising of ink.

        Raises:
            BadImage: the first image that cannot be read, or on which nothing is to be seen.
            UserError: the tensor is not such a one, or an embedding is not finite.
        """
        if isinstance(images, Tensor):
            return self._embed(images if self.preprocessing.ink is None else self._normalised(images))
        if isinstance(images, str | Path | Image.Image | np.ndarray):
            raise UserError("embed takes a list of images; put a single one into a list")
        pixels, _, broken = read_pictures(images, self.preprocessing, shown=True)
        if broken:
            raise broken[0]
        return self._embed(pixels)

    def embed_files(
        self, paths: Sequence[str | Path], features: bool = False
    ) -> tuple[Tensor, list[Path], list[BadImage]]:
        """Embeddings ``float32 [N, D]`` of the files that can be read, their paths, and what is wrong with the others.

        With ``features`` those of all layers, ``[N, F]``, in place of embeddings; only where there is a ``feature_size``. No
        more than 512 MiB of pixels are held at a time.
        """
        made = self.preprocessing
        step = max(BATCH, MEMORY // (made.channels * made.height * made.width))
        embeddings: list[Tensor] = []
        kept: list[Path] = []
        broken: list[BadImage] = []
        for start in range(0, max(1, len(paths)), step):
            pixels, read, wrong = read_images(paths[start : start + step], made, shown=True)
            embeddings.append(self._embed(pixels, features))
            kept += read
            broken += wrong
        return torch.cat(embeddings), kept, broken

    def verify(self, first: Picture, second: Picture, threshold: float | None = None) -> Verdict:
        """Whether two images show the same.

        Args:
            first, second: paths, Pillow images or arrays.
            threshold: the least score to say "same" at; None for the operating point's.

        Raises:
            BadImage: one of them cannot be read, or nothing is to be seen on it, so that there is no verdict.
            UserError: there is no threshold.
        """
        source = "given with the question"
        if threshold is None:
            if self.operating_point is None:
                raise UserError(
                    f"{self.path} holds no threshold chosen on validation classes; give one, or train or evaluate anew"
                )
            threshold, source = self.operating_point.threshold, self.operating_point.source
        score = self.similarity.paired(*self.embed([first, second]).unsqueeze(1))
        chance = self.probability(score)
        value = score.item()
        return Verdict(
            same=value >= threshold,
            score=value,
            probability=None if chance is None else chance.item(),
            threshold=threshold,
            threshold_from=source,
        )

    def probability(self, scores: Tensor) -> Tensor | None:
        """The calibrated probability of "same", ``float64 [...]``, of scores ``[...]``; None without an operating point."""
        return None if self.operating_point is None else self.operating_point.probability(scores)

    @torch.no_grad()
    def class_probabilities(self, embeddings: Tensor) -> Tensor | None:
        """The softmax ``float64 [N, C]`` of what the loss thinks of each class that was taught, of embeddings ``[N, D]`` on the
        CPU; None where it knows no classes, or labels of which an image carries several."""
        logits = None if isinstance(self.loss, LabelLoss) else self.loss.logits(embeddings)
        return None if logits is None else logits.double().softmax(1)

    @torch.no_grad()
    def label_probabilities(self, embeddings: Tensor) -> Tensor | None:
        """How likely an image carries each label, ``float64 [N, L]``, of embeddings ``[N, D]`` on the CPU; None where the loss
        knows no labels."""
        loss = self.loss
        return loss.probabilities(loss.logits(embeddings).double()) if isinstance(loss, LabelLoss) else None

    def _normalised(self, images: Tensor) -> Tensor:
        made = self.preprocessing
        assert made.ink is not None  # as the caller has seen
        if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1] != 1:
            raise UserError(f"this model embeds uint8 [N, 1, H, W], not {images.dtype} {list(images.shape)}")
        return made.ink.pages(images, made.height)

    @torch.no_grad()
    def _embed(self, pixels: Tensor, features: bool = False) -> Tensor:
        if pixels.dtype != torch.uint8 or pixels.ndim != 4 or pixels.shape[1] != self.preprocessing.channels:
            raise UserError(
                f"this model embeds uint8 [N, {self.preprocessing.channels}, H, W], not {pixels.dtype} {list(pixels.shape)}"
            )
        network: nn.Module = self.network.features if features else self.network  # type: ignore[assignment]
        embeddings = torch.empty(len(pixels), (features and self.feature_size) or self.embedding_size)
        # Without TF32, whose 10 bits would move scores across the threshold on some devices only.
        exact = torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False)
        with exact if self.device.type == "cuda" else nullcontext():
            for start in range(0, len(pixels), BATCH):
                resized = resized_images(pixels[start : start + BATCH].cpu(), self.image_size)
                batch = network(resized.to(self.device).float().div_(255))
                embeddings[start : start + BATCH] = batch.float().cpu()
        if not embeddings.isfinite().all():
            raise UserError(f"the embeddings of {self.path} are not finite; its training has diverged")
        return embeddings


def _device(name: str | None) -> torch.device:
    try:
        device = torch.device(name or ("cuda" if torch.cuda.is_available() else "cpu"))
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise UserError(f"there is no device {name} here ({str(error).splitlines()[0]})") from error
    return device


def _fingerprint(
    network: nn.Module, similarity: nn.Module, preprocessing: Preprocessing, image_size: int | None
) -> str:
    kind = f"{type(similarity).__module__}.{type(similarity).__qualname__}"
    digest = hashlib.sha256(json.dumps([preprocessing.entry(), image_size, kind]).encode())
    for part in (network, similarity):
        for name, value in sorted(part.state_dict().items()):
            digest.update(json.dumps([name, str(value.dtype), list(value.shape)]).encode())
            digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
