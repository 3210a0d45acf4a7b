"""Many trainings, several at a time, each in a process of its own, with what it prints kept in a file."""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import TypeVar

from tqdm import tqdm

from siamese.errors import UserError

Job = TypeVar("Job")


def each_done(do: Callable[..., None], jobs: Sequence[Job], workers: int) -> Iterator[Job]:
    """Do the jobs, several at a time with ``workers`` processes, and yield each once it is done.

    Args:
        do: is called as ``do(job)`` in this process where one is enough, else as ``do(job, threads)`` in another.
    """
    if workers == 1 or len(jobs) < 2:
        for job in jobs:
            do(job)
            yield job
        return
    threads = max(1, (os.cpu_count() or 1) // workers)
    start, others = multiprocessing.get_context("spawn"), multiprocessing.active_children()
    with ProcessPoolExecutor(workers, start, initializer=_begin, initargs=(os.getpid(),)) as pool:
        waiting = {pool.submit(do, job, threads): job for job in jobs}
        try:
            for future in as_completed(waiting):
                future.result()
                yield waiting[future]
        except BaseException as error:
            pool.shutdown(wait=False, cancel_futures=True)
            own = [child for child in multiprocessing.active_children() if child not in others]
            for child in own:
                child.kill()  # what it was doing is done again later
            for child in own:
                child.join()
                # The pool joins them as well, and only one of the two sees the end; the other finds it noted a moment later.
                while child.is_alive():
                    time.sleep(0.01)
            if isinstance(error, BrokenProcessPool):
                raise UserError("a worker was killed, maybe for want of memory; take fewer --workers") from error
            raise


def _begin(parent: int) -> None:
    """Make this process leave Ctrl-C to ``parent``, and end once that has, however it ended: nobody waits any more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    tqdm.set_lock(threading.RLock())  # the usual one is a semaphore that Python misses where a process is killed

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


@contextlib.contextmanager
def elsewhere(log: Path) -> Iterator[None]:
    """Output goes to the log, and nothing to W&B: whoever has many trainings logs for all of them."""
    before = os.environ.get("WANDB_MODE")
    os.environ["WANDB_MODE"] = "disabled"
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # it has kept the terminal, and tells every seed
    log.parent.mkdir(parents=True, exist_ok=True)
    try:
        with log.open("a") as file, contextlib.redirect_stdout(file), contextlib.redirect_stderr(file):
            yield
    finally:
        os.environ.pop("WANDB_MODE") if before is None else os.environ.update(WANDB_MODE=before)
