"""Ten generated characters that very many people have drawn: what there is to train on where MNIST or CIFAR-10 cannot be had.

The characters and the hands that draw them are those of ``glyphs.py``; here one alphabet of ten has drawers enough for closed
splits. A figure measured on it says nothing about any published data set and is labelled with its own name.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import torch
from torch import Generator, Tensor

from siamese.datasets import glyphs
from siamese.datasets.base import DataSet, Splits, cached_table
from siamese.datasets.glyphs import drawn, one_thread, script
from siamese.datasets.pictures import Preprocessing
from siamese.errors import UserError
from siamese.sampling.seeds import generator
from siamese.tables import Table

VERSION = 1  # To be raised whenever equal arguments no longer give equal images of equal characters.
CHARACTERS = 10
_TOGETHER = 100  # drawers at work at once; the last ones are drawn in vain where they are no multiple
_APART = (0.3, 0.7)  # least and most by which ink and paper differ in each colour


class Glyphs10(DataSet):
    """Ten generated characters, each drawn once by every drawer. The splits are closed: the same characters by other drawers.

    The default has MNIST's shape, 60,000 + 10,000 images of 28x28.

    Args:
        train, val, test: how many drawers teach, choose and report.
        size: height and width of an image in pixels.
        colour: three channels, each image with an ink and a paper of its own colour; otherwise ink is 255 and paper 0.
        unseen: characters left out of training and choosing, which are novel when the test comes; it keeps them.
        seed: another seed gives other characters; equal arguments give equal images.
    """

    def __init__(
        self,
        train: int = 5500,
        val: int = 500,
        test: int = 1000,
        size: int = 28,
        colour: bool = False,
        unseen: Sequence[int] = (),
        seed: int = 0,
    ) -> None:
        if min(train, test) < 1 or min(val, seed) < 0 or size < 8:
            raise UserError(
                "Glyphs10 needs train and test >= 1, val and seed >= 0, size >= 8; not "
                f"{train}, {test}, {val}, {seed}, {size}"
            )
        if not set(unseen) < set(range(CHARACTERS)):
            raise UserError(f"unseen lists some, not all, of the characters 0 to 9, not {list(unseen)}")
        self.train, self.val, self.test = train, val, test
        self.size, self.colour, self.unseen, self.seed = size, colour, tuple(unseen), seed

    @property
    def drawers(self) -> int:
        return self.train + self.val + self.test

    def load(self) -> Table:
        """All images, drawer by drawer, as ``uint8 [10 * drawers, 1 or 3, size, size]``, drawn at the first call and cached."""
        look = "colour" if self.colour else "grey"
        key = f"glyphs10-v{glyphs.VERSION}.{VERSION}-{self.drawers}-{self.size}px-{look}-seed{self.seed}"
        return cached_table(key, self._draw)

    def split(self, table: Table) -> Splits:
        """By drawer, in order; each part is whole but for the characters that are unseen."""
        known = ~torch.isin(table.labels, torch.tensor(self.unseen, dtype=torch.int64))
        teach, test = table.sources < self.train, table.sources >= self.train + self.val
        return Splits(table.rows(teach & known), table.rows(~teach & ~test & known), table.rows(test), closed=True)

    def preprocessing(self, table: Table) -> Preprocessing:
        """People draw dark ink on light paper; of coloured ink and paper no file is to be turned around."""
        return dataclasses.replace(super().preprocessing(table), invert=not self.colour)

    def _draw(self) -> Table:
        name = "glyphs10-colour" if self.colour else "glyphs10"
        with one_thread():
            letters = script(CHARACTERS, generator(self.seed, VERSION, CHARACTERS))
            images = torch.cat([self._images(letters, first) for first in range(0, self.drawers, _TOGETHER)])
        labels = torch.arange(CHARACTERS).repeat(self.drawers)
        sources = torch.arange(self.drawers).repeat_interleave(CHARACTERS)
        return Table(
            name=name,
            images=images[: len(labels)],
            labels=labels,
            groups=torch.zeros_like(labels),
            sources=sources,
            class_names=tuple(f"character {label}" for label in range(CHARACTERS)),
            group_names=(name,),
            file_names=tuple(
                f"drawer{drawer:05d}/character{label}.png"
                for drawer in range(self.drawers)
                for label in range(CHARACTERS)
            ),
        )

    def _images(self, letters: glyphs.Script, first: int) -> Tensor:
        """Those of as many drawers as work together, from the ``first`` on, drawer by drawer."""
        draw = generator(self.seed, VERSION, CHARACTERS, 1 + first)
        images = drawn(letters, _TOGETHER, self.size, draw)
        images = images.unflatten(0, (CHARACTERS, _TOGETHER)).transpose(0, 1).flatten(0, 1)
        return coloured(images, draw) if self.colour else images


def coloured(images: Tensor, random: Generator) -> Tensor:
    """``uint8 [N, 3, H, W]`` of ink on paper ``uint8 [N, 1, H, W]``: each image in two colours of its own, which differ in red,
    in green and in blue."""
    paper, apart = torch.rand(2, len(images), 3, 1, 1, generator=random)
    least, most = _APART
    ink = (paper + least + (most - least) * apart) % 1
    return (255 * (paper + (ink - paper) * (images / 255))).round().to(torch.uint8)
