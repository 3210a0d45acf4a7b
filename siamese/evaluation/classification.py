"""How often the classes that were taught are named rightly, for losses that know classes."""

from __future__ import annotations

import torch
from torch import Tensor

from siamese.errors import UserError
from siamese.evaluation.evaluator import NETWORK, Evaluator, visible
from siamese.evaluation.intervals import wilson
from siamese.plots.classification import confusion_matrix, mistakes
from siamese.systems.data import FewShotData
from siamese.systems.siamese import Siamese


class Classification(Evaluator):
    """Accuracy over the images of the classes that were taught, with a picture of every image that is named wrongly.

    On validation images it logs ``val/accuracy``, by which checkpoints are chosen.
    """

    def prepare(self, data: FewShotData) -> None:
        if data.symmetries > 1:
            raise UserError(
                f"with data.symmetries {data.symmetries} a class has several labels; Classification needs 1"
            )

    def choose(self, system: Siamese, data: FewShotData) -> dict[str, float]:
        said = logits(system, system.embeddings("val")).argmax(1).cpu()
        return {"val/accuracy": float((said == data.table("val").labels).double().mean())}

    def report(self, system: Siamese, data: FewShotData) -> None:
        table = data.table("test")
        taught = torch.isin(table.labels, data.table("train").classes)
        known = table.rows(taught)
        scores = logits(system, system.embeddings("test")[taught.to(system.device)]).cpu()
        probabilities = scores.double().softmax(1)
        sure, said = probabilities.max(1)
        right = said == known.labels
        low, high = wilson(int(right.sum()), len(known))
        per_class = {
            known.class_names[label]: float(right[known.labels == label].double().mean())
            for label in known.classes.tolist()
        }
        accuracy = float(right.double().mean())
        self.results = {
            "classification": {
                "accuracy": accuracy, "low": low, "high": high, "images": len(known), "wrong": int((~right).sum()),
                "interval": "Wilson 95 %", "per_class": per_class,
                "how": "the class of the highest logit, one view of each test image",
            },
            "methods": {NETWORK: {"accuracy": accuracy}},
            "methods_how": f"{len(known):,} test images of {len(known.classes)} classes",
        }  # fmt: skip
        counts = torch.zeros(len(known.class_names), len(known.class_names), dtype=torch.int64)
        counts.index_put_((known.labels, said), torch.ones_like(said), accumulate=True)
        shown = known.classes
        self.pictures["confusion.png"] = confusion_matrix(
            counts[shown][:, shown].numpy(), [known.class_names[label] for label in shown.tolist()]
        )
        if not right.all():
            # The surest mistakes first.
            wrong = (~right).nonzero().flatten()
            wrong = wrong[sure[wrong].argsort(descending=True)]
            self.pictures["mistakes.png"] = mistakes(
                visible(known, wrong), [_told(known.class_names, said[row], known.labels[row]) for row in wrong]
            )


def logits(system: Siamese, embeddings: Tensor) -> Tensor:
    """``float32 [N, C]`` of embeddings ``[N, D]``. Raises UserError where the loss knows no classes."""
    with torch.no_grad():
        found = system.loss.logits(embeddings)
    if found is None:
        raise UserError(
            f"{type(system.loss).__name__} knows no classes to name; Classification takes Softmax or a loss of "
            "pytorch-metric-learning that has logits or proxies"
        )
    return found.float()


def _told(names: tuple[str, ...], said: Tensor, truth: Tensor) -> str:
    return f"{names[int(said)]}, is {names[int(truth)]}"
