"""What ``make bench`` measures of a training: the seconds of a step, memory, and how soon it reaches an accuracy."""

from __future__ import annotations

import itertools
import json
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

WARM = 2  # steps that do not count


class Look(NamedTuple):
    """An accuracy seen during a race: after so many seconds of training this network, of all trainings of this way, steps."""

    seconds: float
    spent: float
    steps: int
    accuracy: float


def in_a_process(script: str, argument: str) -> dict[str, Any]:
    """What a script prints as JSON in the last line of its output, which is all of it that counts; errors and progress go to
    stderr, as they are."""
    told = subprocess.run([sys.executable, script, argument], stdout=subprocess.PIPE, text=True, check=True).stdout
    return json.loads(told.splitlines()[-1])


def enough(stamps: list[float], seconds: float) -> bool:
    """Whether the steps that ended at ``stamps`` suffice: at least three beside those that warm up, and so many seconds."""
    return len(stamps) > WARM + 2 and stamps[-1] - stamps[WARM - 1] >= seconds


def step_seconds(stamps: list[float]) -> float:
    """Seconds a step: the median of the means of three thirds, so that a hitch in one of them does no harm."""
    counted = stamps[WARM - 1 :]
    steps = len(counted) - 1
    cuts = [0, steps // 3, 2 * steps // 3, steps]
    return statistics.median((counted[b] - counted[a]) / (b - a) for a, b in itertools.pairwise(cuts))


def kilobytes(text: str, *names: str) -> int:
    """The sum of these entries of a file of ``/proc``, such as ``VmHWM:    1234 kB``."""
    return sum(int(re.search(rf"^{name}:\s+(\d+) kB$", text, re.MULTILINE)[1]) for name in names)  # type: ignore[index]


def peak_memory(children: Iterable[int] = ()) -> float:
    """Megabytes this process has held at most, from the kernel, and what its children hold now and do not share with it.

    Not getrusage's figure, which a process takes over from the one that started it.
    """
    own = kilobytes(Path("/proc/self/status").read_text(), "VmHWM")
    private = (
        kilobytes(Path(f"/proc/{pid}/smaps_rollup").read_text(), "Private_Clean", "Private_Dirty") for pid in children
    )
    return (own + sum(private)) / 1024


def race(
    training: Iterable[tuple[float, float, int]],
    accuracy: Callable[[], float],
    target: float,
    limit: float,
    tell: Callable[[Look], None] = lambda look: None,
) -> tuple[bool, list[Look]]:
    """Whether a training reaches an accuracy within ``limit`` seconds, and all looks that were taken.

    Args:
        training: trains on until the next look, and yields the seconds and steps of Look; it stops for a look at the limit.
        accuracy: of the network as it is; the time that it takes is not counted.
    """
    looks = []
    for seconds, spent, steps in training:
        looks.append(Look(seconds, spent, steps, accuracy()))
        tell(looks[-1])
        if looks[-1].accuracy >= target:
            return True, looks
        if spent >= limit:
            break
    return False, looks


def going_on(steps: Iterator[object], every: float, limit: float) -> Iterator[tuple[float, float, int]]:
    """A training at a constant rate, looked at every so many seconds and at the limit: each ``next(steps)`` is a step."""
    return stops(steps, (min(every * count, limit) for count in itertools.count(1)))


def stops(steps: Iterator[object], times: Iterable[float]) -> Iterator[tuple[float, float, int]]:
    """A training at a constant rate, looked at after these seconds, which rise: each ``next(steps)`` is a step."""
    spent, due = 0.0, iter(times)
    wanted = next(due, None)
    for done in itertools.count(1):
        if wanted is None:
            return
        began = time.perf_counter()
        next(steps)
        spent += time.perf_counter() - began
        if spent >= wanted:
            yield spent, spent, done
            # A step that takes longer than it is from one time to the next is looked at once.
            wanted = next((later for later in due if later > spent), None)


def cycles(cycle: Callable[[int, float], int], first: int, limit: float) -> Iterator[tuple[float, float, int]]:
    """Trainings by one cycle of the learning rate each, looked at when they end, each twice as long as the one before.

    A rate that falls to 0 at the end makes a network good at the end only, so the length must be told beforehand; whoever
    does not know it tries, and all trials are counted in ``spent``.

    Args:
        cycle: trains a new network for so many steps, but not for more than so many seconds; returns the steps done.
        first: steps of the first.
    """
    spent, steps = 0.0, first
    while True:
        began = time.perf_counter()
        done = cycle(steps, limit - spent)
        taken = time.perf_counter() - began
        spent += taken
        yield taken, spent, done
        steps *= 2
