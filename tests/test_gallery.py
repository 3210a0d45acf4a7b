"""The gallery keeps what it was given, once, and answers with the nearest names."""

import shutil
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from gallery_fakes import FakeModel, paint, paint_people, rows

from siamese.errors import UserError
from siamese.gallery import Gallery
from siamese.gallery.results import aligned
from siamese.gallery.sheet import contact_sheet


@pytest.fixture
def people(tmp_path) -> Path:
    return paint_people(tmp_path / "my people")


@pytest.fixture
def gallery(tmp_path, people) -> Gallery:
    made = Gallery(tmp_path / "people.gallery", FakeModel())
    made.enroll(people)
    return made


def test_enrolled_images_are_kept_with_names_files_and_embeddings(tmp_path, people):
    gallery = Gallery(tmp_path / "new folder" / "people.gallery", FakeModel())
    done = gallery.enroll(people)
    assert (done.added, done.known, [Path(each.where).name for each in done.broken]) == (5, 0, ["notes.txt"])
    shutil.rmtree(people)  # the gallery needs none of them
    assert rows(gallery) == {
        ("anna", "anna/no 0.png"),
        ("anna", "anna/no 1.png"),
        ("Žofie Nováková", "Žofie Nováková/no 0.png"),
        ("Žofie Nováková", "Žofie Nováková/no 1.png"),
        ("王 芳", "王 芳/no 0.png"),
    }
    entries = Gallery(gallery.path).content.entries  # without the model
    expected = {"anna/no 1.png": [220 / 255, 10 / 255, 0], "王 芳/no 0.png": [0, 0, 200 / 255]}
    assert entries.embeddings.dtype == np.float32
    for file, embedding in expected.items():
        assert entries.embeddings[entries.files.index(file)] == pytest.approx(embedding)


def test_only_what_is_new_is_embedded_and_a_renamed_file_is_not_new(gallery, people):
    model = gallery.model
    before, written = model.embedded, gallery.path.stat().st_mtime_ns
    done = gallery.enroll(people)
    assert (done.added, done.known, len(done.broken), model.embedded) == (0, 5, 1, before)
    assert gallery.path.stat().st_mtime_ns == written
    (people / "anna" / "no 0.png").rename(people / "anna" / "anna at the sea.png")
    shutil.copy(people / "anna" / "no 1.png", people / "anna" / "a copy.png")
    paint(people / "boris" / "1.png", 99, 99, 99)
    done = gallery.enroll(people)
    assert (done.added, done.known, model.embedded) == (1, 6, before + 1)
    assert len(gallery) == 6


def test_equal_images_of_two_names_are_two_entries_and_twice_of_one_name_is_one(tmp_path):
    gallery = Gallery(tmp_path / "g", FakeModel())
    one = paint(tmp_path / "1.png", 1, 2, 3)
    other = tmp_path / "2.png"
    shutil.copy(one, other)
    done = gallery.enroll([one, other], name="anna")
    assert (done.added, done.known) == (1, 1)
    assert gallery.enroll(one, name="boris").added == 1
    assert rows(gallery) == {("anna", "1.png"), ("boris", "1.png")}


def test_a_name_is_the_same_however_its_accents_are_spelt(tmp_path):
    gallery = Gallery(tmp_path / "g", FakeModel())
    apart = unicodedata.normalize("NFD", "Žofie")
    gallery.enroll(paint(tmp_path / "1.png", 1, 2, 3), name="Žofie")
    paint(tmp_path / "people" / apart / "2.png", 3, 2, 1)
    gallery.enroll(tmp_path / "people")
    assert set(gallery.content.entries.names) == {"Žofie"}
    assert gallery.remove(name=apart) == 2


def test_names_that_cannot_be_told(tmp_path, people):
    gallery = Gallery(tmp_path / "g", FakeModel())
    image = people / "anna" / "no 0.png"
    with pytest.raises(UserError, match="whom does"):
        gallery.enroll(image)
    with pytest.raises(UserError, match="no person's folder"):
        gallery.enroll(people / "anna")
    with pytest.raises(UserError, match="there is no file or folder"):
        gallery.enroll(tmp_path / "nobody")
    with pytest.raises(UserError, match="at least one letter"):
        gallery.enroll(image, name=" ")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="no image in"):
        gallery.enroll(tmp_path / "empty")
    assert not gallery.path.exists()
    paint(people / "stray.png", 1, 1, 1)
    done = gallery.enroll(people)
    assert done.added == 5
    assert {Path(each.where).name for each in done.broken} == {"notes.txt", "stray.png"}


def test_the_nearest_names_and_whether_the_first_is_near_enough(gallery, tmp_path):
    red, grey = paint(tmp_path / "red.png", 215, 10, 0), paint(tmp_path / "x" / "grey.png", 128, 128, 128)
    (tmp_path / "x" / "broken.png").write_bytes(red.read_bytes()[:40])
    probes = gallery.identify([red, tmp_path / "x"], top=2)
    assert [(probe.file, probe.known, len(probe.matches)) for probe in probes] == [(red, True, 2), (grey, False, 2)]
    assert [Path(each.where).name for each in probes.broken] == ["broken.png"]
    best, second = probes[0].matches
    assert (best.name, best.file) == ("anna", "anna/no 1.png")  # of Anna's images the nearer
    assert best.score == pytest.approx(-5 / 255, abs=1e-6)
    assert best.probability == pytest.approx(np.exp(best.score))
    assert second.name == "Žofie Nováková"
    assert second.score < best.score
    assert (probes.threshold, probes.threshold_from) == (-0.1, "chosen on colours")
    assert not gallery.identify(red, threshold=-0.01)[0].known
    table = str(probes).splitlines()
    assert table[1].split()[:3] == [str(red), "known", "anna"]
    assert table[3].split()[:2] == [str(grey), "unknown"]


def test_all_names_are_found_though_one_has_nearly_all_entries(tmp_path):
    gallery = Gallery(tmp_path / "g", FakeModel())
    gallery.enroll([paint(tmp_path / "a" / f"{n}.png", 100, n, 0) for n in range(120)], name="anna")
    for name, level in {"boris": 250, "carl": 220, "dora": 240}.items():
        gallery.enroll(paint(tmp_path / f"{name}.png", 0, 0, level), name=name)
    (probe,) = gallery.identify(tmp_path / "a" / "3.png", top=4)
    assert [match.name for match in probe.matches] == ["anna", "carl", "dora", "boris"]
    assert probe.matches[0].score == 0
    (probe,) = gallery.identify(tmp_path / "a" / "3.png", top=50)
    assert len(probe.matches) == 4


def test_what_cannot_be_identified(tmp_path, people, gallery):
    image = people / "anna" / "no 0.png"
    with pytest.raises(UserError, match="there is no gallery"):
        Gallery(tmp_path / "none", FakeModel()).identify(image)
    with pytest.raises(UserError, match="take a model"):
        Gallery(gallery.path).identify(image)
    with pytest.raises(UserError, match="not the nearest 0"):
        gallery.identify(image, top=0)
    unsure = Gallery(gallery.path, FakeModel(threshold=None))
    with pytest.raises(UserError, match="--threshold"):
        unsure.identify(image)
    (probe,) = unsure.identify(image, threshold=-0.5)
    assert probe.known
    assert probe.matches[0].probability is None
    for name in set(gallery.content.entries.names):
        gallery.remove(name=name)
    with pytest.raises(UserError, match="is empty"):
        gallery.identify(image)


def test_removed_entries_are_gone_and_nothing_is_embedded_for_it(gallery, people):
    before = gallery.model.embedded
    gallery.identify(people / "anna" / "no 1.png")
    assert gallery.remove(file="anna/no 1.png") == 1
    assert gallery.identify(people / "anna" / "no 1.png")[0].matches[0].file == "anna/no 0.png"
    assert gallery.remove(name="Žofie Nováková") == 2
    assert rows(gallery) == {("anna", "anna/no 0.png"), ("王 芳", "王 芳/no 0.png")}
    with pytest.raises(UserError, match="did you mean 'anna'"):
        gallery.remove(name="ana")
    with pytest.raises(UserError, match=r"no entry 'anna' and 'nothing\.png'"):
        gallery.remove(name="anna", file="nothing.png")
    with pytest.raises(UserError, match="what is to be removed"):
        gallery.remove()
    assert gallery.model.embedded == before + 2  # the probes
    assert gallery.enroll(people).added == 3


def test_thumbnails_are_small_and_can_be_left_out(tmp_path, people, gallery):
    bare = Gallery(tmp_path / "bare", FakeModel())
    bare.enroll(people, thumbnails=False)
    assert not any(bare.content.entries.thumbnails)
    for each in gallery.content.entries.thumbnails:
        assert each.startswith(b"\xff\xd8")
        assert len(each) < 3000
    for of in (bare, gallery):
        figure = contact_sheet(of.identify([people / "anna", people / "王 芳"], top=3))
        texts = [text.get_text() for axes in figure.axes for text in axes.texts]
        assert "known" in texts
        assert "anna" in texts
        assert ("no thumbnail\nkept" in texts) == (of is bare)
        figure.canvas.draw()


def test_columns_stand_below_each_other_in_any_alphabet():
    wide, narrow, accent = aligned(
        [("王芳", "x"), ("anna", "x"), (unicodedata.normalize("NFD", "Žofi"), "x")]
    ).splitlines()
    assert wide == "王芳  x"
    assert narrow == "anna  x"
    assert accent == unicodedata.normalize("NFD", "Žofi  x")
    assert aligned([("a\nb\x1b[2J", "x")]) == "a�b�[2J  x"
