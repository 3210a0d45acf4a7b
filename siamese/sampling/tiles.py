"""Tiles: images of four different classes side by side in a square, whose label is the set of the four.

A tile is four rows of a table, in reading order; it becomes pixels only where a network needs it.
"""

from __future__ import annotations

import torch
from torch import Tensor

from siamese.errors import UserError
from siamese.sampling.batches import PAIR_SET, IndexBatch, Sampler
from siamese.sampling.classes import class_rows
from siamese.sampling.seeds import generator
from siamese.tables import Table

SIDE = 2
PARTS = SIDE**2


def draw_tiles(table: Table, count: int, draw: torch.Generator) -> Tensor:
    """``int64 [count, 4]`` rows: four different classes, all sets of four equally likely, one random image of each, in random
    places. Raises UserError for a table of fewer classes."""
    if len(table.classes) < PARTS:
        raise UserError(f"a tile shows {PARTS} different classes, and {table.name} has {len(table.classes)} here")
    rows, counts, _ = class_rows(table)
    classes = torch.rand(count, len(rows), generator=draw).topk(PARTS).indices
    picked = (torch.rand(count, PARTS, generator=draw, dtype=torch.float64) * counts[classes]).long()
    return rows[classes, picked]


def tile_targets(table: Table, tiles: Tensor) -> Tensor:
    """``bool [..., L]``: which of the table's ``L`` class names the tiles ``int64 [..., 4]`` show."""
    empty = torch.zeros(*tiles.shape[:-1], len(table.class_names), dtype=torch.bool)
    return empty.scatter(-1, table.labels[tiles], True)


def tiled(images: Tensor) -> Tensor:
    """``[B, C, 2H, 2W]`` of parts ``[B, 4, C, H, W]`` in reading order."""
    count, _, channels, height, width = images.shape
    grid = images.view(count, SIDE, SIDE, channels, height, width).permute(0, 3, 1, 4, 2, 5)
    return grid.reshape(count, channels, SIDE * height, SIDE * width)


class Tiles(Sampler):
    """Batches of tiles; each part of a tile is turned and distorted by itself.

    Args:
        tiles: how many an epoch has; it leaves the last odd ones out.
        batch: tiles of a batch.
        fresh: draw others in every epoch; otherwise the same, in another order.
        mirror: half of the parts are mirror images.
    """

    def __init__(self, tiles: int = 50_000, batch: int = 256, fresh: bool = False, mirror: bool = False) -> None:
        if not 2 <= batch <= tiles:
            raise UserError(f"a batch holds at least 2 tiles, and no more than an epoch; not {batch} of {tiles}")
        self.tiles, self.batch, self.fresh, self.mirror = tiles, batch, fresh, mirror

    def epoch(self, table: Table, symmetries: int, seed: int, epoch: int) -> IndexBatch:
        if symmetries > 1:
            raise UserError(f"the label of a tile is a set of classes, so data.symmetries is 1, not {symmetries}")
        drawn = draw_tiles(table, self.tiles, generator(seed, epoch if self.fresh else PAIR_SET))
        draw = generator(seed, epoch)
        steps = self.tiles // self.batch
        order = torch.randperm(self.tiles, generator=draw)[: steps * self.batch].view(steps, self.batch)
        rows = drawn[order]
        turns = 4 * torch.randint(2, rows.shape, generator=draw) if self.mirror else torch.zeros_like(rows)
        return IndexBatch(rows, tile_targets(table, rows), turns, torch.ones_like(rows, dtype=torch.bool))
