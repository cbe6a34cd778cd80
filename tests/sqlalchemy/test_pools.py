"""psycopg's own pool."""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import psycopg_pool
import pytest

from ppg_integrations import liveness, pools
from ppg_integrations.connect_settings import ConnectSettings
from ppg_integrations.current import follow
from ppg_integrations.endpoint import Endpoint
from ppg_integrations.errors import (
    ConfigurationError,
    DriverError,
    MissingDirectURLError,
    MissingURLError,
)
from ppg_integrations.pools import async_connection_pool, connection_pool
from ppg_integrations.poolstate import PoolState, Wait
from ppg_integrations.providers.base import Generated
from ppg_integrations.providers.local.servers import LocalServers
from ppg_integrations.urls import PostgresURL
from tests.support.poolers import Pooler
from tests.support.refusing import Refusing
from tests.support.tcp_proxy import TCPProxy

from .conftest import endpoint_of, pair_of, write_env


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


def test_a_rotated_pair_is_used_by_the_next_request(
    env_file: Path, generated: Generated, servers: LocalServers
) -> None:
    with connection_pool(Endpoint(follow(env_file=env_file, environ={})), min_size=2) as pool:
        pool.wait(10)
        with pool.connection() as first:
            assert first.info.user == generated.pooled.user
            successor = servers.generate("successor", database=generated.pooled.database)
            write_env(env_file, successor)
            for _ in range(3):
                assert who(pool) == successor.pooled.user
            # What is in use goes on, and goes when it comes back.
            assert first.execute("SELECT session_user").fetchone() == (generated.pooled.user,)
        for _ in range(3):
            assert who(pool) == successor.pooled.user


@pytest.mark.parametrize(("check", "asynchronous"), [("ours", False), ("none", True)])
def test_connections_of_a_role_that_was_dropped_meanwhile_fail_nobody(
    check: str, asynchronous: bool, env_file: Path, generated: Generated, servers: LocalServers
) -> None:
    endpoint = Endpoint(follow(env_file=env_file, environ={}))
    options: dict[str, Any] = {"min_size": 4, **({"check": None} if check == "none" else {})}
    users = []

    def rotate() -> str:
        successor = servers.generate("successor", database=generated.pooled.database)
        write_env(env_file, successor)
        servers.revoke(generated.pooled.user)
        return successor.pooled.user

    def run() -> str:
        with connection_pool(endpoint, **options) as pool:
            pool.wait(10)
            user = rotate()
            users.extend(who(pool) for _ in range(5))
        return user

    async def run_async() -> str:
        async with async_connection_pool(endpoint, **options) as pool:
            await pool.wait(10)
            user = await asyncio.to_thread(rotate)
            users.extend(await asyncio.gather(*(who_async(pool) for _ in range(5))))
        return user

    user = asyncio.run(run_async()) if asynchronous else run()
    assert users == [user] * 5


def test_one_that_was_opened_with_a_pair_of_a_moment_ago_is_closed(
    endpoint: Endpoint, generated: Generated, servers: LocalServers
) -> None:
    """The pair may move while a connection is being opened: emptying the pool misses that one."""
    with connection_pool(endpoint) as pool:
        who(pool)
        successor = servers.generate("successor", database=generated.pooled.database)
        endpoint.current.override(pair_of(successor.pooled))
        pool._state._pair = endpoint.current.pair
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


@pytest.fixture
def proxy(forgetful: Pooler, generated: Generated) -> Iterator[TCPProxy]:
    with TCPProxy((generated.pooled.host, forgetful.port)) as found:
        yield found


@pytest.mark.parametrize("asynchronous", [False, True])
def test_what_was_used_a_moment_ago_costs_no_round_trip(
    asynchronous: bool, generated: Generated, proxy: TCPProxy
) -> None:
    url = generated.pooled.replace(port=proxy.port)
    endpoint = endpoint_of(url, settings=ConnectSettings(alive_window=3600.0))

    async def run() -> None:
        async with async_connection_pool(endpoint, timeout=1.0) as pool:
            await who_async(pool)
            proxy.freeze()  # an answer would never come
            for _ in range(3):
                async with pool.connection():
                    pass

    if asynchronous:
        asyncio.run(run())
    else:
        with connection_pool(endpoint, timeout=1.0) as pool:
            who(pool)
            proxy.freeze()
            for _ in range(3):
                with pool.connection():
                    pass
    assert proxy.accepted == 1


@pytest.mark.parametrize("window", [0.0, 3600.0])
@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_pooler_that_restarts_costs_nobody_a_pause(
    asynchronous: bool, window: float, generated: Generated, proxy: TCPProxy
) -> None:
    """psycopg's pool waits a second after the second dead one, two after the third and so on."""
    url = generated.pooled.replace(port=proxy.port)
    endpoint = endpoint_of(url, settings=ConnectSettings(alive_window=window))

    async def run() -> None:
        async with async_connection_pool(endpoint, min_size=5) as pool:
            await pool.wait(10)
            proxy.cut()
            await asyncio.sleep(0.01)
            await asyncio.gather(*(who_async(pool) for _ in range(5)))

    began = time.monotonic()
    if asynchronous:
        asyncio.run(run())
    else:
        with connection_pool(endpoint, min_size=5) as pool:
            pool.wait(10)
            proxy.cut()
            for _ in range(5):
                who(pool)
    assert time.monotonic() - began < 3


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_connection_that_fell_silent_is_given_up(
    asynchronous: bool, generated: Generated, proxy: TCPProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(liveness, "ANSWER", 0.4)
    url = generated.pooled.replace(port=proxy.port)
    endpoint = endpoint_of(url, settings=ConnectSettings(alive_window=0.0))
    thaw = threading.Timer(0.2, proxy._frozen.clear)  # for new ones: the ping is lost by then

    def fall_silent() -> None:
        proxy.freeze()
        thaw.start()

    async def run() -> None:
        async with async_connection_pool(endpoint) as pool:
            await who_async(pool)
            fall_silent()
            assert await who_async(pool) == url.user

    if asynchronous:
        asyncio.run(run())
    else:
        with connection_pool(endpoint) as pool:
            who(pool)
            fall_silent()
            assert who(pool) == url.user
    assert proxy.accepted > 1
    thaw.join()


def test_a_check_of_the_users_is_the_only_one(endpoint: Endpoint) -> None:
    endpoint.settings = ConnectSettings(alive_window=0.0)
    checked: list[object] = []
    with connection_pool(endpoint, check=checked.append) as pool:
        pool.check_connection = lambda _conn: pytest.fail("ours is one, too")
        for _ in range(2):
            who(pool)
    assert len(checked) == 2


@pytest.mark.parametrize("asynchronous", [False, True])
def test_startup_options_from_a_function_are_refused(
    asynchronous: bool, endpoint: Endpoint
) -> None:
    def given() -> dict[str, Any]:
        return {"options": "-c geqo=off"}

    async def run() -> None:
        async with async_connection_pool(endpoint, kwargs=given, timeout=0.3) as pool:
            await who_async(pool)

    with pytest.raises(ConfigurationError) as caught:
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


def test_a_refusal_that_does_not_pass_is_told_at_once(
    generated: Generated, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    wrong = generated.pooled.replace(password="wrong-horse-battery")
    shown = []
    began = time.monotonic()
    with connection_pool(endpoint_of(wrong)) as pool:
        for _ in range(2):
            with pytest.raises(psycopg.OperationalError, match="authentication failed") as caught:
                who(pool)
        assert "is from the argument pooled. Copy the URL again" in str(caught.value)
        shown += [repr(pool), *traceback.format_exception(caught.value)]

    async def run() -> None:
        async with async_connection_pool(endpoint_of(wrong)) as pool:
            with pytest.raises(psycopg.OperationalError, match="authentication failed"):
                await who_async(pool)
            shown.append(repr(pool))

    asyncio.run(run())
    assert time.monotonic() - began < 5
    assert "error connecting" in caplog.text
    assert "wrong-horse-battery" not in "\n".join((*shown, caplog.text))


@pytest.mark.parametrize("asynchronous", [False, True])
def test_who_waits_in_vain_is_told_why(asynchronous: bool) -> None:
    async def run() -> None:
        async with async_connection_pool(endpoint, timeout=0.6) as pool:
            await who_async(pool)

    with Refusing([("57P03", "the database system is starting up")]) as server:
        url = PostgresURL.parse(f"postgresql://ada:opensesame@127.0.0.1:{server.port}/shop")
        endpoint = endpoint_of(url)
        with pytest.raises(psycopg_pool.PoolTimeout) as caught:
            if asynchronous:
                asyncio.run(run())
            else:
                with connection_pool(endpoint, timeout=0.6) as pool:
                    who(pool)
    said = str(caught.value)
    assert said.startswith("couldn't get a connection after 0.60 sec: FATAL: the database system")
    assert "is from the argument pooled. The server is starting" in said


@pytest.mark.parametrize("asynchronous", [False, True])
def test_who_waits_for_a_silent_server_is_told_for_which(asynchronous: bool) -> None:
    # It hangs up in the end: a pool that is closed waits for its attempts.
    async def run() -> None:
        pool = async_connection_pool(endpoint, timeout=0.5)
        with server, pytest.raises(psycopg_pool.PoolTimeout) as caught:
            await who_async(pool)
        await pool.close()
        raise caught.value

    server = Refusing(["silence"])
    url = PostgresURL.parse(f"postgresql://ada:opensesame@127.0.0.1:{server.port}/shop")
    endpoint = endpoint_of(url)
    with pytest.raises(psycopg_pool.PoolTimeout) as caught:
        if asynchronous:
            asyncio.run(run())
        else:
            pool = connection_pool(endpoint, timeout=0.5)
            with server, pytest.raises(psycopg_pool.PoolTimeout) as inner:
                who(pool)
            pool.close()
            raise inner.value
    assert str(caught.value).startswith(
        f"couldn't get a connection after 0.50 sec: 127.0.0.1:{server.port}, which is from the "
        "argument pooled, has not answered yet. The address does not answer: a firewall"
    )


@pytest.mark.parametrize("asynchronous", [False, True])
def test_without_a_deadline_a_failure_that_passes_is_told_at_once(
    asynchronous: bool, generated: Generated, forgetful: Pooler
) -> None:
    """psycopg's pool makes two attempts, which is its least."""

    async def run() -> None:
        async with async_connection_pool(endpoint) as pool:
            with pytest.raises(psycopg.OperationalError, match="The server is starting"):
                await who_async(pool)
            assert await who_async(pool) == generated.pooled.user

    script = [("57P03", "the database system is starting up")] * 2
    with Refusing(script, (generated.pooled.host, forgetful.port)) as server:
        url = generated.pooled.replace(port=server.port, params={"sslmode": "disable"})
        endpoint = endpoint_of(url, settings=ConnectSettings(connect_deadline=0))
        began = time.monotonic()
        if asynchronous:
            asyncio.run(run())
        else:
            with connection_pool(endpoint) as pool:
                with pytest.raises(psycopg.OperationalError, match="The server is starting"):
                    who(pool)
                assert who(pool) == generated.pooled.user
        assert time.monotonic() - began < 3
        assert server.accepted == 3


def test_without_a_deadline_a_failure_of_before_is_not_told_again(generated: Generated) -> None:
    endpoint = endpoint_of(generated.pooled, settings=ConnectSettings(connect_deadline=0))
    state = PoolState(endpoint)
    before = Wait(state, 10.0, None, 0.0)
    fault = psycopg.OperationalError("the database system is starting up")
    state.failed(fault, endpoint.current.pair)
    after = Wait(state, 10.0, None, 0.0)
    after.again(psycopg_pool.PoolTimeout())
    with pytest.raises(psycopg.OperationalError, match="is starting up"):
        before.again(psycopg_pool.PoolTimeout())


def test_a_server_that_is_not_ready_yet_is_waited_for(
    forgetful: Pooler, generated: Generated
) -> None:
    with Refusing(["hang-up"], (generated.pooled.host, forgetful.port)) as server:
        url = generated.pooled.replace(port=server.port, params={"sslmode": "disable"})
        with connection_pool(endpoint_of(url)) as pool:
            assert who(pool) == url.user


def test_it_waits_longer_where_a_connection_has_to_be_opened(endpoint: Endpoint) -> None:
    state = PoolState(endpoint)
    assert Wait(state, 10.0, None, 20.0)._limit(empty=True) == 20.0
    assert Wait(state, 10.0, None, 20.0)._limit(empty=False) == 10.0
    assert Wait(state, 10.0, 3.0, 20.0)._limit(empty=True) == 3.0


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
