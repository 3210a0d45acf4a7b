"""Several processes at a time: all jobs are done, and nothing is left of them when one fails or a person stops them."""

import multiprocessing
import os
import time

import pytest

from siamese.errors import UserError
from siamese.workers import each_done, elsewhere
from tests.jobs import do


@pytest.mark.parametrize("workers", [1, 2])
def test_every_job_is_done_once(workers):
    assert sorted(each_done(do, ["a", "b", "c"], workers)) == ["a", "b", "c"]


@pytest.mark.parametrize("workers", [1, 2])
def test_what_a_job_raises_ends_the_others(workers):
    began = time.monotonic()
    with pytest.raises(ValueError, match="no fail, with"):
        list(each_done(do, ["fail", "wait"], workers))
    assert time.monotonic() - began < 60
    assert not multiprocessing.active_children()


def test_ctrl_c_ends_what_is_at_work_and_what_waits():
    began, jobs = time.monotonic(), each_done(do, ["a", "wait", "wait", "wait"], 2)
    assert next(jobs) == "a"
    with pytest.raises(KeyboardInterrupt):
        jobs.throw(KeyboardInterrupt)
    assert time.monotonic() - began < 60
    assert not multiprocessing.active_children()


def test_a_killed_worker_is_told():
    with pytest.raises(UserError, match="take fewer --workers"):
        list(each_done(do, ["a", "die", "wait"], 2))
    assert not multiprocessing.active_children()


def test_output_is_kept_and_wandb_is_silent_only_meanwhile(tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("WANDB_MODE")
    with pytest.raises(ValueError), elsewhere(tmp_path / "run" / "log.txt"):
        print("said", os.environ["WANDB_MODE"])
        raise ValueError
    assert (tmp_path / "run" / "log.txt").read_text() == "said disabled\n"
    assert "WANDB_MODE" not in os.environ
    assert capsys.readouterr().out == ""
