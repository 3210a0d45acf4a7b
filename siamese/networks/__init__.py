"""Embedding networks: ``[B, C, H, W]`` float in [0, 1] to ``[B, D]``. One file a network; each has ``embedding_size``."""

from siamese.networks.compact import Compact
from siamese.networks.koch import Koch

__all__ = ["Compact", "Koch"]
