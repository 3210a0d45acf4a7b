"""What no learning reaches on the same episodes: nearest neighbours of pixels, and the Modified Hausdorff distance."""

from __future__ import annotations

import numpy as np
import torch
from scipy.spatial import KDTree
from torch import Tensor

from siamese.evaluation.one_shot import credits, episode_scores
from siamese.sampling.episodes import Episodes
from siamese.similarity import Cosine, Euclidean
from siamese.tables import Table


def pixel_baselines(table: Table, episodes: Episodes) -> dict[str, float]:
    """Accuracy of each baseline as a fraction, by name, on the table's own resolution."""
    pixels = table.images.flatten(1)
    used, inverse = torch.cat([episodes.support.flatten(), episodes.query.flatten()]).unique(return_inverse=True)
    support, query = inverse.split([episodes.support.numel(), episodes.query.numel()])
    within = Episodes(support.view_as(episodes.support), query.view_as(episodes.query), episodes.target)
    vectors = pixels[used].float() / 255
    scores = {
        "1-NN of pixels, L2": episode_scores(vectors, within, Euclidean()),
        "1-NN of pixels, cosine": episode_scores(vectors, within, Cosine()),
        "Modified Hausdorff distance": -hausdorff_distances(table.images[used, 0], within),
    }
    return {name: float(credits(values, within.target).double().mean()) for name, values in scores.items()}


def hausdorff_distances(images: Tensor, episodes: Episodes) -> Tensor:
    """Modified Hausdorff distances of queries to supports (Dubuisson, Jain 1994), ``float64 [E, Q, N]``.

    The points are ink pixels, moved so that their mean is the origin, as in the classification demo of Lake et al. (2015).
    Of two images the distance is the larger of the two mean distances from each point to the nearest of the other's. With
    several shots it is that of the nearest.

    Args:
        images: ``uint8 [rows, H, W]``, ink above 127.
    """
    points = [_ink_points(image) for image in images.numpy()]
    trees = [KDTree(each) for each in points]

    def distance(first: int, second: int) -> float:
        there, back = trees[second].query(points[first])[0], trees[first].query(points[second])[0]
        return max(there.mean(), back.mean())

    return torch.tensor(
        [
            [[min(distance(q, s) for s in slot) for slot in support] for q in query]
            for query, support in zip(episodes.query.tolist(), episodes.support.tolist(), strict=True)
        ],
        dtype=torch.float64,
    )


def _ink_points(image: np.ndarray) -> np.ndarray:
    """``float64 [points, 2]``; an image without ink has one point at the origin."""
    points = np.argwhere(image > 127).astype(np.float64)
    return points - points.mean(axis=0) if len(points) else np.zeros((1, 2))
