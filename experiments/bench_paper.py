"""How well a trained one-shot network tells one's own drawn symbols apart, whatever paper, pen, place and size.

    .venv/bin/python experiments/bench_paper.py --model runs/…/checkpoints/best.ckpt [--out FOLDER] [--seed 0]

Twelve symbols of an invented script are enrolled by one drawing each, black on white. Under every condition 60 probes,
five further drawings of each symbol, are named by the nearest of the twelve, and 30 drawings of six other symbols, the
strangers, are to score below the threshold of the checkpoint with all twelve. The drawings are the same under all
conditions. Pairs of pictures that show no drawing are to get no verdict.
"""

from __future__ import annotations

import argparse
import sys
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from bench_paper_pages import CONDITIONS, REFERENCE, Condition, Goal, drawn, page, symbols
from bench_paper_symbols import KNOWN
from matplotlib.figure import Figure
from PIL import Image
from tqdm import tqdm

from siamese.datasets.cartoons import draw
from siamese.datasets.pictures import BadImage
from siamese.errors import UserError
from siamese.model import Model
from siamese.plots.style import INK, LINE, RIGHT, WRONG, new_figure, save

DRAWINGS = 5  # of each symbol under each condition, beside the enrolled one
PROBES = KNOWN * DRAWINGS
COLUMNS = 7  # of the contact sheet


class Result(NamedTuple):
    """What became of the pages of one condition, in percent: of the probes, and of the strangers.

    Attributes:
        right: probes whose nearest name is right. A refused one is wrong.
        wrong: probes known by a wrong name: nearest to it, and the score is at least the threshold.
        unknown: strangers that score below the threshold with every name, or are refused.
        refused: how many pages, probes and strangers, could not be read.
    """

    right: float
    wrong: float
    unknown: float
    refused: int

    def meets(self, goal: Goal) -> bool:
        """Whether the goal is reached."""
        return self.right >= goal.right and self.wrong <= goal.wrong and self.unknown >= goal.strangers


class Pair(NamedTuple):
    """Two pictures that are no two drawings: their name, and the verdict, or why there is none."""

    name: str
    verdict: str
    meets: bool


def pages(condition: Condition, seed: int) -> list[tuple[int, Image.Image]]:
    """All 90 pages of a condition, each with the number of its symbol, those below ``KNOWN`` first."""
    made = []
    for number, symbol in enumerate(symbols()):
        for nth in range(DRAWINGS):
            drawing = drawn(symbol, np.random.default_rng([seed, number, nth + 1]))
            made.append((number, page(drawing, condition, _stream(condition, seed, number, nth + 1))))
    return made


def enrolled(seed: int) -> list[Image.Image]:
    """The reference page of each of the ``KNOWN`` symbols."""
    rows = enumerate(symbols()[:KNOWN])
    return [
        page(drawn(symbol, np.random.default_rng([seed, number, 0])), REFERENCE, _stream(REFERENCE, seed, number, 0))
        for number, symbol in rows
    ]


def _stream(condition: Condition, *numbers: int) -> np.random.Generator:
    """By its name, so that a condition keeps its pages whatever others there are."""
    return np.random.default_rng([zlib.crc32(condition.name.encode()), *numbers])


def result(model: Model, names: torch.Tensor, threshold: float, made: Sequence[tuple[int, Image.Image]]) -> Result:
    """What the model says of the pages of one condition; ``names`` are the enrolled embeddings ``[KNOWN, D]``."""
    right = wrong = unknown = refused = 0
    for number, picture in made:
        try:
            score, nearest = model.similarity(model.embed([picture]), names)[0].max(0)
        except BadImage:
            refused += 1
            unknown += number >= KNOWN
            continue
        known = score.item() >= threshold
        if number < KNOWN:
            right += nearest.item() == number
            wrong += known and nearest.item() != number
        else:
            unknown += not known
    strangers = len(made) - PROBES
    return Result(100 * right / PROBES, 100 * wrong / PROBES, 100 * unknown / strangers, refused)


def pairs(model: Model, seed: int) -> list[Pair]:
    """Faces and blank sheets, of which no two are to get a verdict."""
    faces = [Image.fromarray(draw(1, seed, person)[0, 0].numpy()).resize((368, 448)) for person in range(2)]
    noise = np.random.default_rng(seed).normal(190, 4, (400, 400))
    sheets = [Image.new("L", (400, 400), 255), Image.fromarray(noise.round().clip(0, 255).astype(np.uint8))]
    given = {"two faces": faces, "two blank sheets": sheets, "face and symbol": [faces[0], enrolled(seed)[0]]}
    told = []
    for name, (first, second) in given.items():
        try:
            verdict = model.verify(first, second)
        except BadImage:
            reasons = "; ".join(
                f"{nth}: {_reason(model, each)}" for nth, each in (("first", first), ("second", second))
            )
            told.append(Pair(name, f"no verdict ({reasons})", True))
        else:
            told.append(Pair(name, f"{'same' if verdict.same else 'different'} ({verdict.score:.3f})", False))
    return told


def _reason(model: Model, picture: Image.Image) -> str:
    try:
        model.embed([picture])
    except BadImage as error:
        return error.reason
    return "is read"


def table(results: dict[str, Result], told: Sequence[Pair]) -> list[list[str]]:
    """Rows of cells, the first of them the head; of a pair the verdict stands in place of the figures."""
    rows = [["condition", "right %", "known and wrong %", "strangers unknown %", "refused", "meets"]]
    for condition in CONDITIONS:
        each = results[condition.name]
        figures = (f"{each.right:.1f}", f"{each.wrong:.1f}", f"{each.unknown:.1f}", str(each.refused))
        rows.append([condition.name, *figures, "yes" if each.meets(condition.goal) else "no"])
    met = sum(row[-1] == "yes" for row in rows)
    mean = np.array([results[condition.name] for condition in CONDITIONS]).mean(0)
    rows.append(["mean", *(f"{value:.1f}" for value in mean), f"{met} of {len(CONDITIONS)}"])
    return rows + [[pair.name, pair.verdict, "", "", "", "yes" if pair.meets else "no"] for pair in told]


def plain(rows: Sequence[Sequence[str]]) -> str:
    """The table for a terminal."""
    lines = []
    for name, right, wrong, unknown, refused, meets in rows:
        figures = f"{right:>9}{wrong:>20}{unknown:>22}{refused:>11}{meets:>12}"
        lines.append(f"{name:<24}{figures}" if refused else f"{name:<24}{meets:>74}  {right}")
    return "\n".join(lines)


def markdown(rows: Sequence[Sequence[str]], title: str, before: str = "") -> str:
    """The table as Markdown, under what stood above it in the page ``before``, else under a line that says of what it is."""
    lines = [" | ".join(["", *row, ""]).strip() for row in rows]
    kept, table, _ = before.partition(f"{lines[0]}\n")
    lines.insert(1, "|---|---|---|---|---|---|")
    return (kept if table else f"{title}\n\n") + "\n".join(lines) + "\n"


def sheet(examples: dict[str, Image.Image], results: dict[str, Result], title: str) -> Figure:
    """One page of each condition under its name, with what became of all of them below."""
    rows = -(-len(examples) // COLUMNS)
    figure = new_figure(title, 1.75 * COLUMNS, 2.25 * rows + 0.5)
    grid = figure.subplots(rows, COLUMNS, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for axes, condition in zip(grid.flat, CONDITIONS, strict=False):
        each = results[condition.name]
        axes.set_axis_on()
        axes.imshow(shown(examples[condition.name]), interpolation="antialiased")
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set(color=LINE)
        axes.set_title(condition.name, fontsize=9, color=INK)
        colour = RIGHT if each.meets(condition.goal) else WRONG
        told = f"{each.right:.0f} % right" + (f", {each.refused} refused" if each.refused else "")
        axes.set_xlabel(told, fontsize=9, color=colour, labelpad=3)
    return figure


def shown(picture: Image.Image) -> np.ndarray:
    """A page for the eye, ``uint8 [H, W, 3]``: what is transparent shows a chequered ground."""
    if picture.mode == "I;16":
        picture = Image.fromarray((np.asarray(picture) // 257).astype(np.uint8))
    if picture.mode == "RGBA":
        y, x = np.indices(picture.size[::-1])
        ground = np.where((x // 20 + y // 20) % 2, 150, 190).astype(np.uint8)
        picture = Image.alpha_composite(Image.fromarray(ground).convert("RGBA"), picture)
    return np.asarray(picture.convert("RGB"))


def main(arguments: Sequence[str]) -> None:
    """See above."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--model", type=Path, required=True, help="checkpoint of a one-shot network")
    parser.add_argument("--out", type=Path, help="folder for paper.png and paper.md")
    parser.add_argument("--seed", type=int, default=0, help="of drawings and pages")
    given = parser.parse_args(arguments)
    model = Model.load(given.model)
    if model.operating_point is None:
        raise UserError(f"{given.model} holds no threshold chosen on validation classes")
    threshold = model.operating_point.threshold
    names = model.embed(enrolled(given.seed))
    results, examples = {}, {}
    for place, condition in enumerate(tqdm(CONDITIONS, "conditions", leave=False, disable=None)):
        made = pages(condition, given.seed)
        results[condition.name] = result(model, names, threshold, made)
        examples[condition.name] = made[place * DRAWINGS % PROBES][1]
    rows = table(results, pairs(model, given.seed))
    title = f"{model.dataset}, threshold {threshold:.3f}, seed {given.seed}"
    print(f"{title}\n\n{plain(rows)}")
    if given.out:
        given.out.mkdir(parents=True, exist_ok=True)
        page, drawn = given.out / "paper.md", given.out / "paper.png"
        page.write_text(markdown(rows, title, page.read_text() if page.exists() else ""))
        save(sheet(examples, results, f"One drawing enrolled, {PROBES} probes a condition: {title}"), drawn)
        with Image.open(drawn) as picture:
            few = picture.convert("RGB").quantize(64)  # a fifth of the bytes
        few.save(drawn, optimize=True)
        print(drawn)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except UserError as error:
        sys.exit(f"{error}")
