"""The memory that a training step frees is there for the next one."""

import platform
import subprocess
import sys

import pytest

FAULTS = """
import resource
import time
import torch
from siamese.run import freed_memory_kept

torch.set_num_threads(1)

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        torch.ones(64, 2**20, dtype=torch.uint8)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

def resident():
    with open("/proc/self/statm") as found:
        return int(found.read().split()[1]) * resource.getpagesize() // 2**20

before, begun = faults(), resident()
with freed_memory_kept():
    faults()
    kept, held = faults(), resident() - begun
deadline = time.monotonic() + 10
while resident() - begun >= 30 and time.monotonic() < deadline:
    time.sleep(0.1)  # a busy system may count it late
left = resident() - begun
print(before, kept, faults(), held, left)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other libraries of C manage memory in other ways")
def test_freed_memory_is_reused_without_asking_the_system_and_goes_back_at_the_end():
    said = subprocess.run([sys.executable, "-c", FAULTS], capture_output=True, check=True).stdout
    before, kept, after, held, left = map(int, said.split())
    assert min(before, after) >= 20 * 32  # a page at a time, or at least 2 MiB at a time
    assert kept < 20
    assert held >= 60 and left < 30  # MiB, of a block of 64
