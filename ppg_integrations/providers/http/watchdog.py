"""Ends an exchange that takes too long, whatever it is doing.

httpx's time limits are for each read: a server that sends a byte now and then is waited for without
end. What does end it is the connection's end. httpx tells of a new connection through its ``trace``
extension (https://www.python-httpx.org/advanced/extensions/#trace), as a stream that gives its
socket. A duplicate of that is kept: wrapping a socket in TLS takes the descriptor away from the
original, and a descriptor of our own cannot have been closed and given to somebody else meanwhile.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING, Any

from ppg_integrations.timers import Limit

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


class Watchdog:
    """Watches over the exchanges of one client, which come one after the other.

    Attributes:
        fired: whether the latest exchange ran out of time.
    """

    def __init__(self) -> None:
        self.fired = False
        self._connection: socket.socket | None = None
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """The exchange inside loses its connection after that many seconds."""
        self.fired = False
        timer = Limit(seconds, self._fire, name="ppg-watchdog")
        try:
            yield
        finally:
            timer.end()

    def trace(self, event: str, info: Mapping[str, Any]) -> None:
        """For httpx's extension of that name."""
        if not event.endswith("connect_tcp.complete"):
            return
        try:
            connection = info["return_value"].get_extra_info("socket").dup()
        except OSError:  # no descriptor is left: httpx's own limits have to do
            return
        with self._lock:
            self._drop()
            self._connection = connection
            if self.fired:
                self._cut()

    def close(self) -> None:
        with self._lock:
            self._drop()

    def _fire(self) -> None:
        with self._lock:
            self.fired = True
            self._cut()

    def _cut(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(OSError):  # the other side was faster
                self._connection.shutdown(socket.SHUT_RDWR)

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
