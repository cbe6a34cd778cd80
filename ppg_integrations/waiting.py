"""Those of a process who wait for a slot of a server that has none free.

To be told that there is none costs a login, TLS and all. So only the first in the line asks the
server; the others wait for their turn, or for a connection that another thread is done with. Who
finds that the server is full takes over a connection that is :mod:`.resting` in the process; where
there is none, other processes are asked for one, by an :mod:`.appeal`.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager, suppress
from typing import Final
from weakref import WeakSet

from .appeal import Appeal
from .resting import Given, Resting

#: Seconds: the server is asked again after up to this long, then after up to twice as long ...
_FIRST: Final = 0.05
#: ... and no longer than this.
_LONGEST: Final = 0.25
#: For so long a process that gave a connection up for another one does not ask for one itself.
_COURTESY: Final = 0.3
#: For so long after the server was full, connections are taken over rather than opened.
_CROWDED: Final = 60.0
#: Whoever is the first for so long asks other processes.
_PATIENCE: Final = 0.1
#: How often those who sleep in an event loop look whether it is their turn.
_GLANCE: Final = 0.02


class Turn:
    """Of one who waits.

    Attributes:
        given: a connection that another one has passed on.
    """

    __slots__ = ("event", "given", "tries")

    def __init__(self) -> None:
        self.event = threading.Event()
        self.given: Given | None = None
        self.tries = False


class Line:
    """Of one kind of connections: any of them serves whoever waits in it. Threads share it.

    Attributes:
        resting: those that nobody needs at the moment.
    """

    def __init__(self, host: str, port: int, *, pools: bool = False) -> None:
        """Nobody waits yet.

        Args:
            host, port: of the server.
            pools: whether a pool gives those that rest to whoever needs one.
        """
        self._place = (host, port)
        self._pools = pools
        self.renew()
        _lines_alive.add(self)

    def renew(self) -> None:
        """In the child of a fork: the threads of the parent are no more."""
        self._lock = threading.Lock()
        self._turns: deque[Turn] = deque()
        self._appeal = Appeal(*self._place)
        self.resting = Resting(self._appeal.is_heard)
        self._pause = _FIRST
        self._next = self._since = self._crowded = 0.0

    # ------------------------------------------------------------ waiting

    def is_busy(self) -> bool:
        """Whether it is of no use to ask the server now, before one's turn."""
        return bool(self._turns) or (self._next > 0.0 and self._next > time.monotonic())

    def spare(self) -> Given | None:
        """One that rests, where the server was full of late: to take it over costs no login."""
        if not self._crowded or self._pools or time.monotonic() > self._crowded:
            return None
        return self.resting.take()

    @contextmanager
    def turn(self) -> Iterator[Turn]:
        """A place at the end of the line, for the length of the block."""
        turn = Turn()
        with self._lock:
            if not self._turns:
                self._since = time.monotonic()
            self._turns.append(turn)
        try:
            yield turn
        finally:
            with self._lock:
                with suppress(ValueError):  # it was given one, and has left
                    self._turns.remove(turn)
                self._call_next()
                given, turn.given = turn.given, None
            if given is not None and not self.passed_on(given):
                given.close()

    def wait(self, turn: Turn, until: float, sleep: Callable[[float], None]) -> Given | None:
        """Waits until it is one's turn to ask the server, or until there is no more time to wait.

        Args:
            until: by :func:`time.monotonic`.
            sleep: :func:`time.sleep`, or what takes its place in an event loop.

        Returns:
            A connection, if another one passes one on meanwhile.
        """
        turn.tries = False
        while True:
            turn.event.clear()
            with self._lock:
                given, turn.given = turn.given, None
                if given is None and turn not in self._turns:
                    self._turns.appendleft(turn)  # what it was given was of no use
                is_first = bool(self._turns) and self._turns[0] is turn
            if given is None and is_first:
                given = self.spare()
            now = time.monotonic()
            if given is not None or now >= until or (is_first and now >= self._next):
                turn.tries = given is None
                return given
            pause = min(until, self._next if is_first else until) - now
            if sleep is time.sleep:
                turn.event.wait(pause)
            else:
                sleep(pause if is_first else min(pause, _GLANCE))

    def refused(self) -> None:
        """The server has no slot for the first one either."""
        now = time.monotonic()
        self._pause = min(2 * self._pause, _LONGEST)
        self._next = now + random.uniform(self._pause / 2, self._pause)  # noqa: S311 - no secret
        self._crowded = now + _CROWDED
        if now - self._since >= _PATIENCE:
            self._appeal.make()

    def opened(self) -> None:
        """The server had a slot, and may have another one."""
        self._pause, self._next = _FIRST, 0.0

    def passed_on(self, given: Given) -> bool:
        """Gives a connection to whoever has waited longest; False if nobody waits."""
        with self._lock:
            turn = next((each for each in self._turns if not each.tries), None)
            turn = turn or next(iter(self._turns), None)
            if turn is None:
                return False
            turn.given = given
            self._turns.remove(turn)
            turn.event.set()
            self._call_next()
        return True

    def _call_next(self) -> None:
        self._since = time.monotonic()
        if self._turns:
            self._turns[0].event.set()

    # ------------------------------------------------------------ keeping

    def is_calm(self) -> bool:
        """Whether nobody of this process waits, and it was just looked whether another one asks."""
        return not self._turns and time.monotonic() < self._appeal.next_look

    @property
    def has_waiting(self) -> bool:
        """Whether anybody of this process waits."""
        return bool(self._turns)

    def is_wanted(self) -> bool:
        """Whether another process asks for the connection that somebody is about to keep.

        Of those who are asked, every second one gives: more slots come free than are needed, and
        yet not all of them.
        """
        if not self._appeal.is_heard() or random.random() < 0.5:  # noqa: S311 - no secret
            return False
        self._next = time.monotonic() + _COURTESY
        return True


_lines: Final[dict[Hashable, Line]] = {}
_lines_alive: Final[WeakSet[Line]] = WeakSet()


def line(host: str, port: int, *kind: Hashable) -> Line:
    """That of one kind of connections to a server: the same one for the same arguments."""
    key = (host, port, *kind)
    return _lines.get(key) or _lines.setdefault(key, Line(host, port))


def _renew() -> None:
    for each in list(_lines_alive):
        each.renew()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_renew)
