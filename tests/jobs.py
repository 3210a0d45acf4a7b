"""What processes of a test are given to do; a module that is quick to import, as each of them does."""

import os
import signal
import time


def do(job: str, threads: int | None = None) -> None:
    """``wait`` takes ten minutes, ``die`` ends the process from within, ``fail`` raises, and all else is done at once."""
    if job == "wait":
        time.sleep(600)
    if job == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if job == "fail":
        raise ValueError(f"no {job}, with {threads} threads")
