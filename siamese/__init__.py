"""Siamese networks for verification and few-shot recognition.

Two images go through the same network; the more alike their embeddings, the more likely they show the same thing.
``docs/architecture.md`` draws the house, ``README.md`` says how to live in it.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from siamese.model import Model as Model

__version__ = "0.1.0"

# What using a trained network takes; imported when first asked for, as torch and the rest take seconds to load.
_HOMES = {"Model": "siamese.model", "Gallery": "siamese.gallery"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
