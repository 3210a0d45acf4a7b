"""``python -m siamese label`` as a program of its own, with a checkpoint that is read."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from siamese.active.manifest import NAME
from siamese.losses import Contrastive
from siamese.networks import Compact
from siamese.systems import Siamese


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> Path:
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
    entry = {"height": 28, "width": 24, "colour": False, "invert": False, "fit": "pad", "image_size": 20}
    about = {"config": yaml.safe_dump({"model": config}), "preprocessing": entry, "dataset": "tiny"}
    path = tmp_path_factory.mktemp("model") / "best.ckpt"
    torch.save({"state_dict": Siamese(network, Contrastive()).state_dict(), "siamese": about}, path)
    return path


def test_the_program_with_a_real_checkpoint(tiny, tmp_path):
    """Ten small images, dark on the left or on the right, in names of any letters; JSON and nothing else on standard output."""
    draw = np.random.default_rng(0)
    for number in range(10):
        for folder, per in (("labeled", 3), ("pool", 5)):
            side = "links 左" if number % 2 else "rechts"
            if number // 2 < per:
                pixels = draw.integers(150, 256, (28, 24), dtype=np.uint8)
                pixels[:, :12] //= 8 if number % 2 else 1
                pixels[:, 12:] //= 1 if number % 2 else 8
                path = tmp_path / folder / side / f"{number}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels).save(path)
    command = [sys.executable, "-m", "siamese", "label", "--model", tiny, "--out", "out", "--json"]
    command += ["--labeled", "labeled", "--pool", "pool"]
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(
        list(map(str, command)), cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["placed"] == sum(found["folders"].values()) == 10
    assert set(found["folders"]) == {"uncertain", "links 左", "rechts"}
    with (tmp_path / "out" / NAME).open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        if not row["placed"].startswith("uncertain"):
            assert row["predicted"] == row["file"].split("/")[0] == row["placed"].split("/")[0]
    assert sum(path.is_file() for path in (tmp_path / "out").rglob("[!.]*")) == 11, "ten images and the manifest"
