"""The data module: tables and integers in, batches on the training device out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from siamese.augment import Affine, ClassWarp, Distortion
from siamese.datasets.base import DataSet, Splits, drawn_table, loaded, preprocessing_entry
from siamese.errors import UserError
from siamese.ink import Ink
from siamese.sampling.batches import SYMMETRIES, BatchStream, IndexBatch, Sampler
from siamese.sampling.episodes import Episodes
from siamese.sampling.seeds import generator
from siamese.sampling.tiles import SIDE, tile_targets, tiled
from siamese.systems.held import Held
from siamese.systems.streams import RowBatch, RowStream, SplitStream, loader
from siamese.tables import Table, joined

AUGMENT = 1  # the stream of random numbers that augmentation draws from; sampling has the plain one
MOST_VIEWS = 20480
VIEWS = 2**32 - 2  # stands for the epoch, and the process, in the seeds of further batches


class Batch(NamedTuple):
    """Images ``float [B, C, H, W]`` in [0, 1] on the device; ``labels``, ``pairs`` as in IndexBatch, None when embedding."""

    images: Tensor
    split: str
    labels: Tensor | None = None
    pairs: Tensor | None = None


class FewShotData(pl.LightningDataModule):
    """A data set's three splits as batches. Nothing is decoded, copied or looped over per image while training.

    Args:
        source: the data set.
        sampler: draws the training batches.
        augment: turns and distorts training images, each by itself; None leaves them as they are.
        image_size: side in pixels of the square that the network sees; None for the table's own size.
        ink: for drawings and handwriting: the ink of every image is found and normalised before anything else, once for the
            whole table, and so is that of every file that the trained network is asked about. None for photographs.
        symmetries: how many symmetries of an image count as classes of their own while training: 1, 2 (mirror images), 4
            (rotations), or 8 (rotations and mirror images).
        warp: makes another class of each of the source's own classes in a training batch, in one resampling with ``augment``.
        distortions: what else is done to training images, in this order, once ``augment`` has turned and moved them.
        extra: a data set all of whose classes teach too, and do nothing else: drawn ones, say, where there are few real ones.
            Its images have the shape of the source's. Where a stand-in takes the source's place it is left out.
        strict: make missing data an error instead of training on the generated stand-in.
        eval_batch: images embedded at a time.
        fit_images: at most about this many training images are used where a network is fitted in closed form after an epoch, as
            ``Whitened`` is; None for all of them and up to 20,480 distorted ones.
        val_batches: batches of validation classes on which the validation loss is measured.
        seed: of all sampling and augmentation; the command line gives it ``seed_everything``.
    """

    def __init__(
        self,
        source: DataSet,
        sampler: Sampler,
        augment: Affine | None,
        image_size: int | None = 35,
        symmetries: int = 1,
        warp: ClassWarp | None = None,
        distortions: list[Distortion] | None = None,
        extra: DataSet | None = None,
        strict: bool = False,
        eval_batch: int = 512,
        val_batches: int = 8,
        seed: int = 0,
        ink: Ink | None = None,
        fit_images: int | None = None,
    ) -> None:
        super().__init__()
        if ink is not None and image_size is None:
            raise UserError("data.ink makes images of one size; give it by data.image_size")
        if fit_images is not None and fit_images < 2:
            raise UserError(f"data.fit_images must be at least 2, not {fit_images}")
        if symmetries not in SYMMETRIES:
            raise UserError(f"data.symmetries must be 1, 2, 4 or 8, not {symmetries}")
        if augment is None and symmetries > 1:
            raise UserError(f"data.augment turns images, so without it data.symmetries is 1, not {symmetries}")
        if augment is None and warp is not None:
            raise UserError("data.augment moves images, so without it there is no data.warp")
        if augment is None and sampler.mirror:
            raise UserError(
                "data.augment mirrors images, so without it the sampler's mirror is false; one of rotation, shear, scale and "
                "shift 0 does nothing else"
            )
        self.source, self.sampler, self.extra = source, sampler, extra
        self.augment, self.warp, self.distortions = augment, warp, distortions or []
        self.image_size, self.symmetries, self.strict, self.ink = image_size, symmetries, strict, ink
        self.eval_batch, self.val_batches, self.seed = eval_batch, val_batches, seed
        self.fit_images = fit_images
        self.splits: Splits | None = None
        self.official: Episodes | None = None
        self.tiles: dict[str, Tensor | None] = {}
        self._held = Held()

    def prepare_data(self) -> None:
        """Make the table once, in one process; ``setup`` then finds it in the cache."""
        self.setup("prepare")

    def setup(self, stage: str) -> None:
        if self.splits is not None:
            return
        wanted = self.source
        self.source, table = loaded(wanted, self.strict)
        if self.source is not wanted:
            self.extra = None  # it goes with what cannot be had
        self.fingerprint = table.fingerprint
        self.splits = self.source.split(table)
        self.official = self.source.official_runs(self.splits.test)
        self.tiles = {split: self.source.tiles(split, self.table(split)) for split in ("val", "test")}
        taught, self.taught_by = self.splits.train, self.splits.train.name
        if self.extra is not None:
            more = self.extra.load()
            if more.fingerprint == table.fingerprint:
                raise UserError(f"data.extra is {table.name} again, and would teach what is to be reported on")
            taught, self.taught_by = joined(taught, more), f"{taught.name} and {more.name}"
        # Of closed and leaking splits it is known that what is tested has been taught.
        names = [taught.class_names[label] for label in taught.classes.tolist()]
        self.taught_classes = [] if self.splits.closed or self.splits.leaking else names
        if self.ink is not None and any(tiles is not None for tiles in self.tiles.values()):
            raise UserError(f"data.ink takes one drawing an image, and those of {table.name} are tiles")
        self.resized = {"train": self._as_seen(taught)}
        self.resized |= {split: self._as_seen(self.table(split)) for split in ("val", "test")}
        _, height, width = self.resized["train"].image_shape
        if self.symmetries > 2 and height != width:
            raise UserError(f"quarter turns are of square images, and these are {width}x{height}; give data.image_size")

    def _as_seen(self, table: Table) -> Table:
        """The table with images as the network sees them."""
        if self.ink is None:
            return table.resized(self.image_size)
        assert self.image_size is not None  # as the constructor has made sure
        return drawn_table(table, self.ink, self.image_size)

    def table(self, split: str) -> Table:
        """The split's table as it was loaded, at its own resolution."""
        assert self.splits is not None, "setup() comes first"
        return getattr(self.splits, split)

    def images(self, split: str) -> int:
        """How many images of a split are embedded: its rows, or its tiles."""
        tiles = self.tiles.get(split)
        return len(self.table(split)) if tiles is None else len(tiles)

    def targets(self, split: str) -> Tensor | None:
        """``bool [N, L]``: which labels each image of a split carries; None where each is of one class."""
        table, tiles = self.table(split), self.tiles.get(split)
        return table.targets if tiles is None else tile_targets(table, tiles)

    def as_loaded(self, split: str, chosen: Tensor) -> Tensor:
        """``uint8 [R, C, H, W]``: images of a split ``int64 [R]``, its rows or its tiles, at their own resolution."""
        tiles = self.tiles.get(split)
        rows = chosen if tiles is None else tiles[chosen]
        return _together(self.table(split).images[rows.flatten()], rows)

    def file_names(self, split: str) -> list[str]:
        """By which a person finds each image of a split again; of a tile those of its four parts."""
        names, tiles = self.table(split).file_names, self.tiles.get(split)
        return list(names) if tiles is None else [" + ".join(names[row] for row in tile) for tile in tiles.tolist()]

    def preprocessing_entry(self) -> dict[str, Any] | None:
        """What a checkpoint holds of how an image file becomes what the network sees; a tile is made of resized parts."""
        side = self.image_size if self.image_size is None or self.tiles.get("test") is None else SIDE * self.image_size
        return preprocessing_entry(self.source, self.table("train"), side, self.ink)

    def train_dataloader(self) -> DataLoader:
        return self._stream(
            "train", lambda epoch: self.sampler.epoch(self.resized["train"], self.symmetries, self.seed, epoch)
        )

    def val_dataloader(self) -> list[DataLoader]:
        """All validation images once, to embed; then a few fixed batches, to measure the loss."""

        def fixed(epoch: int) -> IndexBatch:
            whole = self.sampler.epoch(self.resized["val"], self.symmetries, self.seed, 0)
            few = [column[: self.val_batches] for column in whole[:4]]
            return IndexBatch(few[0], few[1], few[2], torch.zeros_like(few[3]), whole.pairs)

        return [self._rows("val"), *([self._stream("val", fixed, share=False)] if self.val_batches else [])]

    def test_dataloader(self) -> list[DataLoader]:
        """Validation images, from which thresholds come, and test images."""
        return [self._rows("val"), self._rows("test")]

    def predict_dataloader(self) -> DataLoader:
        return self._rows("test")

    def on_after_batch_transfer(self, batch: tuple[str, IndexBatch] | RowBatch, dataloader_idx: int) -> Batch:
        """Rows to images, on the device they are needed on."""
        if isinstance(batch, RowBatch):
            tiles = self.tiles.get(batch.split)
            rows = batch.rows if tiles is None else tiles[batch.rows.cpu()].to(batch.rows.device)
            return Batch(_together(self._images(batch.split, rows.flatten()), rows), batch.split)
        split, index = batch
        draw, warp, labels = self._augmenting(index.rows.device), None, index.labels
        if split == "train" and self.warp is not None:
            warp, labels = self._warped(self.warp, index, draw)
        return Batch(self._augmented(split, index, draw, warp), split, labels, index.pairs)

    def views(self, device: torch.device) -> Iterator[tuple[Tensor, Tensor]]:
        """Up to 40 more batches, at most ``MOST_VIEWS`` images, drawn and distorted as in training, without what was joined to
        the source's own; the same at every call.

        Yields:
            images ``float [B, C, H, W]`` in [0, 1], labels ``int64 [B]``, both on the device.
        """
        whole = self.sampler.epoch(self.resized["train"], self.symmetries, self.seed, VIEWS)
        if whole.labels.ndim > 2:
            raise UserError("what is fitted within classes, such as Whitened, takes images of one class each")
        teaches = self._own
        most = MOST_VIEWS if self.fit_images is None else min(MOST_VIEWS, self.fit_images)
        for step in range(min(40, max(1, most // whole.rows.shape[1]), len(whole.rows))):
            own = teaches[whole.rows[step]]
            index = IndexBatch(*(column[step, own].to(device) for column in whole[:4]))
            yield self._augmented("train", index, self._drawing(device, step, VIEWS)), index.labels

    def originals(self, device: torch.device) -> Iterator[Tensor]:
        """The source's own training images as they are, ``float [B, C, H, W]`` in [0, 1] on the device, in order; evenly spread
        ones where ``fit_images`` are fewer."""
        own = self._own.nonzero().flatten()
        every = 1 if self.fit_images is None else -(-len(own) // self.fit_images)
        for rows in own[::every].to(device).split(self.eval_batch):
            yield self._images("train", rows)

    @property
    def _own(self) -> Tensor:
        """``bool [N]``: which training images are the source's own, and not joined to them."""
        table = self.resized["train"]
        return ~table.added[table.groups]

    def _warped(self, warp: ClassWarp, index: IndexBatch, draw: torch.Generator) -> tuple[Tensor, Tensor]:
        """Where pixels come from, ``float [B, H, W, 2]``, and labels: what is warped is of a class of this process alone."""
        table = self.resized["train"]
        # Invented classes are as many as asked for without it.
        own = index.distort.flatten() & self._own.to(index.rows.device)[index.rows.flatten()]
        grid, warped = warp(index.labels, own, *table.image_shape[1:], draw)
        place = 1 + (self.trainer.global_rank if self.trainer else 0)
        return grid, index.labels + place * len(table.class_names) * self.symmetries * warped

    def _augmented(self, split: str, index: IndexBatch, draw: torch.Generator, warp: Tensor | None = None) -> Tensor:
        """``float [B, C, H, W]``: the images of a batch, each row of the table distorted by itself."""
        images, distort = self._images(split, index.rows.flatten()), index.distort.flatten()
        if self.augment is not None:
            images = self.augment(images, index.turns.flatten(), distort, draw, warp)
        for distortion in self.distortions:
            images = distortion(images, distort, draw)
        return _together(images, index.rows).contiguous(memory_format=torch.channels_last)

    def _stream(self, split: str, draw: Callable[[int], IndexBatch], share: bool = True) -> DataLoader:
        trainer = self.trainer
        if trainer is None or not share:
            stream = BatchStream(draw)
        else:
            done = trainer.fit_loop.epoch_loop.batch_progress.current
            place = lambda: (trainer.current_epoch, done.ready)  # noqa: E731
            stream = BatchStream(draw, place, trainer.global_rank, trainer.world_size)
        return loader(SplitStream(split, stream))

    def _rows(self, split: str) -> DataLoader:
        return loader(RowStream(split, self.images(split), self.eval_batch))

    def _images(self, split: str, rows: Tensor) -> Tensor:
        return self._held.rows(split, self.resized[split].images, rows)

    def _augmenting(self, device: torch.device) -> torch.Generator:
        """The generator of this step and process, on the device; a resumed training draws what it would have drawn."""
        trainer = self.trainer
        return self._drawing(device, *((trainer.global_step, trainer.global_rank) if trainer else (0, 0)))

    def _drawing(self, device: torch.device, *key: int) -> torch.Generator:
        return torch.Generator(device).manual_seed(generator(self.seed, *key, AUGMENT).initial_seed())


def _together(images: Tensor, rows: Tensor) -> Tensor:
    """Images ``[B * T, C, H, W]`` of the rows ``[B]`` or ``[B, T]``; in the latter case as tiles."""
    return images if rows.ndim == 1 else tiled(images.unflatten(0, tuple(rows.shape)))
