"""A training that begins with the network of a checkpoint."""

import dataclasses
import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from siamese.__main__ import main
from siamese.checkpoints import begin_with, read_checkpoint
from siamese.datasets import Glyphs
from siamese.errors import UserError
from siamese.lineage import refuse_taught
from siamese.networks import Compact
from tests.test_ensemble import TINY, trained


def test_a_network_goes_on_to_learn(best, tmp_path):
    """At a rate of 0 it stays the same but for its batch norms' statistics; what taught it before is not forgotten."""
    still = ["--model.optimization", "siamese.systems.optimization.OneCycle", "--model.optimization.lr", "0"]
    path = trained(tmp_path, "--start", str(best), "--seed_everything", "3", *still)
    before, after = (torch.load(each, weights_only=True) for each in (best, path))
    learned = [name for name in before["state_dict"] if "running" not in name and "num_batches" not in name]
    assert all(torch.equal(before["state_dict"][name], after["state_dict"][name]) for name in learned)
    (told,) = after["siamese"]["before"]
    assert told == {key: before["siamese"][key] for key in ("dataset", "classes", "fingerprint")}
    assert after["siamese"]["teachers"] == 0
    other = torch.load(trained(tmp_path / "other", "--seed_everything", "3", *still), weights_only=True)["state_dict"]
    assert any(not torch.equal(other[name], after["state_dict"][name]) for name in learned)


def test_what_a_network_was_taught_before_is_reported(best, tmp_path):
    content = torch.load(best, weights_only=True)
    elsewhere = content["siamese"] | {"dataset": "faces", "fingerprint": "another"}
    start = tmp_path / "faces.ckpt"
    torch.save(content | {"siamese": elsewhere}, start)
    arguments = ["fit", "--config", TINY, "--runs", str(tmp_path), "--trainer.max_epochs", "1", "--start", str(start)]
    assert main(arguments) == 0
    run = tmp_path / "tiny-glyphs" / "latest"
    assert json.loads((run / "results.json").read_text())["trained_on"] == "glyphs and faces"
    start.unlink()
    checkpoint = str(run / "checkpoints" / "best.ckpt")
    assert main(["evaluate", "--checkpoint", checkpoint, "--runs", str(tmp_path / "again")]) == 0


def test_what_cannot_go_on_is_refused(best, tmp_path, capsys):
    with pytest.raises(UserError, match="holds another architecture"):
        begin_with(Compact((8, 24), 16, image_size=28), read_checkpoint(Path(best)), best)
    fit = ["fit", "--config", TINY, "--runs", str(tmp_path)]
    assert main([*fit, "--start", str(tmp_path / "none.ckpt")]) == 2
    assert "there is no checkpoint" in capsys.readouterr().err
    assert main([*fit, "--start", str(best), "--data.image_size", "35"]) == 2
    assert "give data.image_size 28" in capsys.readouterr().err
    content = torch.load(best, weights_only=True)
    known = tmp_path / "known.ckpt"
    torch.save(content | {"siamese": content["siamese"] | {"classes": ["Glyphs-06/character01"]}}, known)
    assert main([*fit, "--start", str(known)]) == 2
    assert "was taught 1 of the classes that are to be tested" in capsys.readouterr().err
    assert not (tmp_path / "tiny-glyphs").exists()


@pytest.mark.parametrize(
    ("taught", "tested", "known"),
    [
        ("omniglot (5 alphabets) and glyphs of recorded strokes", "omniglot", True),
        ("people", "people", True),  # to which others have been added
        ("people", "cats", False),
        ("glyphs", "glyphs", False),  # others
    ],
)
def test_a_class_is_known_by_its_name_within_one_data_set(taught, tested, known):
    table = dataclasses.replace(Glyphs(3, (2, 2), 2, 8).load(), name=tested)
    data = SimpleNamespace(table=lambda split: table, taught_classes=["another"], fingerprint="new")
    about = {"dataset": taught, "classes": [table.class_names[1]], "fingerprint": "old"}
    if known:
        with pytest.raises(UserError, match=f"taught 1 of the classes .* for instance {table.class_names[1]}"):
            refuse_taught([about], data, "test")
    else:
        refuse_taught([about], data, "test")
    refuse_taught([about | {"classes": ["another"]}], data, "test")
