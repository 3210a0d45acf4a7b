"""Several small networks that learn side by side and speak as one."""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from siamese.errors import UserError


class Committee(nn.Module):
    """``members`` networks of one architecture, each from its own first weights; the embedding is all of theirs in a row.

    Where few classes teach, what one network makes of new classes depends much on chance; the mean of several depends less
    (Hansen, Salamon 1990, Neural Network Ensembles). While training, every member has a loss of its own: one loss for the
    whole would make it one wide network, whose members rely on one another.

    Args:
        member: the network whose architecture all have.
        members: how many.
    """

    def __init__(self, member: nn.Module, members: int = 4) -> None:
        super().__init__()
        if members < 1:
            raise UserError(f"a committee has at least one member, not {members}")
        self.members = nn.ModuleList(copy.deepcopy(member) for _ in range(members))
        for each in self.members:
            for layer in each.modules():
                if callable(reset := getattr(layer, "reset_parameters", None)):
                    reset()
        self.embedding_size = members * int(member.embedding_size)  # type: ignore[arg-type]
        self.feature_size = members * int(getattr(member, "feature_size", 0))

    def forward(self, images: Tensor) -> Tensor:
        """Embeddings of images ``[B, C, H, W]``.

        Returns:
            ``[B, D]``, scaled so that squared distances are the mean of the members'. While training ``[members, B, D]``,
            what each member says by itself: its own place in the row, all others 0.
        """
        said = [member(images) for member in self.members]
        if not self.training:
            return torch.cat(said, dim=1) / len(said) ** 0.5
        size = self.embedding_size // len(said)
        return torch.stack([F.pad(one, (m * size, self.embedding_size - (m + 1) * size)) for m, one in enumerate(said)])

    def features(self, images: Tensor) -> Tensor:
        """The members' features in a row, ``[B, feature_size]``, of images ``[B, C, H, W]``."""
        return torch.cat([member.features(images) for member in self.members], dim=1)  # type: ignore[operator]
