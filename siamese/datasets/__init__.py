"""Data sets: where images come from, their columns, their splits. One file each."""

from siamese.datasets.att_faces import AttFaces
from siamese.datasets.cartoons import Cartoons
from siamese.datasets.folder import Folder
from siamese.datasets.glyphs import Glyphs
from siamese.datasets.omniglot import Omniglot
from siamese.datasets.transfer import Transfer

__all__ = ["AttFaces", "Cartoons", "Folder", "Glyphs", "Omniglot", "Transfer"]
