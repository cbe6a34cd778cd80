"""What an engine for asyncio does otherwise: SQLAlchemy runs it in greenlets of the event loop."""

from __future__ import annotations

import asyncio
import time
from importlib import import_module
from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import MissingGreenlet

from ppg_integrations import liveness
from ppg_integrations.errors import ConfigurationError

try:
    from sqlalchemy.util import await_
except ImportError:  # its name in SQLAlchemy 2.0
    from sqlalchemy.util import await_only as await_

if TYPE_CHECKING:
    from sqlalchemy.engine import Dialect

    from ppg_integrations.endpoint import Endpoint


def errors(dialect: Dialect) -> tuple[type[Exception], ...]:
    """What the driver of a dialect raises when it connects, or asks over a connection."""
    found: tuple[type[Exception], ...] = (dialect.loaded_dbapi.Error, OSError)
    if dialect.driver == "asyncpg":
        asyncpg = import_module("asyncpg")
        # SQLAlchemy 2.0 lets asyncpg's own through. The last one is an OSError since Python 3.11.
        found += (asyncpg.PostgresError, asyncpg.InterfaceError, asyncio.TimeoutError)
        found += (asyncpg.InternalClientError,)
    return found


def check(dialect: Dialect) -> None:
    """Raises what is wrong where the driver of a dialect needs an event loop.

    Raises:
        ConfigurationError: there is none.
    """
    try:
        sleep(0)
    except MissingGreenlet:
        raise ConfigurationError(
            f"this engine's driver, {dialect.driver}, works in an event loop only, and there is "
            "none",
            hint="Choose psycopg or psycopg2 for it, such as by PPG_DRIVER; an engine for asyncio "
            "is made by create_async_engine().",
        ) from None


def look(endpoint: Endpoint) -> None:
    """Looks for the pair: a store that has changed is read, and an API may be asked."""

    def found() -> None:
        _ = endpoint.current.pair

    await_(asyncio.to_thread(found))


def sleep(seconds: float) -> None:
    await_(asyncio.sleep(seconds))


def needs_test(driver: Any, used: float, window: float) -> bool:
    """:func:`.liveness.needs_test` for a connection of asyncpg."""
    # Its transport is private. Without it there is what the loop has read until now, which is a
    # moment behind what the kernel knows.
    transport = getattr(driver, "_transport", None)
    found = None if transport is None else transport.get_extra_info("socket")
    if found is None:
        return time.monotonic() - used >= window
    return liveness.needs_test(found.fileno(), used, window)


def ping(driver: Any) -> None:
    """Asks over a connection of asyncpg: one round trip, where SQLAlchemy's ping makes four."""
    # Without arguments it is one message of the simple protocol, which leaves no transaction open.
    # An empty statement would do, but asyncpg stumbles over the answer to that.
    await_(driver.execute("SELECT 1", timeout=liveness.ANSWER))
