"""What the benchmark measures with: races, the seconds of a step, memory."""

import subprocess
import sys
from pathlib import Path

import pytest

EXPERIMENTS = Path(__file__).parents[1] / "experiments"


@pytest.fixture
def measures(monkeypatch):
    monkeypatch.syspath_prepend(str(EXPERIMENTS))
    import bench_measures

    yield bench_measures
    sys.modules.pop("bench_measures")


def test_a_race_stops_at_its_target(measures):
    seen = iter([0.2, 0.5, 0.9])
    reached, looks = measures.race([(1, 1, 10), (2, 3, 20), (4, 7, 40)], lambda: next(seen), 0.5, 100)
    assert reached
    assert looks == [(1, 1, 10, 0.2), (2, 3, 20, 0.5)]


def test_a_race_stops_at_its_limit(measures):
    reached, looks = measures.race([(1, 1, 10), (2, 3, 20), (4, 7, 40)], lambda: 0.4, 0.5, 3)
    assert not reached
    assert [look.spent for look in looks] == [1, 3]


@pytest.fixture
def clock(measures, monkeypatch):
    """Time that passes only when the list's number is raised."""
    now = [0.0]
    monkeypatch.setattr(measures.time, "perf_counter", lambda: now[0])
    return now


def test_a_training_that_goes_on_is_looked_at_in_turn_and_at_the_limit(measures, clock):
    def steps():
        while True:
            clock[0] += 0.5
            yield

    def look():
        clock[0] += 100  # which does not count
        return 0.0

    _, looks = measures.race(measures.going_on(steps(), 1.2, 4.0), look, 0.9, 4.0)
    assert looks == [(1.5, 1.5, 3, 0), (2.5, 2.5, 5, 0), (4.0, 4.0, 8, 0)]


def test_cycles_double_and_share_the_limit(measures, clock):
    left = []

    def cycle(steps, seconds):
        left.append(seconds)
        done = min(steps, int(seconds))
        clock[0] += done
        return done

    _, looks = measures.race(measures.cycles(cycle, 2, 10), lambda: 0.0, 0.9, 10)
    assert looks == [(2, 2, 2, 0), (4, 6, 4, 0), (4, 10, 4, 0)]
    assert left == [10, 8, 4]


def test_memory_is_the_kernels(measures):
    status = "VmPeak:\t  999 kB\nVmHWM:\t  2048 kB\nVmRSS:\t  1024 kB\n"
    assert measures.kilobytes(status, "VmHWM") == 2048
    rollup = "Pss:  70 kB\nPrivate_Clean:        3 kB\nPrivate_Dirty:       40 kB\n"
    assert measures.kilobytes(rollup, "Private_Clean", "Private_Dirty") == 43


def test_memory_of_children_counts(measures):
    hold = "held = b'1' * (80 << 20); print('held', flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout.readline() == b"held\n"
        assert 80 < measures.peak_memory([child.pid]) - measures.peak_memory() < 120
        child.communicate(b"\n")


def test_a_hitch_does_not_count(measures):
    stamps = [5.0, 9.0, *(10.0 + step for step in range(8)), 90.0]  # nine steps after the two that warm up
    assert measures.step_seconds(stamps) == 1
    assert measures.step_seconds([5.0, 9.0, 11.0, 14.0, 18.0]) == 3
    assert not measures.enough([5.0, 9.0, 10.0, 11.0], 0.1)
    assert not measures.enough([5.0, 9.0, 10.0, 11.0, 12.0], 3.5)
    assert measures.enough([5.0, 9.0, 10.0, 11.0, 12.0], 3.0)
