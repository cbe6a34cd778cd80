"""What becomes of a connection between two requests, when the pooler has no slot for another one.

Threads keep their connections (``CONN_MAX_AGE``). Where there are more threads than slots, one that
has done with its request passes its connection on to one that waits; one that has nothing to do has
its own closed for somebody who waits; and one whose process has enough closes it for another
process. While nobody waits, nothing of that happens.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ppg_integrations import waiting

if TYPE_CHECKING:
    from ppg_integrations.urls import PostgresURL

    from .following import Destination


class _Passed:
    """A connection that was passed on.

    Attributes:
        connection: of the driver.
        url: that it was opened for.
        close_at: when it has lived long enough, by :func:`time.monotonic`; None for never.
        isolation_level: as Django's wrapper notes it when it connects.
    """

    __slots__ = ("close_at", "connection", "isolation_level", "url")

    def __init__(self, wrapper: Any, url: PostgresURL) -> None:
        self.connection = wrapper.connection
        self.url = url
        self.close_at = wrapper.close_at
        self.isolation_level = wrapper.isolation_level

    def close(self) -> None:
        self.connection.close()


class Sharing:
    """Of one wrapper.

    Attributes:
        rests: between two requests: others may have the connection closed.
    """

    def __init__(self, wrapper: Any) -> None:
        """Shares nothing until it has a place."""
        self.rests = False
        self._wrapper = wrapper
        self._line: waiting.Line | None = None
        self._known: waiting.Known | None = None
        self._taken: _Passed | None = None

    def place(self, destination: Destination) -> waiting.Line:
        """Where to wait for a connection that leads there; Django's native pool has its own ways.

        Those that hold a session are nobody else's.
        """
        self.resume()
        url, alias = destination.url, self._wrapper.alias
        line = waiting.line(url.host, url.port, url.database, alias)
        if destination.keeps_sessions:
            self._line = self._known = None
        elif line is not self._line:
            self._line, self._known = line, line.known(self)
        return line

    # ------------------------------------------------------------ taking

    def take(self, passed: Any) -> None:
        """The next connection that is opened is to be this one."""
        self._taken = passed

    def taken(self, url: PostgresURL | None) -> _Passed | None:
        """What was taken, if it leads there."""
        passed, self._taken = self._taken, None
        if passed is None or passed.url == url:
            return passed
        passed.close()
        return None

    # ------------------------------------------------------------ giving

    def end(self, url: PostgresURL, own: Callable[[], None]) -> None:
        """At the beginning and at the end of each request.

        Args:
            url: that the connection was opened for.
            own: what the wrapper's class does then.
        """
        wrapper, line = self._wrapper, self._line
        if self.rests:
            self.resume()
        elif line is not None and wrapper.connection is not None:
            if not line.is_calm():
                if line.is_wanted():
                    wrapper.close()
                elif line.has_waiting and self._may_leave() and self._passed_on(url):
                    return
            own()
            if wrapper.connection is not None and wrapper.autocommit:
                self.rests = True
                assert self._known is not None
                line.rest(self._known)
            return
        own()

    def resume(self) -> None:
        """The connection is needed again."""
        if self.rests:
            self.rests = False
            assert self._line is not None
            assert self._known is not None
            if not self._line.resumed(self._known):
                self._wrapper.close()  # which it is

    def give_up(self) -> bool:
        """Closes the connection, which rests. Any thread may call it, once."""
        connection = self._wrapper.connection
        if connection is None or connection.closed:
            return False
        connection.close()
        return True

    def _may_leave(self) -> bool:
        """Whether nothing of this thread's is left in the connection."""
        wrapper = self._wrapper
        connection = wrapper.connection
        return (
            not wrapper.in_atomic_block
            and not wrapper.errors_occurred
            and wrapper.autocommit
            and wrapper.settings_dict["AUTOCOMMIT"]
            and not connection.closed
            and not connection.info.transaction_status  # idle, in both drivers
        )

    def _passed_on(self, url: PostgresURL) -> bool:
        wrapper, line = self._wrapper, self._line
        assert line is not None
        passed = _Passed(wrapper, url)
        wrapper.connection = None  # the other thread may use it at once
        if line.passed_on(passed):
            wrapper.run_on_commit = []
            return True
        wrapper.connection = passed.connection
        return False
