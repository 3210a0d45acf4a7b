"""What many tests need: a tiny table, an environment without loggers, and Omniglot where it can be had."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
import yaml

from siamese.__main__ import main
from siamese.datasets import registry
from siamese.datasets.omniglot import Omniglot
from siamese.errors import DataUnavailable
from siamese.losses import Contrastive
from siamese.networks import Compact
from siamese.sampling.episodes import Episodes
from siamese.systems import Siamese
from siamese.tables import Table


def random_table(groups: list[int], sources: int = 5, size: int = 28, seed: int = 0) -> Table:
    """Random images: ``groups`` holds the number of classes of each group; every class has the same sources."""
    classes = sum(groups)
    of_class = torch.arange(len(groups)).repeat_interleave(torch.tensor(groups))
    random = torch.Generator().manual_seed(seed)
    return Table(
        name="tiny",
        images=torch.randint(256, (classes * sources, 1, size, size), dtype=torch.uint8, generator=random),
        labels=torch.arange(classes).repeat_interleave(sources),
        groups=of_class.repeat_interleave(sources),
        sources=torch.arange(sources).repeat(classes),
        class_names=tuple(f"class {number}" for number in range(classes)),
        group_names=tuple(f"group {number}" for number in range(len(groups))),
        file_names=tuple(f"{number // sources}_{number % sources}.png" for number in range(classes * sources)),
    )


@pytest.fixture(autouse=True, scope="session")
def no_wandb() -> Iterator[None]:
    """Nothing is logged to W&B, not even by what fixtures of a module train."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WANDB_MODE", "disabled")
        yield


@pytest.fixture(autouse=True)
def no_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run leaves its folder's name to the processes it starts; no test is one of them."""
    monkeypatch.delenv("SIAMESE_RUN", raising=False)


@pytest.fixture
def make_table() -> Callable[..., Table]:
    return random_table


@pytest.fixture
def tiny() -> Table:
    """4 groups x 6 classes x 5 sources of 1x28x28."""
    return random_table([6, 6, 6, 6])


@pytest.fixture(scope="session")
def best(tmp_path_factory) -> Path:
    """The checkpoint of a short training."""
    runs = tmp_path_factory.mktemp("runs")
    arguments = [
        "fit",
        "--config",
        str(Path(__file__).parent / "tiny.yaml"),
        "--runs",
        str(runs),
        "--trainer.max_epochs",
        "1",
    ]
    assert main(arguments) == 0
    return (runs / "tiny-glyphs" / "latest").resolve() / "checkpoints" / "best.ckpt"


@pytest.fixture(scope="session")
def untrained(tmp_path_factory) -> Path:
    """The checkpoint of a small network that has learned nothing."""
    torch.manual_seed(0)
    network = Compact((4, 8), 6, image_size=20)
    config = {
        "network": {
            "class_path": "siamese.networks.Compact",
            "init_args": {"widths": [4, 8], "embedding_size": 6, "image_size": 20},
        },
        "loss": {"class_path": "siamese.losses.Contrastive"},
    }
    entry = {"height": 28, "width": 24, "colour": False, "invert": True, "fit": "pad", "image_size": 20}
    about = {"config": yaml.safe_dump({"model": config}), "preprocessing": entry, "dataset": "tiny"}
    path = tmp_path_factory.mktemp("model") / "best.ckpt"
    torch.save({"state_dict": Siamese(network, Contrastive()).state_dict(), "siamese": about}, path)
    return path


def _real(load):
    """What ``load`` gives; where the data is neither on disk nor on the mirror, a skip, or a failure if it is required."""
    mirror = os.environ.get("SIAMESE_MIRROR", "")
    download = registry._download

    def from_mirror(url, *arguments):
        return download(url, *arguments) if mirror and url.startswith(mirror) else None

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry, "_download", from_mirror)  # a test fetches nothing from public servers
        try:
            return load()
        except DataUnavailable as missing:
            if os.environ.get("SIAMESE_REQUIRE_REAL_DATA"):
                pytest.fail(f"real data is required: {missing}")
            pytest.skip(str(missing))


@pytest.fixture(scope="session")
def recorded() -> Callable[[str], Path]:
    """Where the real pen strokes of ``small1`` or ``small2`` are."""
    return lambda small: _real(lambda: registry.fetch("omniglot", f"strokes_background_{small}.zip"))


@pytest.fixture(scope="session")
def omniglot() -> Table:
    """The real Omniglot, all 32,460 images."""
    return _real(Omniglot().load)


@pytest.fixture(scope="session")
def official(omniglot: Table) -> tuple[Table, Episodes]:
    """The test table of the real Omniglot and its 20 official runs."""
    source = Omniglot()
    test = source.split(omniglot).test
    runs = _real(lambda: source.official_runs(test))
    assert runs is not None
    return test, runs
