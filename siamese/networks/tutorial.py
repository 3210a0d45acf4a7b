"""The network of a widespread tutorial on face verification, kept for the lesson in its figures."""

from __future__ import annotations

from torch import Tensor, nn

from siamese.errors import UserError


class Tutorial(nn.Module):
    """Two valid 3x3 convolutions of 6 and 12 filters on every second pixel, then 128 and 50 units, all ReLU, with dropout.

    So it is in the Keras recipe for the AT&T faces (S. Ravichandiran, Hands-On Meta Learning with Python, 2018, chapter 2)
    and in its many copies. Embeddings are not negative, and nothing bounds their length.
    """

    embedding_size = 50

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 6, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(0.25),
            nn.Conv2d(6, 12, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(0.25), nn.Flatten(),
            nn.Linear(12 * 12 * 10, 128), nn.ReLU(), nn.Dropout(0.1), nn.Linear(128, self.embedding_size), nn.ReLU(),
        )  # fmt: skip

    def forward(self, images: Tensor) -> Tensor:
        """Embeddings ``[B, 50]`` of images ``[B, 1, 112, 92]`` in [0, 1]. Raises UserError for other sizes."""
        if images.shape[1:] != (1, 112, 92):
            given = "x".join(map(str, images.shape[1:]))
            raise UserError(f"the tutorial's network takes faces of 1x112x92, not {given}; leave data.image_size null")
        return self.layers(images[..., ::2, ::2])
