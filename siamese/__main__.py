"""``python -m siamese``: what a person asks for, and one plain sentence where it cannot be done."""

import difflib
import importlib
import sys
import warnings
from typing import Any

from siamese.commands.parser import ABOUT

COMMANDS = {
    "fit": "train a network, then test its best checkpoint",
    "validate": "validate a checkpoint",
    "test": "test a checkpoint",
    "predict": "write the embeddings of the test images",
    "evaluate": "test a checkpoint again, with the configuration it carries",
    "distil": "train one network to compare images as several do together",
    "study": "train every arm of a study with every seed, and put the figures together",
    "sweep": "search options by many short trainings, and write the best as a YAML to train with",
    **ABOUT,
    "export": "write a trained network as an ONNX file",
    "novelty": "tell which images show nothing that known images show",
    "predict-labels": "tell which of several labels images carry",
    "label": "sort images by class, and put aside those that a person had better look at",
    "demo": "serve a page to draw on, to this machine only",
}
# Those with a main() of their own, which takes what follows the command.
_OWN = {
    "evaluate": "siamese.commands.evaluate",
    "distil": "siamese.commands.distil",
    "study": "siamese.study.cli",
    "sweep": "siamese.sweep.cli",
    "export": "siamese.export",
    "novelty": "siamese.commands.novelty",
    "predict-labels": "siamese.commands.labels",
    "label": "siamese.active.label",
    "demo": "siamese.demo.cli",
}

_USUAL = warnings.showwarning


def main(arguments: list[str]) -> int:
    """Run a command; the exit code: 0, or 1 where the answer is no, 2 for what a user can mend, 130 after Ctrl-C."""
    try:
        with warnings.catch_warnings():  # sets back what shows them, too
            warnings.showwarning = _show
            return _run(arguments)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130


def _show(message: Warning | str, category: type[Warning], *where: Any, **how: Any) -> None:
    """A note as one line, any other warning as Python shows it."""
    from siamese.errors import Note

    if issubclass(category, Note):
        print(f"note: {message}", file=sys.stderr)
    else:
        _USUAL(message, category, *where, **how)


def _run(arguments: list[str]) -> int:
    from siamese.errors import UserError

    command = arguments[0] if arguments else ""
    if command in ("", "-h", "--help"):
        print(_overview(), file=sys.stdout if command else sys.stderr)
        return 0 if command else 2
    try:
        if command in ABOUT:  # without Lightning: listing a gallery need not wait for it
            from siamese import commands

            return commands.main(arguments)
        if command not in COMMANDS and not command.startswith("-"):
            near = difflib.get_close_matches(command, COMMANDS, 1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(COMMANDS)}"
            raise UserError(f"there is no command {command!r}; {hint}")
        return _lightning(arguments)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        if error.strerror is None:
            raise
        where = f" {error.filename}" if error.filename else ""
        print(f"error: cannot read or write{where}: {error.strerror}", file=sys.stderr)
        return 2


def _lightning(arguments: list[str]) -> int:
    from pytorch_lightning.utilities.exceptions import MisconfigurationException

    from siamese import cli
    from siamese.errors import UserError

    try:
        if arguments[0] in _OWN:
            return importlib.import_module(_OWN[arguments[0]]).main(arguments[1:])
        cli.run_command(arguments)
    except MisconfigurationException as error:
        raise UserError(str(error)) from error
    except ValueError as error:
        # What an optional part of the configuration refuses, jsonargparse tells as the failure of every type it may have.
        if isinstance(error.__cause__, UserError):
            raise error.__cause__ from error
        raise
    return 0


def _overview() -> str:
    lines = [f"  {name:<16}{about}" for name, about in COMMANDS.items()]
    return "\n".join(["python -m siamese <command> [options]", "", *lines, "", "python -m siamese <command> --help"])


if __name__ == "__main__":
    if sys.argv[1:2] and sys.argv[1] in COMMANDS and sys.argv[1] not in ABOUT and "--json" not in sys.argv:
        print(f"siamese: {sys.argv[1]}", flush=True)  # at once: loading what the command takes needs seconds
    sys.exit(main(sys.argv[1:]))
