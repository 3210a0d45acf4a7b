"""The preprocessing of drawings: their ink found on any paper, and normalised."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from siamese.errors import DataError, UserError
from siamese.ink.moments import normalised
from siamese.ink.paper import NoInk, exact_ink, ink_on_paper, maybe_ruled

VERSION = 1  # to be raised whenever an equal image no longer gives equal pixels: tables are cached under it
BATCH = 256  # images normalised at a time: few enough to stay near the processor
MANY = 2000  # images, from which on a progress bar is shown


@dataclass(frozen=True)
class Ink:
    """Drawings made comparable: the level of the paper and the polarity are found from the image itself (see
    ``siamese.ink.paper``), then the ink is centred and scaled by its moments (see ``siamese.ink.moments``).

    It is for drawings and handwriting, not for photographs. A network trained with it takes whatever it is asked about
    through the same step, which the checkpoint carries.

    Attributes:
        spread: standard deviation that the ink is brought to, a share of the side of the result.
        aspect: share of the aspect ratio that is kept: 0 for none, 1 for all of it.
        slant: share of the slant that is removed.
        pen: the least and the greatest width of lines, shares of the side of the result; thinner lines are thickened, thicker
            ones thinned. None leaves all as they are.

    Raises:
        UserError: one of them is out of its range.
    """

    spread: float = 0.208
    aspect: float = 0.5
    slant: float = 0.0
    pen: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        shares = {"spread": self.spread, "aspect": self.aspect, "slant": self.slant}
        if wrong := [name for name, value in shares.items() if not 0 <= value <= 1]:
            raise UserError(f"of ink, {wrong[0]} must be between 0 and 1, not {shares[wrong[0]]}")
        if self.pen is not None and not 0 <= self.pen[0] <= self.pen[1] <= 1:
            raise UserError(f"of ink, pen is the least and the greatest width, from 0 to 1, not {self.pen}")
        if self.spread < 0.05:
            raise UserError(f"ink needs a spread of at least 0.05 sides to be seen, not {self.spread}")

    def page(self, page: np.ndarray, size: int) -> np.ndarray:
        """The drawing on a page, ``uint8 [1, size, size]`` with ink 255, of a grey image ``uint8 [H, W]``.

        Raises NoInk where there is none, or the page looks like a photograph.
        """
        return self.drawn(ink_on_paper(page), size)

    def drawn(self, ink: np.ndarray, size: int) -> np.ndarray:
        """The same of ink already found, ``float [H, W]`` in [0, 1], 1 is ink."""
        return self.levels(torch.from_numpy(ink).float()[None, None], size).to(torch.uint8)[0].numpy()

    def pages(self, images: Tensor, size: int, names: tuple[str, ...] = ()) -> Tensor:
        """The same of many images at once, ``uint8 [N, 1, size, size]`` of grey images ``uint8 [N, 1, H, W]``.

        An image without ink becomes an empty one: a data set is not refused for it.

        Raises:
            DataError: the images have several channels.
        """
        if images.shape[1] != 1:
            raise DataError(f"ink is found in grey images, and these have {images.shape[1]} channels")
        made = torch.empty(len(images), 1, size, size, dtype=torch.uint8)
        hidden = None if len(images) >= MANY else True  # None: hidden where no terminal shows it
        with tqdm(total=len(images), desc="normalising ink", unit="image", leave=False, disable=hidden) as bar:
            for start in range(0, len(images), BATCH):
                chunk = images[start : start + BATCH]
                made[start : start + len(chunk)] = self.levels(_ink(chunk), size)
                bar.update(len(chunk))
        return made

    def levels(self, ink: Tensor, size: int) -> Tensor:
        """Whole numbers from 0 to 255 (ink), ``float32 [N, 1, size, size]``, of ink ``float [N, 1, H, W]`` in [0, 1]: the step
        that an exported network has within it."""
        return normalised(ink, size, self.spread, self.aspect, self.slant, self.pen).mul_(255).round_()


def _ink(images: Tensor) -> Tensor:
    """``float32 [B, 1, H, W]`` of images of one size ``uint8 [B, 1, H, W]``; those without ink are empty."""
    ink, exact = exact_ink(images[:, 0])
    # The others take a closer look, each by itself.
    for place in (~exact | maybe_ruled(ink)).nonzero().flatten().tolist():
        try:
            found = torch.from_numpy(ink_on_paper(images[place, 0].numpy(), most=max(images.shape[2:])))
        except NoInk:
            found = torch.zeros(1, 1)
        ink[place] = 0
        ink[place, : found.shape[0], : found.shape[1]] = found  # where on the page it lies is of no matter
    return ink.unsqueeze(1)
