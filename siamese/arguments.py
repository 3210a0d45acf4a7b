"""Kinds of numbers on a command line, for argparse, which says of any other what it is not: invalid share above 0 …"""

from __future__ import annotations

import math


def finite(text: str) -> float:
    """A number, other than ``nan`` and ``inf``, which no score can be compared with and JSON cannot say."""
    if not math.isfinite(number := float(text)):
        raise ValueError(text)
    return number


def share(text: str) -> float:
    """A share above 0, one half at most."""
    if not 0 < (number := float(text)) <= 0.5:
        raise ValueError(text)
    return number


def fraction(text: str) -> float:
    """A number from 0 to 1."""
    if not 0 <= (number := float(text)) <= 1:
        raise ValueError(text)
    return number


def count(text: str) -> int:
    """A whole number from 1 on."""
    if (number := int(text)) < 1:
        raise ValueError(text)
    return number


def port(text: str) -> int:
    """A TCP port."""
    if not 1 <= (number := int(text)) <= 65_535:
        raise ValueError(text)
    return number


# What argparse calls them.
finite.__name__, share.__name__, fraction.__name__ = "number", "share above 0 and up to 0.5", "number from 0 to 1"
count.__name__ = "whole number from 1 on"
