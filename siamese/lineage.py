"""What taught a network, as checkpoints say it, and whether it may then be tested here."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import yaml

from siamese.errors import UserError
from siamese.report import GENERATED
from siamese.systems import FewShotData
from siamese.systems.distillation import Distillation

_SAID = ("dataset", "classes", "fingerprint")


def lineage(abouts: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """``dataset``, ``classes`` and ``fingerprint`` of what taught networks, and of what taught them, or their teachers, before.

    Args:
        abouts: what the checkpoints say of themselves.
    """
    return [{key: each.get(key) for key in _SAID} for about in abouts for each in (about, *about.get("before", ()))]


def taught_before(distillation: Distillation | None, start: dict[str, Any] | None) -> list[dict[str, Any]]:
    """What the checkpoints say of themselves whose networks teach, and of the one whose network goes on to learn.

    A teacher that is no checkpoint's says nothing.
    """
    return [*getattr(distillation and distillation.teacher, "about", ()), *([] if start is None else [start])]


def refuse_taught(abouts: Iterable[dict[str, Any]], data: FewShotData, split: str, taught: str = "the network") -> None:
    """Raise UserError where something of a split has taught a network, or a teacher of its.

    In closed and leaking splits, which say so, it has.

    Args:
        abouts: what the checkpoints say of themselves.
        data: set up.
        split: ``val`` or ``test``.
        taught: who was, in words.
    """
    table = data.table(split)
    names = {table.class_names[label] for label in table.classes.tolist()} if data.taught_classes else set()
    for about in lineage(abouts):
        same = about["fingerprint"] == data.fingerprint or _of_one_kind(about["dataset"], table.name)
        known = names.intersection(about["classes"] or ()) if same else set()
        if known:
            use = {"val": "that are to choose the checkpoint", "test": "that are to be tested"}[split]
            raise UserError(
                f"{taught} was taught {len(known)} of the classes {use}, for instance {min(known)}; take others"
            )


def check_before(abouts: list[dict[str, Any]], data: FewShotData) -> None:
    """Raise UserError where a teacher, or the network that goes on to learn, is of no use here: it sees images of another size,
    or was taught what is to choose or to report."""
    for about in abouts:
        size = yaml.safe_load(about["config"])["data"].get("image_size")
        if size != data.image_size:
            raise UserError(
                f"a teacher, or the network to start with, sees images of {size} pixels a side; give data.image_size {size}"
            )
        ink = (about.get("preprocessing") or {}).get("ink")
        if ink != (data.preprocessing_entry() or {}).get("ink"):
            raise UserError(
                f"a teacher, or the network to start with, sees ink normalised as {ink or 'it is'}; let data.ink be the same"
            )
    for split in ("val", "test"):
        refuse_taught(abouts, data, split, "a teacher, or the network to start with,")


def _of_one_kind(one: str, other: str) -> bool:
    """Whether a class's name means the same in both: in parts of one data set, or in a folder that has grown.

    Elsewhere it may be another thing's, as it is in data that is generated anew.
    """
    kinds = {re.split(r" \(| and ", name)[0] for name in (one, other)}
    return len(kinds) == 1 and not any(kind.startswith(GENERATED) for kind in kinds)
