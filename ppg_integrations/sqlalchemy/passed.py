"""A connection of a pool that leaves it: for whoever waits for one, or to be closed."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sqlalchemy.engine.interfaces import DBAPIConnection
    from sqlalchemy.pool import ConnectionPoolEntry

    from ppg_integrations.urls import PostgresURL


class Passed:
    """Of one record of a pool.

    Attributes:
        connection: of the dialect.
        url: where it leads.
    """

    def __init__(
        self, record: ConnectionPoolEntry, url: PostgresURL | None, *, is_async: bool
    ) -> None:
        """Leaves it where it is.

        Args:
            record: the pool's.
            url: where it leads.
            is_async: whether it belongs to the event loop that runs.
        """
        assert record.dbapi_connection is not None
        self.connection: DBAPIConnection = record.dbapi_connection
        self.url = url
        self._driver: Any = record.driver_connection
        self._loop = asyncio.get_running_loop() if is_async else None

    @property
    def is_open(self) -> bool:
        """False if the driver knows that it is closed."""
        driver = self._driver
        return not (driver.is_closed() if hasattr(driver, "is_closed") else driver.closed)

    def close(self) -> None:
        """In any thread; that of an event loop is closed there, a moment later."""
        if self._loop is None:
            self.connection.close()
            return
        with suppress(RuntimeError):  # the loop has ended, and with it the connection
            self._loop.call_soon_threadsafe(self._end)

    def _end(self) -> None:
        # asyncpg's, and libpq's below psycopg's, whose own close() has to be awaited.
        end = getattr(self._driver, "terminate", None) or self._driver.pgconn.finish
        end()
