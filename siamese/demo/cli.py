"""``python -m siamese demo``: serve the page on this machine, to this machine only."""

from __future__ import annotations

import argparse
import errno
import importlib.util
import socket
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING

from siamese.arguments import port, share
from siamese.errors import UserError

if TYPE_CHECKING:
    from siamese.demo.alphabet import OneShot
    from siamese.demo.digits import Digits

HOST, PORT, TRIES = "127.0.0.1", 7860, 10
BEST = "checkpoints/best.ckpt"
# Below --runs. Of the study that `make train-mnist` trains, the arm of all ten digits whose embeddings have a fixed length.
DIGITS = (f"mnist/latest/{BEST}", f"mnist-study/latest/L2-constrained--radius-*/seed-*/{BEST}")
ONE_SHOT, GLYPHS = (f"omniglot/latest/{BEST}",), (f"omniglot-glyphs/latest/{BEST}",)


def main(arguments: list[str]) -> int:
    """``demo [--digits CKPT] [--one-shot CKPT] [--port N] [--open]``: serve the page until Ctrl-C; the exit code.

    Raises:
        UserError: FastAPI or uvicorn is not installed, a checkpoint that was named does not exist, no port is free.
    """
    given = _parser().parse_args(arguments)
    for module in ("fastapi", "uvicorn"):
        if importlib.util.find_spec(module) is None:
            raise UserError(f"the page needs {module}; install it: .venv/bin/pip install -e '.[demo]'")
    for path in (given.digits, given.one_shot):
        if path and not path.is_file():
            raise UserError(f"there is no checkpoint {path}")
    # Slow to load, and --help needs none of it.
    import uvicorn

    from siamese.demo.app import create_app
    from siamese.demo.parts import Part, prepare

    digits = Part("Digits", lambda: _digits(given))
    one_shot = Part("One-shot network", lambda: _one_shot(given))
    with _bound(given.port) as listening:
        address = f"http://{HOST}:{listening.getsockname()[1]}"
        print(f"The page is at {address} until Ctrl-C.", flush=True)
        prepare([digits, one_shot])
        if given.open:
            webbrowser.open(address)  # it waits for the server, which already listens
        config = uvicorn.Config(create_app(digits, one_shot), log_level="warning", lifespan="off", server_header=False)
        uvicorn.Server(config).run(sockets=[listening])
    return 0


def newest(runs: Path, patterns: tuple[str, ...]) -> Path | None:
    """The checkpoint below ``runs`` that was written last, or None where there is none."""
    found = [path for pattern in patterns for path in runs.glob(pattern)]
    return max(found, key=lambda path: path.stat().st_mtime, default=None)


def _digits(given: argparse.Namespace) -> Digits:
    from siamese.demo.digits import CONTAMINATION, Digits
    from siamese.model import Model

    path = given.digits or newest(given.runs, DIGITS)
    if path is None:
        raise UserError(
            "No trained model is here. `make train-mnist` makes one (about 16 minutes on two cores with SEEDS=1)."
        )
    return Digits(Model.load(path), given.contamination or CONTAMINATION)


def _one_shot(given: argparse.Namespace) -> OneShot:
    from siamese.demo.alphabet import OneShot
    from siamese.model import Model

    path = given.one_shot or newest(given.runs, ONE_SHOT) or newest(given.runs, GLYPHS)
    if path is None:
        raise UserError("No trained model is here. `make train-omniglot` makes one (about a minute on two cores).")
    return OneShot(Model.load(path))


def _bound(port: int) -> socket.socket:
    """A socket that listens on this machine's own address, on the first free port from ``port`` on."""
    for number in range(port, min(port + TRIES, 65_536)):
        listening = socket.socket()
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((HOST, number))
            listening.listen(128)
            return listening
        except OSError as error:
            listening.close()
            if error.errno == errno.EACCES:
                raise UserError(f"port {number} is not yours to use; choose one above 1023 with --port") from error
            if error.errno != errno.EADDRINUSE:
                raise
    raise UserError(f"the ports {port} to {number} are all in use; choose another with --port")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m siamese demo",
        description="Serve a page to draw on, to this machine only: digits, an alphabet of yours, same or different.",
        epilog="example:\n  python -m siamese demo --open\n\nexit code: 0 or 130 when it is stopped, 2 an error",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--digits", type=Path, metavar="CKPT", help="reads digits (the newest of make train-mnist)")
    parser.add_argument(
        "--one-shot", type=Path, metavar="CKPT", help="names symbols and compares (the newest of make train-omniglot)"
    )
    parser.add_argument("--runs", type=Path, default=Path("runs"), metavar="FOLDER", help="where those are (runs)")
    parser.add_argument("--port", type=port, default=PORT, metavar="N", help=f"or the next free one ({PORT})")
    parser.add_argument(
        "--contamination",
        type=share,
        metavar="X",
        help="share of MNIST's own digits that may be refused; more refuses more drawings",
    )
    parser.add_argument("--open", action="store_true", help="open it in the browser")
    return parser
