"""``python -m siamese label`` from end to end: where images go, what is said, and that nothing is lost on the way."""

import csv
import json
import os
from pathlib import Path

import numpy as np
import pytest
from gallery_fakes import FakeModel, paint

from siamese.__main__ import main
from siamese.active import label, sorting
from siamese.active.manifest import NAME


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    """Two labelled colours and a pool of ten images: four red, four green, one in between, and one that is broken."""
    for number in range(3):
        paint(tmp_path / "labeled" / "red" / f"{number}.png", 200 + 20 * number, 0, 0)
        paint(tmp_path / "labeled" / "green" / f"{number}.png", 0, 200 + 20 * number, 0)
    pool = tmp_path / "pool"
    for number, folder in enumerate(("a", "b", "b/deep", ".")):
        paint(pool / folder / "1.png", 215 + number, 5, 0)
        paint(pool / folder / "2.png", 5, 215 + number, 0)
    paint(pool / "half.png", 110, 110, 0)
    (pool / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nhalf")
    monkeypatch.setattr(label.Model, "load", lambda path: FakeModel())
    return tmp_path


def call(capsys, here: Path, *options: object) -> tuple[int, str, str]:
    """Exit code, standard output and standard error."""
    given: dict[str, object] = {"--model": "m.ckpt"}
    given |= {f"--{name}": here / name for name in ("labeled", "pool", "out")}
    options = tuple(map(str, options))
    given |= {"--classifier": "nearest"}
    arguments = [str(word) for name, value in given.items() if name not in options for word in (name, value)]
    capsys.readouterr()
    try:
        code = main(["label", *arguments, *options])
    except SystemExit as stop:  # argparse exits by itself
        code = int(str(stop.code))
    said = capsys.readouterr()
    assert "Traceback" not in said.err
    return code, said.out, said.err


def told(capsys, here: Path, *options: object) -> dict:
    code, out, _ = call(capsys, here, *options, "--json")
    assert code == 0
    return json.loads(out)


def rows(here: Path) -> list[dict[str, str]]:
    with open(here / "out" / NAME, newline="", encoding="utf-8", errors="surrogateescape") as file:
        return list(csv.DictReader(file))


def files(folder: Path) -> set[str]:
    """Those below a folder that are not hidden, as text."""
    return {path.relative_to(folder).as_posix() for path in folder.rglob("[!.]*") if not path.is_dir()}


def contents(folder: Path) -> list[bytes]:
    return sorted(path.read_bytes() for path in folder.rglob("[!.]*") if path.is_file())


SORTED = {
    NAME, "uncertain/half.png", *(f"red/{name}" for name in ("1.png", "1-2.png", "1-3.png", "1-4.png")),
    *(f"green/{name}" for name in ("2.png", "2-2.png", "2-3.png", "2-4.png")),
}  # fmt: skip


def test_images_go_to_their_class_and_doubtful_ones_aside(here, capsys):
    before = files(here / "pool")
    code, out, err = call(capsys, here)
    assert code == 0
    lines = out.splitlines()
    assert lines[0] == "sorted 9 images, 0 were there already, 1 left out"
    assert [line.split() for line in lines[1:5]] == [
        ["folder", "images"], ["uncertain", "1"], ["green", "4"], ["red", "4"],
    ]  # fmt: skip
    assert lines[5].endswith(str(here / "out" / NAME))
    assert err.count("left out") == 1
    assert "broken.png: " in err
    assert files(here / "pool") == before
    assert files(here / "out") == SORTED


def test_the_manifest_says_what_was_decided_of_each(here, capsys):
    call(capsys, here)
    found = {row["file"]: row for row in rows(here)}
    assert set(found) == files(here / "pool") - {"broken.png"}
    for file, row in found.items():
        source, target = here / "pool" / file, here / "out" / row["placed"]
        assert source.read_bytes() == target.read_bytes()
        folder = row["placed"].split("/")[0]
        assert folder == ("uncertain" if file == "half.png" else row["predicted"])
        p, plain = float(row["probability"]), float(row["plain_margin"])
        assert float(row["least_confident"]) == pytest.approx(1 - p, abs=2e-6)
        assert plain == pytest.approx(2 * p - 1, abs=2e-6)
        assert float(row["margin"]) == pytest.approx(1 - plain, abs=2e-6)
        entropy = -sum(q * np.log2(q) for q in (p, 1 - p) if q > 0)
        assert float(row["entropy"]) == pytest.approx(entropy, abs=1e-4)
        assert (plain < 0.3) == (folder == "uncertain")
        assert row["sorted_by"].startswith("margin below 0.3, nearest, model ffffffffffff, labels ")


def test_json_is_one_object(here, capsys):
    code, out, err = call(capsys, here, "--json")
    assert code == 0
    found = json.loads(out)
    (broken,) = found.pop("broken")
    assert Path(broken["file"]).name == "broken.png"
    assert broken["reason"]
    assert "broken.png" in err
    assert found == {
        "schema": 1, "command": "label", "out": str(here / "out"), "manifest": str(here / "out" / NAME),
        "strategy": "margin", "below": 0.3, "classifier": "nearest", "placed": 9, "known": 0,
        "folders": {"uncertain": 1, "green": 4, "red": 4}, "model": "f" * 64,
    }  # fmt: skip


@pytest.mark.parametrize("classifier", ["forest2", "forest", "logistic", "nearest"])
@pytest.mark.parametrize(
    ("strategy", "below", "uncertain"),
    [
        ("margin", 0.3017, lambda row: float(row["plain_margin"]) < 0.3017),
        ("margin", 1, lambda row: float(row["plain_margin"]) < 1),
        ("least-confident", 0.6513, lambda row: float(row["probability"]) < 0.6513),
        ("entropy", 0.2017, lambda row: float(row["entropy"]) > 1 - 0.2017),
        ("entropy", 0, lambda row: False),
    ],
)
def test_each_strategy_and_classifier_and_what_below_means(here, capsys, strategy, below, uncertain, classifier):
    for number in range(0, 250, 10):
        paint(here / "pool" / f"between {number}.png", number, 250 - number, 0)
    found = told(capsys, here, "--strategy", strategy, "--classifier", classifier, "--below", below)
    assert found["placed"] == 9 + 25
    for row in rows(here):
        assert row["placed"].split("/")[0] == ("uncertain" if uncertain(row) else row["predicted"]), row
    if 0 < below < 1 and classifier == "logistic":
        assert 0 < found["folders"]["uncertain"] < 34


def test_started_again_it_does_nothing_and_with_new_images_only_those(here, capsys, monkeypatch):
    call(capsys, here)
    before = {path: path.stat().st_mtime_ns for path in (here / "out").rglob("*.*") if not path.name.startswith(".")}
    embedded = []
    real = FakeModel.embed_files

    def counting(self, paths):
        embedded.extend(path for path in paths if "pool" in Path(path).parts)
        return real(self, paths)

    monkeypatch.setattr(FakeModel, "embed_files", counting)
    found = told(capsys, here)
    assert (found["placed"], found["known"], found["folders"]["red"]) == (0, 9, 4)
    assert [Path(path).name for path in embedded] == ["broken.png"]
    assert {path: path.stat().st_mtime_ns for path in before} == before
    paint(here / "pool" / "c" / "1.png", 230, 0, 0)
    paint(here / "pool" / "a" / "2.png", 0, 199, 0)  # another image under a name that was there
    found = told(capsys, here)
    assert (found["placed"], found["known"]) == (2, 8)
    assert {"red/1-5.png", "green/2-5.png"} <= files(here / "out")
    assert len(rows(here)) == 11


@pytest.mark.parametrize("how", [[], ["--link"], ["--move"]], ids=["copy", "link", "move"])
@pytest.mark.parametrize("after", range(10))
def test_stopped_after_any_step_and_started_again_it_ends_the_same(here, capsys, monkeypatch, how, after):
    """Batches of four: the manifest knows of images that have not been placed, or not of images at all."""
    monkeypatch.setattr(sorting, "BATCH", 4)
    whole = contents(here / "pool")
    real, left = sorting.put, [after]

    def stopping(*arguments):
        if not left[0]:
            raise KeyboardInterrupt
        left[0] -= 1
        real(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(sorting, "put", stopping)
        assert call(capsys, here, *how)[0] == (130 if after < 9 else 0)
    assert len(files(here / "out") - {NAME}) == after
    assert call(capsys, here, *how)[0] == 0
    assert files(here / "out") == SORTED
    assert len(rows(here)) == len({row["placed"] for row in rows(here)}) == 9
    sorted_ = [path.read_bytes() for path in (here / "out").rglob("*.png")]
    kept = [(here / "pool" / "broken.png").read_bytes()]
    assert sorted(sorted_ + kept) == whole
    assert files(here / "pool") == ({"broken.png"} if how == ["--move"] else files(here / "pool"))


def test_link_and_move(here, capsys):
    told(capsys, here, "--link", "--out", here / "linked")
    assert all(path.is_symlink() and path.exists() for path in (here / "linked").rglob("*.png"))
    os.symlink(here / "pool" / "a" / "1.png", here / "pool" / "link.png")
    found = told(capsys, here, "--move")
    assert found["placed"] == 9
    assert files(here / "pool") == {"broken.png", "link.png"}
    assert "is a link, which is not moved" in [each["reason"] for each in found["broken"]]
    assert files(here / "out") == SORTED
    os.unlink(here / "pool" / "link.png")
    os.unlink(here / "pool" / "broken.png")
    assert told(capsys, here, "--move")["placed"] == 0  # all has been moved: nothing left to do is no error
    code, _, err = call(capsys, here, "--link", "--move")
    assert (code, "not allowed with" in err) == (2, True)


def test_output_and_labels_inside_the_pool_are_no_pool(here, capsys):
    inside = ("--pool", here, "--out", here / "pool" / "sorted")
    assert told(capsys, here, *inside)["placed"] == 9
    again = told(capsys, here, *inside)
    assert (again["placed"], again["known"]) == (0, 9)
    os.symlink(here / "pool" / "sorted", here / "pool" / "way round")
    assert told(capsys, here, *inside)["placed"] == 0


def test_other_labels_or_settings_take_another_folder(here, capsys):
    call(capsys, here)
    before = files(here / "out")
    code, out, err = call(capsys, here, "--below", 0.4)
    assert (code, out) == (2, "")
    assert "was sorted by margin below 0.3, nearest" in err
    assert "now it would be by margin below 0.4, nearest" in err
    paint(here / "labeled" / "red" / "new.png", 150, 0, 0)
    assert "choose another --out" in call(capsys, here)[2]
    (here / "labeled" / "red" / "new.png").unlink()
    (here / "labeled" / "red" / "0.png").rename(here / "labeled" / "red" / "zero.png")  # a name teaches nothing
    assert told(capsys, here)["known"] == 9
    assert files(here / "out") == before


@pytest.mark.parametrize("name", ["uncertain", "Uncertain", "manifest.csv"])
def test_a_class_that_is_called_like_something_else(here, capsys, name):
    paint(here / "labeled" / name / "1.png", 0, 0, 255)
    code, _, err = call(capsys, here)
    assert code == 2
    assert f"error: a class cannot be called '{name}'" in err
    assert "rename" in err
    assert not (here / "out").exists()


def test_whatever_is_wrong_is_told_in_a_sentence_with_exit_code_2(here, capsys):
    one, empty, bad, stray = (here / name for name in ("one", "empty", "bad", "stray"))
    paint(one / "red" / "1.png", 255, 0, 0)
    empty.mkdir()
    paint(bad / "red" / "1.png", 255, 0, 0)
    (bad / "green").mkdir()
    (bad / "green" / "1.png").write_bytes(b"")
    paint(stray / "1.png", 255, 0, 0)
    for sentence, options in {
        "there is no folder": ["--pool", here / "nowhere"],
        "has one class, red": ["--labeled", one],
        "needs one folder a class": ["--labeled", empty],
        "there is no image in " + str(empty): ["--pool", empty],
        "no image of green in": ["--labeled", bad],
        "has no images in folders": ["--labeled", stray],
        "holds the pool": ["--out", here],
        "must not lie in each other": ["--out", here / "labeled" / "out"],
        "whose images have no labels yet": ["--pool", here / "labeled" / "red"],
        "has no usual threshold": ["--strategy", "entropy"],
        "invalid number from 0 to 1 value: '1.5'": ["--below", "1.5"],
        "invalid number from 0 to 1 value: 'nan'": ["--below", "nan"],
        "invalid choice: 'coreset'": ["--strategy", "coreset"],
        "unrecognized arguments: --lin": ["--lin"],
    }.items():
        code, out, err = call(capsys, here, *options)
        assert (code, out) == (2, ""), sentence
        assert sentence in err
    (here / "out").mkdir(exist_ok=True)
    (here / "out" / NAME).write_text("a,b\n")
    assert "is no manifest of this command" in call(capsys, here)[2]


def test_help_says_what_below_means(here, capsys):
    code, out, _ = call(capsys, here, "--help")
    assert code == 0
    assert "normalised entropy above 1 - BELOW" in out
    assert "example:\n  python -m siamese label" in out
