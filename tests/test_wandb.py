"""Weights & Biases without a network: the run is kept, complete, and nothing hangs."""

import json
import os
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest
import wandb
from wandb.proto import wandb_internal_pb2

from siamese.__main__ import main
from siamese.record import fractions

TINY = str(Path(__file__).parent / "tiny.yaml")


def records(run: Path):
    """What an offline run has kept to be sent: protocol buffers in LevelDB's log format, in blocks of 32 KiB."""
    (file,) = run.glob("wandb/offline-run-*/*.wandb")
    data, place, parts = file.read_bytes(), 7, b""  # after W&B's own header
    assert data.startswith(b":W&B")
    while place + 7 <= len(data):
        if (left := -place % 32768) < 7:
            place += left  # no room for a header: padding
            continue
        _, length, kind = struct.unpack_from("<IHB", data, place)
        parts += data[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):  # a whole record, or the last part of one
            record = wandb_internal_pb2.Record()
            record.ParseFromString(parts)
            parts = b""
            yield record


def logged_keys(run: Path) -> set[str]:
    keys = set()
    for record in records(run):
        for item in [*record.history.item, *record.summary.update, *record.config.update]:
            keys.add(item.key or item.nested_key[0])
    return keys


def test_an_offline_run_holds_all_that_is_promised(tmp_path):
    # A program of its own: W&B's service writes the last of it when that ends.
    command = [sys.executable, "-m", "siamese", "fit", "--config", TINY, "--runs", str(tmp_path)]
    environment = os.environ | {"WANDB_MODE": "offline"}
    said = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment).stdout
    run = (tmp_path / "tiny-glyphs" / "latest").resolve()
    assert said.count("wandb sync") == 1
    keys = logged_keys(run)
    for promised in ("train/loss", "val/loss", "val/one_shot", "benchmark", "verification/eer", "pictures/roc"):
        assert promised in keys, promised
    for circumstance in ("model", "data", "commit", "dataset", "fingerprint", "checkpoint", "hardware"):
        assert circumstance in keys, circumstance
    sync = next(line for line in said.splitlines() if "wandb sync" in line)
    assert Path(sync.rpartition("wandb sync ")[2]).is_dir()


def test_a_key_without_a_network_neither_hangs_nor_kills_the_training(tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("WANDB_MODE")
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")  # nobody listens there
    began = time.perf_counter()
    assert main(["fit", "--config", TINY, "--runs", str(tmp_path), "--trainer.max_epochs", "1"]) == 0
    assert time.perf_counter() - began < 60
    run = (tmp_path / "tiny-glyphs" / "latest").resolve()
    assert json.loads((run / "results.json").read_text())["steps"] == 6
    assert "wandb sync" in capsys.readouterr().out


def test_a_server_that_takes_the_call_and_never_answers_does_not_hang_it(tmp_path, monkeypatch):
    import socket

    from siamese import run

    monkeypatch.delenv("WANDB_MODE")
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    monkeypatch.setattr(run, "INIT_SECONDS", 3)
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{deaf.getsockname()[1]}")
        began = time.perf_counter()
        assert main(["fit", "--config", TINY, "--runs", str(tmp_path), "--trainer.max_epochs", "1"]) == 0
        assert time.perf_counter() - began < 90


def test_disabled_is_honoured(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "disabled")
    assert main(["fit", "--config", TINY, "--runs", str(tmp_path), "--trainer.max_epochs", "1"]) == 0
    assert not list(tmp_path.rglob("*wandb*"))


@pytest.fixture(autouse=True)
def no_leftover_run():
    yield
    wandb.finish()


def test_fractions_are_found_wherever_they_stand():
    found = {"accuracy": 0.5, "images": 3, "novel": {"letters": {"auroc": 0.75}}, "how": "so"}
    assert fractions(found, "novelty") == {"novelty/accuracy": 0.5, "novelty/novel/letters/auroc": 0.75}
    assert fractions(None, "novelty") == {}
