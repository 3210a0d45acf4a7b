"""Whatever is wrong with what a user gives: one clear sentence, an exit code that is not 0, and nothing harmed."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from siamese.__main__ import main
from siamese.errors import DataUnavailable

TINY = str(Path(__file__).parent / "tiny.yaml")


def refused(capsys, *arguments: str) -> str:
    """Run a command that must fail; what it said about it."""
    try:
        code = main(list(arguments))
    except SystemExit as stop:  # argument parsers exit by themselves
        code = stop.code
    assert code == 2
    said = capsys.readouterr().err
    assert "Traceback" not in said
    return said


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--trainer.max_epohcs", "3"], "Did you mean 'trainer.max_epochs'"),
        (["--trainer.max_epoch", "3"], "Did you mean 'trainer.max_epochs'"),
        (["--data.image_sise", "35"], "Did you mean 'data.image_size'"),
        (["--data.symmetries", "3"], "must be 1, 2, 4 or 8"),
        (["--data.image_size", "35"], "takes images of 1x28x28, not 1x35x35"),
        (["--data.sampler.classes", "500"], "batches of 500 classes cannot be drawn"),
        (["--data.sampler.shots", "1"], "at least 2 classes x 2 images"),
        (["--data.source.alphabets", "2"], "at least 3 alphabets"),
        (["--trainer.callbacks.n_way", "[20]"], "20-way episodes within one group need 20 classes"),
        (["--trainer.callbacks.k_shot", "[6]", "--trainer.callbacks.n_way", "[5]"], "6-shot episodes need 7 images"),
    ],
)
def test_options_that_cannot_be(capsys, tmp_path, options, sentence):
    callbacks = ["--trainer.callbacks+=siamese.evaluation.OneShot", "--trainer.callbacks.val_n_way", "5"]
    callbacks = callbacks if "callbacks" in options[0] else []
    assert sentence in refused(capsys, "fit", "--config", TINY, "--runs", str(tmp_path), *callbacks, *options)


def test_an_unknown_key_in_a_yaml_is_named_with_its_neighbour(capsys, tmp_path):
    config = tmp_path / "wrong.yaml"
    config.write_text(Path(TINY).read_text().replace("max_epochs", "max_epohcs"))
    said = refused(capsys, "fit", "--config", str(config))
    assert "max_epohcs" in said
    assert "Did you mean 'trainer.max_epochs'" in said


def test_an_unknown_command_and_a_missing_config(capsys):
    assert "fitt" in refused(capsys, "fitt")
    assert "nowhere.yaml" in refused(capsys, "fit", "--config", "nowhere.yaml")


def test_missing_data_is_an_error_when_strict_and_labelled_glyphs_when_not(capsys, monkeypatch, tmp_path):
    from siamese.datasets import omniglot

    def nowhere(*_):
        raise DataUnavailable("omniglot: images_background.zip is out of reach")

    monkeypatch.setenv("SIAMESE_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(omniglot, "fetch", nowhere)
    monkeypatch.setattr(omniglot, "Glyphs", lambda: omniglot_sized_down())
    source = ["--data.source", "siamese.datasets.omniglot.Omniglot"]
    common = ["fit", "--config", TINY, "--runs", str(tmp_path / "runs"), *source]
    said = refused(capsys, *common, "--data.strict", "true")
    assert len(said.splitlines()) == 1
    assert "out of reach" in said
    assert main([*common, "--trainer.max_epochs", "1"]) == 0
    out = capsys.readouterr().out
    assert "generated" in out
    assert (tmp_path / "runs" / "tiny-glyphs" / "latest" / "report.html").exists()


def omniglot_sized_down():
    from siamese.datasets.glyphs import Glyphs

    return Glyphs(alphabets=6, characters=(6, 6), drawers=6, size=28)


def test_checkpoints_that_are_none_or_of_another_architecture(capsys, tmp_path):
    assert "there is no checkpoint" in refused(capsys, "evaluate", "--checkpoint", str(tmp_path / "no.ckpt"))
    text = tmp_path / "text.ckpt"
    for content in ("hello", "# a text", "root:x:0:0"):  # the last one's first letters are instructions of a pickle
        text.write_text(content)
        said = refused(capsys, "evaluate", "--checkpoint", str(text))
        assert (
            "not a whole checkpoint" in said and "weights_only" not in said
        )  # torch tells how to load it all the same
    assert main(["fit", "--config", TINY, "--runs", str(tmp_path), "--trainer.max_epochs", "1"]) == 0
    best = tmp_path / "tiny-glyphs" / "latest" / "checkpoints" / "best.ckpt"
    cut = tmp_path / "cut.ckpt"
    cut.write_bytes(best.read_bytes()[:-1000])
    assert "not a whole checkpoint" in refused(capsys, "evaluate", "--checkpoint", str(cut))
    wider = ["--model.network.init_args.widths", "[8,32]"]
    said = refused(capsys, "evaluate", "--checkpoint", str(best), "--runs", str(tmp_path), *wider)
    assert "another architecture" in said
    foreign = tmp_path / "foreign.ckpt"
    torch.save({"state_dict": {}}, foreign)
    assert "not a whole checkpoint of this project" in refused(capsys, "evaluate", "--checkpoint", str(foreign))


def test_nothing_to_resume(capsys, tmp_path):
    assert "nothing to resume" in refused(capsys, "fit", "--config", TINY, "--runs", str(tmp_path), "--resume", "true")


def test_a_runs_folder_that_cannot_be_written(capsys, tmp_path):
    (tmp_path / "file").write_text("")
    said = refused(capsys, "fit", "--config", TINY, "--runs", str(tmp_path / "file"))
    assert "--runs" in said


def test_a_disk_that_fills_up_while_saving_harms_nothing_that_is_there(tmp_path):
    command = [
        sys.executable,
        "-m",
        "siamese",
        "fit",
        "--config",
        TINY,
        "--runs",
        str(tmp_path),
        "--trainer.max_epochs",
        "1",
    ]
    environment = {**os.environ, "SIAMESE_DATA": str(tmp_path / "data")}
    subprocess.run(command, check=True, capture_output=True, env=environment)
    best = (tmp_path / "tiny-glyphs" / "latest").resolve() / "checkpoints" / "best.ckpt"
    before = best.read_bytes()

    def small_files():  # stands for a full disk: no file grows beyond 20 kB
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    done = subprocess.run(command, capture_output=True, text=True, env=environment, preexec_fn=small_files)
    assert done.returncode == 2, done.stderr
    assert "error: cannot read or write" in done.stderr
    assert "Traceback" not in done.stderr
    assert best.read_bytes() == before
    halves = [path for path in tmp_path.rglob("*.ckpt") if path != best and path.parent != best.parent]
    assert halves == []


def test_a_diverged_training_and_missing_hardware_are_told_in_a_sentence(capsys, tmp_path):
    rate = ["--model.optimization", "siamese.systems.optimization.OneCycle", "--model.optimization.lr", "1e30"]
    common = ["fit", "--config", TINY, "--runs", str(tmp_path)]
    assert "the training has diverged" in refused(capsys, *common, *rate)
    if not torch.cuda.is_available():
        assert "gpu" in refused(capsys, *common, "--trainer.accelerator", "gpu")
