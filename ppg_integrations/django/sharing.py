"""What becomes of a connection between two requests, when the pooler has no slot for another one.

Threads keep their connections (``CONN_MAX_AGE``). Where there are more threads than slots, one that
has done with its request passes its connection on to one that waits; that of one that has nothing
to do is taken over by one that has none; and one whose process has enough closes it for another
process. While there are slots, nothing of that happens.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from weakref import ref

from ppg_integrations import liveness, waiting

if TYPE_CHECKING:
    from ppg_integrations.resting import Given, Known
    from ppg_integrations.urls import PostgresURL

    from .following import Destination


class _Passed:
    """A connection that others may have.

    Attributes:
        connection: of the driver.
        url: that it was opened for.
        close_at: when it has lived long enough, by :func:`time.monotonic`; None for never.
        isolation_level: as Django's wrapper notes it when it connects.
        used: when it was used last, by :func:`time.monotonic`.
    """

    __slots__ = ("_line", "_owner", "close_at", "connection", "isolation_level", "url", "used")

    def __init__(self, wrapper: Any, url: PostgresURL, line: waiting.Line) -> None:
        self._owner = ref(wrapper)
        self._line = line
        self.connection = wrapper.connection
        self.url = url
        self.close_at = wrapper.close_at
        self.isolation_level = wrapper.isolation_level
        self.used = time.monotonic()

    @property
    def is_open(self) -> bool:
        return not self.connection.closed

    def close(self) -> None:
        self.connection.close()

    def leave(self) -> None:
        """Leaves its owner, who may not have noticed yet that it is another one's."""
        with self._line.resting.leaving:  # its owner is not to have another one before that
            owner = self._owner()
            if owner is not None and owner.connection is self.connection:
                owner.connection = None

    def serves(self, url: PostgresURL | None, window: float) -> bool:
        """Whether it leads to `url`, and is as good as one that is opened now."""
        return (
            self.url == url
            and self.is_open
            and not self.connection.info.transaction_status  # idle, in both drivers
            and not liveness.needs_test(self.connection.fileno(), self.used, window)
        )


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
        self._known: Known | None = None
        self._own: _Passed | None = None  #: what `_known` stands for
        self._taken: Given | None = None

    def place(self, destination: Destination) -> waiting.Line:
        """Where to wait for a connection that leads there; Django's native pool has its own ways.

        Those that hold a session are nobody else's.
        """
        self.resume()
        url, alias = destination.url, self._wrapper.alias
        line = waiting.line(url.host, url.port, url.database, alias)
        self._line = None if destination.keeps_sessions else line
        self._known = self._own = None
        return line

    # ------------------------------------------------------------ taking

    def take(self, passed: Given) -> None:
        """The next connection that is opened is to be this one."""
        self._taken = passed

    def taken(self, url: PostgresURL | None, window: float) -> _Passed | None:
        """What was taken, if it leads there.

        Args:
            url: where to.
            window: seconds for which an idle connection counts as alive.
        """
        passed, self._taken = self._taken, None
        if passed is None:
            return None
        assert isinstance(passed, _Passed)
        passed.leave()
        if passed.serves(url, window):
            return passed
        passed.close()
        return None

    def return_taken(self) -> None:
        """What was taken, and no attempt came to use, goes to the next one who waits."""
        passed, self._taken = self._taken, None
        if passed is not None and not (self._line is not None and self._line.passed_on(passed)):
            passed.close()

    # ------------------------------------------------------------ giving

    def end(self, url: PostgresURL, own: Callable[[], None], is_used: Callable[[], bool]) -> None:
        """At the beginning and at the end of each request.

        Args:
            url: that the connection was opened for.
            own: what the wrapper's class does then.
            is_used: whether somebody may go on with the connection without asking for it again.
        """
        wrapper, line = self._wrapper, self._line
        if self.rests:
            self.resume()
        elif line is not None and wrapper.connection is not None:
            is_free = not is_used()
            if is_free and not line.is_calm() and self._may_leave():
                if line.is_wanted():
                    wrapper.close()
                elif line.has_waiting and self._passed_on(url):
                    return
            own()
            if is_free and wrapper.connection is not None and wrapper.autocommit:
                self._rest(line, url)
            return
        own()

    def _rest(self, line: waiting.Line, url: PostgresURL) -> None:
        known, own = self._known, self._own
        if known is None or own is None or own.connection is not self._wrapper.connection:
            self._own = own = _Passed(self._wrapper, url, line)
            self._known = known = line.resting.known(self, own)
        else:
            own.url = url
            own.used = time.monotonic()
        self.rests = True
        line.resting.rest(known)

    def resume(self) -> None:
        """The connection is needed again."""
        if self.rests:
            self.rests = False
            assert self._line is not None
            assert self._known is not None
            if not self._line.resting.resumed(self._known):
                self._known = self._own = None
                with self._line.resting.leaving:
                    self._wrapper.connection = None  # it is another one's by now, or closed
                self._left()

    def _left(self) -> None:
        """Its class forgets what it knew of the connection that it has no more."""
        self._wrapper.close()  # of none

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
        passed = _Passed(wrapper, url, line)
        wrapper.connection = None  # the other thread may use it at once
        if line.passed_on(passed):
            self._left()
            return True
        wrapper.connection = passed.connection
        return False
