"""A page with several symbols is compared as one drawing, and the person who gave it is told."""

import warnings

import numpy as np
import pytest
from PIL import Image

from siamese.__main__ import main
from siamese.datasets.pictures import Preprocessing
from siamese.ink import Ink, SeveralSymbols
from siamese.ink.several import several_symbols
from tests.ink.pages import HOOK, drawing, page

EQUALS, DOTTED = ((0, 0.3), (1, 0.3)), ((0.5, 0.3), (0.5, 1.0))


def beside(gap: float, turned: bool = False) -> np.ndarray:
    """Two hooks of 80 pixels, so many pixels apart."""
    ink = np.maximum(drawing((120, 500)), drawing((120, 500), corner=(30 + 56 + gap, 20)))  # a hook is 56 pixels wide
    return ink.T if turned else ink


@pytest.mark.parametrize("turned", [False, True])
def test_two_symbols_far_from_one_another_are_several_and_near_ones_are_one(turned):
    assert several_symbols(beside(60, turned))
    assert not several_symbols(beside(25, turned))


def test_strokes_and_dots_of_one_symbol_are_no_symbols():
    assert not several_symbols(drawing())
    assert not several_symbols(np.maximum(drawing(points=EQUALS), drawing(points=((0, 0.8), (1, 0.8)))))
    dots = [drawing(corner=(30 + place, 40), points=((0.0, 0.0),), pen=9) for place in (0, 30, 70)]
    assert not several_symbols(np.max(dots, axis=0))
    assert not several_symbols(np.maximum(drawing(points=DOTTED), drawing(points=((0.5, -0.2),), pen=5)))
    assert not several_symbols(np.zeros((20, 20)))


def test_a_page_of_several_is_told_and_read(tmp_path):
    path = tmp_path / "two.png"
    Image.fromarray(page(beside(60))).save(path)
    preprocessing = Preprocessing(36, 36, ink=Ink())
    with pytest.warns(SeveralSymbols, match=r"two\.png seems to show several symbols; they are compared as one"):
        assert preprocessing.pixels(path).max() > 200
    Image.fromarray(page(drawing(points=HOOK))).save(path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        preprocessing.pixels(path)


def test_the_command_line_tells_a_note_in_one_line(monkeypatch, capsys):
    def command(arguments):
        warnings.warn("two.png seems to show several symbols", SeveralSymbols, stacklevel=1)
        warnings.warn("another", UserWarning, stacklevel=1)
        return 0

    monkeypatch.setattr("siamese.commands.main", command)
    shown = warnings.showwarning
    with pytest.warns(UserWarning, match="another") as others:
        assert main(["verify"]) == 0
    assert len(others) == 1
    assert capsys.readouterr().err == "note: two.png seems to show several symbols\n"
    assert warnings.showwarning is shown
