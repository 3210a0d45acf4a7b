"""Where a file comes from: disk, then the mirror, then its public home; and no half file is ever kept."""

import hashlib
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from siamese.datasets import registry
from siamese.datasets.registry import fetch
from siamese.errors import DataError, DataUnavailable

CONTENT = b"the whole content of a file" * 1000
NOWHERE = "http://127.0.0.1:9/"  # the discard port: nobody listens there


class Handler(SimpleHTTPRequestHandler):
    """Serves a folder; of ``cut.zip`` it sends a half, having promised the whole, and hangs up."""

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        if not self.path.endswith("cut.zip"):
            return super().do_GET()
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(CONTENT[: len(CONTENT) // 2])
        return self.wfile.flush()

    def log_message(self, *_) -> None:
        pass


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ThreadingHTTPServer]:
    """Of the folder ``served``."""
    (tmp_path / "served").mkdir()
    handler = partial(Handler, directory=str(tmp_path / "served"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.asked = []
        server.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def own_registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict:
    """A data set ``things`` whose home is out of reach, no mirror, and a data folder of its own."""
    checksum = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"
    files = {name: {"checksum": checksum} for name in ("a.zip", "cut.zip")}
    entry = {"home": NOWHERE, "files": files}
    monkeypatch.setattr(registry, "registry", lambda: {"things": entry})
    monkeypatch.setenv("SIAMESE_DATA", str(tmp_path / "data"))
    monkeypatch.delenv("SIAMESE_MIRROR", raising=False)
    return entry


def put(folder: Path, content: bytes = CONTENT, name: str = "a.zip") -> Path:
    (folder / "things").mkdir(parents=True, exist_ok=True)
    (folder / "things" / name).write_bytes(content)
    return folder / "things" / name


def kept(tmp_path: Path) -> list[str]:
    """Every file below the data folder."""
    return sorted(path.name for path in (tmp_path / "data").rglob("*") if path.is_file())


def test_data_comes_first(tmp_path, monkeypatch, server):
    there = put(tmp_path / "data", b"what lies in data")
    put(tmp_path / "mirror")
    for mirror in (str(tmp_path / "mirror"), server.url):
        monkeypatch.setenv("SIAMESE_MIRROR", mirror)
        assert fetch("things", "a.zip") == there
    assert server.asked == []


def test_then_a_folder_that_mirrors(tmp_path, monkeypatch, server, own_registry):
    own_registry["home"] = f"{server.url}/"
    there = put(tmp_path / "mirror")
    for name in (tmp_path / "mirror", f"{tmp_path / 'mirror'}/"):
        monkeypatch.setenv("SIAMESE_MIRROR", str(name))
        assert fetch("things", "a.zip") == there
    assert server.asked == []
    assert kept(tmp_path) == []


@pytest.mark.parametrize("slash", ["", "/"])
def test_or_an_url_that_mirrors_whose_zip_may_be_packed_anew(tmp_path, monkeypatch, server, slash):
    put(tmp_path / "served", b"the same images in another zip")
    monkeypatch.setenv("SIAMESE_MIRROR", server.url + slash)
    found = fetch("things", "a.zip")
    assert found == tmp_path / "data" / "things" / "a.zip"
    assert found.read_bytes() == b"the same images in another zip"
    assert fetch("things", "a.zip") == found
    assert server.asked == ["/things/a.zip"], "the second time it is on disk"


def test_then_the_public_home(tmp_path, monkeypatch, server, own_registry):
    (tmp_path / "served" / "a.zip").write_bytes(CONTENT)
    own_registry["home"] = f"{server.url}/"
    monkeypatch.setenv("SIAMESE_MIRROR", f"{server.url}/empty")  # has it not: 404
    assert fetch("things", "a.zip").read_bytes() == CONTENT
    assert server.asked == ["/empty/things/a.zip", "/a.zip"]
    assert kept(tmp_path) == ["a.zip"]


def test_a_file_can_have_a_home_of_its_own(tmp_path, server, own_registry):
    put(tmp_path / "served")
    own_registry["files"]["a.zip"]["home"] = f"{server.url}/things/"
    assert fetch("things", "a.zip").read_bytes() == CONTENT


def test_another_content_at_home_is_a_data_error_and_is_not_kept(tmp_path, server, own_registry):
    (tmp_path / "served" / "a.zip").write_bytes(b"something else")
    own_registry["home"] = f"{server.url}/"
    with pytest.raises(DataError, match=r"a\.zip does not have the checksum"):
        fetch("things", "a.zip")
    assert kept(tmp_path) == []


@pytest.mark.parametrize("at_home", [True, False])
def test_a_connection_cut_half_way_leaves_no_file(tmp_path, monkeypatch, server, own_registry, at_home):
    if at_home:
        own_registry["home"] = f"{server.url}/"
    else:
        monkeypatch.setenv("SIAMESE_MIRROR", server.url)
    with pytest.raises(DataUnavailable, match=r"cut\.zip"):
        fetch("things", "cut.zip")
    assert len(server.asked) == 1
    assert kept(tmp_path) == []


@pytest.mark.parametrize("mirror", ["", "folder", "http://127.0.0.1:9"])
def test_what_is_nowhere_names_the_places(tmp_path, monkeypatch, mirror):
    mirror = str(tmp_path / mirror) if mirror == "folder" else mirror
    monkeypatch.setenv("SIAMESE_MIRROR", mirror)
    with pytest.raises(DataUnavailable) as error:
        fetch("things", "a.zip")
    places = [str(tmp_path / "data" / "things"), NOWHERE] + ([f"{mirror}/things"] if mirror else [])
    assert all(place in str(error.value) for place in places)


def test_what_has_no_public_home_is_not_asked_for_anywhere(tmp_path, monkeypatch, server, own_registry):
    own_registry["home"] = None
    with pytest.raises(DataUnavailable, match="there is no public home of it; put the files into") as error:
        fetch("things", "a.zip")
    assert str(tmp_path / "data" / "things") in str(error.value)
    monkeypatch.setenv("SIAMESE_MIRROR", server.url)
    put(tmp_path / "served")
    assert fetch("things", "a.zip").read_bytes() == CONTENT
    assert server.asked == ["/things/a.zip"]


def test_the_committed_registry_says_what_is_needed_of_every_data_set(monkeypatch):
    monkeypatch.undo()
    for name, entry in registry.registry().items():
        assert {"title", "licence", "citation", "files"} <= set(entry), name
        for file, described in entry["files"].items():
            if described["checksum"] is None:  # none is published; then the content must have a fingerprint
                assert len(entry["fingerprint"]) == 64, file
            else:
                algorithm, _, digest = described["checksum"].partition(":")
                assert len(digest) == {"md5": 32, "sha256": 64}[algorithm], file
            home = described.get("home") or entry["home"]
            assert home is None or home.startswith("https://"), file
