"""Cartoons: generated faces in the shape of the AT&T faces, needing no download.

A person is a vector of traits, from the width of the head to the collar; every shot sees that person in another pose,
light and expression. It is a stand-in where the AT&T faces cannot be had. A figure measured on it says nothing about
faces and is labelled with its own name.

The head is an ellipsoid that eyes, mouth and hairline are painted on: each pixel is turned back by the pose to the
place of the ellipsoid that it shows, so features shift and foreshorten as they should. Lengths are in units of half
the usual height of a head; y points down, z to the camera.
"""

from __future__ import annotations

import torch
from torch import Tensor

from siamese.datasets.base import DataSet, Splits, cached_table
from siamese.datasets.people import split_by_people
from siamese.errors import UserError
from siamese.sampling.seeds import generator
from siamese.tables import Table

VERSION = 1  # To be raised whenever equal arguments no longer give equal images.
HEIGHT, WIDTH = 112, 92
_UNIT = 40  # pixels of half a head
_LONG = 0.35  # from this length on hair falls behind the neck and over the ears

# The least and the greatest value of everything in which people differ; all are uniform in between. Curls, a beard, a
# moustache, glasses and a collar are only there above 0. Tones are 0 (black) to 1 (white).
# fmt: off
_PERSON = {
    "wide": (0.68, 0.84), "high": (0.95, 1.06), "chin": (-0.08, 0.1),
    "skull": (1.9, 2.6), "jaw": (1.75, 2.9),  # from pointed to square
    "skin": (0.48, 0.85), "neck": (0.4, 0.52), "ear": (0.14, 0.24), "ear_out": (0.0, 0.08),
    "hair": (0.03, 0.65), "volume": (0.02, 0.2), "curls": (-0.06, 0.05), "length": (-1.0, 1.5), "sideburn": (-0.1, 0.35),
    "hairline": (-1.1, -0.32), "fringe": (-0.5, 0.9), "parting": (-0.25, 0.25),  # its height, bend and slope
    "brow": (0.022, 0.06), "brow_long": (0.13, 0.19), "brow_tilt": (-0.3, 0.3), "brow_gap": (0.15, 0.24),
    "eye_y": (-0.06, 0.1), "eye_apart": (0.26, 0.36), "eye_wide": (0.09, 0.145), "eye_high": (0.05, 0.095),
    "eye_slant": (-0.25, 0.25), "iris": (0.04, 0.06), "iris_tone": (0.05, 0.4),
    "nose_long": (0.28, 0.46), "nose_wide": (0.08, 0.17),
    "mouth_y": (0.56, 0.7), "mouth_wide": (0.17, 0.32), "lips": (0.03, 0.075), "lip_tone": (0.45, 0.85),
    "beard": (-1.2, 0.9), "moustache": (-1.0, 0.7),
    "glasses": (-1.0, 0.5), "frame": (0.012, 0.03), "frame_wide": (0.17, 0.24), "frame_power": (2.0, 5.0),
    "shirt": (0.3, 0.75), "collar": (-0.5, 1.0),
}
# Likewise the pose and the light in which the shots of a person differ, and the rest in which they do. A shot keeps to
# the middle of the ranges of pose and light, or leaves them, by a factor of its own: most are calm, a few are wild.
_POSE = {
    "yaw": (-0.48, 0.48), "pitch": (-0.22, 0.22), "tilt": (-0.12, 0.12),
    "scale": (0.95, 1.05), "shift_x": (-0.06, 0.06), "shift_y": (-0.06, 0.06),
    "light_x": (-0.5, 0.5), "light_y": (-0.6, 0.1), "ambient": (0.4, 0.7), "gain": (0.98, 1.12), "backdrop": (0.12, 0.2),
}
_MOOD = {
    "open": (-0.2, 0.15), "smile": (-0.05, 0.14), "lids": (-0.5, 2.6), "gaze": (-0.03, 0.03), "raised": (-0.03, 0.09),
    "bare": (0.0, 1.0), "wild": (0.0, 1.0),
}
# fmt: on


class Cartoons(DataSet):
    """Generated people, each seen in several shots: ``uint8 [people * shots, 1, 112, 92]``, the backdrop dark.

    The default has the shape of the AT&T faces: 40 people, 10 shots each.

    Args:
        people: how many people (classes), at least 6.
        shots: how many shots (sources) of each, at least 2.
        val: how many people choose, at least 2, or 0 where nothing is to be chosen.
        test: how many people report, at least 2. At least 2 must be left to teach.
        split_seed: another seed gives other people to each part.
        seed: another seed gives other people; equal arguments give equal images.

    Raises:
        UserError: fewer people or shots than that, or a seed below 0.
    """

    def __init__(
        self, people: int = 40, shots: int = 10, val: int = 5, test: int = 10, split_seed: int = 0, seed: int = 0
    ) -> None:
        if min(val or 2, test, people - val - test) < 2:
            raise UserError(
                f"Cartoons needs at least 2 people each for train, val and test; not {people} people, {val} for val and "
                f"{test} for test"
            )
        if shots < 2 or split_seed < 0 or seed < 0:
            raise UserError(f"Cartoons needs shots >= 2, split_seed >= 0, seed >= 0; not {shots}, {split_seed}, {seed}")
        self.people, self.shots, self.val, self.test = people, shots, val, test
        self.split_seed, self.seed = split_seed, seed

    def load(self) -> Table:
        """The table, drawn at the first call and cached: labels are people, sources are shots, all are of one group."""
        return cached_table(f"cartoons-v{VERSION}-{self.people}x{self.shots}-seed{self.seed}", self._draw)

    def split(self, table: Table) -> Splits:
        """By people, see :func:`split_by_people`."""
        return split_by_people(table, self.val, self.test, self.split_seed)

    def _draw(self) -> Table:
        names = [f"person{person + 1:02d}" for person in range(self.people)]
        return Table(
            name="cartoons",
            images=torch.cat([draw(self.shots, self.seed, person) for person in range(self.people)]),
            labels=torch.arange(self.people).repeat_interleave(self.shots),
            groups=torch.zeros(self.people * self.shots, dtype=torch.int64),
            sources=torch.arange(self.shots).repeat(self.people),
            class_names=tuple(names),
            group_names=("cartoons",),
            file_names=tuple(f"{name}/{shot + 1:02d}.png" for name in names for shot in range(self.shots)),
        )


def draw(shots: int, seed: int, person: int) -> Tensor:
    """The shots of one person: ``uint8 [shots, 1, 112, 92]``. Each depends on the seed, person and its number alone."""
    traits = torch.rand(len(_PERSON), generator=generator(seed, VERSION, person)).expand(shots, -1)
    streams = [generator(seed, VERSION, person, shot) for shot in range(shots)]
    poses = torch.stack([torch.rand(len(_POSE), generator=stream) for stream in streams])
    moods = torch.stack([torch.rand(len(_MOOD), generator=stream) for stream in streams])
    noise = torch.stack([torch.randn(HEIGHT, WIDTH, generator=stream) for stream in streams])
    poses = 0.5 + (poses - 0.5) * (0.25 + 1.65 * moods[:, -1:] ** 6)
    columns = torch.cat([traits, poses, moods], 1).T.view(-1, shots, 1, 1)
    ranges = (_PERSON | _POSE | _MOOD).items()
    look = {name: low + (high - low) * column for (name, (low, high)), column in zip(ranges, columns, strict=True)}
    return ((render(look) + 0.015 * noise) * 255).round().clamp(0, 255).to(torch.uint8).unsqueeze(1)


def render(look: dict[str, Tensor]) -> Tensor:
    """Faces without noise, ``float32 [B, 112, 92]``, 0 black, 1 white, perhaps beyond.

    Args:
        look: for every trait of a person and of a shot ``float32 [B, 1, 1]``.
    """
    t = look
    right = ((torch.arange(WIDTH) + 0.5 - WIDTH / 2) / _UNIT - t["shift_x"]) / t["scale"]
    down = ((torch.arange(HEIGHT).unsqueeze(1) + 0.5 - 53) / _UNIT - t["shift_y"]) / t["scale"]
    u = right * t["tilt"].cos() + down * t["tilt"].sin()
    v = down * t["tilt"].cos() - right * t["tilt"].sin()
    a, b = t["wide"], t["high"] + t["chin"] * (v > 0)

    # From the pixel to the place of the head that it shows: the unit sphere, turned back by pitch and yaw.
    across, along = u / a, v / b
    front = (1 - across.square() - along.square()).clamp_min(0).sqrt()
    y = along * t["pitch"].cos() - front * t["pitch"].sin()
    z = along * t["pitch"].sin() + front * t["pitch"].cos()
    x = across * t["yaw"].cos() - z * t["yaw"].sin()
    z = across * t["yaw"].sin() + z * t["yaw"].cos()
    x, y = x * a, y * b

    length = (across.square() + along.square() + front.square()).sqrt().clamp_min(1)
    facing = (across * t["light_x"] + along * t["light_y"] + front * 0.75) / length
    light = t["gain"] * (t["ambient"] + (1 - t["ambient"]) * 1.2 * facing.clamp_min(0))

    locks = t["hair"] * (1 + 0.07 * (60 * x + 6 * y).sin()) * light
    long = t["length"].clamp_min(0)
    behind = _oval(u, v - long / 2 + 0.2, a + 0.5 * t["volume"] + 0.12 * long, 0.75 + long / 2, 3)
    head = _oval(u, v, a, b, torch.where(v > 0, t["jaw"], t["skull"]))
    curls = t["curls"].clamp_min(0) * (14 * torch.atan2(v, u)).sin()
    cap = _oval(u, v, a + 0.7 * t["volume"], b + t["volume"], 2.2) + curls
    line = y - t["hairline"] - t["fringe"] * x.square() - t["parting"] * x - 0.02 * (25 * x).sin()
    sides = torch.maximum(0.6 * (z - 0.25), y - torch.maximum(t["sideburn"], 1.2 * (long - 0.3)))

    image = _over(t["backdrop"] * (1 + 0.15 * t["light_x"] * right), _ink(behind) * (long > _LONG), 0.7 * locks)
    image = _body(t, image, right, down)
    ears = [
        _oval(u - side * (a * t["yaw"].cos() + t["ear_out"]), v - 0.1, 0.6 * t["ear"], t["ear"], 2) for side in (-1, 1)
    ]
    image = _over(image, _ink(torch.minimum(*ears)), 0.85 * t["skin"] * light)
    image = _over(image, _ink(head), _face(t, x, y) * light)
    image = _over(image, _ink(torch.maximum(cap, torch.minimum(line, sides))), locks)
    # An ear that the head turns towards the camera is in front of the hair, unless this is long.
    for ear, turned in zip(ears, (t["yaw"], -t["yaw"]), strict=True):
        image = _over(image, _ink(ear) * (8 * turned).clamp(0, 1) * (long <= _LONG), 0.85 * t["skin"] * light)
    return image


def _body(t: dict[str, Tensor], image: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Neck and clothes on ``image``; they do not turn with the head."""
    light = t["gain"] * (t["ambient"] + (1 - t["ambient"]) * (0.7 + 0.6 * t["light_x"] * x).clamp(0, 1.2))
    image = _over(image, _ink(torch.maximum(x.abs() - t["neck"], 0.5 - y)), 0.72 * t["skin"] * light)
    cleft = 0.6 * (y - 1.35) - t["neck"] + x.abs()  # above 0 beside the V in which the neck is seen
    shirt = torch.maximum(1.05 + 0.5 * x.square() - y, -cleft)
    image = _over(image, _ink(shirt), t["shirt"] * light)
    return _over(image, _ink(torch.maximum(shirt, cleft - 0.13)) * (t["collar"] > 0), t["collar"] * light)


def _face(t: dict[str, Tensor], x: Tensor, y: Tensor) -> Tensor:
    """The skin and all that is painted on it, before light falls on it, at the places ``x, y`` of the head."""
    skin, aside = t["skin"], x.abs() - t["eye_apart"]  # the sides of a face are mirror images
    bearded = t["length"] <= _LONG
    beard = _ink(0.82 - 1.1 * x.square() - y) * (bearded & (t["beard"] > 0))
    image = _over(skin, beard * (0.35 + 0.65 * t["beard"]), 0.8 * t["hair"])

    eye_y = y - t["eye_y"]
    socket = (-(aside / 0.2).square() - ((eye_y + 0.03) / 0.14).square()).exp()
    image = image * (1 - 0.2 * socket)
    eye = _oval(aside, eye_y + t["eye_slant"] * aside, t["eye_wide"], t["eye_high"] * t["lids"].clamp(0.15, 1), 2)
    ball = (aside - x.sign() * t["gaze"]).square() + eye_y.square()
    image = _over(image, _ink(eye), 0.9)
    image = _over(image, _ink(torch.maximum(eye, ball.sqrt() - t["iris"])), t["iris_tone"])
    image = _over(image, _ink(torch.maximum(eye, ball.sqrt() - 0.5 * t["iris"])), 0.03)
    image = _over(image, _ink(eye.abs() - 0.012) * torch.where(eye_y < 0, 1, 0.3), 0.25 * skin)
    brow_y = eye_y + t["brow_gap"] + t["raised"] + t["brow_tilt"] * aside - 2 * aside.square()
    image = _over(image, _ink(_oval(aside, brow_y, t["brow_long"], t["brow"], 2.5)), 0.6 * t["hair"])

    # The nose stands out, so that it shifts more than the rest.
    down = (eye_y / t["nose_long"]).clamp(0, 1)
    nose_x = x - 0.25 * t["yaw"].sin() * down
    broad, tip = t["nose_wide"] * (0.35 + 0.65 * down.square()), eye_y - t["nose_long"]
    ridge = _ink(torch.maximum(nose_x.abs() - broad, tip)) * (eye_y > -0.1)
    image = image * (1 + ridge * (0.06 + 0.35 * t["light_x"] * (nose_x / broad).clamp(-1, 1)) * down)
    image = _over(image, _ink(_oval(nose_x, tip, t["nose_wide"], 0.045, 2)) * (tip > 0), 0.7 * skin)
    nostrils = _oval(nose_x.abs() - 0.5 * t["nose_wide"], tip, 0.33 * t["nose_wide"], 0.024, 2)
    image = _over(image, _ink(nostrils), 0.3 * skin)

    above = 0.45 * (t["eye_y"] + t["nose_long"]) + 0.55 * t["mouth_y"]
    moustache = _oval(x, y - above - 1.2 * x.square(), 0.9 * t["mouth_wide"], 0.04 + 0.05 * t["moustache"], 2.2)
    image = _over(image, _ink(moustache) * (bearded & (t["moustache"] > 0)), 0.75 * t["hair"])
    wide, gape = t["mouth_wide"] * (1 + 0.8 * t["smile"]), t["open"].clamp_min(0)
    mouth_y = y - t["mouth_y"] - 0.5 * gape + t["smile"] * ((x / wide).square() - 0.4)
    image = _over(image, _ink(_oval(x, mouth_y, wide, t["lips"] + gape, 1.8)), t["lip_tone"] * skin)
    cleft = _oval(x, mouth_y, 0.9 * wide, 0.012 + gape, 2)
    image = _over(image, _ink(cleft), 0.12)
    image = _over(image, _ink(torch.maximum(cleft, mouth_y + 0.3 * gape)) * (gape > 0.04), 0.9)

    size = torch.minimum(t["frame_wide"], t["eye_apart"] - 0.04)
    rims = _oval(aside, eye_y - 0.02, size, 0.8 * t["frame_wide"], t["frame_power"]).abs() - t["frame"]
    rods = torch.maximum(eye_y.abs(), size - aside.abs()) - t["frame"]
    worn = (t["glasses"] > 0) & ((t["glasses"] > 0.25) | (t["bare"] < 0.5))
    return _over(image, _ink(torch.minimum(rims, rods)) * worn, 0.1)


def _ink(distance: Tensor) -> Tensor:
    """What of a pixel is covered, 0..1, by a shape whose edge is this far away (inside it is below 0)."""
    return (0.5 - distance * _UNIT).clamp(0, 1)


def _over(image: Tensor, cover: Tensor, tone: Tensor | float) -> Tensor:
    """``image`` under a coat of ``tone``, as opaque as ``cover`` says."""
    return image + cover * (tone - image)


def _oval(x: Tensor, y: Tensor, wide: Tensor | float, high: Tensor | float, power: Tensor | float) -> Tensor:
    """About the distance to a superellipse with these half axes; power 2 is an ellipse, more is nearer to a box."""
    x, y = (x / wide).abs(), (y / high).abs()
    slope_x, slope_y = x ** (power - 1), y ** (power - 1)
    total = (x * slope_x + y * slope_y).clamp_min(1e-6)
    norm = total ** (1 / power)
    # To first order the distance is norm - 1 over the length of its gradient.
    steep = ((slope_x / wide).square() + (slope_y / high).square()).sqrt().clamp_min(1e-6)
    return (norm - 1) * total / (norm * steep)
