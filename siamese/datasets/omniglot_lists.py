"""Named lists of Omniglot's alphabets, as the papers that use them call them."""

from __future__ import annotations

from siamese.errors import UserError

LISTS: dict[str, tuple[str, ...]] = {
    # Lake et al. (2015): the 30 alphabets that teach.
    "background": (
        "Alphabet_of_the_Magi", "Anglo-Saxon_Futhorc", "Arcadian", "Armenian", "Asomtavruli_(Georgian)", "Balinese",
        "Bengali", "Blackfoot_(Canadian_Aboriginal_Syllabics)", "Braille", "Burmese_(Myanmar)", "Cyrillic",
        "Early_Aramaic", "Futurama", "Grantha", "Greek", "Gujarati", "Hebrew",
        "Inuktitut_(Canadian_Aboriginal_Syllabics)", "Japanese_(hiragana)", "Japanese_(katakana)", "Korean", "Latin",
        "Malay_(Jawi_-_Arabic)", "Mkhedruli_(Georgian)", "N_Ko", "Ojibwe_(Canadian_Aboriginal_Syllabics)", "Sanskrit",
        "Syriac_(Estrangelo)", "Tagalog", "Tifinagh",
    ),
    # The two minimal backgrounds of five alphabets.
    "small1": ("Balinese", "Early_Aramaic", "Greek", "Korean", "Latin"),
    "small2": ("Greek", "Japanese_(katakana)", "Latin", "Sanskrit", "Tagalog"),
    # The ten evaluation alphabets of the official one-shot runs ...
    "official": (
        "Atlantean", "Ge_ez", "Glagolitic", "Gurmukhi", "Kannada", "Malayalam", "Manipuri",
        "Old_Church_Slavonic_(Cyrillic)", "Tengwar", "Tibetan",
    ),
    # ... and the ten that no run uses, which may therefore choose.
    "unused": (
        "Angelic", "Atemayar_Qelisayer", "Aurek-Besh", "Avesta", "Keble", "Mongolian", "Oriya", "Sylheti",
        "Syriac_(Serto)", "ULOG",
    ),
}  # fmt: skip


def resolve(names: str | list[str]) -> tuple[str, ...]:
    """The alphabets of a named list; a list of alphabets stays as it is. Raises UserError for an unknown list."""
    if not isinstance(names, str):
        return tuple(names)
    if names not in LISTS:
        raise UserError(f"there is no list of alphabets called {names!r}; there are {', '.join(LISTS)}")
    return LISTS[names]


def minimal(names: tuple[str, ...]) -> str:
    """Which of ``small1`` and ``small2`` has all of some alphabets: of these the pen strokes are published.

    Raises UserError where neither has.
    """
    for small in ("small1", "small2"):
        if names and set(names) <= set(LISTS[small]):
            return small
    known = "; ".join(f"{small} has {', '.join(LISTS[small])}" for small in ("small1", "small2"))
    raise UserError(
        f"strokes are to be of alphabets of small1 or of small2, not of {', '.join(names) or 'none'}; {known}"
    )
