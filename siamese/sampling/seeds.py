"""Random numbers that can be drawn again."""

import numpy as np
import torch


def generator(*key: int) -> torch.Generator:
    """A torch generator seeded by all integers of ``key`` (seed, epoch, rank, …); equal keys give equal streams."""
    state = np.random.SeedSequence(key).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(state >> 1))
