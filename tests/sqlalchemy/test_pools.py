"""psycopg's own pool."""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import psycopg_pool
import pytest

from ppg_integrations import pools
from ppg_integrations.current import follow
from ppg_integrations.endpoint import Endpoint
from ppg_integrations.errors import DriverError, MissingDirectURLError, MissingURLError
from ppg_integrations.pools import async_connection_pool, connection_pool
from ppg_integrations.providers.base import Generated
from ppg_integrations.providers.local.servers import LocalServers
from ppg_integrations.urls import PostgresURL
from tests.support.poolers import Pooler

from .conftest import endpoint_of, write_env


def who(pool: psycopg_pool.ConnectionPool[Any]) -> str:
    with pool.connection() as connection:
        return connection.execute("SELECT session_user").fetchone()[0]


async def who_async(pool: psycopg_pool.AsyncConnectionPool[Any]) -> str:
    async with pool.connection() as connection:
        return (await (await connection.execute("SELECT session_user")).fetchone())[0]


@pytest.fixture
def fresh_classes() -> Iterator[None]:
    pools._classes.cache_clear()
    yield
    pools._classes.cache_clear()


def test_it_opens_itself_and_keeps_what_it_opened(endpoint: Endpoint, logins) -> None:
    pool = connection_pool(endpoint)
    assert pool.closed
    for _ in range(3):
        assert who(pool) == endpoint.current.pair.pooled.user
    assert logins() == (1, 0)
    pool.close()
    with pytest.raises(psycopg_pool.PoolClosed):
        who(pool)


def test_the_direct_endpoint(endpoint: Endpoint, logins) -> None:
    with connection_pool(Endpoint(endpoint.current, direct=True)) as pool:
        who(pool)
    assert logins() == (0, 1)


def test_four_threads_commit_through_a_forgetful_pooler(
    forgetful: Pooler, generated: Generated
) -> None:
    faults: list[psycopg.Error] = []

    def commit(pool: psycopg_pool.ConnectionPool[Any]) -> None:
        for _ in range(10):
            try:
                with pool.connection() as connection:
                    for _ in range(10):
                        connection.execute("SELECT %s", (1,))
                        connection.commit()
            except psycopg.Error as fault:
                faults.append(fault)

    def run(**options: Any) -> None:
        endpoint = endpoint_of(forgetful.url(generated.pooled))
        with connection_pool(endpoint, **options) as pool:
            threads = [threading.Thread(target=commit, args=(pool,)) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

    run()
    assert faults == []
    run(kwargs={"prepare_threshold": 5})  # psycopg's own: the test is able to fail
    assert faults


def test_a_rotated_pair_is_used_by_the_next_new_connection(
    env_file: Path, generated: Generated, servers: LocalServers
) -> None:
    with connection_pool(Endpoint(follow(env_file=env_file, environ={}))) as pool:
        assert who(pool) == generated.pooled.user
        successor = servers.generate("successor", database=generated.pooled.database)
        write_env(env_file, successor)
        with pool.connection() as first:
            assert first.info.user == generated.pooled.user
            assert who(pool) == successor.pooled.user


@pytest.mark.parametrize("asynchronous", [False, True])
def test_without_a_pair_it_says_so_at_once_until_there_is_one(
    asynchronous: bool, tmp_path: Path, generated: Generated
) -> None:
    path = tmp_path / ".env"
    endpoint = Endpoint(follow(env_file=path, environ={}))

    def run() -> None:
        with connection_pool(endpoint) as pool:
            for _ in range(2):
                with pytest.raises(MissingURLError):
                    who(pool)
            write_env(path, generated)
            assert who(pool) == generated.pooled.user

    async def run_async() -> None:
        async with async_connection_pool(endpoint) as pool:
            for _ in range(2):
                with pytest.raises(MissingURLError):
                    await who_async(pool)
            write_env(path, generated)
            assert await who_async(pool) == generated.pooled.user

    if asynchronous:
        asyncio.run(run_async())
    else:
        run()


def test_without_a_direct_url_it_says_so_at_once(generated: Generated) -> None:
    endpoint = Endpoint(endpoint_of(generated.pooled).current, direct=True)
    with connection_pool(endpoint, timeout=0.5) as pool, pytest.raises(MissingDirectURLError):
        who(pool)

    async def run() -> None:
        async with async_connection_pool(endpoint, timeout=0.5) as pool:
            with pytest.raises(MissingDirectURLError):
                await who_async(pool)

    asyncio.run(run())


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_connection_that_died_while_idle_is_not_given_away(
    asynchronous: bool, endpoint: Endpoint, servers: LocalServers
) -> None:
    database, endpoint = (
        endpoint.current.pair.pooled.database,
        Endpoint(endpoint.current, direct=True),
    )

    def end() -> None:
        with servers.connect() as connection:
            ended = connection.fetch(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s",
                (database,),
            )
        assert ended == [(True,)]

    async def run() -> None:
        async with async_connection_pool(endpoint) as pool:
            await who_async(pool)
            await asyncio.to_thread(end)
            await who_async(pool)

    if asynchronous:
        asyncio.run(run())
        return
    with connection_pool(endpoint) as pool:
        who(pool)
        end()
        who(pool)


@pytest.mark.parametrize("asynchronous", [False, True])
def test_startup_options_from_a_function_are_refused(
    asynchronous: bool, endpoint: Endpoint
) -> None:
    def given() -> dict[str, Any]:
        return {"options": "-c geqo=off"}

    async def run() -> None:
        async with async_connection_pool(endpoint, kwargs=given, timeout=0.3) as pool:
            await who_async(pool)

    with pytest.raises(psycopg_pool.PoolTimeout) as caught:
        if asynchronous:
            asyncio.run(run())
        else:
            with connection_pool(endpoint, kwargs=given, timeout=0.3) as pool:
                who(pool)
    assert 'startup options for the pooled URL (geqo, from kwargs["options"])' in str(caught.value)
    assert "a pool with direct=True" in str(caught.value)
    direct = Endpoint(endpoint.current, direct=True)
    with connection_pool(direct, kwargs=given) as pool, pool.connection() as connection:
        assert connection.execute("SHOW geqo").fetchone() == ("off",)


def test_who_waits_in_vain_is_told_why(
    generated: Generated, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    wrong = generated.pooled.replace(password="wrong-horse-battery")
    shown = []
    with connection_pool(endpoint_of(wrong), timeout=0.3) as pool:
        with pytest.raises(psycopg_pool.PoolTimeout, match="authentication failed") as caught:
            who(pool)
        shown += [repr(pool), *traceback.format_exception(caught.value)]

    async def run() -> None:
        async with async_connection_pool(endpoint_of(wrong), timeout=0.3) as pool:
            with pytest.raises(psycopg_pool.PoolTimeout, match="authentication failed"):
                await who_async(pool)
            shown.append(repr(pool))

    asyncio.run(run())
    assert "error connecting" in caplog.text
    assert "wrong-horse-battery" not in "\n".join((*shown, caplog.text))


def test_a_pool_that_is_full_says_that_alone(endpoint: Endpoint) -> None:
    with connection_pool(endpoint, max_size=1, timeout=0.1) as pool, pool.connection():
        with pytest.raises(psycopg_pool.PoolTimeout) as caught:
            who(pool)
    assert str(caught.value) == "couldn't get a connection after 0.10 sec"


@pytest.mark.parametrize("function", [False, True])
def test_the_users_options_win(function: bool, generated: Generated) -> None:
    own = {"application_name": "from-user", "autocommit": True}
    url = generated.pooled.replace(params={"sslmode": "require", "application_name": "from-url"})
    given: Any = (lambda: own) if function else own
    with connection_pool(endpoint_of(url), kwargs=given, min_size=1, name="shop") as pool:
        assert (pool.name, pool.min_size, pool.max_size) == ("shop", 1, 10)
        with pool.connection() as connection:
            assert connection.autocommit
            assert connection.prepare_threshold is None
            assert connection.execute("SHOW application_name").fetchone() == ("from-user",)


@pytest.mark.parametrize("kind", ["dictionary", "function", "coroutine function"])
def test_in_an_event_loop(kind: str, endpoint: Endpoint, logins) -> None:
    own = {"autocommit": True}

    async def coroutine() -> dict[str, Any]:
        return own

    given: Any = {"dictionary": own, "function": lambda: own}.get(kind, coroutine)
    pool = async_connection_pool(endpoint, kwargs=given)  # before there is a loop

    async def run() -> None:
        async with pool.connection() as connection:
            assert connection.autocommit
            assert connection.prepare_threshold is None
        await asyncio.gather(*(who_async(pool) for _ in range(8)))
        await pool.close()

    asyncio.run(run())
    pooled, direct = logins()
    assert 1 <= pooled <= 10
    assert direct == 0


@pytest.mark.usefixtures("fresh_classes")
def test_psycopg_pool_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    url = PostgresURL.parse("postgresql://u:p@h/d")
    monkeypatch.setitem(sys.modules, "psycopg_pool", None)
    for make in (connection_pool, async_connection_pool):
        with pytest.raises(DriverError, match="psycopg_pool") as caught:
            make(endpoint_of(url))
        assert "psycopg-pool>=3.3" in caught.value.hint


@pytest.mark.usefixtures("fresh_classes")
def test_psycopg_pool_is_too_old(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psycopg_pool, "__version__", "3.2.6")
    with pytest.raises(DriverError, match=r"3\.2\.6 is too old"):
        connection_pool(endpoint_of(PostgresURL.parse("postgresql://u:p@h/d")))
