"""The options of the commands for one's own images, and their help."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from siamese.arguments import finite

ABOUT = {
    "verify": "tell whether two images show the same",
    "enroll": "add images to a gallery, those that are new to it",
    "identify": "tell whom of a gallery images show",
    "gallery": "list, describe or thin out a gallery",
}


def parser() -> argparse.ArgumentParser:
    """Of all these commands; what it parses has ``command``, such as ``verify``, or for a gallery such as ``list``."""
    whole = argparse.ArgumentParser("python -m siamese", allow_abbrev=False)
    commands, raw = whole.add_subparsers(required=True, metavar="command"), argparse.RawDescriptionHelpFormatter

    def command(
        name: str, example: str, after: str = "", of: Any = commands, about: str = ""
    ) -> argparse.ArgumentParser:
        about = about or ABOUT[name]
        made = of.add_parser(
            name,
            help=about,
            description=f"{about[0].upper()}{about[1:]}.",
            epilog=f"example:\n  python -m siamese {example}\n{after}",
            formatter_class=raw,
            allow_abbrev=False,
        )
        made.set_defaults(command=name)
        made.add_argument("--json", action="store_true", help="write JSON instead of text")
        return made

    run = "runs/att-faces/latest/checkpoints/best.ckpt"
    codes = "\nexit code: 0 the same, 1 different, 2 an error"
    verify = command("verify", f"verify --model {run} a.jpg b.jpg", codes)
    verify.add_argument("images", nargs=2, type=Path, metavar="image")

    known_by = (
        "\npeople/ holds one folder a person, whose name is the person's: people/anna/1.jpg. Images are known by their"
        "\ncontent: again, the command adds only what is new, and one that was stopped goes on where it was."
    )
    enroll = command("enroll", f"enroll --model {run} --gallery people.gallery people/", known_by)
    enroll.add_argument("images", nargs="+", type=Path, help="folders with one folder a person; with --name any images")
    enroll.add_argument("--name", help="whom all these images show")
    enroll.add_argument("--no-thumbnails", action="store_true", help="keep no small picture of each image")

    codes = (
        "\nexit code: 0 all are known, 1 somebody is unknown, 2 an error"
        "\n\nThe model's threshold is chosen for single pairs: the more entries a gallery has, the more strangers are taken"
        "\nfor one of them. A large gallery takes a higher one."
    )
    identify = command("identify", f"identify --model {run} --gallery people.gallery photo.jpg other/", codes)
    identify.add_argument("images", nargs="+", type=Path, help="images, or folders of them")
    identify.add_argument("--top", type=int, default=5, metavar="K", help="how many names (5)")
    identify.add_argument("--plot", type=Path, metavar="PNG", help="draw each probe and its nearest entries")

    for each in (verify, enroll, identify):
        each.add_argument("--model", required=True, type=Path, help="a checkpoint of a run, such as …/best.ckpt")
    for each in (enroll, identify):
        each.add_argument("--gallery", required=True, type=Path, help="the gallery's file")
    for each in (verify, identify):
        each.add_argument("--threshold", type=finite, metavar="X", help="the least score (the model's own)")

    thin = "example:\n  python -m siamese gallery list people.gallery"
    gallery = commands.add_parser(
        "gallery", help=ABOUT["gallery"], epilog=thin, formatter_class=raw, allow_abbrev=False
    )
    parts = gallery.add_subparsers(required=True, metavar="list|info|remove")
    command("list", "gallery list people.gallery", of=parts, about="list the names and their images")
    command("info", "gallery info people.gallery", of=parts, about="tell what is kept, and which model made it")
    remove = command("remove", "gallery remove people.gallery --name anna", of=parts, about="remove entries")
    remove.add_argument("--name", help="all entries of this name")
    remove.add_argument("--file", help="the entries of this file, as the list calls it")
    for each in parts.choices.values():
        each.add_argument("gallery", type=Path, help="the gallery's file")
    return whole
