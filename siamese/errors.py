"""Errors that a person can mend: the command line prints their one sentence and exits with 2, without a traceback. And notes,
which it prints and goes on."""


class UserError(Exception):
    """Something the user gave is wrong; the message says what, and what to do about it."""


class DataError(UserError):
    """A data file is there but it is not what it should be: truncated, another version, an image of another size."""


class DataUnavailable(UserError):
    """A data set can be had neither from disk, nor from the mirror, nor from its public home."""


class Diverged(UserError):
    """A training has numbers that are not finite; another learning rate may do."""


class Note(UserWarning):
    """Something the user may not have meant; the message says what. Nothing stops for it."""
