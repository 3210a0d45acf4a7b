"""A network, or several, that teach another one what is like what."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from siamese.errors import UserError


class Distillation:
    """Instead of the loss, or beside it: what a teacher sees in the images of a batch.

    The cosines of an image with all others of its batch, divided by a temperature, become a distribution by the softmax, and
    the student's is to be the teacher's (Passalis, Tefas 2018, Learning Deep Representations with Probabilistic Knowledge
    Transfer, section 3; the softmax as Fang et al. 2021, SEED: Self-supervised Distillation for Visual Representation).
    Embeddings need not be as long as the teacher's.

    Args:
        teacher: images ``[B, C, H, W]`` as the student sees them to embeddings ``[B, D]`` that are compared by the cosine, such
            as ``siamese.ensemble.Ensemble`` of checkpoints. It learns nothing, and is no part of the student's checkpoint.
        share: of this in what is taught; the rest is of the loss.
        temperature: the lower, the more the nearest images count.

    Raises:
        UserError: ``share`` is not in (0, 1], or ``temperature`` not above 0.
    """

    def __init__(self, teacher: nn.Module, share: float = 1.0, temperature: float = 0.2) -> None:
        if not (0 < share <= 1 and temperature > 0):
            raise UserError(
                f"a distillation has a share above 0 and up to 1, and a temperature above 0, not {share} and {temperature}"
            )
        self.teacher, self.share, self.temperature = teacher.eval().requires_grad_(False), share, temperature

    @torch.no_grad()
    def seen(self, images: Tensor) -> Tensor:
        """The teacher's embeddings ``[B, D]`` of images ``[B, C, H, W]``, on their device."""
        return self.teacher.to(images.device)(images)

    def loss(self, embeddings: Tensor, seen: Tensor) -> Tensor:
        """The divergence (Kullback, Leibler), a scalar, of the student's ``[B, D]`` from the teacher's ``[B, E]``.

        It is 0 where each image has the same cosines with the others to both.
        """
        student, teacher = self._relations(embeddings), self._relations(seen)
        return F.kl_div(student, teacher, reduction="batchmean", log_target=True)

    def _relations(self, embeddings: Tensor) -> Tensor:
        """``float32 [B, B - 1]``: logarithms of what each image gives to each of the others."""
        with torch.autocast(embeddings.device.type, enabled=False):
            directions = F.normalize(embeddings.float(), dim=1)
            cosines = directions @ directions.T / self.temperature
        others = ~torch.eye(len(cosines), dtype=torch.bool, device=cosines.device)
        return cosines[others].view(len(cosines), -1).log_softmax(1)
