"""The loss of images made of parts, each of which shows one label; which shows which is not told."""

from __future__ import annotations

import torch
from torch import Tensor

from siamese.errors import UserError
from siamese.losses.labels import LabelLoss

TINY = 1e-6  # least distance of a logarithm of a probability from 0
MOST = 9  # parts: there are 2^P sets of labels
CHUNK = 1000  # images whose sets are held at a time
NEVER = -1e30  # the logarithm of 0, without its gradients that are no numbers


class PartLabels(LabelLoss):
    """The negative log-likelihood that the parts of an image show its labels, all of them and no others. A softmax says what
    each part shows, independently of the others; every way in which they could show these labels counts. (With one image a
    bag of parts and labels for the bag alone, this is multi-instance multi-label learning: Zhou, Zhang 2007.)

    A label is there if any part shows it, ``1 - prod(1 - p)`` ("noisy or": Viola, Platt, Zhang 2005, Multiple Instance
    Boosting for Object Detection, section 3.1).

    Args:
        labels: L.
        embedding_size: D, of all parts one after the other.
        parts: how many there are, P, 9 at most; an image has at least one label, and no more than that.
        smoothing: share of the loss that is the cross-entropy of all labels alike with what each part shows (Szegedy,
            Vanhoucke, Ioffe, Shlens, Wojna 2016, Rethinking the Inception Architecture, section 7).
    """

    together = True

    def __init__(self, labels: int, embedding_size: int, parts: int = 4, smoothing: float = 0.0) -> None:
        if parts < 1 or embedding_size % parts:
            raise UserError(f"an embedding of {embedding_size} numbers is not one of {parts} equal parts")
        if parts > MOST:
            raise UserError(
                f"the sets of labels of an image are kept one by one, so it has at most {MOST} parts, not {parts}"
            )
        if not 0 <= smoothing < 1:
            raise UserError(f"smoothing is a share of the loss, at least 0 and less than 1, not {smoothing}")
        super().__init__(labels, embedding_size // parts)
        self.embedding_size, self.parts, self.smoothing = embedding_size, parts, smoothing

    def losses(self, embeddings: Tensor, targets: Tensor) -> Tensor:
        shows = self._values(embeddings).log_softmax(2)
        return -(1 - self.smoothing) * log_likelihood(shows, targets) - self.smoothing * shows.mean(2).sum(1)

    def shows(self, embeddings: Tensor) -> Tensor:
        """Log-probabilities ``float32 [N, P, L]`` of what each part shows, of embeddings ``[N, D]``."""
        return (self._values(embeddings) / self.temperature).log_softmax(2)

    def logits(self, embeddings: Tensor) -> Tensor:
        """Log-odds ``float32 [N, L]`` that a label is there, of embeddings ``[N, D]``."""
        # Where a part is sure, 1 - p would be 0, and its logarithm without end.
        absent = torch.log1p(-self.shows(embeddings).clamp_max(-TINY).exp()).sum(1).clamp_max(-TINY)
        return torch.log(-torch.expm1(absent)) - absent

    def likeliest(self, embeddings: Tensor) -> Tensor:
        """``bool [N, L]``: the likeliest set of labels of each image, of embeddings ``[N, D]``; of the twice as many labels as
        parts that are likeliest each by itself, 10 at most."""
        return torch.cat([self._likeliest(chunk) for chunk in embeddings.split(CHUNK)])

    def _likeliest(self, embeddings: Tensor) -> Tensor:
        asked = self.logits(embeddings).topk(min(self.labels, 2 * self.parts, MOST + 1), dim=1).indices  # [N, K]
        each = self.shows(embeddings).gather(2, asked.unsqueeze(1).expand(-1, self.parts, -1))
        best = _sets(each).argmax(1, keepdim=True)
        inside = (best >> torch.arange(asked.shape[1], device=best.device)) & 1
        return torch.zeros(len(asked), self.labels, dtype=torch.bool, device=best.device).scatter(1, asked, inside > 0)

    def _values(self, embeddings: Tensor) -> Tensor:
        return self.linear(embeddings.unflatten(1, (self.parts, -1))).float()


def log_likelihood(shows: Tensor, targets: Tensor) -> Tensor:
    """``[B]``: the logarithm of the probability that what the parts show is exactly the targets.

    Args:
        shows: log-probabilities ``float [B, P, L]`` of what each part shows.
        targets: ``bool [B, L]``.

    Raises:
        UserError: an image has no label, or more labels than parts.
    """
    parts, counts = shows.shape[1], targets.sum(1)
    least, most = counts.aminmax()
    if least < 1 or most > parts:
        raise UserError(f"an image of {parts} parts shows 1 to {parts} labels, not {least if least < 1 else most}")
    # [B, K]: the labels of an image, then others where it has fewer.
    wanted = targets.byte().topk(int(most), dim=1).indices
    missing = ~targets.gather(1, wanted)
    each = shows.gather(2, wanted.unsqueeze(1).expand(-1, parts, -1)).masked_fill(missing.unsqueeze(1), NEVER)
    return _sets(each).gather(1, ((1 << counts) - 1).unsqueeze(1)).squeeze(1)


def _sets(each: Tensor) -> Tensor:
    """``[B, 2^K]``: for every set of K labels (bit k: it has label k) the log-probability that the parts show just that set, of
    those ``[B, P, K]`` that a part shows a label. Part by part, it is that of the parts so far."""
    labels = torch.arange(each.shape[2], device=each.device)
    sets = torch.arange(2 ** len(labels), device=each.device).unsqueeze(1)
    inside, without = (sets >> labels) & 1 > 0, sets & ~(1 << labels)  # [2^K, K]
    shown = torch.full((len(each), len(sets)), NEVER, device=each.device, dtype=each.dtype)
    shown[:, 0] = 0
    for part in each.unbind(1):
        # A part that shows label k adds it to a set without it, or shows it again.
        before = shown.unsqueeze(2).logaddexp(shown[:, without])
        shown = (before + part.unsqueeze(1)).masked_fill(~inside, NEVER).logsumexp(2)
    return shown
