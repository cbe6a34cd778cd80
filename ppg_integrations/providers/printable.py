"""What others call something, made fit for a terminal, a log and a command line."""

from __future__ import annotations

import re
import shlex
from typing import Final

_ESCAPE: Final = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]?|\x1b.?")


def printable(text: str, *, most: int = 300) -> str:
    """One line of at most that many characters, without any that a terminal acts upon."""
    line = "".join(c if c.isprintable() else " " for c in _ESCAPE.sub("", text[: most * 20]))
    line = " ".join(line.split())
    return line if len(line) <= most else f"{line[: most - 1]}…"


def word(text: str) -> str:
    """The same as one word of a command to type."""
    return shlex.quote(printable(text))
