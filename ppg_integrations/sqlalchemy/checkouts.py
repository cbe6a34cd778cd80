"""Connections that leave an engine's pool and come back: is each still the right one, and alive?

SQLAlchemy's own ``pool_pre_ping`` asks the server before each use. Here it is asked about those
that nobody has used for a while, and the kernel about the others, which costs a fraction of a
``SELECT 1``: docs/benchmarks.md.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakSet, ref

from sqlalchemy import NullPool, QueuePool, StaticPool, event
from sqlalchemy.exc import DisconnectionError, InvalidatePoolError

from ppg_integrations import liveness, waiting
from ppg_integrations.current import MOMENT

from . import loops
from .passed import Passed

if TYPE_CHECKING:
    from sqlalchemy import Engine
    from sqlalchemy.engine.interfaces import DBAPIConnection
    from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection

    from ppg_integrations.endpoint import Endpoint
    from ppg_integrations.pair import ConnectionPair
    from ppg_integrations.resting import Known
    from ppg_integrations.urls import PostgresURL

#: In the pool's record of a connection: the pair that it was opened with, when that was, that it
#: leaves the pool after this use, when it came back from its last one, what stands for it where it
#: rests, and what looks at its socket.
_PAIR: Final = "ppg.pair"
_OPENED: Final = "ppg.opened"
_ONCE: Final = "ppg.once"
_USED: Final = "ppg.used"
_KNOWN: Final = "ppg.known"
_WATCH: Final = "ppg.watch"

_log: Final = logging.getLogger("ppg_integrations")


class Checkouts:
    """Of one engine. Its threads share it."""

    def __init__(self, engine: Engine, endpoint: Endpoint, *, tests: bool, trims: bool) -> None:
        """Watches nothing yet.

        Args:
            engine: whose pool it is.
            endpoint: that its connections are opened for.
            tests: whether to test what was idle.
            trims: whether others may have closed what is idle.
        """
        self._engine = ref(engine)
        self._listens = False
        self._starting = threading.Lock()
        self._endpoint = endpoint
        self._dialect = engine.dialect
        self._is_asyncpg = engine.dialect.driver == "asyncpg"
        self._errors = loops.errors(engine.dialect)
        self._tests = tests
        #: The pair as it was a moment ago, and when it was looked at.
        self._seen: ConnectionPair | None = None
        self._looked = -math.inf
        #: When one was found dead.
        self._died = 0.0
        self._line: waiting.Line | None = None
        #: Whether its pool may keep more of them than an idle process should.
        self._trims = trims and isinstance(engine.pool, QueuePool)

    def line(self, url: PostgresURL) -> waiting.Line:
        """Where to wait for a connection, when there is no free slot."""
        if self._line is None:
            with self._starting:
                if self._line is None:
                    self._line = waiting.Line(url.host, url.port, pools=True)
        return self._line

    def _listen(self) -> None:
        """Has :meth:`back` called after the user's own listeners, who still use what comes back.

        At the first checkout: what comes back has been out before.
        """
        with self._starting:
            engine = self._engine()
            if not self._listens and engine is not None:
                event.listen(engine.pool, "checkin", self.back)
                self._listens = True

    def opened(self, record: ConnectionPoolEntry, pair: ConnectionPair, *, kept: bool) -> None:
        """Notes what the pool is to know of a connection.

        Args:
            record: the pool's.
            pair: that it is opened with.
            kept: False if it is direct for once.
        """
        record.info[_PAIR] = pair
        record.info[_OPENED] = time.monotonic()
        if not kept:
            once(record)

    def out(
        self, _connection: object, record: ConnectionPoolEntry, _proxy: PoolProxiedConnection
    ) -> None:
        """On its way out of the pool.

        Raises:
            DisconnectionError: for the pool, which closes it and opens another one in its place.
        """
        if not self._listens:
            self._listen()
        info = record.info
        if _ONCE in info:
            return
        if self._endpoint.is_diverted():
            raise DisconnectionError("a direct connection is needed")
        used: float | None = info.get(_USED)
        if used is None:  # it was opened just now
            return
        if _KNOWN in info and not self._resumed(info[_KNOWN]):
            self._end(record)
            raise DisconnectionError("it was closed for another process")
        if self._is_outdated(info):
            self._end(record)
            raise DisconnectionError("it was opened with another pair")
        if self._tests and not self._is_alive(record, used):
            self._died = time.monotonic()
            self._end(record)
            # So are most likely the others.
            raise InvalidatePoolError("it was dead")

    def back(self, _connection: object, record: ConnectionPoolEntry) -> None:
        """On its way back into the pool, or to whoever waits for a slot of the server."""
        if record.info.pop(_ONCE, False):
            record.invalidate()
            return
        record.info[_USED] = time.monotonic()
        line = self._line
        if line is None or record.dbapi_connection is None or _PAIR not in record.info:
            return
        if not line.is_calm():
            if line.is_wanted():
                record.invalidate()
                return
            if line.has_waiting and self._passed_on(record, line):
                return
        if self._trims:
            self._rest(record, line)

    def _passed_on(self, record: ConnectionPoolEntry, line: waiting.Line) -> bool:
        passed = self._passed(record)
        # The pool opens another one when it needs the record again: as after detach().
        entry: Any = record
        entry.dbapi_connection = None
        if line.passed_on(passed):
            return True
        entry.dbapi_connection = passed.connection
        return False

    def _passed(self, record: ConnectionPoolEntry) -> Passed:
        return Passed(record, self._half(record.info[_PAIR]), is_async=self._dialect.is_async)

    def _rest(self, record: ConnectionPoolEntry, line: waiting.Line) -> None:
        known: Known | None = record.info.get(_KNOWN)
        if known is None:
            known = record.info[_KNOWN] = line.resting.known(record, self._passed(record))
        line.resting.rest(known)

    def _resumed(self, known: Known) -> bool:
        return self._line is None or self._line.resting.resumed(known)

    def closes(self, _connection: object, record: ConnectionPoolEntry) -> None:
        """The pool closes it: it may be one of those that most likely died with another."""
        known: Known | None = record.info.pop(_KNOWN, None)
        if known is not None:
            self._resumed(known)  # nobody else is to close it now, nor to remember it
        if record.info.get(_OPENED, math.inf) < self._died:
            self._end(record)

    def _end(self, record: ConnectionPoolEntry) -> None:
        """Ends a connection at once where closing it waits for the server: asyncpg, two seconds."""
        driver = record.driver_connection
        if self._is_asyncpg and driver is not None:
            with suppress(RuntimeError):  # the event loop that opened it is closed
                driver.terminate()

    def _is_outdated(self, info: dict[str, Any]) -> bool:
        current, before = self._endpoint.current, info.get(_PAIR)
        if before is None:  # a listener of the user's has opened it
            return False
        moment = time.monotonic()
        if moment - self._looked >= MOMENT:  # not in each request of a busy process
            if self._dialect.is_async and current.is_due():
                loops.look(self._endpoint)
            self._seen, self._looked = current.pair, moment
        now = self._seen
        if now is before or now is None:
            return False
        if self._half(now) != self._half(before):
            return True
        info[_PAIR] = now
        return False

    def _half(self, pair: ConnectionPair) -> PostgresURL | None:
        return pair.direct if self._endpoint.direct else pair.pooled

    def _is_alive(self, record: ConnectionPoolEntry, used: float) -> bool:
        window, driver = self._endpoint.settings.alive_window, record.driver_connection
        assert driver is not None
        try:
            if self._is_asyncpg:
                if driver.is_closed():
                    return False
                if loops.needs_test(driver, used, window):
                    loops.ping(driver)
            elif self._watch(record.info, driver.fileno()).needs_test(used, window):
                connection = record.dbapi_connection
                assert connection is not None
                with liveness.limited(driver.fileno()):
                    self._dialect.do_ping(connection)
        except self._errors:
            return False
        except Exception as error:  # noqa: BLE001 - another connection has what this one has not
            _log.warning("the test of an idle connection raised %s", type(error).__name__)
            return False
        return True

    @staticmethod
    def _watch(info: dict[str, Any], fileno: int) -> liveness.Watch:
        found: liveness.Watch | None = info.get(_WATCH)
        if found is None or found.fileno != fileno:
            found = info[_WATCH] = liveness.Watch(fileno)
        return found


class _OfOne(Checkouts):
    """Of a pool that gives its one connection to everybody: it is looked at when nobody has it."""

    def __init__(self, engine: Engine, endpoint: Endpoint, *, tests: bool, trims: bool) -> None:
        super().__init__(engine, endpoint, tests=tests, trims=trims)
        self._lock = threading.Lock()
        # Not counted: the pool tells of one return, however many have it.
        self._users: WeakSet[PoolProxiedConnection] = WeakSet()

    def out(
        self, connection: object, record: ConnectionPoolEntry, proxy: PoolProxiedConnection
    ) -> None:
        with self._lock:
            others = any(each.is_valid for each in self._users if each is not proxy)
            self._users.add(proxy)
        if not others:
            super().out(connection, record, proxy)


def watch(engine: Engine, endpoint: Endpoint, *, tests: bool, trims: bool) -> Checkouts:
    """Watches the pool of an engine that is being made.

    Args:
        engine, endpoint, tests, trims: as for :class:`Checkouts`.
    """
    kind = _OfOne if isinstance(engine.pool, StaticPool) else Checkouts
    found = kind(engine, endpoint, tests=tests, trims=trims)
    if not isinstance(engine.pool, NullPool):  # which keeps nothing
        event.listen(engine.pool, "checkout", found.out)
        event.listen(engine.pool, "close", found.closes)
    return found


def once(record: ConnectionPoolEntry) -> None:
    """Notes that a connection leaves the pool after this use."""
    record.info[_ONCE] = True


def leave(_connection: DBAPIConnection | None, record: ConnectionPoolEntry) -> None:
    """The same on its way back into a pool that is not watched."""
    if record.info.pop(_ONCE, False):
        record.invalidate()
