"""Omniglot's minimal background: five alphabets teach, and what can be invented from their pen strokes."""

from __future__ import annotations

import dataclasses

from siamese.datasets import omniglot_lists
from siamese.datasets.base import Splits
from siamese.datasets.glyphs import Glyphs
from siamese.datasets.omniglot import Omniglot
from siamese.errors import UserError
from siamese.tables import Table, joined

CHOOSING = 5  # invented alphabets beside those that teach


class Minimal(Omniglot):
    """Five of Omniglot's alphabets teach, and invented ones that are made of their strokes (Lake et al. 2015, the task with
    ``small1`` and ``small2``). No image of any other alphabet teaches a network or chooses its checkpoint.

    Args:
        train: ``small1``, ``small2``, or some of the alphabets of one of them, whose pen strokes are published too.
        val: alphabets that choose; None: five more invented ones do.
        test: alphabets that report, by name or as a list; see ``Omniglot``.
        invented: how many invented alphabets teach; 0 for none.
        seed: of the invented alphabets.
    """

    def __init__(
        self,
        train: str | list[str] = "small1",
        val: str | list[str] | None = None,
        test: str | list[str] = "official",
        invented: int = 45,
        seed: int = 0,
    ) -> None:
        super().__init__(train, [] if val is None else val, test)
        omniglot_lists.minimal(self.train)
        if invented < 0:
            raise UserError(f"the number of invented alphabets is 0 or more, not {invented}")
        self.invented, self.chosen_by_invented = invented, val is None
        self.glyphs = Glyphs(alphabets=invented + CHOOSING, seed=seed, strokes=list(self.train))

    def load(self) -> Table:
        """Omniglot's table; the invented alphabets are drawn first, so that what they are made of is
        missing now or never."""
        if self.invented or self.chosen_by_invented:
            self.glyphs.load()
        return super().load()

    def split(self, table: Table) -> Splits:
        train, test = table.of_groups(self.train), table.of_groups(self.test)
        name = f"{table.name} ({len(self.train)} alphabets)"
        if self.invented:
            drawn = self.glyphs.load()
            train = joined(train, drawn.of_groups(drawn.group_names[: self.invented]))
            name += f" and {drawn.name}"
        return Splits(dataclasses.replace(train, name=name), self._choosing(table), test)

    def _choosing(self, table: Table) -> Table:
        if not self.chosen_by_invented:
            return table.of_groups(self.val)
        drawn = self.glyphs.load()
        return drawn.of_groups(drawn.group_names[self.invented :])
