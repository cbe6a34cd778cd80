"""Prepared statements where they are asked for, and the time limits that every connection has."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import psycopg
import pytest
import sqlalchemy
from sqlalchemy import text

from ppg_integrations import preparing
from ppg_integrations.connect_settings import ConnectSettings
from ppg_integrations.endpoint import Endpoint
from ppg_integrations.errors import ConfigurationError
from ppg_integrations.pools import connection_pool
from ppg_integrations.providers.base import Generated
from ppg_integrations.providers.local.servers import LocalServers
from ppg_integrations.sqlalchemy.engines import async_engine, engine
from ppg_integrations.sqlalchemy.options import engine_options
from ppg_integrations.urls import PostgresURL

from .conftest import endpoint_of

ON = ConnectSettings(prepared=True)
SETTINGS = [ON, ConnectSettings()]
QUERY = "SELECT id, name FROM shop WHERE id = "
#: The server's own view; the pooler's names differ, the text does not.
KEPT = "SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE 'SELECT id, name FROM%'"


@pytest.fixture
def shop(generated: Generated) -> PostgresURL:
    """A place that keeps what is prepared, with a table; any machine has one."""
    with psycopg.connect(**generated.direct.libpq()) as connection:
        connection.execute("CREATE TABLE shop (id int PRIMARY KEY, name varchar(50))")
        connection.execute("INSERT INTO shop VALUES (1, 'a')")
    return generated.direct


# ---------------------------------------------------------------- the option


@pytest.mark.parametrize("settings", SETTINGS, ids=["on", "off"])
def test_psycopg_prepares_where_it_is_asked_to(
    settings: ConnectSettings, shop: PostgresURL
) -> None:
    made = engine(endpoint_of(shop, settings=settings), driver="psycopg", options={})
    with made.connect() as connection:
        for _ in range(8):
            connection.execute(text(f"{QUERY}:id"), {"id": 1})
            connection.commit()
        found = connection.scalar(text(KEPT))
    made.dispose()
    assert found == settings.prepared


@pytest.mark.parametrize("settings", SETTINGS, ids=["on", "off"])
def test_asyncpg_prepares_where_it_is_asked_to(
    settings: ConnectSettings, shop: PostgresURL
) -> None:
    made = async_engine(endpoint_of(shop, settings=settings), driver="asyncpg", options={})

    async def run() -> int:
        try:
            async with made.connect() as connection:
                for _ in range(3):
                    await connection.execute(text(f"{QUERY}:id"), {"id": 1})
                return await connection.scalar(text(KEPT))
        finally:
            await made.dispose()

    assert asyncio.run(run()) == settings.prepared


@pytest.mark.parametrize("settings", SETTINGS, ids=["on", "off"])
def test_psycopgs_own_pool_prepares_where_it_is_asked_to(
    settings: ConnectSettings, shop: PostgresURL
) -> None:
    with connection_pool(endpoint_of(shop, settings=settings)) as pool:
        with pool.connection() as connection:
            for _ in range(8):
                connection.execute(f"{QUERY}%s", (1,))
                connection.commit()
            row = connection.execute(KEPT).fetchone()
    assert row == (settings.prepared,)


def test_not_on_direct_nor_where_the_user_says_otherwise(shop: PostgresURL) -> None:
    pooled = endpoint_of(shop, settings=ON)
    direct = Endpoint(pooled.current, direct=True, settings=ON)

    def arguments(endpoint: Endpoint, **options: Any) -> Any:
        found = engine_options(endpoint, driver="psycopg", environ={}, options=options)
        return found["connect_args"]

    assert arguments(pooled) == {"prepare_threshold": 5}
    assert arguments(direct) == {"prepare_threshold": None}
    own = {"connect_args": {"prepare_threshold": 0}}
    assert arguments(pooled, **own) == own["connect_args"]


def test_drivers_that_cannot(shop: PostgresURL, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match="psycopg2 cannot prepare"):
        engine(endpoint_of(shop, settings=ON), driver="psycopg2", options={})
    engine(endpoint_of(shop), driver="psycopg2", options={})
    monkeypatch.setattr(psycopg.capabilities, "has_send_close_prepared", lambda: False)
    with pytest.raises(ConfigurationError, match="libpq of PostgreSQL 17"):
        engine(endpoint_of(shop, settings=ON), driver="psycopg", options={})
    monkeypatch.delattr(psycopg, "capabilities")  # before psycopg 3.2
    with pytest.raises(ConfigurationError, match="libpq of PostgreSQL 17"):
        preparing.check("psycopg")
    engine(endpoint_of(shop), driver="psycopg", options={})


def test_why_it_is_off_by_default(
    shop: PostgresURL, generated: Generated, servers: LocalServers
) -> None:
    """A migration that makes a column longer breaks what was prepared, and nothing else."""
    found = servers.status().pooler
    assert found is not None
    is_kept = tuple(map(int, found.version.split(".")[:2])) >= (1, 21)
    urls = [generated.pooled, shop] if is_kept else [shop]
    for length, url in enumerate(urls, 51):
        engines = {
            settings.prepared: engine(
                endpoint_of(url, settings=settings),
                driver="psycopg",
                options={"isolation_level": "AUTOCOMMIT"},
            )
            for settings in SETTINGS
        }

        def read(made: sqlalchemy.Engine, times: int = 8) -> None:
            with made.connect() as connection:
                for _ in range(times):
                    connection.execute(text(f"{QUERY}:id"), {"id": 1}).one()

        for made in engines.values():
            read(made)
        with psycopg.connect(**shop.libpq(), autocommit=True) as admin:
            admin.execute(f"ALTER TABLE shop ALTER name TYPE varchar({length})")
        with pytest.raises(sqlalchemy.exc.NotSupportedError, match="cached plan must not change"):
            read(engines[True])
        read(engines[False])
        engines[True].dispose()
        if url is generated.pooled:  # a new client fails too: all share what the pooler prepared
            with pytest.raises(sqlalchemy.exc.NotSupportedError, match="cached plan"):
                read(engines[True])
            engines[True].dispose()
            with servers.connect() as admin:  # as PgBouncer's RECONNECT does
                admin.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = %s AND state = 'idle'",
                    (shop.dbname,),
                )
            engines[False].dispose()
        read(engines[True])
        for made in engines.values():
            made.dispose()


# ---------------------------------------------------------------- time limits


def limits(fileno: int) -> dict[str, int]:
    """What the kernel knows of a connection's patience; its socket is looked at, not the keywords."""
    names = {
        "keepalives": (socket.SOL_SOCKET, socket.SO_KEEPALIVE),
        "idle": (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE),
        "interval": (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL),
        "count": (socket.IPPROTO_TCP, socket.TCP_KEEPCNT),
        "user": (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT),
    }
    with socket.fromfd(fileno, socket.AF_INET, socket.SOCK_STREAM) as held:
        return {name: held.getsockopt(*option) for name, option in names.items()}


USUAL = {"keepalives": 1, "idle": 30, "interval": 10, "count": 3}


def of_engine(endpoint: Endpoint, driver: str, **options: Any) -> dict[str, int]:
    made = engine(endpoint, driver=driver, options=options)
    try:
        with made.connect() as connection:
            return limits(connection.connection.driver_connection.fileno())
    finally:
        made.dispose()


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])
def test_a_server_that_vanishes_is_noticed_within_a_minute(
    driver: str, generated: Generated
) -> None:
    endpoint = endpoint_of(generated.pooled, generated.direct)
    assert of_engine(endpoint, driver) == {**USUAL, "user": 60_000}
    direct = Endpoint(endpoint.current, direct=True)
    assert of_engine(direct, driver) == {**USUAL, "user": 0}
    diverted = Endpoint(endpoint.current, diverted=lambda: True)
    assert of_engine(diverted, driver) == {**USUAL, "user": 0}


def test_what_the_user_says_wins(generated: Generated) -> None:
    params = {**generated.pooled.params, "keepalives_idle": "7", "tcp_user_timeout": "9000"}
    endpoint = endpoint_of(generated.pooled.replace(params=params))
    assert of_engine(endpoint, "psycopg") == {**USUAL, "idle": 7, "user": 9000}
    own = {"keepalives_idle": 8}
    assert of_engine(endpoint, "psycopg", connect_args=own)["idle"] == 8
    assert of_engine(endpoint, "psycopg2", connect_args={"keepalives": 0})["keepalives"] == 0


def test_psycopgs_own_pool_has_them_too(generated: Generated) -> None:
    endpoint = endpoint_of(generated.pooled, generated.direct)
    with connection_pool(endpoint) as pool, pool.connection() as connection:
        assert limits(connection.fileno()) == {**USUAL, "user": 60_000}
    direct = Endpoint(endpoint.current, direct=True)
    with connection_pool(direct) as pool, pool.connection() as connection:
        assert limits(connection.fileno()) == {**USUAL, "user": 0}
