"""The memory that a training step frees is there for the next one."""

import platform
import subprocess
import sys

import pytest

FAULTS = """
import resource
import torch
from siamese.run import keep_freed_memory

torch.set_num_threads(1)
if {keep}:
    keep_freed_memory()

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        torch.ones(64, 2**20, dtype=torch.uint8)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

faults()
print(faults())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other libraries of C manage memory in other ways")
def test_freed_memory_is_reused_without_asking_the_system():
    again, kept = (
        int(subprocess.run([sys.executable, "-c", FAULTS.format(keep=keep)], capture_output=True, check=True).stdout)
        for keep in (False, True)
    )
    assert again >= 20 * 32  # a page at a time, or at least 2 MiB at a time
    assert kept < 20
