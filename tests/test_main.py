"""The first word of a command line: all commands are told, and slips of the pen are."""

import pytest

from siamese.__main__ import COMMANDS, main


def call(arguments: list[str]) -> int:
    """The exit code of a command."""
    try:
        return main(arguments)
    except SystemExit as stop:  # argparse exits by itself
        return int(str(stop.code))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["verify", "--modle", "x", "a", "b"], "--model"),
        (["identify", "--model", "x", "--gallery", "g", "a", "--threshold", "nan"], "invalid number value: 'nan'"),
        (["gallery", "show", "g"], "invalid choice"),
        (["identfy"], "did you mean identify?"),
        ([], "identify"),
    ],
)
def test_slips_of_the_pen(arguments, said, capsys):
    code = call(arguments)
    told = capsys.readouterr()
    assert (code, told.out) == (2, "")
    assert said in told.err


def test_help_names_every_command_and_gives_examples(capsys):
    assert call(["--help"]) == 0
    out = capsys.readouterr().out
    assert all(f"\n  {name} " in out for name in COMMANDS)
    for command in (["verify"], ["enroll"], ["identify"], ["gallery"], ["gallery", "list"], ["gallery", "remove"]):
        assert call([*command, "--help"]) == 0
        assert f"example:\n  python -m siamese {command[0]}" in capsys.readouterr().out
