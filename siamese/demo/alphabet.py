"""The one-shot network: which of some symbols a drawing is, and whether two pictures show the same."""

from __future__ import annotations

from typing import Any, NamedTuple

from siamese.datasets.decoding import Picture
from siamese.demo.drawings import Strokes, symbol_picture
from siamese.errors import UserError
from siamese.ink.several import several_symbols
from siamese.model import Model
from siamese.report import GENERATED

FEWEST, MOST = 2, 20  # symbols of an alphabet
MOST_SUPPORTS = 60  # drawings of them


class Support(NamedTuple):
    """One drawing of a symbol that was taught."""

    name: str
    strokes: Strokes


class OneShot:
    """Names by the most similar support, with the operating point that the checkpoint carries. It keeps nothing it is asked.

    Args:
        model: with an operating point.

    Raises:
        UserError: the checkpoint has no operating point.
    """

    def __init__(self, model: Model) -> None:
        if model.operating_point is None:
            raise UserError(f"{model.path} holds no threshold chosen on validation classes; train or evaluate anew")
        self.model, self.point = model, model.operating_point

    def about(self) -> dict[str, Any]:
        """``model``, ``note``, ``threshold``, ``threshold_from``, and the bounds of an alphabet ``fewest``, ``most``."""
        generated = f"This network was trained on generated {self.model.dataset}: it has seen no real character."
        return {
            "model": str(self.model.path), "note": generated if self.model.dataset in GENERATED else "",
            "threshold": self.point.threshold, "threshold_from": self.point.source, "fewest": FEWEST, "most": MOST,
        }  # fmt: skip

    def picture(self, strokes: Strokes) -> Picture:
        """A drawing as an image file that the network's preprocessing is for."""
        return symbol_picture(strokes, self.model.preprocessing)

    def name(self, supports: list[Support], probe: Strokes) -> dict[str, Any]:
        """Which of the symbols a drawing is; of several supports of one name the best counts.

        Args:
            supports: of 2 to 20 names.
            probe: the drawing.

        Returns:
            ``name``: the symbol's, None for none of these; ``threshold``; ``supports``: [{``score``, ``probability``}] in the
            order given, where the probability is that of the pair by itself, genuine or not being equally likely beforehand.

        Raises:
            UserError: there are fewer or more names.
        """
        names = len({support.name for support in supports})
        if not FEWEST <= names <= MOST:
            raise UserError(f"An alphabet here has {FEWEST} to {MOST} symbols, not {names}.")
        drawn = [probe, *(support.strokes for support in supports)]
        embedded = self.model.embed([self.picture(strokes) for strokes in drawn])
        scores = self.model.similarity(embedded[:1], embedded[1:])[0]
        best = int(scores.argmax())
        told = [
            {"score": score, "probability": chance}
            for score, chance in zip(scores.tolist(), self.point.probability(scores).tolist(), strict=True)
        ]
        known = told[best]["score"] >= self.point.threshold
        return {
            "name": supports[best].name if known else None,
            "threshold": self.point.threshold,
            "supports": told,
        }

    def compare(self, first: Picture, second: Picture) -> dict[str, Any]:
        """``same``, ``score``, ``probability``, ``threshold`` and ``threshold_from`` of two pictures, see ``Verdict``; and
        ``notes``, sentences on what may not have been meant."""
        verdict, made = self.model.verify(first, second), self.model.preprocessing
        sides = {"first": first, "second": second}
        several = [name for name, side in sides.items() if made.ink and several_symbols(made.found_ink(side))]
        notes = [f"The {name} seems to show several symbols; they are compared as one." for name in several]
        return vars(verdict) | {"notes": notes}
