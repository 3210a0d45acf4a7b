"""Recorded strokes: read, matched between people, and made into new characters."""

import dataclasses
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from siamese.datasets import registry
from siamese.datasets.base import loaded
from siamese.datasets.glyphs import Glyphs
from siamese.datasets.minimal import CHOOSING, Minimal
from siamese.datasets.omniglot import Omniglot
from siamese.datasets.omniglot_lists import LISTS
from siamese.datasets.strokes import STROKES, Hands, trace
from siamese.datasets.traces import POINTS, Traces, _drawing, _matched, _program, read_traces
from siamese.errors import DataError, DataUnavailable, UserError
from siamese.sampling.seeds import generator
from siamese.tables import Table

BAR = [(0.0, 0.0), (0.0, 80.0)]  # downwards
HOOK = [(0.0, 40.0), (60.0, 40.0), (60.0, 60.0)]
WAVE = [(x, 40 + 15 * np.sin(x / 2)) for x in np.linspace(0, 80, 200)]
EXACT = Hands.exact(1)


def text(*strokes: list[tuple[float, float]]) -> str:
    """A file as Omniglot's: y points up and is negative."""
    blocks = ["\n".join(f"{x},{-y},{time}" for time, (x, y) in enumerate(stroke)) + "\nBREAK\n" for stroke in strokes]
    return "START\n" + "".join(blocks)


def moved(stroke: list[tuple[float, float]], x: float, y: float, scale: float = 1.0) -> list[tuple[float, float]]:
    return [(x + scale * a, y + scale * b) for a, b in stroke]


def zipped(path: Path, alphabets: list[str], characters: int = 2, people: int = 3) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("__MACOSX/strokes/.DS_Store", "no text")
        for alphabet in alphabets:
            for number in range(characters):
                for person in range(people):
                    drawn = text(
                        moved(BAR, person, number), moved(HOOK, 2 * person, 5 * number), moved(WAVE, 0, person)
                    )
                    name = f"{number + 1:04d}_{person + 1:02d}.txt"
                    archive.writestr(f"strokes/{alphabet}/character{number + 1:02d}/{name}", drawn)
    return path


@pytest.fixture
def mirror(tmp_path, monkeypatch) -> Path:
    """Strokes of small1's five alphabets that nobody drew."""
    (tmp_path / "mirror" / "omniglot").mkdir(parents=True)
    path = zipped(tmp_path / "mirror" / "omniglot" / "strokes_background_small1.zip", list(LISTS["small1"]))
    monkeypatch.setenv("SIAMESE_MIRROR", str(tmp_path / "mirror"))
    monkeypatch.setenv("SIAMESE_DATA", str(tmp_path / "data"))
    return path


def test_a_drawing_keeps_its_shape_whatever_its_place_and_size():
    near, far = (_drawing(text(moved(BAR, x, y, s), moved(HOOK, x, y, s))) for x, y, s in ((0, 0, 1), (7, 9, 0.5)))
    assert [stroke.shape for stroke in near] == [(POINTS, 2)] * 2
    for one, other in zip(near, far, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-9)
    np.testing.assert_allclose(near[0][[0, -1]], [[-0.375, -0.5], [-0.375, 0.5]], err_msg="y points down")


def test_strokes_are_matched_whatever_their_order_and_direction():
    usual = [BAR, HOOK]
    people = [usual, [HOOK, BAR], [BAR[::-1], HOOK], [BAR]]  # the last with fewer strokes than most
    found, best = _matched([_drawing(text(*strokes)) for strokes in people])
    assert found.shape == (2, 4, POINTS, 2) and best.shape == (2, POINTS, 2)
    np.testing.assert_allclose(found, np.broadcast_to(best[:, None], found.shape), atol=1e-9)


def test_what_is_too_far_from_the_usual_stroke_is_replaced_by_another_persons():
    strange = moved(BAR, 60, 0)
    found, _ = _matched([_drawing(text(*strokes)) for strokes in ([BAR, HOOK], [BAR, HOOK], [strange, HOOK])])
    np.testing.assert_allclose(found[:, 2], found[:, 0])


def test_a_zip_becomes_strokes_of_one_size_and_winding_ones_are_halved(tmp_path):
    traces = read_traces(zipped(tmp_path / "strokes.zip", ["Greek", "Latin"]), ["Latin", "Greek"])
    assert len(traces) == 2 * 2 * 5, "of each character a bar, a hook, and a wave whole and by halves"
    assert traces.points.shape == (20, 3, POINTS, 2) and traces.exact.shape == (20, POINTS, 2)
    assert traces.groups.tolist() == [0] * 10 + [1] * 10
    low, high = traces.points.amin(2), traces.points.amax(2)
    torch.testing.assert_close((high + low) / 2, torch.zeros_like(low), atol=1e-5, rtol=0)
    torch.testing.assert_close((high - low).amax(-1).mean(1), torch.ones(20), atol=1e-5, rtol=0)
    assert float(traces.sizes[3]) == pytest.approx(float(traces.sizes[2]) / 2, rel=0.05), (
        "half the wave is half as long"
    )


def test_dots_are_left_out(tmp_path):
    with zipfile.ZipFile(tmp_path / "strokes.zip", "w") as archive:
        for person in (1, 2):
            archive.writestr(f"s/Greek/character01/0001_{person:02d}.txt", text(BAR, [(5.0, 5.0)]))
    assert len(read_traces(tmp_path / "strokes.zip", ["Greek"])) == 1


@pytest.mark.parametrize("content", [b"no zip", None, b"PK\x05\x06" + 18 * b"\0"])
def test_a_damaged_or_missing_zip_is_told(tmp_path, content):
    path = tmp_path / "strokes.zip"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=r"strokes\.zip"):
        read_traces(path, ["Greek"])


def test_a_line_that_is_no_point_is_told(tmp_path):
    with zipfile.ZipFile(tmp_path / "strokes.zip", "w") as archive:
        archive.writestr("s/Greek/character01/0001_01.txt", "START\nhere,there,0\nBREAK\n")
    with pytest.raises(DataError, match="not a readable zip of strokes"):
        read_traces(tmp_path / "strokes.zip", ["Greek"])


def traces() -> Traces:
    """Three strokes, two of one alphabet and one of another, and of each alphabet a character."""
    points = torch.randn(3, 4, POINTS, 2, generator=generator(0))
    column, pair = torch.zeros(2, STROKES), torch.zeros(2, STROKES, 2)
    columns = {"strokes": column.long(), "mirrored": column + 1, "turned": column, "sizes": column + 1, "parents": pair.long(),
               "joints": pair, "offsets": pair, "bridges": column - 1}  # fmt: skip
    return Traces(points, points.mean(1), torch.ones(3), torch.tensor([0, 0, 1]), columns, torch.tensor([0, 1]))


def test_a_hand_without_noise_draws_what_is_usual_and_others_what_people_drew():
    library, strokes = traces(), torch.tensor([[2, 0]])
    plain = torch.ones(1, 2)
    still = library.drawn(strokes, plain, 0 * plain, EXACT, generator(1))
    torch.testing.assert_close(still, library.exact[strokes])
    hands = Hands(torch.ones(400), torch.zeros(400), torch.full((400,), 5))  # the second of four people
    drawn = library.drawn(strokes.expand(400, 2), plain.expand(400, 2), torch.zeros(400, 2), hands, generator(1))
    own = (drawn[:, 0] == library.points[2, 1]).all(-1).all(-1).float().mean()
    assert 0.8 < own < 0.95, "mostly that person's, at times another's"
    assert all((drawn[i, 0] == library.points[2]).all(-1).all(-1).any() for i in range(400))


def test_strokes_are_turned_upside_down_and_then_round():
    library, strokes = traces(), torch.tensor([[1]])
    drawn = library.drawn(strokes, -torch.ones(1, 1), torch.full((1, 1), torch.pi / 2), EXACT, generator(0))
    x, y = library.exact[1].unbind(-1)
    torch.testing.assert_close(drawn[0, 0], torch.stack([y, x], -1))


def test_some_strokes_come_from_one_alphabet_or_from_all():
    library = traces()
    drawn = [library.some(2, generator(seed)) for seed in range(60)]
    assert {len(strokes) for strokes, _ in drawn} == {1, 2}, "an alphabet of one stroke has no two"
    assert 15 < sum(len(characters) == 2 for _, characters in drawn) < 45
    for strokes, characters in drawn:
        assert len(characters) == 2 or (library.groups[strokes] == characters).all()
    assert torch.equal(library.some(2, generator(7))[0], library.some(2, generator(7))[0])


def test_recorded_characters_are_drawn_as_they_were(tmp_path):
    """The program of a character, carried out exactly, puts its strokes where they were."""
    library = read_traces(zipped(tmp_path / "strokes.zip", ["Greek"], characters=3, people=1), ["Greek"])
    programs = library.characters
    assert (programs.sizes > 0).sum(1).tolist() == [3, 3, 3]
    drawn = trace(programs, Hands.exact(3), generator(0))[:, :3].numpy()
    for number, found in enumerate(drawn):
        expected = np.stack(_drawing(text(moved(BAR, 0, number), moved(HOOK, 0, 5 * number), WAVE)))
        apart = (found - expected).reshape(-1, 2)
        np.testing.assert_allclose(apart, np.broadcast_to(apart[0], apart.shape), atol=1e-5, err_msg="all moved alike")


def test_strokes_of_a_character_are_tied_where_they_come_nearest():
    cross = [[(0.0, 0.0), (0.0, 80.0)], [(10.0, 40.0), (60.0, 40.0)]]
    row = _program(np.stack(_drawing(text(*cross))))
    assert row["parents"][1, 0] == 0
    np.testing.assert_allclose(row["joints"][1], [0.5, 0.0], atol=0.02)
    np.testing.assert_allclose(row["offsets"][1], [10 / 80, 0], atol=0.02)
    assert (row["sizes"] > 0).tolist() == [True, True, False, False, False]


def test_glyphs_of_recorded_strokes(mirror):
    glyphs = Glyphs(alphabets=3, characters=(4, 4), drawers=5, size=32, strokes=["Greek", "Latin"])
    table = glyphs.load()
    assert table.name == "glyphs of recorded strokes"
    assert len(table) == 60 and (table.images.flatten(1).amax(1) == 255).all()
    assert len(table.images.flatten(1).unique(dim=0)) == 60
    same = Glyphs(alphabets=3, characters=(4, 4), drawers=5, size=32, strokes=["Latin", "Greek"])
    mirror.unlink()
    assert same.load().fingerprint == table.fingerprint, "kept, whatever order the alphabets are named in"


@pytest.mark.parametrize("names", [["Greek", "Korean", "Sanskrit"], ["Tengwar"], []])
def test_only_the_strokes_of_a_minimal_background_are_published(names):
    with pytest.raises(UserError, match="small1 has Balinese"):
        Glyphs(strokes=names)


@pytest.fixture
def alphabets(make_table) -> Table:
    """A table in which small1's alphabets, Tengwar and Tibetan have two characters each."""
    names = (*LISTS["small1"], "Tengwar", "Tibetan")
    return dataclasses.replace(make_table([2] * 7, sources=2, size=105), name="omniglot", group_names=names)


def test_a_minimal_background_teaches_by_itself_and_by_what_is_invented_from_it(alphabets, mirror):
    minimal = Minimal("small1", test=["Tengwar"], invented=2)
    splits = minimal.split(alphabets)
    real = ~splits.train.added[splits.train.groups]
    assert {alphabets.group_names[g] for g in splits.train.groups[real].unique()} == set(LISTS["small1"])
    assert splits.train.name == "omniglot (5 alphabets) and glyphs of recorded strokes"
    assert int(real.sum()) == 20 and len(splits.train.groups[~real].unique()) == 2
    assert splits.val.name == "glyphs of recorded strokes" and len(splits.val.groups.unique()) == CHOOSING
    invented = {name.split("/", 1)[1] for name in splits.train.file_names[20:]}
    assert invented and not set(splits.val.file_names) & invented
    assert {alphabets.group_names[g] for g in splits.test.groups} == {"Tengwar"}
    assert minimal.official_runs(splits.test) is None, "their alphabets are not all tested"


def test_a_minimal_background_may_do_without_inventions_and_choose_by_alphabets_of_its_own(alphabets):
    splits = Minimal(["Balinese", "Greek"], val=["Korean"], test=["Tibetan"], invented=0).split(alphabets)
    groups = [{alphabets.group_names[g] for g in part.groups} for part in (splits.train, splits.val, splits.test)]
    assert groups == [{"Balinese", "Greek"}, {"Korean"}, {"Tibetan"}]
    assert splits.train.name == "omniglot (2 alphabets)"


def test_missing_strokes_are_told_as_missing_data(alphabets, mirror, monkeypatch):
    """Where Omniglot is at hand, and the strokes are not: the training falls back to glyphs, or stops where it is strict."""
    drawn = Glyphs(alphabets=3, characters=(4, 4), drawers=2, size=32)
    monkeypatch.setattr(Omniglot, "load", lambda self: alphabets)
    monkeypatch.setattr(Omniglot, "stand_in", lambda self: drawn)
    monkeypatch.setattr(registry, "_download", lambda *address: None)
    mirror.unlink()
    source, table = loaded(Minimal("small1", test=["Tengwar"], invented=2))
    assert source is drawn and table.name == "glyphs"
    with pytest.raises(DataUnavailable):
        loaded(Minimal("small1", test=["Tengwar"], invented=2), strict=True)


def test_what_teaches_does_not_choose(alphabets):
    with pytest.raises(DataError, match="both in train and in val"):
        Minimal("small1", val=["Korean"], test=["Tibetan"], invented=0).split(alphabets)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [({"train": "background"}, "small1 has"), ({"invented": -1}, "0 or more"), ({"train": []}, "small1")],
)
def test_impossible_minimal_backgrounds_are_told(wrong, said):
    with pytest.raises(UserError, match=said):
        Minimal(**wrong)


@pytest.mark.parametrize("small", ["small1", "small2"])
def test_the_real_strokes_are_mostly_matched(recorded, small):
    traces = read_traces(recorded(small), LISTS[small])
    assert traces.points.shape[1:] == (20, POINTS, 2) and traces.points.isfinite().all()
    assert len(traces.groups.unique()) == 5 and 350 < len(traces) < 700
    # As people draw them, they are nearer to the usual stroke than to another one.
    own = (traces.points - traces.exact.unsqueeze(1)).norm(dim=-1).mean((1, 2))
    others = (traces.exact - traces.exact.roll(1, 0)).norm(dim=-1).mean(1)
    assert own.mean() < 0.5 * others.mean()
