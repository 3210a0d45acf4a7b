"""Drawings and handwriting: ink found on any paper, normalised by its moments, with lines of a stated width.

``paper`` (from a picture to its ink) → ``moments`` (place and size) with ``pen`` (width of lines); ``Ink`` puts them together.
``several`` tells a page of several symbols.
"""

from siamese.ink.ink import Ink
from siamese.ink.paper import NoInk
from siamese.ink.several import SeveralSymbols

__all__ = ["Ink", "NoInk", "SeveralSymbols"]
