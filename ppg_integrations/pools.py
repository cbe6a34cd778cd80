"""psycopg's own pool, for those who use no SQLAlchemy."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Mapping
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakSet

from . import conversions, liveness, preparing, startup
from .errors import ConfigurationError, DriverError
from .poolstate import PoolState, Wait

if TYPE_CHECKING:
    from psycopg_pool import AsyncConnectionPool, ConnectionPool

    from .endpoint import Endpoint

#: The first one that takes functions where connections lead.
_LEAST: Final = (3, 3)

_OPTIONS: Final = {
    "min_size": 0,  # no slot of the pooler is kept for nothing
    "max_size": 10,
    "timeout": 10.0,
    "max_lifetime": 300.0,
    # Attempts come ever more rarely. Who waits has gone after `timeout`, and the next one is not to
    # wait for an attempt that lies minutes ahead.
    "reconnect_timeout": 10.0,
}

#: Where startup options can be given.
INSTEAD: Final = "a pool with direct=True"

_OUTDATED: Final = "it was opened with another pair"

_alive: Final[WeakSet[Any]] = WeakSet()


def connection_pool(endpoint: Endpoint, **options: Any) -> ConnectionPool[Any]:
    """A ``psycopg_pool.ConnectionPool`` whose connections lead where the endpoint leads then.

    It opens itself when the first connection is asked for: its threads would not survive the fork
    of a server that preloads the application. While there is no pair, asking raises why, at once;
    and so it does where the server refuses for a reason that does not pass. Connections of a pair
    that is no more are closed when the next one is asked for, and those that were idle for a while
    are tested, unless `check` says otherwise.

    Args:
        endpoint: asked for each connection that the pool opens.
        options: those of psycopg_pool, over this package's own: ``min_size``, ``timeout`` (seconds
            to wait for a connection), ``kwargs`` (for ``psycopg.connect``) and so on.

    Raises:
        DriverError: psycopg_pool 3.3 or later is not installed.
    """
    made = _classes()[0]
    pool: ConnectionPool[Any] = made(endpoint, **options)
    return pool


def async_connection_pool(endpoint: Endpoint, **options: Any) -> AsyncConnectionPool[Any]:
    """:func:`connection_pool` for asyncio; it may be made outside of the event loop.

    Raises:
        DriverError: psycopg_pool 3.3 or later is not installed.
    """
    made = _classes()[1]
    pool: AsyncConnectionPool[Any] = made(endpoint, **options)
    return pool


def drain() -> None:
    """Closes what is idle in each pool of the process, so that all that follows asks the endpoint.

    Raises:
        ConfigurationError: one for asyncio is open, and only its event loop could do that.
    """
    for pool in list(_alive):
        if not inspect.iscoroutinefunction(pool.drain):
            pool.drain()
        elif not pool.closed:
            raise ConfigurationError(
                "an async_connection_pool() is open, and may lead to another database than its "
                "endpoint does now",
                hint="Close it first: await pool.close().",
            )


@cache
def _classes() -> tuple[Any, Any]:
    """The pool for threads and the one for asyncio; psycopg_pool is imported for them only."""
    try:
        import psycopg
        import psycopg_pool
    except ImportError as error:
        raise _missing(str(error)) from None
    version = tuple(map(int, psycopg_pool.__version__.split(".")[:2]))
    if version < _LEAST:
        raise _missing(f"psycopg_pool {psycopg_pool.__version__} is too old")

    # _connect is private, and the one place that sees why a connection cannot be opened, and which
    # pair one was opened with. Without that method the rest works as it does.

    class EndpointPool(psycopg_pool.ConnectionPool[Any]):
        def __init__(self, endpoint: Endpoint, **options: Any) -> None:
            self._state = PoolState(endpoint)
            self._first = _first(endpoint, options)
            given = options.pop("kwargs", None) or {}
            self._test = options.pop("check", self._ping)

            def keywords() -> dict[str, Any]:
                return _keywords(endpoint, given() if callable(given) else given)

            options = {**_options(endpoint), **options}
            super().__init__(kwargs=keywords, check=self._look_at, **options)
            _alive.add(self)

        def getconn(self, timeout: float | None = None) -> Any:
            self._state.follow()
            if self.closed:
                with suppress(psycopg.OperationalError):  # closed for good, as getconn() says
                    self.open()
            wait = Wait(self._state, self.timeout, timeout, self._first)
            while True:
                try:
                    return super().getconn(wait.part())
                except psycopg_pool.PoolTimeout as error:  # noqa: PERF203 - it waits, mostly
                    wait.again(error)

        def putconn(self, conn: Any) -> None:
            self._state.used(conn)
            super().putconn(conn)

        def _look_at(self, conn: Any) -> None:
            if not self._state.is_current(conn):
                self._discard(conn)
                raise psycopg.OperationalError(_OUTDATED)
            if self._test is not None:
                self._test(conn)

        def _ping(self, conn: Any) -> None:
            try:
                if self._state.needs_test(conn):
                    with liveness.limited(conn.fileno()):
                        self.check_connection(conn)
            except (psycopg.Error, OSError):
                self._discard(conn)
                raise

        def _discard(self, conn: Any) -> None:
            conn.close()
            if self._state.empties(conn):
                self.drain()

        def _connect(self, timeout: float | None = None) -> Any:
            pair = None
            try:
                pair = self._state.opens()
                connection = super()._connect(timeout)
            except Exception as error:
                self._state.failed(error, pair)
                raise
            self._state.opened(connection, pair)
            return connection

    class AsyncEndpointPool(psycopg_pool.AsyncConnectionPool[Any]):
        def __init__(self, endpoint: Endpoint, **options: Any) -> None:
            self._state = PoolState(endpoint)
            self._first = _first(endpoint, options)
            given = options.pop("kwargs", None) or {}
            self._test = options.pop("check", self._ping)

            async def keywords() -> dict[str, Any]:
                own = given() if callable(given) else given
                if isinstance(own, Awaitable):
                    own = await own
                # A store that has changed is read, and an API may be asked.
                return await asyncio.to_thread(_keywords, endpoint, own)

            options = {**_options(endpoint), **options}
            super().__init__(kwargs=keywords, check=self._look_at, **options)
            _alive.add(self)

        async def getconn(self, timeout: float | None = None) -> Any:
            state = self._state
            if state.is_due():
                await asyncio.to_thread(state.follow)
            else:
                state.follow()
            if self.closed:
                with suppress(psycopg.OperationalError):
                    await self.open()
            wait = Wait(state, self.timeout, timeout, self._first)
            while True:
                try:
                    return await super().getconn(wait.part())
                except psycopg_pool.PoolTimeout as error:  # noqa: PERF203 - it waits, mostly
                    wait.again(error)

        async def putconn(self, conn: Any) -> None:
            self._state.used(conn)
            await super().putconn(conn)

        async def _look_at(self, conn: Any) -> None:
            if not self._state.is_current(conn):
                await self._discard(conn)
                raise psycopg.OperationalError(_OUTDATED)
            if self._test is not None:
                await self._test(conn)

        async def _ping(self, conn: Any) -> None:
            try:
                if self._state.needs_test(conn):
                    with liveness.limited(conn.fileno()):
                        await self.check_connection(conn)
            except (psycopg.Error, OSError):
                await self._discard(conn)
                raise

        async def _discard(self, conn: Any) -> None:
            await conn.close()
            if self._state.empties(conn):
                await self.drain()

        async def _connect(self, timeout: float | None = None) -> Any:
            pair = None
            try:
                pair = await asyncio.to_thread(self._state.opens)
                connection = await super()._connect(timeout)
            except Exception as error:
                self._state.failed(error, pair)
                raise
            self._state.opened(connection, pair)
            return connection

    return EndpointPool, AsyncEndpointPool


def _options(endpoint: Endpoint) -> dict[str, Any]:
    """Of the pool, where the user says nothing else."""
    # One attempt is less than psycopg's pool can do: it makes two.
    again = {} if endpoint.settings.connect_deadline else {"reconnect_timeout": 0.0}
    return {**_OPTIONS, "open": False, **again}


def _first(endpoint: Endpoint, options: Mapping[str, Any]) -> float:
    """Seconds to wait where a connection has to be opened: one that sleeps takes longer."""
    return 0.0 if "timeout" in options else endpoint.settings.connect_deadline


def _keywords(endpoint: Endpoint, given: Mapping[str, Any]) -> dict[str, Any]:
    """What the pool calls ``psycopg.connect`` with."""
    startup.refuse(endpoint, given, name="kwargs", instead=INSTEAD)  # a function may give any
    return {
        **conversions.patience(direct=endpoint.direct),
        **preparing.arguments(
            "psycopg", prepared=endpoint.settings.prepared and not endpoint.direct
        ),
        **conversions.connect_keywords(endpoint.destination().url, "psycopg"),
        **given,
    }


def _missing(why: str) -> DriverError:
    return DriverError(
        f"psycopg's pool cannot be used: {why}",
        hint='pip install "ppg-integrations[psycopg]" "psycopg-pool>=3.3"',
    )
