"""Where a verb's output goes: results to one stream, progress and errors to the other."""

from __future__ import annotations

import json
import os
import re
import sys
import threading
from typing import TYPE_CHECKING, Any, Final, TextIO

from ..errors import PPGError
from ..timers import Limit

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Seconds after which a step that is still going on is shown.
PATIENCE: Final = 0.5

_STYLES: Final = {"bold": "1", "red": "31", "green": "32", "yellow": "33", "dim": "2"}
_OURS: Final = re.compile(rf"(\x1b\[(?:0|{'|'.join(_STYLES.values())})m)")


def plain(text: str) -> str:
    """What a provider calls something, without the characters that would steer a terminal."""
    return "".join(each if each.isprintable() else "?" for each in text)


def _plain_lines(text: str) -> str:
    return "\n".join(map(plain, text.split("\n")))


class Screen:
    """Standard output and standard error, coloured only on a terminal that wants it.

    Progress is shown for a step that takes longer than half a second, on a terminal in one line
    that the next one overwrites.
    """

    def __init__(self, out: TextIO, err: TextIO, *, color: bool | None = None) -> None:
        self.out = out
        self.err = err
        self._color = color
        self._lock = threading.Lock()
        self._timer: Limit | None = None
        self._shown = 0  # characters of the progress line on the terminal

    @property
    def terminal(self) -> bool:
        """True where a person reads standard output."""
        return self.out.isatty()

    @property
    def interactive(self) -> bool:
        """True where a person can be asked something."""
        return self.terminal and self.err.isatty() and sys.stdin.isatty()

    def ask(self, question: str, *, default: bool = True) -> bool:
        """A question. Only where :attr:`interactive`.

        Args:
            default: what plain Enter means; the end of the input means no.
        """
        self.quiet()
        self.err.write(f"{plain(question)} [{'Y/n' if default else 'y/N'}] ")
        self.err.flush()
        answer = sys.stdin.readline()
        return (default and answer == "\n") or answer.strip().lower() in ("y", "yes")

    def choose(self, question: str, choices: Sequence[tuple[str, str]]) -> str | None:
        """The id that a person chooses, or None. Only where :attr:`interactive`.

        Args:
            choices: an id and a name for each.
        """
        self.quiet()
        self.err.write(f"{plain(question)}\n")
        for number, (id, name) in enumerate(choices, 1):  # noqa: A001
            self.err.write(f"{number:>4}  {plain(id)}  {plain(name)}\n")
        for _ in range(3):
            self.err.write(f"Which one? [1-{len(choices)}] ")
            self.err.flush()
            answer = sys.stdin.readline()
            if answer.strip().isdecimal() and 1 <= int(answer) <= len(choices):
                return choices[int(answer) - 1][0]
            if not answer.strip():
                break
        return None

    @property
    def coloured(self) -> bool:
        """Whether standard output gets colours."""
        if self._color is None:
            return self.terminal and "NO_COLOR" not in os.environ
        return self._color

    def style(self, name: str, text: str) -> str:
        """The text in a colour, for standard output."""
        return f"\x1b[{_STYLES[name]}m{text}\x1b[0m" if self.coloured else text

    def line(self, text: str = "") -> None:
        """Lines of text. What a terminal acts upon is taken out, but for :meth:`style`'s own."""
        self.quiet()
        parts = _OURS.split(text) if self.coloured else [text]
        shown = (part if number % 2 else _plain_lines(part) for number, part in enumerate(parts))
        print("".join(shown), file=self.out)

    def json(self, document: dict[str, Any]) -> None:
        """The one document of ``--json``."""
        self.quiet()
        print(json.dumps(document, indent=2), file=self.out)

    def warning(self, text: str) -> None:
        self.quiet()
        print(f"warning: {_plain_lines(text)}", file=self.err)

    def note(self, text: str) -> None:
        self.quiet()
        print(f"note: {plain(text)}", file=self.err)

    def error(self, error: PPGError) -> None:
        """What was wrong, and what to do next."""
        self.quiet()
        print(f"error: {_plain_lines(error.message)}", file=self.err)
        for line in error.hint.splitlines():
            print(f"  {plain(line)}", file=self.err)

    def progress(self, message: str) -> None:
        """Says what is being done, once it has been going on for :data:`PATIENCE` seconds."""
        self.quiet()
        self._timer = Limit(PATIENCE, self._show, plain(message))

    def quiet(self) -> None:
        """Ends the progress line, before anything else is printed."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        with self._lock:
            if self._shown:
                self.err.write("\r" + " " * self._shown + "\r")
                self.err.flush()
                self._shown = 0

    def _show(self, message: str) -> None:
        with self._lock:
            if self.err.isatty():
                self.err.write(f"{message} ...")
                self._shown = len(message) + 4
            else:
                self.err.write(f"{message} ...\n")
            self.err.flush()
