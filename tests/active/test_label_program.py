"""``python -m siamese label`` as a program of its own, with a checkpoint that is read."""

import csv
import json
import os
import subprocess
import sys

import numpy as np
from PIL import Image

from siamese.active.manifest import NAME


def test_the_program_with_a_real_checkpoint(untrained, tmp_path):
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
    command = [sys.executable, "-m", "siamese", "label", "--model", untrained, "--out", "out", "--json"]
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
