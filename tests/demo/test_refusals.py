"""What the demo's server refuses and how, and that it keeps nothing."""

import io
import json
import os
import sys
import threading
from asyncio import run
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from siamese.demo import cli, drawings
from siamese.demo.app import MOST_BODY, MOST_POINTS
from tests.demo.asked import bomb, png, sentence, taught, url
from tests.demo.hand_drawn import OTHERS

watching, opened = threading.Event(), []  # files opened for writing, in any thread, while it is set


def _watch(event: str, arguments: tuple) -> None:
    if event == "open" and watching.is_set() and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
        opened.append(str(arguments[0]))


sys.addaudithook(_watch)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (png()[:60], "The first image is damaged, or none of PNG, JPEG, WEBP, GIF, BMP"),
        (png(300, 300)[:200], "The first image is damaged, or none of"),
        (b"no image", "The first image is damaged, or none of"),
        (b"", "The first image is damaged, or none of"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "is damaged, or none of"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "is damaged, or none of"),
        (bomb(7_000), "The first image has more than 40,000,000 pixels"),
        (bomb(12_000), "The first image has more than 40,000,000 pixels"),
        (bomb(60_000), "The first image has more than 40,000,000 pixels"),
        (png() + bytes(drawings.MOST_BYTES), "The first image has more than 5,000,000 bytes"),
    ],
    ids=["header", "truncated", "text", "empty", "EPS", "SVG", "bomb", "warned bomb", "Pillow's bomb", "bytes"],
)
@pytest.mark.filterwarnings("error::PIL.Image.DecompressionBombWarning")
def test_a_bad_upload_gets_a_sentence(content, said, client, monkeypatch):
    if "pixels" in said:
        monkeypatch.setattr(drawings, "decode", lambda *_: pytest.fail("decoded"))
    answer = client.post("/api/pair", json={"first": {"image": url(content)}, "second": {"image": url(png())}})
    assert said in sentence(answer, 422)


@pytest.mark.parametrize(
    "image", ["", "x", "data:image/png;base64,%%%", "http://elsewhere/a.png", "file:///etc/passwd"]
)
def test_what_is_no_data_url_gets_a_sentence(image, client):
    said = sentence(client.post("/api/pair", json={"first": {"image": image}, "second": {"image": image}}), 422)
    assert said.startswith("The first image ")


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ("{", 400, "The question is not JSON."),
        ("[" * 100_000, 400, ""),
        ("[]", 422, "the body"),
        ("{}", 422, "supports: Field required"),
        ('{"supports": [], "probe": []}', 422, "probe: List should have at least 1 item"),
        ('{"supports": [], "probe": [[]]}', 422, "probe.0: List should have at least 1 item"),
        ('{"supports": [], "probe": [[[NaN, 0]]]}', 422, "finite number"),
        ('{"supports": [], "probe": [[[1e999, 0]]]}', 422, "finite number"),
        ('{"supports": [], "probe": [[[3, 0]]]}', 422, "less than or equal to 2"),
        ('{"supports": [], "probe": [[[0, 0, 0]]]}', 422, "at most 2 items"),
        ('{"supports": [], "probe": "star"}', 422, "valid list"),
        ('{"supports": [{"name": "", "strokes": [[[0, 0]]]}], "probe": [[[0, 0]]]}', 422, "at least 1 character"),
        (json.dumps({"supports": [], "probe": [[[0, 0]]] * (MOST_POINTS + 1)}), 422, "at most 2000 items"),
        (json.dumps({"supports": [], "probe": [[[0, 0]] * 1001] * 2}), 422, "a drawing has at most 2,000 points"),
    ],
)
def test_a_question_the_page_does_not_ask_gets_a_sentence(body, status, said, client):
    answer = client.post("/api/alphabet", content=body, headers={"content-type": "application/json"})
    assert said in sentence(answer, status)


def test_a_side_is_strokes_or_an_image(client):
    both = {"strokes": OTHERS["star"], "image": url(png())}
    for side in (both, {}):
        said = sentence(client.post("/api/pair", json={"first": side, "second": side}), 422)
        assert "either strokes or an image" in said


@pytest.mark.parametrize("declared", [True, False])
def test_a_body_that_is_too_long_is_not_read(declared, app):
    """Asked without a client, which would not send a body so long or so wrong."""
    read, sent, part = 0, [], 1_000_000

    async def receive() -> dict:
        nonlocal read
        read += part
        return {"type": "http.request", "body": bytes(part), "more_body": True}

    async def send(message: dict) -> None:
        sent.append(message)

    headers = [(b"host", b"localhost"), (b"content-type", b"application/json")]
    if declared:
        headers.append((b"content-length", str(MOST_BODY + 1).encode()))
    scope = {
        "type": "http", "method": "POST", "path": "/api/digit", "raw_path": b"/api/digit", "query_string": b"",
        "headers": headers, "http_version": "1.1",
    }  # fmt: skip
    with ThreadPoolExecutor(1) as own:  # Playwright has an event loop running in this thread
        own.submit(lambda: run(app(scope, receive, send))).result()
    assert sent[0]["status"] == 413
    assert b"That is too much at once: a question has at most 13," in sent[1]["body"]
    assert read == 0 if declared else read <= MOST_BODY + part


def test_only_this_machine_by_its_own_name_is_answered(client):
    for host in ("evil.example", "evil.example:7860", "localhost.evil.example", "127.0.0.1.nip.io", "192.168.0.7"):
        assert client.get("/api/state", headers={"host": host}).status_code == 400, host
        assert client.get("/", headers={"host": host}).status_code == 400, host
    for host in ("localhost:7860", "127.0.0.1:7860", "localhost"):
        assert client.get("/api/state", headers={"host": host}).status_code == 200, host


def test_every_answer_forbids_what_comes_from_elsewhere(client):
    for answer in (
        client.get("/"),
        client.get("/api/state"),
        client.get("/nothing"),
        client.post("/api/digit", content="{"),
    ):
        assert answer.headers["content-security-policy"].startswith("default-src 'self'; img-src 'self' data: blob:;")
        assert answer.headers["x-content-type-options"] == "nosniff"
    assert client.get("/").text.startswith("<!doctype html>")
    for path in ("/docs", "/redoc", "/openapi.json", "/../app.py", "/%2e%2e/app.py"):
        sentence(client.get(path), 404)


def test_the_page_names_nothing_elsewhere():
    for file in (Path(cli.__file__).parent / "page").iterdir():
        text = file.read_text().replace("http://www.w3.org/2000/svg", "")
        assert "//" not in text.replace("// ", "").replace("//\n", ""), file.name


def test_nothing_is_written_to_disk(client, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    big = np.random.default_rng(0).integers(256, size=(900, 1200, 3), dtype=np.uint8)  # 3 MB, more than spools hold
    written = io.BytesIO()
    Image.fromarray(big).save(written, "PNG")
    opened.clear()
    watching.set()
    try:
        client.get("/")
        image, drawn = {"image": url(written.getvalue())}, {"strokes": OTHERS["star"]}
        assert client.post("/api/pair", json={"first": image, "second": drawn}).status_code == 200
        assert client.post("/api/pair", json={"first": drawn, "second": {"image": url(b"no")}}).status_code == 422
        question = {"supports": taught("star", "heart"), "probe": OTHERS["star"]}
        assert client.post("/api/alphabet", json=question).status_code == 200
        client.post("/api/digit", json=drawn)
        assert opened == []
        (tmp_path / "x").write_text("this is seen")
        assert opened == [str(tmp_path / "x")], "the test can fail"
    finally:
        watching.clear()
