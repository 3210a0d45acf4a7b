"""Pixels where they are needed: a split is moved to the device once, if that has room for it, and otherwise batch by batch."""

from __future__ import annotations

import torch
from torch import Tensor


class Held:
    """The images of some splits, by device."""

    def __init__(self) -> None:
        self._images: dict[tuple[str, torch.device], Tensor] = {}

    def rows(self, split: str, images: Tensor, rows: Tensor) -> Tensor:
        """``float [B, C, H, W]`` in [0, 1] on the device of the rows ``int64 [B]``, of the split's ``images``,
        ``uint8 [N, C, H, W]``, which are always the same."""
        key = (split, rows.device)
        if key not in self._images:
            self._images[key] = images.to(rows.device) if has_room(rows.device, images) else images
        held = self._images[key]
        return held[rows.to(held.device)].to(rows.device).float().div_(255)


def has_room(device: torch.device, images: Tensor) -> bool:
    """Whether they take less than half of the memory that a GPU has free; what is in the computer's memory stays there."""
    return device.type != "cuda" or 2 * images.nbytes < torch.cuda.mem_get_info(device)[0]
