"""The paper as tutorials write it, the plain side of ``make bench`` (Koch, Zemel, Salakhutdinov 2015).

A data set opens the two image files of every pair and distorts each; the network runs on the first images of a batch of
pairs, then on the second; a linear layer on |h1 - h2| and binary cross-entropy; Adam at a constant rate, in float32. Trials
are scored pair by pair, both images decoded and forwarded again each time. Of this project it takes the network alone.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms
from torchvision.transforms import InterpolationMode

EPOCH = 30_000  # pairs, the smallest of the paper's sets, drawn anew every epoch
SHEAR = 8.5  # degrees, whose tangent is the 0.15 of experiments/omniglot.yaml
PAPER = 255


class Pairs(Dataset):
    """Pairs of images below ``folder/<class>/``, every other one of the same class, with 1.0 for same and 0.0 for different."""

    def __init__(self, folder: Path, size: int, length: int = EPOCH) -> None:
        self.classes = [sorted(each.iterdir()) for each in sorted(folder.iterdir())]
        self.length = length
        self.transform = distorting(size)

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor, Tensor]:
        same = index % 2
        if same:
            first, second = random.sample(random.choice(self.classes), 2)
        else:
            first, second = (random.choice(files) for files in random.sample(self.classes, 2))
        return opened(first, self.transform), opened(second, self.transform), torch.tensor([float(same)])


class Trials(Dataset):
    """Every query with each of its candidates, from their ``files`` by row: ``support`` ``[E, N, 1]``, ``query`` ``[E, Q]``."""

    def __init__(self, files: list[Path], size: int, support: Tensor, query: Tensor) -> None:
        self.ways = support.shape[1]
        self.pairs = [
            (files[one], files[other])
            for candidates, queries in zip(support.squeeze(2).tolist(), query.tolist(), strict=True)
            for one in queries
            for other in candidates
        ]
        self.transform = resizing(size)

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        first, second = self.pairs[index]
        return opened(first, self.transform), opened(second, self.transform)


class Twin(nn.Module):
    """Logits ``[B, 1]`` that two images ``[B, C, H, W]`` show the same: one network, run on each."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.out = nn.Linear(int(network.embedding_size), 1)  # type: ignore[arg-type]

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        return self.out((self.network(first) - self.network(second)).abs())


def training(twin: Twin, pairs: Pairs, batch: int, rate: float, workers: int) -> Iterator[float]:
    """Trains for ever, and yields the loss of each batch of so many pairs once it is learned."""
    loader = DataLoader(pairs, batch_size=batch, num_workers=workers, persistent_workers=workers > 0, drop_last=True)
    optimizer = torch.optim.Adam(twin.parameters(), lr=rate)
    criterion = nn.BCEWithLogitsLoss()
    while True:
        for first, second, same in loader:
            twin.train()  # it may have been evaluated in between
            optimizer.zero_grad()
            loss = criterion(twin(first, second), same)
            loss.backward()
            optimizer.step()
            yield loss.item()


@torch.no_grad()
def evaluate(twin: Twin, trials: Trials, workers: int) -> Tensor:
    """Logits ``[trials, N]`` of every query and each of its N candidates, a trial at a time."""
    twin.eval()
    return torch.cat([twin(a, b).T for a, b in DataLoader(trials, batch_size=trials.ways, num_workers=workers)])


def distorting(size: int) -> transforms.Compose:
    """As experiments/omniglot.yaml distorts, an image at a time; characters are not centred, so they are moved further."""
    bent, affine = (-SHEAR, SHEAR, -SHEAR, SHEAR), transforms.RandomAffine
    return transforms.Compose(
        [
            transforms.Resize((size, size)),
            affine(10, (0.05, 0.05), (0.85, 1.15), bent, InterpolationMode.BILINEAR, PAPER),
            transforms.ToTensor(),
        ]
    )


def resizing(size: int) -> transforms.Compose:
    return transforms.Compose([transforms.Resize((size, size)), transforms.ToTensor()])


def opened(path: Path, transform: transforms.Compose) -> Tensor:
    """The image in a file, ``float [1, H, W]`` in [0, 1] with ink 1: the files have black ink on white paper."""
    with Image.open(path) as image:
        return 1 - transform(image.convert("L"))


def files_by_row(folder: Path) -> list[Path]:
    """The files ``folder/<class>/<row>.png`` in order of their rows."""
    return sorted(folder.glob("*/*.png"), key=lambda path: int(path.stem))
