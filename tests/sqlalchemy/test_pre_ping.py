"""The pool's ping before each use: what it spares, and that it leaves nothing open."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from ppg_integrations.providers.base import Generated
from ppg_integrations.sqlalchemy.engines import async_engine, engine
from ppg_integrations.urls import PostgresURL
from tests.support.poolers import Pooler
from tests.support.tcp_proxy import TCPProxy

from .conftest import endpoint_of

OFF = {"pool_pre_ping": False}
COUNT = 3


@pytest.fixture
def proxy(forgetful: Pooler, generated: Generated) -> Iterator[TCPProxy]:
    """In front of the pooler: cutting it is a pooler that restarts."""
    with TCPProxy((generated.pooled.host, forgetful.port)) as found:
        yield found


@pytest.fixture
def url(generated: Generated, proxy: TCPProxy) -> PostgresURL:
    # Without TLS: the transport of asyncio on Python 3.10 complains when the other end hangs up.
    return generated.pooled.replace(port=proxy.port, params={"sslmode": "disable"})


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])
def test_a_pooler_that_restarts_is_no_error(driver: str, url: PostgresURL, proxy: TCPProxy) -> None:
    made = engine(endpoint_of(url), driver=driver, options={})
    faulty = engine(endpoint_of(url), driver=driver, options=OFF)
    for each in (made, faulty):
        for connection in [each.connect() for _ in range(COUNT)]:
            connection.execute(text("SELECT 1"))
            connection.close()
    proxy.cut()
    for connection in [made.connect() for _ in range(COUNT)]:
        assert connection.scalar(text("SELECT 1")) == 1
        connection.close()
    for connection in [faulty.connect() for _ in range(COUNT)]:
        with connection, pytest.raises(DBAPIError) as caught:
            connection.execute(text("SELECT 1"))
        assert caught.value.connection_invalidated
    for each in (made, faulty):
        each.dispose()


def test_the_same_with_asyncpg(url: PostgresURL, proxy: TCPProxy) -> None:
    made = async_engine(endpoint_of(url), driver="asyncpg", options={})
    faulty = async_engine(endpoint_of(url), driver="asyncpg", options=OFF)

    async def run() -> None:
        for each in (made, faulty):
            async with each.connect() as connection:
                await connection.execute(text("SELECT 1"))
        proxy.cut()
        async with made.connect() as connection:
            assert await connection.scalar(text("SELECT 1")) == 1
        async with faulty.connect() as connection:
            with pytest.raises(DBAPIError):
                await connection.execute(text("SELECT 1"))
        for each in (made, faulty):
            await each.dispose()

    asyncio.run(run())


@pytest.mark.parametrize("isolation", [None, "AUTOCOMMIT"])
@pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])
def test_no_transaction_stays_open(
    driver: str, isolation: str | None, generated: Generated, transactions
) -> None:
    options = {"isolation_level": isolation} if isolation else {}
    made = engine(endpoint_of(generated.pooled), driver=driver, options=options)
    with made.connect() as connection:
        connection.execute(text("SELECT 'used'"))
        assert [state for state, _ in transactions()] == (
            [] if isolation else ["idle in transaction"]
        )
    with made.connect():  # pinged, and then not used
        assert transactions() == []
    assert transactions() == []
    made.dispose()


@pytest.mark.parametrize("isolation", [None, "AUTOCOMMIT"])
@pytest.mark.parametrize("driver", ["psycopg", "asyncpg"])
def test_no_transaction_stays_open_in_an_event_loop(
    driver: str, isolation: str | None, generated: Generated, transactions
) -> None:
    options = {"isolation_level": isolation} if isolation else {}
    made = async_engine(endpoint_of(generated.pooled), driver=driver, options=options)

    async def run() -> None:
        async with made.connect() as connection:
            await connection.execute(text("SELECT 'used'"))
            assert len(transactions()) == (0 if isolation else 1)
        async with made.connect():
            assert transactions() == []
        assert transactions() == []
        await made.dispose()

    asyncio.run(run())
