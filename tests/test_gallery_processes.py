"""Several processes at one gallery, some of them killed: nothing that was enrolled is lost, and nobody is kept waiting."""

import multiprocessing
import os
import random
import resource
import signal
import time
from multiprocessing.context import ForkServerProcess
from multiprocessing.synchronize import Event
from pathlib import Path

import numpy as np
import pytest
import torch
from gallery_fakes import FakeModel, paint

from siamese import gallery as gallery_module
from siamese.errors import UserError
from siamese.gallery import Gallery

# Each process is a fork of a server that has loaded torch: quick to start, and as much a process as any other.
SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(["siamese.gallery.images", "siamese.similarity", "pytest"])


class Slow(FakeModel):
    """Sleeps a little, as if it embedded."""

    def embed_files(self, paths):
        time.sleep(0.001)
        return super().embed_files(paths)


def enroll(path: Path, folder: Path, started: Event | None = None) -> None:
    """Enroll, and save after every single image."""
    torch.set_num_threads(1)
    gallery_module.BATCH = 1
    if started:
        started.set()
    Gallery(path, Slow()).enroll(folder, every=0)


def remove(path: Path, names: list[str]) -> None:
    for name in names:
        Gallery(path).remove(name=name)


def run(function, *arguments) -> ForkServerProcess:
    process = SERVER.Process(target=function, args=arguments)
    process.start()
    return process


def join(*processes: ForkServerProcess) -> None:
    for process in processes:
        process.join(60)
        assert process.exitcode == 0


def crowd(folder: Path, names: list[str], images: int) -> Path:
    """A folder a name; no two images are of the same colour."""
    for name in names:
        for number in range(images):
            red, green, blue = np.random.default_rng([ord(name[0]), number]).integers(256, size=3)
            paint(folder / name / f"{number}.png", red, green, blue)
    return folder


def check(gallery: Gallery, *folders: Path) -> int:
    """Every entry is as its image says, none is there twice; how many they are."""
    entries = gallery.content.entries
    files = [next(f / file for f in folders if (f / file).exists()) for file in entries.files]
    expected, _, _ = FakeModel().embed_files(files)
    assert np.array_equal(entries.embeddings, expected.numpy())
    assert [file.parent.name for file in files] == entries.names
    assert len(set(entries.keys)) == len(entries)
    return len(entries)


def test_processes_that_enroll_at_once_lose_nothing(tmp_path):
    folders = [crowd(tmp_path / part, [f"{part} 1", f"{part} 2"], 6) for part in "abc"]
    for part in range(5):
        path = tmp_path / f"{part}.gallery"
        join(*(run(enroll, path, folder) for folder in folders))
        assert check(Gallery(path), *folders) == 36


def test_processes_that_enroll_the_same_enroll_it_once(tmp_path):
    folder = crowd(tmp_path / "people", ["anna", "boris"], 8)
    path = tmp_path / "people.gallery"
    join(*(run(enroll, path, folder) for _ in range(3)))
    assert check(Gallery(path), folder) == 16


def test_removing_while_another_enrolls(tmp_path):
    old, new = crowd(tmp_path / "old", list("abcdefgh"), 1), crowd(tmp_path / "new", ["x", "y"], 8)
    path = tmp_path / "people.gallery"
    Gallery(path, FakeModel()).enroll(old)
    join(run(enroll, path, new), run(remove, path, list("abcdefgh")))
    assert check(Gallery(path), new) == 16


def test_a_killed_enrolment_leaves_a_whole_gallery_and_the_next_goes_on(tmp_path):
    """SIGKILL at random moments of a process that does little else than save."""
    folder = crowd(tmp_path / "people", ["anna", "boris", "clara"], 20)
    path, draw = tmp_path / "people.gallery", random.Random(0)
    before, grew, killed = 0, 0, 0
    span = 0.06  # seconds; a slow or busy machine needs more to save anything at all
    for _ in range(60):
        started = SERVER.Event()
        process = run(enroll, path, folder, started)
        assert started.wait(30)
        time.sleep(draw.uniform(0, span))
        process.kill()
        process.join(30)
        if process.exitcode == -signal.SIGKILL:
            killed += 1
        else:
            assert process.exitcode == 0  # it was done before
            span /= 2
        held = check(Gallery(path), folder) if path.exists() else 0
        assert held >= before
        if held > before:
            grew += 1
        else:
            span *= 1.2
        before = held
        if held == 60:  # from the beginning
            path.unlink()
            before = 0
    assert killed > 30
    assert grew > 10
    began = time.monotonic()
    done = Gallery(path, FakeModel()).enroll(folder)
    assert time.monotonic() - began < 5  # no lock is left behind
    assert (done.added, done.known) == (60 - before, before)
    assert check(Gallery(path), folder) == 60
    if done.added:
        assert {each.name for each in tmp_path.iterdir()} == {"people", "people.gallery", ".people.gallery.lock"}


def test_what_a_killed_process_left_half_written_is_cleared_away(tmp_path):
    folder = crowd(tmp_path / "people", ["anna"], 2)
    path, left = tmp_path / "people.gallery", tmp_path / ".people.gallery.4711.tmp"
    own = tmp_path / ".people.gallery.notes.tmp"
    left.write_bytes(b"half")
    own.write_bytes(b"somebody's own")
    Gallery(path, FakeModel()).enroll(folder)
    assert not left.exists()
    assert own.exists()


def hold(path: Path, held: Event) -> None:
    from filelock import FileLock

    with FileLock(path.with_name(f".{path.name}.lock")):
        held.set()
        time.sleep(60)


def test_a_process_that_holds_the_lock_is_waited_for_but_not_for_ever(tmp_path, monkeypatch):
    from siamese.gallery import file as gallery_file

    folder, path = crowd(tmp_path / "people", ["anna"], 2), tmp_path / "people.gallery"
    held = SERVER.Event()
    process = run(hold, path, held)
    assert held.wait(30)
    monkeypatch.setattr(gallery_file, "PATIENCE", 0.2)
    with pytest.raises(UserError, match="another process"):
        Gallery(path, FakeModel()).enroll(folder)
    os.kill(process.pid, signal.SIGKILL)
    process.join(30)
    assert Gallery(path, FakeModel()).enroll(folder).added == 2


def fill_up(path: Path, folder: Path) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000))  # stands for a full disk
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        enroll(path, folder)
    except OSError:
        os._exit(28)


def test_a_disk_that_fills_up_leaves_the_gallery_as_it_was_last_saved(tmp_path):
    folder, path = crowd(tmp_path / "people", ["anna"], 20), tmp_path / "people.gallery"
    process = run(fill_up, path, folder)
    process.join(60)
    assert process.exitcode == 28
    assert 0 < check(Gallery(path), folder) < 20
    assert not list(tmp_path.glob(".*.tmp"))
