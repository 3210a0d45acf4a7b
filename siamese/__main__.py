"""``python -m siamese``: what a person asks for, and one plain sentence where it cannot be done."""

import sys

COMMANDS = "fit, validate, test, predict, evaluate"


def main(arguments: list[str]) -> int:
    """Run a command; the exit code: 0, or 2 for what a user can mend, 130 after Ctrl-C."""
    try:
        return _run(arguments)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130


def _run(arguments: list[str]) -> int:
    from pytorch_lightning.utilities.exceptions import MisconfigurationException

    from siamese import cli
    from siamese.errors import UserError

    try:
        if arguments[:1] == ["evaluate"]:
            cli.evaluate(arguments[1:])
        else:
            cli.run_command(arguments)
    except (UserError, MisconfigurationException) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        if error.strerror is None:
            raise
        where = f" {error.filename}" if error.filename else ""
        print(f"error: cannot read or write{where}: {error.strerror}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    print(f"siamese: {' '.join(sys.argv[1:2]) or COMMANDS}", flush=True)
    sys.exit(main(sys.argv[1:]))
