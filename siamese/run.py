"""A run's folder, loggers and circumstances."""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import os
import platform
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from urllib.parse import urlparse

import requests
import torch
from pytorch_lightning.loggers import CSVLogger, Logger, WandbLogger
from pytorch_lightning.utilities.rank_zero import rank_zero_only

from siamese.datasets.base import PROJECT
from siamese.errors import UserError

INIT_SECONDS = 30  # for W&B's server to accept a run, before the run goes offline
ENVIRONMENT = "SIAMESE_RUN"  # how processes started by this one learn of its run folder


def make_run_folder(runs: Path, experiment: str, suffix: str = "", exactly: str | None = None) -> Path:
    """A new ``runs/<experiment>/<time>``, or the folder ``exactly``. Raises UserError where nothing can be written."""
    if exactly:
        folder = Path(exactly).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        return folder
    if not first_process():
        if given := os.environ.get(ENVIRONMENT):
            return Path(given)  # of the process that started this one
        folder = Path(tempfile.mkdtemp(prefix="siamese-"))  # torchrun or SLURM started it: it keeps nothing
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        return folder
    parent = runs.resolve() / experiment
    name = datetime.now().strftime("%Y-%m-%d_%H-%M-%S") + suffix
    for attempt in range(1000):
        folder = parent / (f"{name}-{attempt}" if attempt else name)
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            if parent.is_dir():
                continue  # two runs of one second
            raise UserError(f"{parent} is not a folder; choose another with --runs") from None
        except OSError as error:
            raise UserError(
                f"cannot write runs to {parent} ({error.strerror}); choose another folder with --runs"
            ) from error
        os.environ[ENVIRONMENT] = str(folder)
        return folder
    raise UserError(f"{parent} is full of runs of this second")


def point_latest(folder: Path) -> None:
    """Make ``latest`` beside ``folder`` point to it; a file system without links does without."""
    link, made = folder.parent / "latest", folder.parent / f".latest-{os.getpid()}"
    with contextlib.suppress(OSError):
        made.symlink_to(folder.name)
        made.replace(link)


def commit() -> str | None:
    """The project's git commit, with ``+`` where files have changed since; None outside git."""
    try:
        described = subprocess.run(
            ["git", "describe", "--always", "--abbrev=12", "--exclude=*", "--dirty=+"],
            cwd=PROJECT, capture_output=True, text=True, check=True, timeout=20,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return described.stdout.strip()


def hardware(precision: str) -> str:
    """What the figures were measured on, in words."""
    cpu = platform.processor() or platform.machine()
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        cpu = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), cpu)
    gpu = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    return f"{cpu}, {os.cpu_count()} cores{gpu}, torch {torch.__version__}, {precision}"


@contextlib.contextmanager
def freed_memory_kept() -> Iterator[None]:
    """Meanwhile this process keeps the memory that a training step frees, for the next step.

    glibc gives large blocks back to the system at once, and every page of them is cleared and mapped anew when it is asked
    for again: up to a fifth of a step on a CPU. Elsewhere than with glibc nothing changes.
    """
    if platform.libc_ver()[0] != "glibc":
        yield
        return
    libc = ctypes.CDLL(None)
    mmap_max, mmap_threshold, trim_threshold = -4, -3, -1
    libc.mallopt(mmap_max, 0)  # no block is mapped by itself
    libc.mallopt(trim_threshold, 2**31 - 1)  # and nothing of the heap goes back
    try:
        yield
    finally:
        # What glibc would have got to by itself, which it does no more once it was told something else.
        libc.mallopt(mmap_max, 65536)
        libc.mallopt(mmap_threshold, 2**25)
        libc.mallopt(trim_threshold, 2**26)
        libc.malloc_trim(0)


def loggers(folder: Path, experiment: str, wandb: bool) -> list[Logger]:
    """CSV always; W&B, if wanted, as ``WANDB_MODE`` says, else online with a key and a network, else offline."""
    made: list[Logger] = [CSVLogger(folder, name="", version="")]
    mode = os.environ.get("WANDB_MODE", "")
    if not wandb or mode == "disabled" or not first_process():
        return made
    if mode not in ("offline", "dryrun") and _reachable():
        with contextlib.suppress(Exception):  # whatever the server does, a training goes on without it
            return [*made, _wandb(folder, experiment, offline=False)]
        print("W&B's server did not take the run")
    try:
        logger = _wandb(folder, experiment, offline=True)
    except Exception as error:
        print(f"W&B cannot log this run ({type(error).__name__}: {error}); metrics.csv has it all")
        return made
    print(f"W&B logs offline; send it later with: wandb sync {Path(logger.experiment.dir).parent}")
    return [*made, logger]


def first_process() -> bool:
    """Whether this is not a further process of a distributed training; those leave keeping and logging to the first."""
    return rank_zero_only.rank == 0  # type: ignore[attr-defined]


def _wandb(folder: Path, experiment: str, offline: bool) -> WandbLogger:
    os.environ.setdefault("WANDB_SILENT", "true")  # its own word about itself; what matters is said here
    import wandb

    logger = WandbLogger(
        name=folder.name,
        save_dir=folder,
        project=os.environ.get("WANDB_PROJECT", "siamese"),
        group=experiment,
        offline=offline,
        # A server that stops answering must not hold up a training or its end.
        settings=wandb.Settings(
            init_timeout=INIT_SECONDS, finish_timeout=60, finish_timeout_raises=False, silent=True, console="off"
        ),
    )
    _ = logger.experiment  # starts it, so that what fails, fails here
    return logger


def _reachable() -> bool:
    """Whether W&B has a key and its server answers within a few seconds."""
    server = os.environ.get("WANDB_BASE_URL") or "https://api.wandb.ai"
    if not os.environ.get("WANDB_API_KEY") and requests.utils.get_netrc_auth(server) is None:
        return False
    url = urlparse(server)
    try:
        with socket.create_connection((url.hostname or "", url.port or (443 if url.scheme == "https" else 80)), 5):
            return True
    except OSError:
        return False
