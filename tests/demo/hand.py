"""A hand on the page: a server to visit, strokes by mouse, and screenshots, which are left in ``tests/artefacts``."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from playwright.sync_api import Locator, Page

from tests.demo.hand_drawn import OTHERS, Stroke

ARTEFACTS = Path(__file__).parents[1] / "artefacts"


@contextmanager
def served(app: FastAPI) -> Iterator[str]:
    """The address at which this server answers."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        server = uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}/"
        finally:
            server.should_exit = True
            thread.join()


def draw(canvas: Locator, strokes: list[Stroke], scale: float = 1.0, corner: tuple[float, float] = (0, 0)) -> None:
    """Draws with the mouse."""
    canvas.scroll_into_view_if_needed()
    box, mouse = canvas.bounding_box(), canvas.page.mouse
    assert box

    def to(point: tuple[float, float]) -> None:
        x, y = (corner[axis] + scale * point[axis] for axis in (0, 1))
        mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"])

    for stroke in strokes:
        to(stroke[0])
        mouse.down()
        for point in stroke[1:]:
            to(point)
        mouse.up()


def answered(page: Page, canvas: Locator, strokes: list[Stroke], path: str, **how) -> dict:
    """The server's answer to the last stroke of a drawing, which the page shows by then."""
    draw(canvas, strokes[:-1], **how)
    with page.expect_response(lambda each: asks(each.request, path, len(strokes))) as got:
        draw(canvas, strokes[-1:], **how)
    return got.value.json()


def asks(request, path: str, strokes: int) -> bool:
    if not request.url.endswith(path):
        return False
    question = request.post_data_json
    return len(question.get("strokes") or question.get("probe")) == strokes


def shot(page: Page, name: str) -> None:
    ARTEFACTS.mkdir(exist_ok=True)
    page.wait_for_load_state("networkidle")  # the answer to the last stroke is there
    page.screenshot(path=ARTEFACTS / f"{name}.png", full_page=True)


def teach(page: Page, name: str, **how) -> None:
    draw(page.locator("#alphabet .pad canvas"), OTHERS[name], **how)
    page.get_by_label("Its name").fill(name)
    page.get_by_role("button", name="Teach", exact=True).click()
