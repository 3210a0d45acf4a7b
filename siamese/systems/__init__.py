"""Lightning modules: a network tied to a loss, a table tied to a sampler."""

from siamese.systems.data import FewShotData
from siamese.systems.siamese import Siamese

__all__ = ["FewShotData", "Siamese"]
