"""Invented alphabets: what an alphabet's characters have in common, and the motor programs of its characters.

An alphabet has a style, a small library of strokes, and characters that share those strokes and their relations, after
the generative model of Lake, Salakhutdinov and Tenenbaum (2015), Science 350. No character or stroke comes from a data
set: the numbers below were set by eye beside sheets of Omniglot, and by its share of ink, its extents and line width.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from siamese.datasets.ink import render
from siamese.datasets.strokes import DOT_SIZE, STROKES, Hands, Library, Programs, box, inked, trace
from siamese.datasets.traces import Traces
from siamese.datasets.walks import Walks, walk

SUB_STROKES = 4  # of a stroke, at most
_FOUNDED = 0.6  # share of the characters that begin with strokes of a recorded one, where there are such
_SPARE = 5  # characters thought up for each that is kept
# Kinds of stroke: share; least and most sub-strokes; chances that a sub-stroke is curved, that a joint is a corner.
_KINDS = {
    "line": (0.26, 1, 1, 0.0, 0.0),
    "arc": (0.20, 1, 1, 1.0, 0.0),
    "cornered": (0.20, 2, 4, 0.0, 1.0),
    "smooth": (0.14, 2, 4, 1.0, 0.0),
    "mixed": (0.20, 2, 4, 0.5, 0.5),
}


@dataclass(frozen=True)
class Style:
    """What the characters of one alphabet have in common."""

    kinds: Tensor  # float32 [5], the share of each kind of stroke
    counts: Tensor  # float32 [STROKES], the share of characters of 1, 2, … strokes
    square: float  # 0..1, how strictly directions and corners keep to the eight compass points
    attached: float  # the share of strokes that touch an earlier one
    related: float  # the share of characters built upon another one of the alphabet
    dots: float  # the share of later strokes that are dots
    extent: float  # the longer side of a usual character
    library: int  # how many different strokes there are


def _uniform(low: float, high: float, shape: tuple[int, ...], random: Generator) -> Tensor:
    return low + (high - low) * torch.rand(shape, generator=random)


def _chance(share: float | Tensor, shape: tuple[int, ...], random: Generator) -> Tensor:
    return torch.rand(shape, generator=random) < share


def _pick(shares: Tensor, count: int, random: Generator) -> Tensor:
    return torch.multinomial(shares, count, replacement=True, generator=random)


def style(characters: int, random: Generator) -> Style:
    """A style by chance, its library large enough for the characters of one stroke alone to differ."""
    shares = torch.tensor([kind[0] for kind in _KINDS.values()])
    mean = _uniform(1.4, 4.0, (1,), random)
    counts = torch.exp(-((torch.arange(1, STROKES + 1) - mean) ** 2) / 2.2)
    square, attached, related, extent = torch.rand(4, generator=random).tolist()
    return Style(
        kinds=shares * torch.randn(len(_KINDS), generator=random).mul(0.9).exp(),
        counts=counts,
        square=square**0.5,
        attached=0.5 + 0.45 * attached,
        related=0.7 * related,
        dots=float(_uniform(-0.1, 0.25, (1,), random).clamp_min(0)),
        extent=0.48 + 0.22 * extent,
        library=int(torch.randint(8, 25, (1,), generator=random) + characters * counts[0] / counts.sum()),
    )


def _compass(count: tuple[int, ...], square: float, shares: Tensor, random: Generator) -> Tensor:
    """Angles ``float32 [*count]``: one of the multiples of 45° by their shares, more loosely where less square."""
    angle = _pick(shares, math.prod(count), random).view(count) * (math.pi / 4)
    return angle + torch.randn(count, generator=random) * (0.02 + 0.14 * (1 - square))


def _invented(look: Style, random: Generator) -> tuple[Library, Tensor]:
    """An alphabet's strokes and their sizes ``float32 [library]``."""
    many = (look.library, SUB_STROKES)
    kind = torch.tensor(list(_KINDS.values()))[_pick(look.kinds, look.library, random)]
    least, most, curved, cornered = kind[:, 1:].T.unsqueeze(-1)
    subs = (least + (most - least + 1) * torch.rand((look.library, 1), generator=random) ** 1.5).floor()
    # Pens mostly go right and down: directions are clockwise from the right, in eighths of a turn.
    starts = _compass((look.library,), look.square, torch.tensor([4.5, 1.0, 5.5, 1.0, 0.8, 0.2, 0.6, 0.6]), random)
    corners = _compass(many, look.square, torch.tensor([0.0, 2.0, 5.0, 2.5, 0.0, 0.0, 0.0, 0.0]), random)
    sweeps = torch.where(subs == 1, _uniform(0.8, 5.5, many, random), _uniform(0.5, 3.8, many, random))
    # Strokes wind one way (spirals, boxes), to and fro (waves, zigzags), or as they like.
    side = torch.where(_chance(0.5, (look.library, 1), random), 1.0, -1.0)
    swing = torch.where(_chance(0.4, (look.library, 1), random), -1.0, 1.0) ** torch.arange(SUB_STROKES)
    side = side * swing * torch.where(_chance(0.15, many, random), -1.0, 1.0)
    sweeps = torch.where(_chance(curved, many, random), sweeps * side, 0.03 * torch.randn(many, generator=random))
    turns = torch.where(_chance(cornered, many, random), corners * side, 0.0)
    lengths = torch.randn(many, generator=random).mul(0.45).exp() * (torch.arange(SUB_STROKES) < subs)
    total = (turns[:, 1:].sum(1) + sweeps.sum(1)).abs()
    closed = ((total > 3.3) & _chance(0.5, (look.library,), random)).float()
    # Straight strokes set out in a compass direction; of most curved ones it is the way from start to end that has one.
    turns[:, 0] = 0
    points = walk(turns, sweeps, lengths, torch.zeros(look.library))
    chord = points[:, -1] - points[:, 0]
    aligned = _chance(0.8 * curved.flatten(), (look.library,), random) & (chord.norm(dim=1) > 0.3)
    turns[:, 0] = torch.where(aligned, starts - torch.atan2(chord[:, 1], chord[:, 0]), starts)
    # Strokes span the character, half of it, or little, so that what is alike has like size.
    sizes = torch.tensor([1.0, 0.7, 0.5, 0.35])[_pick(torch.tensor([4.0, 3.0, 3.0, 2.0]), look.library, random)]
    return Walks(turns, sweeps, lengths, closed), sizes


def _relations(count: int, look: Style, random: Generator) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """How strokes are tied to earlier ones: the parents, joints, offsets and bridges of :class:`Programs`."""
    shape = (count, STROKES)
    parents = (torch.rand((*shape, 2), generator=random) * torch.arange(STROKES).view(-1, 1)).long()
    along = torch.where(_chance(0.4, (*shape, 2), random), 0.5, _uniform(0.1, 0.9, (*shape, 2), random))
    kinds = _pick(torch.tensor([0.27, 0.27, 0.46]), 2 * math.prod(shape), random).view(*shape, 2)
    kinds[..., 1] = _pick(torch.tensor([0.65, 0.17, 0.18]), math.prod(shape), random).view(shape)
    joints = torch.where(kinds == 0, 0.0, torch.where(kinds == 1, 1.0, along))
    angle = _compass(shape, 0.5, torch.ones(8), random)
    apart = torch.stack([angle.cos(), angle.sin()], -1) * _uniform(0.25, 0.75, (*shape, 1), random)
    attached = _chance(look.attached, (*shape, 1), random)
    bridges = _pick(torch.tensor([0.3, 0.4, 0.3]), math.prod(shape), random).view(shape) / 2
    bridges = torch.where(attached.squeeze(-1) & _chance(0.25, shape, random), bridges, -1.0)
    return parents, torch.where(attached, joints, along), torch.where(attached, 0.0, apart), bridges


def _candidates(count: int, look: Style, recorded: Traces | None, random: Generator) -> Programs:
    """Motor programs of ``count`` characters, related ones among them, not yet told apart."""
    if recorded is None:
        library, sizes = _invented(look, random)
        strokes, founding = torch.arange(look.library), None
    else:
        library, sizes = recorded, recorded.sizes
        strokes, characters = recorded.some(look.library, random)
        founding = recorded.characters[characters]
    shape = (count, STROKES)
    # A few strokes are in many characters, most are rare.
    chosen = strokes[_pick(1 / (torch.arange(len(strokes)) + 3.0), math.prod(shape), random).view(shape)]
    parents, joints, offsets, bridges = _relations(count, look, random)
    scales = torch.randn(shape, generator=random).mul(0.12).exp()
    turned = _compass(shape, 0.9, torch.tensor([16.0, 0.5, 2.0, 0.3, 1.0, 0.3, 1.0, 0.5]), random)
    mirrored = torch.where(_chance(0.12, (*shape, 1), random), -1.0, 1.0)
    dot = _chance(look.dots, shape, random) & (torch.arange(STROKES) > 0)
    # A stroke drawn twice, side by side, as in = or #.
    twice = _chance(0.13, shape, random) & (torch.arange(STROKES) > 0) & ~dot
    for j in range(1, STROKES):
        for column in (chosen, scales, turned, mirrored, dot):
            before = column[torch.arange(count), parents[:, j, 0]]
            column[:, j] = torch.where(twice[:, j].view(-1, *[1] * (before.ndim - 1)), before, column[:, j])
        joints[:, j] = torch.where(twice[:, j, None], 0.5, joints[:, j])
        angle = _compass((count,), 0.9, torch.tensor([4.0, 1.0, 4.0, 1.0, 0.0, 0.0, 0.0, 0.0]), random)
        shift = torch.stack([angle.cos(), angle.sin()], -1) * _uniform(0.2, 0.5, (count, 1), random)
        offsets[:, j] = torch.where(twice[:, j, None], shift, offsets[:, j])
    # A bridge needs a stroke that leads somewhere, and two places apart from one another to span.
    spans = (library.exact[:, -1] - library.exact[:, 0]).norm(dim=1) > 0.4
    short = (parents[..., 0] == parents[..., 1]) & ((bridges - joints[..., 0]).abs() < 0.3)
    bridges = torch.where(twice | dot | short | ~spans[chosen], -1.0, bridges)
    number = 1 + _pick(look.counts, count, random)
    sizes = torch.where(dot, DOT_SIZE, sizes[chosen] * scales)
    programs = Programs(library, chosen, mirrored.squeeze(-1), turned, sizes, parents, joints, offsets, bridges)
    if founding is not None and len(founding):
        programs, number = _founded(programs, number, founding, random)
    drawn = torch.arange(STROKES) < number.unsqueeze(1)
    return _related(dataclasses.replace(programs, sizes=programs.sizes * drawn), look, random)


def _founded(programs: Programs, number: Tensor, founding: Programs, random: Generator) -> tuple[Programs, Tensor]:
    """The programs, of which the first ``number`` strokes will be drawn, ``int64 [C]``, most of them beginning with strokes of
    ``founding`` ones: without its last ones, or with others in their place or beyond them."""
    count = len(programs)
    base = founding[torch.randint(len(founding), (count,), generator=random)]
    there = (base.sizes > 0).sum(1)
    kept = 1 + (torch.rand(count, generator=random) * there).long().clamp_max(STROKES - 2)
    added = torch.randint(0, 3, (count,), generator=random)
    added = torch.where((added == 0) & (kept == there), 1, added).minimum(STROKES - kept)
    taken = _chance(_FOUNDED, (count,), random)
    begun = _begun(programs, base, taken.unsqueeze(1) & (torch.arange(STROKES) < kept.unsqueeze(1)))
    return begun, torch.where(taken, kept + added, number)


def _begun(programs: Programs, others: Programs, taken: Tensor) -> Programs:
    """The programs, where ``taken`` (``bool [C, J]``) with the strokes of others."""
    return Programs(
        programs.library,
        **{
            name: torch.where(taken.view(*taken.shape, *[1] * (own.ndim - 2)), others.columns[name], own)
            for name, own in programs.columns.items()
        },
    )


def _related(programs: Programs, look: Style, random: Generator) -> Programs:
    """The programs, a share of them beginning with the first strokes of another one."""
    count = len(programs)
    other = (torch.rand(count, generator=random) * torch.arange(count)).long()
    kept = torch.randint(1, STROKES - 1, (count, 1), generator=random)
    # What is taken over exists, and at least the last stroke is the character's own, or it would be a mere copy.
    kept = torch.minimum(kept, (programs.sizes > 0).sum(1, keepdim=True) - 1)
    taken = _chance(look.related, (count, 1), random) & (torch.arange(STROKES) < kept) & (programs.sizes[other] > 0)
    return _begun(programs, programs[other], taken)


def _kept(programs: Programs, count: int) -> Tensor:
    """``int64 [count]``: legible programs, no two of which look alike when drawn without noise."""
    points = trace(programs, Hands.exact(len(programs)), torch.Generator()).flatten(1, 2)
    joined = inked(programs).flatten(1)
    low, high = (corner.unsqueeze(1) for corner in box(points, joined))
    points = 0.5 + (points - (low + high) / 2) * 0.8 / (high - low).amax(-1, keepdim=True)
    images = render(points, joined, torch.full((len(points),), 0.09), 28).float()
    soft = F.normalize(F.avg_pool2d(images, 3, stride=1, padding=1).flatten(1), dim=1)
    alike = soft @ soft.T
    # Strokes that cover one another cannot be read: the ink there is, over the ink that apart they would have.
    length = (points.diff(dim=1).norm(dim=-1) * joined[:, :-1]).sum(1)
    clear = images.mean((1, 2, 3)) / 255 / (0.09 * (length + 0.09))
    legible = (clear >= clear.quantile(0.5)) & (length >= length.quantile(0.2))
    order = legible.nonzero().flatten().tolist()
    kept = order[:1]
    limit = 0.92
    while len(kept) < count:
        for i in order:
            if len(kept) < count and i not in kept and alike[i, kept].max() < limit:
                kept.append(i)
        limit += 0.02  # An alphabet of few strokes may not have that many characters so far apart.
    return torch.tensor(kept).sort().values


def alphabet(characters: int, random: Generator, recorded: Traces | None = None) -> tuple[Programs, float]:
    """A new alphabet: the motor programs of its ``characters``, and the usual longer side of one, in canvas sides.

    Its strokes are invented, or ``recorded`` ones.
    """
    look = style(characters, random)
    programs = _candidates(math.ceil(characters * _SPARE) + 4, look, recorded, random)
    return programs[_kept(programs, characters)], look.extent
