"""``python -m siamese demo``: which models, which port, and how it ends."""

import functools
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from siamese.__main__ import main
from siamese.demo import cli
from siamese.errors import UserError
from siamese.study import Study


def test_the_newest_checkpoint_is_taken(tmp_path):
    assert cli.newest(tmp_path, cli.DIGITS) is None
    study = Study.read(Path(__file__).parents[2] / "experiments" / "mnist_study.yaml")
    wanted, *others = (f"mnist-study/latest/{arm.folder}/seed-00/checkpoints/best.ckpt" for arm in study.arms)
    # The newest first: those of other arms, with seven digits or embeddings of any length, are not for the page.
    for age, place in enumerate([*others, "mnist/2026/checkpoints/best.ckpt", wanted]):
        (tmp_path / place).parent.mkdir(parents=True)
        (tmp_path / place).touch()
        os.utime(tmp_path / place, (1000 - age, 1000 - age))
    assert cli.newest(tmp_path, cli.DIGITS) == tmp_path / wanted
    (tmp_path / "mnist/latest").symlink_to("2026")
    assert cli.newest(tmp_path, cli.DIGITS) == tmp_path / "mnist/latest/checkpoints/best.ckpt"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--digits", "nowhere.ckpt"], "there is no checkpoint nowhere.ckpt"),
        (["--one-shot", "nowhere.ckpt"], "there is no checkpoint nowhere.ckpt"),
        (["--port", "0"], "invalid port value: '0'"),
        (["--contamination", "1"], "invalid share above 0 and up to 0.5 value: '1'"),
    ],
)
def test_slips_of_the_pen(arguments, said, capsys):
    try:
        code = main(["demo", *arguments])
    except SystemExit as stop:  # argparse exits by itself
        code = int(str(stop.code))
    assert code == 2 and said in capsys.readouterr().err


def test_without_the_extra_the_line_that_installs_it_is_told(monkeypatch, capsys):
    monkeypatch.setattr(cli.importlib.util, "find_spec", lambda name: None)
    assert main(["demo"]) == 2
    assert ".venv/bin/pip install -e '.[demo]'" in capsys.readouterr().err


def test_a_port_in_use_leads_to_the_next_one_or_a_sentence(monkeypatch):
    with cli._bound(17_860) as taken:
        number = taken.getsockname()[1]
        assert taken.getsockname()[0] == "127.0.0.1"
        with cli._bound(number) as other:
            assert other.getsockname()[1] > number
        monkeypatch.setattr(cli, "TRIES", 1)
        with pytest.raises(UserError, match=f"the ports {number} to {number} are all in use"):
            cli._bound(number)


def test_without_models_it_serves_says_so_and_ends_quietly(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "siamese", "demo", "--runs", str(tmp_path), "--port", str(port)]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    # Tests that run in the background of a shell ignore Ctrl-C, and so would what they start.
    heeding = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    with subprocess.Popen(command, stdout=-1, stderr=-1, text=True, env=environment, preexec_fn=heeding) as running:
        try:
            assert running.stdout is not None and running.stderr is not None
            lines = [running.stdout.readline() for _ in range(2)]
            assert lines == ["siamese: demo\n", f"The page is at http://127.0.0.1:{port} until Ctrl-C.\n"]
            told = [running.stderr.readline() for _ in range(2)]
            assert "No trained model is here. `make train-mnist` makes one (about" in told[0]
            assert "No trained model is here. `make train-omniglot` makes one (about" in told[1]
            running.send_signal(signal.SIGINT)
            out, err = running.communicate(timeout=20)
        finally:
            running.kill()
    assert running.returncode in (0, 130) and out == "" and err in ("", "stopped\n")
