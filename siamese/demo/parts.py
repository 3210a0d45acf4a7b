"""What the page needs and what takes seconds to load: made in the background, and until then a plain sentence."""

from __future__ import annotations

import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from typing import Any, Generic, Literal, Protocol, TypeVar

from siamese.errors import UserError


class Described(Protocol):
    def about(self) -> dict[str, Any]:
        """What the page says of it, in values that JSON knows."""


T = TypeVar("T", bound=Described)


class NotReady(UserError):
    """What was asked for is still being made ready, or is not there; the message is for the page."""


class Part(Generic[T]):
    """One ability of the page.

    Args:
        name: such as ``Digits``.
        make: loads it; a UserError says why it cannot be had.

    Attributes:
        state: ``preparing``, ``ready``, or ``missing`` where it cannot be had.
        sentence: for people: why it is not ready.
    """

    def __init__(self, name: str, make: Callable[[], T]) -> None:
        self.name, self.make = name, make
        self.state: Literal["preparing", "ready", "missing"] = "preparing"
        self.sentence = f"{name}: getting ready; this takes a few seconds."
        self._made: T | None = None

    def prepare(self) -> None:
        """Make it, and say on the terminal how that went. Raises nothing: a page without it still opens."""
        try:
            self._made = self.make()
        except UserError as error:
            self.state, self.sentence = "missing", str(error)
        except Exception as error:  # a damaged checkpoint may make anything raise, and this thread has no one to tell
            traceback.print_exc()
            self.state, self.sentence = "missing", f"It could not be loaded ({type(error).__name__}: {error})."
        else:
            self.state, self.sentence = "ready", ""
        print(f"{self.name}: {self.sentence or 'ready'}", file=sys.stderr if self.sentence else sys.stdout, flush=True)

    def ready(self) -> T:
        """It. Raises NotReady with the sentence."""
        if self._made is None:
            raise NotReady(self.sentence)
        return self._made

    def about(self) -> dict[str, Any]:
        """State and sentence, and once it is ready what it says of itself."""
        told = {} if self._made is None else self._made.about()
        return {"state": self.state, "sentence": self.sentence, **told}


def prepare(parts: Sequence[Part]) -> threading.Thread:
    """Make all parts ready, one after the other, in a thread that does not outlive the program. Returns the thread."""

    def work() -> None:
        for part in parts:
            part.prepare()

    thread = threading.Thread(target=work, name="prepare", daemon=True)
    thread.start()
    return thread
