"""psycopg's own pool, for those who use no SQLAlchemy."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Mapping
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, Any, Final, NoReturn
from weakref import WeakSet

from . import conversions, startup
from .errors import ConfigurationError, DriverError, PPGError
from .failures import condense

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

_alive: Final[WeakSet[Any]] = WeakSet()


def connection_pool(endpoint: Endpoint, **options: Any) -> ConnectionPool[Any]:
    """A ``psycopg_pool.ConnectionPool`` whose connections lead where the endpoint leads then.

    It opens itself when the first connection is asked for: its threads would not survive the fork
    of a server that preloads the application. While there is no pair, asking raises why, at once.

    Args:
        endpoint: asked for each connection that the pool opens.
        options: those of psycopg_pool, over this package's own: ``min_size``, ``timeout`` (seconds
            to wait for a connection), ``kwargs`` (for ``psycopg.connect``) and so on.

    Raises:
        DriverError: psycopg_pool 3.3 or later is not installed.
    """
    made = _classes()[0]
    pool: ConnectionPool[Any] = made(
        endpoint, **{**_OPTIONS, "check": made.check_connection, **options}
    )
    return pool


def async_connection_pool(endpoint: Endpoint, **options: Any) -> AsyncConnectionPool[Any]:
    """:func:`connection_pool` for asyncio; it may be made outside of the event loop.

    Raises:
        DriverError: psycopg_pool 3.3 or later is not installed.
    """
    made = _classes()[1]
    pool: AsyncConnectionPool[Any] = made(
        endpoint, **{**_OPTIONS, "check": made.check_connection, **options}
    )
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

    # _connect is private, and the one place that sees why a connection cannot be opened: otherwise
    # who waits for it is told the seconds only. Without that method the rest works as it does.

    class EndpointPool(psycopg_pool.ConnectionPool[Any]):
        def __init__(self, endpoint: Endpoint, **options: Any) -> None:
            self._endpoint = endpoint
            self._failure = ""
            given = options.pop("kwargs", None) or {}

            def keywords() -> dict[str, Any]:
                return _keywords(endpoint, given() if callable(given) else given)

            super().__init__(kwargs=keywords, **{"open": False, **options})
            _alive.add(self)

        def getconn(self, timeout: float | None = None) -> Any:
            if self._endpoint.direct or self._endpoint.current.error is not None:
                self._endpoint.destination()
            if self.closed:
                with suppress(psycopg.OperationalError):  # closed for good, as getconn() says
                    self.open()
            try:
                return super().getconn(timeout)
            except psycopg_pool.PoolTimeout as error:
                _explain(error, self._failure)

        def _connect(self, timeout: float | None = None) -> Any:
            try:
                connection = super()._connect(timeout)
            except Exception as error:
                self._failure = _text(error)
                raise
            self._failure = ""
            return connection

    class AsyncEndpointPool(psycopg_pool.AsyncConnectionPool[Any]):
        def __init__(self, endpoint: Endpoint, **options: Any) -> None:
            self._endpoint = endpoint
            self._failure = ""
            given = options.pop("kwargs", None) or {}

            async def keywords() -> dict[str, Any]:
                own = given() if callable(given) else given
                if isinstance(own, Awaitable):
                    own = await own
                # A store that has changed is read, and an API may be asked.
                return await asyncio.to_thread(_keywords, endpoint, own)

            super().__init__(kwargs=keywords, **{"open": False, **options})
            _alive.add(self)

        async def getconn(self, timeout: float | None = None) -> Any:
            if self._endpoint.direct or self._endpoint.current.error is not None:
                await asyncio.to_thread(self._endpoint.destination)
            if self.closed:
                with suppress(psycopg.OperationalError):
                    await self.open()
            try:
                return await super().getconn(timeout)
            except psycopg_pool.PoolTimeout as error:
                _explain(error, self._failure)

        async def _connect(self, timeout: float | None = None) -> Any:
            try:
                connection = await super()._connect(timeout)
            except Exception as error:
                self._failure = _text(error)
                raise
            self._failure = ""
            return connection

    return EndpointPool, AsyncEndpointPool


def _keywords(endpoint: Endpoint, given: Mapping[str, Any]) -> dict[str, Any]:
    """What the pool calls ``psycopg.connect`` with."""
    startup.refuse(endpoint, given, name="kwargs", instead=INSTEAD)  # a function may give any
    return {
        "connect_timeout": conversions.CONNECT_TIMEOUT,
        # The pooler's next server does not know what this one has prepared.
        "prepare_threshold": None,
        **conversions.connect_keywords(endpoint.destination().url, "psycopg"),
        **given,
    }


def _text(error: Exception) -> str:
    return str(error) if isinstance(error, PPGError) else condense(str(error))


def _explain(error: Exception, failure: str) -> NoReturn:
    """Raises the pool's error again, with why it could not connect."""
    if not failure:
        raise error
    raise type(error)(f"{error}: {failure}") from None


def _missing(why: str) -> DriverError:
    return DriverError(
        f"psycopg's pool cannot be used: {why}",
        hint='pip install "ppg-integrations[psycopg]" "psycopg-pool>=3.3"',
    )
