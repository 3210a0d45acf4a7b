"""The gallery's file: refused where it is not what it should be, saved in portions, replaced and never harmed."""

import shutil
import stat
import zipfile
from pathlib import Path

import numpy as np
import pytest
from gallery_fakes import FakeModel, paint, paint_people, rows

from siamese import gallery as gallery_module
from siamese.errors import DataError, UserError
from siamese.gallery import Gallery


@pytest.fixture
def people(tmp_path) -> Path:
    return paint_people(tmp_path / "my people")


@pytest.fixture
def gallery(tmp_path, people) -> Gallery:
    made = Gallery(tmp_path / "people.gallery", FakeModel())
    made.enroll(people)
    return made


def test_another_model_is_refused_and_changes_nothing(gallery, people):
    before = gallery.path.read_bytes()
    with pytest.raises(UserError, match="made with another model"):
        Gallery(gallery.path, FakeModel("0" * 64))
    late = Gallery(gallery.path.with_name("other"), FakeModel("0" * 64))
    shutil.copy(gallery.path, late.path)  # another process was first
    for attempt in (lambda: late.enroll(people), lambda: late.identify(people)):
        with pytest.raises(UserError, match="made with another model"):
            attempt()
    assert late.path.read_bytes() == before


def test_a_damaged_or_foreign_file_is_refused_in_a_sentence_and_left_as_it_is(gallery, people, tmp_path):
    whole = gallery.path.read_bytes()
    foreign = tmp_path / "foreign.npz"
    np.savez(foreign, a=np.arange(3))
    bad = [b"", b"hello", whole[:-1], whole[: len(whole) // 2], whole[10:], foreign.read_bytes()]
    for content in bad:
        gallery.path.write_bytes(content)
        with pytest.raises(DataError, match="is no gallery, or a damaged one") as caught:
            Gallery(gallery.path, FakeModel())
        assert len(str(caught.value).splitlines()) == 1
        with pytest.raises(DataError):
            Gallery(gallery.path).remove(name="anna")
        assert gallery.path.read_bytes() == content


def test_no_flipped_bit_changes_what_is_read(gallery):
    """Every part has a checksum: a damaged file is refused, or the damage is where nothing is read."""
    whole = gallery.path.read_bytes()
    before, refused = rows(gallery), 0
    sums = gallery.content.entries.embeddings.copy()
    step = max(1, len(whole) // 300)
    for place in range(0, len(whole), step):
        gallery.path.write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
        again = Gallery(gallery.path)
        try:
            assert rows(again) == before
            assert np.array_equal(again.content.entries.embeddings, sums)
        except DataError:
            refused += 1
    assert refused > 100


def test_a_newer_format_is_named(gallery):
    changed = gallery.path.with_name("newer")
    with zipfile.ZipFile(gallery.path) as old, zipfile.ZipFile(changed, "w") as new:
        for name in old.namelist():
            new.writestr(name, old.read(name).replace(b'"version": 1', b'"version": 2'))
    with pytest.raises(DataError, match="format 2"):
        Gallery(changed).content  # noqa: B018


def test_work_is_saved_in_portions(tmp_path, people, monkeypatch):
    """What fails in the middle has lost only the portion it was in, and the next enrolment goes on from there."""
    monkeypatch.setattr(gallery_module, "BATCH", 2)

    class Failing(FakeModel):
        def embed_files(self, paths):
            if self.embedded >= 3:
                raise RuntimeError("power cut")
            return super().embed_files(paths)

    with pytest.raises(RuntimeError):
        Gallery(tmp_path / "g", Failing()).enroll(people, every=0)
    again = Gallery(tmp_path / "g", FakeModel())
    assert len(again) == 3
    told = []
    done = again.enroll(people, report=lambda *counts: told.append(counts))
    assert (done.added, done.known, again.model.embedded) == (2, 3, 2)
    assert told == [(2, 6), (4, 6), (6, 6)]


def test_ctrl_c_keeps_what_was_done(tmp_path, people, monkeypatch):
    monkeypatch.setattr(gallery_module, "BATCH", 2)

    def stop(done, total):
        if done == 4:
            raise KeyboardInterrupt

    gallery = Gallery(tmp_path / "g", FakeModel())
    with pytest.raises(KeyboardInterrupt):
        gallery.enroll(people, report=stop)
    assert len(gallery) == 3  # of the first four files one is no image


def test_a_link_stays_a_link_and_rights_stay_as_they_were(gallery, people, tmp_path):
    gallery.path.chmod(0o600)
    link = tmp_path / "link.gallery"
    link.symlink_to(gallery.path)
    paint(people / "boris" / "1.png", 9, 9, 9)
    assert Gallery(link, FakeModel()).enroll(people).added == 1
    assert link.is_symlink()
    assert stat.S_IMODE(gallery.path.stat().st_mode) == 0o600
    assert len(gallery) == 6
