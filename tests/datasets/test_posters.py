"""Movie posters: the full set where it is at hand, else the sample, each under its own name; and what a zip may unpack."""

import io
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from siamese.datasets.posters import FOLDER, FULL_CSV, SAMPLE, SAMPLE_CSV, Posters
from siamese.errors import DataError, DataUnavailable, UserError
from tests.conftest import _real

CSV = "Id,Genre,Drama,War,N/A\na,\"['Drama', 'War']\",1,1,0\nb,['War'],0,1,0\nc,['Drama'],1,0,0\nd,,0,0,0\n"


def jpeg(brightness: int = 0) -> bytes:
    held = io.BytesIO()
    Image.new("RGB", (6, 8), (brightness, 0, 0)).save(held, "JPEG")
    return held.getvalue()


ENTRIES = {f"{FOLDER}/{SAMPLE_CSV}": CSV.encode()} | {
    f"{FOLDER}/Images/{name}.jpg": jpeg(40 * number) for number, name in enumerate("abcd")
}


@pytest.fixture
def mirror(tmp_path, monkeypatch) -> Path:
    """An empty folder for a mirror's posters, and a data folder of its own."""
    monkeypatch.setenv("SIAMESE_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("SIAMESE_MIRROR", str(tmp_path / "mirror"))
    (tmp_path / "mirror" / "posters").mkdir(parents=True)
    return tmp_path / "mirror" / "posters"


def pack(folder: Path, entries: dict[str, bytes] = ENTRIES) -> Path:
    with zipfile.ZipFile(folder / SAMPLE, "w") as archive:
        for name, content in entries.items():
            archive.writestr(zipfile.ZipInfo(name, (2015, 1, 1, 0, 0, 0)), content)
    return folder / SAMPLE


def files_below(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_the_sample(mirror, tmp_path):
    pack(mirror)
    posters = Posters(4, 3, leave_out=["N/A"])
    table = posters.load()
    assert table.name == "posters-800"
    assert table.images.shape == (4, 3, 4, 3)
    assert table.class_names == ("Drama", "War")
    row = table.file_names.index("c.jpg")
    assert table.targets[row].tolist() == [True, False]
    assert abs(int(table.images[row, 0, 2, 1]) - 80) < 4
    assert posters.preprocessing(table).fit == "stretch"
    (unpacked,) = (tmp_path / "data" / "cache").glob("posters-800-files-*")
    assert files_below(unpacked) == set(ENTRIES)


def test_the_full_set_comes_first_and_has_another_name(mirror, tmp_path):
    pack(mirror)
    full = tmp_path / "data" / "posters" / FOLDER
    (full / "Images").mkdir(parents=True)
    assert Posters(4, 3).load().name == "posters-800", "without its CSV it is not there"
    (full / FULL_CSV).write_text(CSV + "e,,0,1,0\n")
    for name in "abcde":
        (full / "Images" / f"{name}.jpg").write_bytes(jpeg())
    table = Posters(4, 3).load()
    assert table.name == "posters"
    assert sorted(table.file_names) == [f"{name}.jpg" for name in "abcde"]


def test_what_is_unpacked_again_is_the_table_in_the_cache(mirror, tmp_path):
    pack(mirror)
    Posters(4, 3).load()
    cache = tmp_path / "data" / "cache"
    (unpacked,) = cache.glob("posters-800-files-*")
    before = {path.name for path in cache.iterdir()}
    for path in sorted(unpacked.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    unpacked.rmdir()
    Posters(4, 3).load()
    assert {path.name for path in cache.iterdir()} == before
    pack(mirror, ENTRIES | {f"{FOLDER}/Images/a.jpg": jpeg(200)})
    table = Posters(4, 3).load()
    assert table.images[table.file_names.index("a.jpg"), 0].min() > 190, "another zip is unpacked to another folder"


def test_nothing_is_unpacked_elsewhere(mirror, tmp_path):
    outside = ["../evil.jpg", f"{FOLDER}/Images/../../../evil.jpg", f"{FOLDER}/Images/in/evil.jpg", "/evil.jpg"]
    outside += [f"{FOLDER}/Images/..\\evil.jpg", f"{FOLDER}/evil.py", f"{FOLDER}/Images/evil.py", "evil.jpg"]
    pack(mirror, ENTRIES | dict.fromkeys(outside, jpeg()))
    before = files_below(tmp_path)
    Posters(4, 3).load()
    assert not [name for name in files_below(tmp_path) - before if "evil" in name]


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(path.read_bytes()[:-100]),
        lambda path: path.write_bytes(path.read_bytes().replace(b"a,\"['D", b"a,\"['X", 1)),
        lambda path: pack(path.parent, {name: content for name, content in ENTRIES.items() if "csv" not in name}),
        lambda path: path.write_text("not a zip"),
    ],
    ids=["cut", "altered", "no CSV", "no zip"],
)
def test_another_zip_is_refused_and_leaves_nothing(damage, mirror, tmp_path):
    damage(pack(mirror))
    with pytest.raises(DataError, match=r"posters_800\.zip is not the whole zip of the posters"):
        Posters(4, 3).load()
    assert not list((tmp_path / "data" / "cache").iterdir())


def test_a_data_folder_that_takes_nothing_is_said(mirror, tmp_path):
    pack(mirror)
    (tmp_path / "data").write_text("a file where the folder should be")
    with pytest.raises(UserError, match=r"cannot be unpacked to .* SIAMESE_DATA names another"):
        Posters(4, 3).load()


def test_what_is_nowhere_is_unavailable(mirror):
    with pytest.raises(
        DataUnavailable, match=r"posters_800\.zip is not in .* no public home of it; put the files into"
    ):
        Posters().load()


def test_the_real_posters():
    posters = Posters(32, 24, least=10)
    table = _real(posters.load)
    assert table.name in ("posters", "posters-800")
    assert len(table) == {"posters": 7242, "posters-800": 800}[table.name]
    assert table.images.shape[1:] == (3, 32, 24)
    assert {"Action", "Drama", "Sci-Fi"} <= set(table.class_names)
    assert "Reality-TV" not in table.class_names
    assert int(table.targets.sum(dim=0).min()) >= 10
    splits = posters.split(table)
    for part, share in ((splits.train, 0.7), (splits.val, 0.15), (splits.test, 0.15)):
        assert abs(len(part) / len(table) - share) < 0.02
        assert part.targets.any(dim=0).all(), "every genre is in every part"
