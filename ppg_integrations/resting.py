"""Connections that a process keeps, and that nobody in it needs at the moment.

Another thread may take one over, which costs no login. Another process that finds the server full
asks for one by an :mod:`.appeal`: a thread of this module's hears that while the process is idle.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, NamedTuple, Protocol
from weakref import ref

from .timers import begun

#: How often connections that rest in an idle process are looked after, and how many such looks at
#: fewer than two of them end it.
_TICK: Final = 0.25
_QUIET: Final = 40


class Given(Protocol):
    """A connection on its way from one who has done with it to one who can use it."""

    @property
    def is_open(self) -> bool: ...

    def close(self) -> None:
        """Any thread may call it."""


class Known(NamedTuple):
    """A connection that rests from time to time, and whose it is."""

    number: int
    given: Given
    owner: ref[Any]


class Resting:
    """Those of one kind. Threads share it: who gets one out of it is the only one to have it."""

    def __init__(self, is_asked: Callable[[], bool]) -> None:
        """None yet.

        Args:
            is_asked: whether another process has asked for a connection since the last call.
        """
        self._is_asked = is_asked
        # With the reference to the owner: one that only the owner has is not called when both are
        # collected together, https://docs.python.org/3/library/weakref.html.
        self._given: dict[int, Known] = {}
        #: Held by who takes a connection out of its owner's hands, and by an owner who lost it.
        self.leaving = threading.Lock()
        self._lock = threading.Lock()
        self._tidying: threading.Thread | None = None

    def __len__(self) -> int:
        return len(self._given)

    def known(self, owner: object, given: Given) -> Known:
        """What stands for a connection in :meth:`rest`; it is forgotten with its owner."""
        number = id(given)
        return Known(number, given, ref(owner, lambda _: self._given.pop(number, None)))

    def rest(self, known: Known) -> None:
        """A connection is not needed until :meth:`resumed`, and others may have it."""
        self._given[known.number] = known
        if self._tidying is None and len(self._given) > 1:
            self._tidy()

    def resumed(self, known: Known) -> bool:
        """Its owner needs it again; False if it is another one's by now, or closed."""
        return self._given.pop(known[0], None) is not None

    def take(self) -> Given | None:
        """The one that has rested for the shortest time."""
        while self._given:
            with suppress(KeyError):  # resumed by its own thread
                given = self._given.popitem()[1].given
                if given.is_open:
                    return given
        return None

    def close_one(self) -> None:
        """Closes the one that has rested longest."""
        while self._given:
            with suppress(StopIteration, KeyError, RuntimeError):  # resumed by its own thread
                given = self._given.pop(next(iter(self._given))).given
                if given.is_open:
                    given.close()
                    return

    def _tidy(self) -> None:
        with self._lock:
            if self._tidying is not None:
                return
            self._tidying = threading.Thread(target=self._trim, name="ppg-waiting", daemon=True)
        if not begun(self._tidying):
            self._tidying = None

    def _trim(self) -> None:
        """Of a process whose threads have all become idle."""
        quiet = 0
        try:
            while quiet < _QUIET:
                time.sleep(_TICK)
                quiet = 0 if len(self._given) > 1 else quiet + 1
                # The last one stays: it is what lets a process serve by itself.
                if not quiet and self._is_asked():
                    self.close_one()
        finally:
            self._tidying = None
        if len(self._given) > 1:  # one was told just now that there is a thread
            self._tidy()
