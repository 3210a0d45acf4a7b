"""How well images of things that were never taught are told from those of taught classes, by several detectors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from siamese.datasets.base import DataSet
from siamese.errors import DataUnavailable, UserError
from siamese.evaluation.classification import logits
from siamese.evaluation.evaluator import Evaluator, visible
from siamese.evaluation.novelty import NEIGHBOURS, Detector, LocalOutliers, NearestKnown, separation, threshold
from siamese.plots.novelty import MOST, factor_histogram, judged_sheet
from siamese.systems.data import FewShotData
from siamese.systems.siamese import Siamese
from siamese.tables import Table, resized_images

FEATURES, EMBEDDINGS, PIXELS = "LOF of features", "LOF of embeddings", "LOF of pixels"
NEAREST_FEATURES, NEAREST_EMBEDDINGS, SOFTMAX = "k-NN of features", "k-NN of embeddings", "softmax probability"
HELD_OUT = "held-out classes"
Network = Callable[[Tensor], Tensor]


class Scores(NamedTuple):
    """What one detector gives training images ``float64 [N]``, known test images ``[K]``, and each novel set ``[M]``."""

    train: np.ndarray
    known: np.ndarray
    novel: dict[str, np.ndarray]


class Novelty(Evaluator):
    """Novelty detection: detectors are fitted on the training images, undistorted, and asked of test images whether they show
    anything known. Test images of taught classes are known. Novel are the test images of other data sets, and those of
    classes that were not taught, if there are any ("held-out classes").

    The detectors: LOF of the features of all layers, where the network has them: what does not help to tell the taught classes
    apart may be gone from the embedding, and still be there (compare Lee et al. 2018, A Simple Unified Framework for Detecting
    Out-of-Distribution Samples and Adversarial Attacks); LOF of the embeddings; of both also the distance to the k-th nearest
    training image; LOF of the raw pixels, as the network gets them; maximum softmax probability (Hendrycks, Gimpel 2017, A
    Baseline for Detecting Misclassified and Out-of-Distribution Examples in Neural Networks), where the loss knows classes.

    Args:
        novel: data sets whose test images are novel, made grey where the network takes one channel, and of the network's size.
        contaminations: shares of the training images that a threshold may take for novel.
        neighbours: how many LOF looks at; k of the distance.
        most: how many images of each novel set at most, evenly spread over its rows.
        pixels: also LOF of the pixels, which no training changes. Sixty thousand images of 28x28 take a minute or two.
    """

    def __init__(
        self,
        novel: Sequence[DataSet] = (),
        contaminations: Sequence[float] = (0.001, 0.01),
        neighbours: int = NEIGHBOURS,
        most: int = 10_000,
        pixels: bool = True,
    ) -> None:
        super().__init__()
        if not contaminations or not all(0 < share <= 0.5 for share in contaminations):
            raise UserError(f"contaminations are shares above 0, 0.5 at most, not {list(contaminations)}")
        if neighbours < 1 or most < 1:
            raise UserError(f"neighbours and most are at least 1, not {neighbours} and {most}")
        self.sources, self.contaminations = list(novel), sorted(contaminations)
        self.neighbours, self.most, self.pixels = neighbours, most, pixels
        self.novel: dict[str, Table] | None = None
        self.left_out: list[str] = []

    def prepare(self, data: FewShotData) -> None:
        if self.novel is not None:
            return
        test, train, found = data.table("test"), data.table("train"), {}
        taught = torch.isin(test.labels, train.classes)
        if not taught.any():
            raise UserError(
                f"no test image of {test.name} is of a class that was taught, so none is known; Novelty takes closed splits"
            )
        if len(train) <= self.neighbours:
            raise UserError(f"{self.neighbours} neighbours cannot be found among {len(train)} training images")
        if not taught.all():
            found[HELD_OUT] = _spread(test.rows(~taught), self.most)
        for source in self.sources:
            try:
                table = _spread(source.split(source.load()).test, self.most)
            except DataUnavailable as missing:
                if data.strict:
                    raise
                name = type(source).__name__
                print(
                    f"{missing}.\nNothing of {name} is asked for in Novelty. STRICT=1 makes this an error.", flush=True
                )
                self.left_out.append(name)
                continue
            if table.name in (*found, test.name, "train", "known"):
                raise UserError(
                    f"the novel data sets differ from {test.name} and from one another; {table.name} does not"
                )
            found[table.name] = table
        if not found and not self.left_out:
            raise UserError("nothing is novel: give data sets (novel), or leave classes out of training")
        self.novel = found

    @torch.no_grad()
    def report(self, system: Siamese, data: FewShotData) -> None:
        if not self.novel:
            return
        test, train, shape = data.table("test"), data.table("train"), data.resized["train"].image_shape
        taught = torch.isin(test.labels, train.classes)
        pixels = {"train": data.resized["train"].images[: len(train)], "known": data.resized["test"].images[taught]}
        pixels |= {name: as_seen(table.images, shape) for name, table in self.novel.items()}

        def embedded(network: Network) -> dict[str, Tensor]:
            return {name: _embedded(system, network, each, data.eval_batch) for name, each in pixels.items()}

        scores, vectors = {}, embedded(system.network)
        if features := getattr(system.network, "features", None):
            found = embedded(features)
            scores[FEATURES] = _scores(LocalOutliers(self.neighbours), found)
            scores[NEAREST_FEATURES] = _scores(NearestKnown(self.neighbours), found)
        scores[EMBEDDINGS] = _scores(LocalOutliers(self.neighbours), vectors)
        scores[NEAREST_EMBEDDINGS] = _scores(NearestKnown(self.neighbours), vectors)
        if self.pixels:
            flat = {name: each.flatten(1).float().div_(255) for name, each in pixels.items()}
            scores[PIXELS] = _scores(LocalOutliers(self.neighbours), flat)
        if (sure := _surest(system, vectors)) is not None:
            scores[SOFTMAX] = sure
        self.results = {"novelty": self._section(scores, test.name)}
        self._draw(next(iter(scores.values())))

    def _section(self, scores: dict[str, Scores], known: str) -> dict[str, Any]:
        some = next(iter(scores.values()))
        how = (
            f"detectors fitted on {len(some.train):,} training images; {len(some.known):,} test images of taught classes of "
            f"{known} are known; {self.neighbours} neighbours; rejected at the threshold below which lies a stated share of "
            "the training images; FPR95: novel images accepted where 95 % of the known are"
        )
        return {
            "how": how,
            "known": known,
            "left_out": self.left_out,
            "neighbours": self.neighbours,
            "contaminations": self.contaminations,
            "images": {"train": len(some.train), "known": len(some.known)}
            | {name: len(each) for name, each in some.novel.items()},
            "detectors": {name: self._detector(each) for name, each in scores.items()},
        }

    def _detector(self, scores: Scores) -> dict[str, Any]:
        bars = {str(share): threshold(scores.train, share) for share in self.contaminations}

        def rejected(of: np.ndarray) -> dict[str, float]:
            return {share: float((of < bar).mean()) for share, bar in bars.items()}

        novel = {name: {"rejected": rejected(of), **separation(scores.known, of)} for name, of in scores.novel.items()}
        return {"thresholds": bars, "known_rejected": rejected(scores.known), "novel": novel}

    def _draw(self, scores: Scores) -> None:
        """Of the first detector, at the greatest contamination, which lets the fewest novel images pass."""
        assert self.novel is not None
        bars = {f"{100 * share:g} % of training": -threshold(scores.train, share) for share in self.contaminations}
        self.pictures["novelty.png"] = factor_histogram(
            -scores.known, {name: -each for name, each in scores.novel.items()}, bars
        )
        bar = threshold(scores.train, self.contaminations[-1])
        accepted = {name: int((of >= bar).sum()) for name, of in scores.novel.items()}
        images, names, said = [], [], []
        for name, of in scores.novel.items():
            table, surest = self.novel[name], (-of).argsort(kind="stable")
            # As many of each set, so that one hard set does not hide the others.
            for row in surest[: min(accepted[name], MOST // len(accepted))].tolist():
                images.append(visible(table, torch.tensor([row]))[0])
                names.append(table.file_names[row])
                said.append(f"{name} {-of[row]:.2f}")
        if images:
            title = f"Novel images taken for known at {100 * self.contaminations[-1]:g} %, the surest of each set"
            sheet = judged_sheet(images, names, said, [True] * len(images), title, sum(accepted.values()))
            self.pictures["novelty_accepted.png"] = sheet


def as_seen(images: Tensor, shape: tuple[int, int, int]) -> Tensor:
    """``uint8 [N, C, H, W]`` of this shape ``(C, H, W)`` of images ``uint8 [N, 1 or 3, H', W']``.

    Grey is the luma of ITU-R 601, as in Pillow and so in ``Preprocessing``. Raises UserError for other channels, and where the
    network's images are not square.
    """
    channels, height, width = shape
    if height != width:
        raise UserError(f"novel images are made square; images of {height}x{width} need data.image_size")
    if images.shape[1] != channels:
        if {images.shape[1], channels} != {1, 3}:
            raise UserError(f"images of {images.shape[1]} channels cannot be shown to a network that takes {channels}")
        if channels == 3:
            images = images.expand(-1, 3, -1, -1)
        else:
            weights = torch.tensor([19595, 38470, 7471]).view(3, 1, 1)
            chunks = [((chunk.int() * weights).sum(1, keepdim=True) + 2**15) >> 16 for chunk in images.split(2048)]
            images = torch.cat(chunks).byte()
    return resized_images(images, height)


def _spread(table: Table, most: int) -> Table:
    keep = torch.zeros(len(table), dtype=torch.bool)
    keep[torch.linspace(0, len(table) - 1, min(most, len(table)), dtype=torch.float64).round().long()] = True
    return table.rows(keep)


def _embedded(system: Siamese, network: Network, images: Tensor, batch: int) -> Tensor:
    """What the network makes of images ``uint8 [N, C, H, W]``, ``float32 [N, D]`` on the CPU, computed as the embeddings of
    the running test are."""
    with system.trainer.precision_plugin.forward_context():
        chunks = (chunk.to(system.device).float().div_(255) for chunk in images.split(batch))
        found = torch.cat([network(chunk).float().cpu() for chunk in chunks])
    if not found.isfinite().all():
        raise UserError("the network's embeddings of novel or training images are not finite")
    return found


def _scores(detector: Detector, vectors: dict[str, Tensor]) -> Scores:
    detector.fit(vectors["train"].numpy())
    asked = {name: detector.score(each.numpy()) for name, each in vectors.items() if name != "train"}
    return Scores(detector.known_scores, asked.pop("known"), asked)


def _surest(system: Siamese, vectors: dict[str, Tensor]) -> Scores | None:
    """The softmax probability of the likeliest class; None where the loss knows no classes."""
    try:
        said = {name: logits(system, each.to(system.device)) for name, each in vectors.items()}
    except UserError:
        return None
    sure = {name: each.double().softmax(1).amax(1).cpu().numpy() for name, each in said.items()}
    return Scores(sure.pop("train"), sure.pop("known"), sure)
