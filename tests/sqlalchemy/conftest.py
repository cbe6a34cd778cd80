"""Fixtures: endpoints on the real servers, and a pooler that forgives nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from ppg_integrations.current import CurrentPair
from ppg_integrations.endpoint import Endpoint
from ppg_integrations.pair import ConnectionPair, Source
from ppg_integrations.providers.base import Generated
from ppg_integrations.providers.local.servers import LocalServers
from ppg_integrations.sqlalchemy.engines import async_engine, engine
from ppg_integrations.urls import PostgresURL
from tests.support.poolers import Pooler, pooler

_SOURCE = Source("argument", "pooled")

SYNC = ["psycopg", "psycopg2"]
ASYNC = ["psycopg", "asyncpg"]


def pair_of(pooled: PostgresURL, direct: PostgresURL | None = None) -> ConnectionPair:
    return ConnectionPair(pooled, direct, _SOURCE, None if direct is None else _SOURCE)


def endpoint_of(pooled: PostgresURL, direct: PostgresURL | None = None, **arguments) -> Endpoint:
    pair = pair_of(pooled, direct)
    return Endpoint(CurrentPair(lambda: pair, env_file=None), **arguments)


def write_env(path: Path, pair: Generated) -> None:
    path.write_text(f"DATABASE_URL={pair.pooled.reveal()}\nDIRECT_URL={pair.direct.reveal()}\n")


def who(made: sqlalchemy.Engine) -> str:
    """The role that a connection of the engine is logged in with."""
    with made.connect() as connection:
        return connection.scalar(sqlalchemy.text("SELECT session_user"))


async def who_async(made: AsyncEngine) -> str:
    async with made.connect() as connection:
        return await connection.scalar(sqlalchemy.text("SELECT session_user"))


def use(made: sqlalchemy.Engine | AsyncEngine) -> str:
    """The same once, in a loop of its own if need be; the engine is disposed."""

    async def run() -> str:
        try:
            return await who_async(made)
        finally:
            await made.dispose()

    if isinstance(made, AsyncEngine):
        return asyncio.run(run())
    try:
        return who(made)
    finally:
        made.dispose()


def connects(url: PostgresURL, driver: str) -> None:
    """With the plugin, and as a plain URL of SQLAlchemy's."""
    ours, plain = (
        (async_engine, create_async_engine)
        if driver == "asyncpg"
        else (engine, sqlalchemy.create_engine)
    )
    assert use(ours(endpoint_of(url), driver=driver, options={})) == url.user
    assert use(plain(url.sqlalchemy(driver))) == url.user


@pytest.fixture(scope="session")
def forgetful(servers: LocalServers) -> Iterator[Pooler]:
    """Gives each transaction the next of three servers, and knows no prepared statements."""
    settings = {"server_round_robin": 1, "client_tls_sslmode": "allow"}
    with pooler(servers, size=3, prepared=False, **settings) as found:
        yield found


@pytest.fixture
def endpoint(generated: Generated) -> Endpoint:
    return endpoint_of(generated.pooled, generated.direct)


@pytest.fixture
def env_file(tmp_path: Path, generated: Generated) -> Path:
    """A ``.env`` file with a fresh pair of the real servers."""
    path = tmp_path / ".env"
    write_env(path, generated)
    return path


@pytest.fixture
def transactions(servers: LocalServers, generated: Generated) -> Callable[[], list[tuple]]:
    """The transactions that are open on the server now, in the test's own database."""

    def found() -> list[tuple]:
        with servers.connect() as connection:
            return connection.fetch(
                "SELECT state, query FROM pg_stat_activity"
                " WHERE datname = %s AND xact_start IS NOT NULL",
                (generated.pooled.database,),
            )

    return found


@pytest.fixture
def logins(servers: LocalServers, generated: Generated) -> Callable[[], tuple[int, int]]:
    """Logins in the test's own database since it began: through the pooler, and without it."""
    database = generated.pooled.database
    before = servers.counters(database)

    def since() -> tuple[int, int]:
        now = servers.counters(database) - before
        return now.pooled_logins, now.direct_logins

    return since
