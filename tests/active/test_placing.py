"""Files and their manifest: free names, nothing written over, nothing lost, whatever was stopped and when."""

import errno
import os
from dataclasses import replace
from pathlib import Path

import pytest

from siamese.active import placing
from siamese.active.manifest import COLUMNS, NAME, Manifest, Row, opened
from siamese.active.placing import Places, put
from siamese.errors import DataError, UserError

ROW = Row("a/1.jpg", "0" * 64, "anna", "0.9", "0.1", "0.2", "0.3", "0.8", "anna/1.jpg", "margin below 0.3, nearest")


def test_free_names(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "there.png").write_text("foreign")
    places = Places(tmp_path, ["a/known.png", "a/1-2.jpg"])
    names = ("1.jpg", "1.jpg", "1.jpg", "there.png", "known.png", "none", "none", "1.JPG")
    assert [places.take("a", name) for name in names] == [
        "a/1.jpg", "a/1-3.jpg", "a/1-4.jpg", "a/there-2.png", "a/known-2.png", "a/none", "a/none-2", "a/1-5.JPG",
    ]  # fmt: skip
    assert places.take("b", "1.jpg") == "b/1.jpg"


@pytest.fixture
def source(tmp_path) -> Path:
    (tmp_path / "pool").mkdir()
    (tmp_path / "out").mkdir()
    path = tmp_path / "pool" / "1.jpg"
    path.write_text("content")
    return path


def test_copy_link_move(source, tmp_path):
    out = tmp_path / "out"
    put(source, out, "a/copied.jpg", "copy")
    put(source, out, "a/linked.jpg", "link")
    assert (out / "a" / "copied.jpg").read_text() == (out / "a" / "linked.jpg").read_text() == "content"
    assert (out / "a" / "linked.jpg").is_symlink()
    assert not (out / "a" / "copied.jpg").is_symlink()
    assert source.exists()
    put(source, out, "b/moved.jpg", "move")
    assert (out / "b" / "moved.jpg").read_text() == "content"
    assert not source.exists()
    assert sorted(path.name for path in out.iterdir()) == ["a", "b"]


def test_where_links_of_one_kind_cannot_be_made_it_is_the_other(source, tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.EPERM, "not here")

    monkeypatch.setattr(Path, "symlink_to", refuse)
    put(source, tmp_path / "out", "a/1.jpg", "link")
    assert (tmp_path / "out" / "a" / "1.jpg").samefile(source)


def test_a_move_to_another_disk_and_one_that_fails(source, tmp_path, monkeypatch):
    def refuse(number):
        def rename(*_):
            raise OSError(number, os.strerror(number))

        return rename

    out = tmp_path / "out"
    monkeypatch.setattr(os, "rename", refuse(errno.EACCES))
    with pytest.raises(PermissionError):
        put(source, out, "a/1.jpg", "move")
    assert source.exists()
    monkeypatch.setattr(os, "rename", refuse(errno.EXDEV))
    put(source, out, "a/1.jpg", "move")
    assert not source.exists()
    assert (out / "a" / "1.jpg").read_text() == "content"


def test_what_stands_there_stays(source, tmp_path):
    out = tmp_path / "out"
    (out / "a").mkdir()
    for how in ("copy", "link", "move"):
        (out / "a" / "1.jpg").write_text("other")
        put(source, out, "a/1.jpg", how)
        assert (out / "a" / "1.jpg").read_text() == "other"
        assert source.read_text() == "content"


def test_a_stopped_move_is_finished(source, tmp_path):
    out = tmp_path / "out"
    put(source, out, "a/1.jpg", "copy")
    put(source, out, "a/1.jpg", "move")
    assert not source.exists()
    assert (out / "a" / "1.jpg").read_text() == "content"


def test_a_move_after_a_link_leaves_the_file_and_no_link_to_nothing(source, tmp_path):
    out = tmp_path / "out"
    put(source, out, "a/1.jpg", "link")
    put(source, out, "a/1.jpg", "move")
    assert not source.exists()
    assert not (out / "a" / "1.jpg").is_symlink()
    assert (out / "a" / "1.jpg").read_text() == "content"


def test_a_link_to_nothing_is_made_anew(source, tmp_path):
    out = tmp_path / "out"
    put(source, out, "a/1.jpg", "link")
    moved = source.rename(tmp_path / "elsewhere.jpg")
    put(moved, out, "a/1.jpg", "link")
    assert (out / "a" / "1.jpg").read_text() == "content"


def test_a_move_onto_itself_by_a_linked_folder_loses_nothing(source, tmp_path):
    (tmp_path / "out" / "a").symlink_to(tmp_path / "pool")
    put(source, tmp_path / "out", "a/1.jpg", "move")
    assert source.read_text() == "content"


def test_half_a_copy_is_no_file(source, tmp_path, monkeypatch):
    out = tmp_path / "out"

    def killed(source, target):
        Path(target).write_text("con")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(placing.shutil, "copy2", killed)
        with pytest.raises(KeyboardInterrupt):
            put(source, out, "a/1.jpg", "copy")
    assert list((out / "a").iterdir()) == []
    (out / placing.HALF).chmod(0o400)  # which a copy of a read-only file would be
    put(source, out, "a/1.jpg", "copy")
    assert (out / "a" / "1.jpg").read_text() == "content"
    assert not (out / placing.HALF).exists()


def test_rows_of_any_names_come_back(tmp_path):
    names = ['a "quoted", name.jpg', "two\nlines\r\n.jpg", "王 芳/é.jpg", os.fsdecode(b"no-utf8-\xff.jpg"), "cr\r.jpg"]
    rows = [replace(ROW, file=name) for name in names]
    with opened(tmp_path / "new" / "out") as manifest:
        manifest.add(rows[:2])
        manifest.add(rows[2:])
    with opened(tmp_path / "new" / "out") as manifest:
        assert manifest.rows == rows
    assert (tmp_path / "new" / "out" / NAME).read_bytes().startswith(",".join(COLUMNS).encode() + b"\r\n")


def test_a_manifest_cut_off_anywhere_keeps_its_whole_rows(tmp_path):
    path = tmp_path / NAME
    rows = [replace(ROW, file=f"{number}\n.jpg") for number in range(3)]
    Manifest(path).add(rows)
    content = path.read_bytes()
    ends = [len(content) - (2 - number) * ((len(content) - len(",".join(COLUMNS)) - 2) // 3) for number in range(3)]
    for length in range(ends[0], len(content)):
        path.write_bytes(content[:length])
        whole = sum(end <= length for end in ends)
        assert Manifest(path).rows == rows[:whole], length
        assert Manifest(path).rows == rows[:whole], length  # it is mended on the disk as well
        Manifest(path).add(rows[whole:])
        assert path.read_bytes() == content


@pytest.mark.parametrize(
    "content", [b"", b"name,file\r\n", b"\x00", ",".join(COLUMNS).encode() + b"\r\na,b\r\n" + b"c\r\n"]
)
def test_a_file_of_another_kind_is_left_alone(tmp_path, content):
    (tmp_path / NAME).write_bytes(content)
    with pytest.raises(DataError, match=r"manifest\.csv is no manifest of this command"):
        Manifest(tmp_path / NAME)
    assert (tmp_path / NAME).read_bytes() == content


def test_two_processes_do_not_sort_into_one_folder(tmp_path):
    with opened(tmp_path), pytest.raises(UserError, match="another process is sorting into"), opened(tmp_path):
        pass
