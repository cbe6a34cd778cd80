"""Whether a connection that was idle may have died, asked of this machine's kernel alone."""

from __future__ import annotations

import select
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

from .timers import Limit

#: Closed, reset, or something to read. An idle PostgreSQL connection has nothing to read unless the
#: server said goodbye.
_NEWS: Final = select.POLLIN | getattr(select, "POLLRDHUP", 0) if hasattr(select, "poll") else 0

#: Seconds for the answer to a ping. A server that takes longer is not used any more, and opening
#: another connection is what finds out whether it sleeps.
ANSWER: Final = 5.0


def needs_test(fileno: int, last_used: float, window: float) -> bool:
    """Whether to ask the server before a connection is used again.

    One that was used within the window counts as alive, unless its socket has news: a pooler that
    restarts and a database that falls asleep close what is open, and the kernel knows. It does not
    know of connections that a firewall has forgotten, which is what the window is for. The same
    look at the socket saves urllib3 its pool's stale connections (``is_connection_dropped``).

    Args:
        fileno: of the connection's socket; that of a closed one, -1, needs the test.
        last_used: by :func:`time.monotonic`.
        window: seconds.
    """
    return time.monotonic() - last_used >= window or has_news(fileno)


def has_news(fileno: int, seconds: float = 0.0) -> bool:
    """Whether something was received on a socket, or its other end has closed it.

    Args:
        fileno: of the socket; that of a closed one is -1, which is news.
        seconds: to wait for it; none by default.
    """
    if fileno < 0:
        return True
    if not _NEWS:  # Windows
        return bool(select.select([fileno], [], [], seconds)[0])
    poll = select.poll()
    poll.register(fileno, _NEWS)
    return bool(poll.poll(seconds * 1000))


class Watch:
    """:func:`needs_test` of one connection that is asked about again and again.

    Attributes:
        fileno: of its socket. Another connection may get the same number: it needs another watch.
    """

    __slots__ = ("_poll", "fileno")

    def __init__(self, fileno: int) -> None:
        """Asks nothing yet."""
        self.fileno = fileno
        self._poll = select.poll() if _NEWS and fileno >= 0 else None
        if self._poll is not None:
            self._poll.register(fileno, _NEWS)

    def needs_test(self, last_used: float, window: float) -> bool:
        """As the function of that name."""
        if time.monotonic() - last_used >= window:
            return True
        return has_news(self.fileno) if self._poll is None else bool(self._poll.poll(0))


@contextmanager
def limited(fileno: int, seconds: float | None = None) -> Iterator[None]:
    """Ends what waits for the other end of a socket in the block, when it takes too long.

    Whoever asks over a connection that a firewall has forgotten waits until the kernel gives up: a
    quarter of an hour. Neither a statement timeout nor a cancel request ends that, so the socket is
    shut down under the driver, which then raises what it raises for a lost connection.

    Args:
        fileno: of the connection's socket.
        seconds: for the block; :data:`ANSWER` by default.

    Raises:
        TimeoutError: the answer came just when the socket was shut down.
    """
    seconds = ANSWER if seconds is None else seconds
    # A duplicate: the driver may close its own at any moment, and the number be another file's.
    held = socket.fromfd(fileno, socket.AF_INET, socket.SOCK_STREAM)
    lock = threading.Lock()
    ended = False
    cut = False

    def shut() -> None:
        nonlocal cut
        with lock:
            if not ended:
                cut = True
                with suppress(OSError):  # closed by the other end meanwhile
                    held.shutdown(socket.SHUT_RDWR)

    timer = Limit(seconds, shut)
    try:
        yield
    finally:
        with lock:
            ended = True
        timer.cancel()
        held.close()
    if cut:
        raise TimeoutError(f"no answer within {seconds:g} s")
