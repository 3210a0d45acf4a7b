"""The demo's server with a tiny network, and its page in Debian's Chromium with networks of a short training on real data."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlparse

import httpx
import pytest
from fastapi import FastAPI
from playwright.sync_api import Browser, Page, sync_playwright

from siamese.__main__ import main
from siamese.datasets.mnist import Mnist
from siamese.demo.alphabet import OneShot
from siamese.demo.app import create_app
from siamese.demo.digits import Digits
from siamese.demo.parts import Part, prepare
from siamese.model import Model
from tests.conftest import _real
from tests.demo.asked import missing
from tests.demo.hand import served

EXPERIMENTS = Path(__file__).parents[2] / "experiments"
FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--no-first-run",
)  # fmt: skip


@pytest.fixture(scope="session")
def one_shot(best) -> OneShot:
    return OneShot(Model.load(best, "cpu"))


@pytest.fixture(scope="session")
def app(one_shot) -> FastAPI:
    """A server that has a one-shot network, and no digits."""
    parts = missing("No trained model is here."), Part("One-shot network", lambda: one_shot)
    prepare(parts).join()
    return create_app(*parts)


@pytest.fixture(scope="session")
def client(app) -> Iterator[httpx.Client]:
    with served(app) as address, httpx.Client(base_url=address) as asking:
        yield asking


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    program = shutil.which("chromium")
    if program is None:
        if os.environ.get("SIAMESE_REQUIRE_REAL_DATA"):
            pytest.fail("chromium is required: apt-get install chromium")
        pytest.skip("there is no chromium here")
    with (
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=program, args=list(FLAGS)) as running,
    ):
        yield running


def trained(folder: Path, config: str, *options: str) -> Model:
    """The model of a short training."""
    assert main(["fit", "--config", str(EXPERIMENTS / config), "--folder", str(folder), *options]) == 0
    return Model.load(folder / "checkpoints" / "best.ckpt", "cpu")


@pytest.fixture(scope="session")
def models(tmp_path_factory, omniglot) -> tuple[Digits, OneShot]:
    """Networks of half a minute's training on the real MNIST and Omniglot."""
    _real(Mnist().load)
    runs = tmp_path_factory.mktemp("runs")
    only = "--trainer.callbacks"
    classes = {"class_path": "siamese.evaluation.Classification"}
    digits = trained(runs / "mnist", "mnist.yaml", "--trainer.max_epochs", "2", only, json.dumps([classes]))
    pairs = {"class_path": "siamese.evaluation.Verification", "init_args": {"pairs": 2000, "bootstrap": 0}}
    short = ("--trainer.max_epochs", "1", "--data.sampler.steps", "60", "--data.sampler.classes", "128")
    few = ("--data.source.val", '["Angelic", "Keble", "Oriya"]', "--data.source.test", '["Atlantean"]')
    one_shot = trained(
        runs / "omniglot", "omniglot.yaml", *short, *few, "--checkpoint.monitor", "val/auc", only, json.dumps([pairs])
    )
    return Digits(digits), OneShot(one_shot)


@pytest.fixture(scope="session")
def address(models) -> Iterator[str]:
    parts = Part("Digits", lambda: models[0]), Part("One-shot network", lambda: models[1])
    prepare(parts).join()
    with served(create_app(*parts)) as found:
        yield found


@pytest.fixture
def visit(browser) -> Iterator[Callable[..., Page]]:
    """Opens an address in a browser without a past. A request to another host, or a script's error, fails the test."""
    contexts, elsewhere, errors = [], [], []

    def only_here(route):
        if urlparse(route.request.url).hostname == "127.0.0.1":
            route.continue_()
        else:
            elsewhere.append(route.request.url)
            route.abort()

    def opened(address: str, width: int = 1280, height: int = 800, touch: bool = False) -> Page:
        context = browser.new_context(viewport={"width": width, "height": height}, has_touch=touch)
        contexts.append(context)
        context.route("**/*", only_here)
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda said: errors.append(said.text) if "Content Security" in said.text else None)
        page.goto(address)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert (elsewhere, errors) == ([], [])
