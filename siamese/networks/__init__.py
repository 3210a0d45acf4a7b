"""Embedding networks: ``[B, C, H, W]`` float in [0, 1] to ``[B, D]``. One file a network; each has ``embedding_size``."""

from siamese.networks.committee import Committee
from siamese.networks.compact import Compact
from siamese.networks.descriptor import Descriptor
from siamese.networks.directions import Directions
from siamese.networks.fused import Fused
from siamese.networks.koch import Koch
from siamese.networks.pretrained import EfficientNetLite
from siamese.networks.residual import Residual
from siamese.networks.tutorial import Tutorial
from siamese.networks.vgg import FourConv, Vgg13
from siamese.networks.whitened import Whitened

__all__ = [
    "Committee", "Compact", "Descriptor", "Directions", "EfficientNetLite", "FourConv", "Fused", "Koch", "Residual", "Tutorial",
    "Vgg13", "Whitened",
]  # fmt: skip
