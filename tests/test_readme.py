"""README's promises: its code runs, its make targets exist, its additions are short."""

import re
import shutil
import sys
from pathlib import Path

import pytest
from PIL import Image

from siamese.__main__ import main
from siamese.datasets.cartoons import Cartoons

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
SNIPPETS = [block for block in BLOCKS if "class " in block]  # what a user adds
(FIVE_LINES,) = [block for block in BLOCKS if "class " not in block]  # what a user does


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """The snippets as a user would keep them, in a file ``mine.py``."""
    (tmp_path / "mine.py").write_text("\n".join(SNIPPETS))
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    sys.modules.pop("mine", None)


@pytest.mark.parametrize("snippet", SNIPPETS, ids=lambda snippet: re.findall(r"class (\w+)", snippet)[0])
def test_additions_are_at_most_twenty_lines(snippet):
    assert len([line for line in snippet.splitlines() if line.strip()]) <= 20


@pytest.mark.parametrize(
    "options",
    [["--model.network", "mine.Tiny"], ["--model.loss", "mine.Hinge"], ["--data.source", "mine.Stripes"]],
    ids=lambda options: options[1],
)
def test_additions_train(options, mine):
    config = ROOT / "experiments" / "omniglot.yaml"
    few = ["--data.sampler.classes", "8", "--trainer.max_steps", "2", "--data.val_batches", "1"]
    source = [] if "--data.source" in options else ["--data.source", "mine.Stripes"]
    assert main(["fit", "--config", str(config), "--runs", str(mine), *source, *few, *options]) == 0


def test_the_five_lines_verify_enroll_and_identify(tmp_path, monkeypatch, capsys):
    table = Cartoons(people=8, shots=3, val=2, test=2).load()
    for row, name in enumerate(table.file_names):
        path = tmp_path / "people" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(table.images[row, 0].numpy()).save(path)
    monkeypatch.chdir(tmp_path)
    shutil.copy("people/person01/01.png", "a.jpg")
    shutil.copy("people/person02/01.png", "b.jpg")
    shutil.copy("people/person01/02.png", "photo.jpg")
    assert main(["fit", "--config", str(ROOT / "experiments/folder.yaml"), "--data.root", "people", "--trainer.max_epochs", "1",
                 "--data.sampler.steps", "2", "--trainer.accelerator", "cpu"]) == 0  # fmt: skip
    capsys.readouterr()
    exec(compile(FIVE_LINES, "README.md", "exec"), {})
    said = capsys.readouterr().out
    assert said.startswith("Verdict(same=")
    assert "person01" in said
    assert len(FIVE_LINES.strip().splitlines()) <= 7


def test_every_make_target_named_exists():
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"\bmake ([a-z][a-z-]+)", README):
        assert re.search(rf"^{target}:.*## ", makefile, re.MULTILINE), target


def test_every_file_named_exists():
    for path in re.findall(r"`((?:experiments|docs|data)/[\w./-]+\.\w+)`", README):
        assert (ROOT / path).exists(), path
