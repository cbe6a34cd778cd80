"""Connections that were idle: which are tested, which are not, and what becomes of dead ones."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
from sqlalchemy import event, text
from sqlalchemy.exc import DBAPIError

from ppg_integrations import liveness
from ppg_integrations.connect_settings import ConnectSettings
from ppg_integrations.current import CurrentPair, follow
from ppg_integrations.endpoint import Endpoint
from ppg_integrations.providers.base import Generated
from ppg_integrations.providers.local.servers import LocalServers
from ppg_integrations.sqlalchemy import loops
from ppg_integrations.sqlalchemy.engines import async_engine, engine
from ppg_integrations.urls import PostgresURL
from tests.support.poolers import Pooler
from tests.support.tcp_proxy import TCPProxy

from .conftest import ASYNC, SYNC, endpoint_of, pair_of, who, who_async, write_env

COUNT = 3
ALWAYS = ConnectSettings(alive_window=0.0)
NEVER = ConnectSettings(alive_window=3600.0)


@pytest.fixture
def proxy(forgetful: Pooler, generated: Generated) -> Iterator[TCPProxy]:
    with TCPProxy((generated.pooled.host, forgetful.port)) as found:
        yield found


@pytest.fixture
def url(generated: Generated, proxy: TCPProxy) -> PostgresURL:
    return generated.pooled.replace(port=proxy.port)


def idle(made: sqlalchemy.Engine, count: int = COUNT) -> None:
    for connection in [made.connect() for _ in range(count)]:
        connection.scalar(text("SELECT 1"))
        connection.close()


def all_answer(made: sqlalchemy.Engine, count: int = COUNT) -> None:
    for connection in [made.connect() for _ in range(count)]:
        assert connection.scalar(text("SELECT 1")) == 1
        connection.close()


def counted(made: Any) -> list[object]:
    """The pings of an engine from now on."""
    dialect = getattr(made, "sync_engine", made).dialect
    pings: list[object] = []
    own = dialect.do_ping

    def do_ping(connection: object) -> bool:
        pings.append(connection)
        return own(connection)

    dialect.do_ping = do_ping
    return pings


# ---------------------------------------------------------------- which are tested


@pytest.mark.parametrize("driver", SYNC)
def test_what_was_used_a_moment_ago_costs_no_round_trip(
    driver: str, url: PostgresURL, proxy: TCPProxy
) -> None:
    made = engine(endpoint_of(url, settings=NEVER), driver=driver, options={})
    idle(made, 1)
    proxy.freeze()  # an answer would never come
    for _ in range(3):
        with made.connect():
            pass
    assert proxy.accepted == 1
    made.dispose()


@pytest.mark.parametrize("driver", ASYNC)
def test_the_same_in_an_event_loop(driver: str, url: PostgresURL, proxy: TCPProxy) -> None:
    made = async_engine(endpoint_of(url, settings=NEVER), driver=driver, options={})

    async def run() -> None:
        async with made.connect() as connection:
            await connection.scalar(text("SELECT 1"))
        for _ in range(3):
            async with made.connect():
                pass
        assert proxy.accepted == 1
        await made.dispose()

    asyncio.run(run())


@pytest.mark.parametrize(
    ("window", "options", "expected"),
    [
        (0.0, {}, 2),
        (3600.0, {}, 0),
        (0.0, {"pool_pre_ping": False}, 0),
        (3600.0, {"pool_pre_ping": True}, 2),
        (0.0, {"pool_pre_ping": True}, 2),
        (0.0, {"poolclass": sqlalchemy.NullPool}, 0),
        (0.0, {"poolclass": sqlalchemy.StaticPool}, 2),
        (0.0, {"poolclass": sqlalchemy.SingletonThreadPool}, 2),
    ],
    ids=str,
)
def test_who_is_asked_how_often(
    window: float, options: dict[str, object], expected: int, endpoint: Endpoint
) -> None:
    endpoint.settings = ConnectSettings(alive_window=window)
    made = engine(endpoint, driver="psycopg", options=options)
    pings = counted(made)
    for _ in range(3):
        who(made)
    assert len(pings) == expected
    made.dispose()


def test_a_pool_of_the_users_is_left_alone(endpoint: Endpoint, generated: Generated) -> None:
    import psycopg

    endpoint.settings = ALWAYS
    own = sqlalchemy.QueuePool(lambda: psycopg.connect(**generated.pooled.libpq()))
    made = engine(endpoint, driver="psycopg", options={"pool": own})
    pings = counted(made)
    for _ in range(3):
        who(made)
    assert pings == []
    made.dispose()


def test_a_pool_that_keeps_nothing_is_not_even_listened_to(endpoint: Endpoint) -> None:
    made = engine(Endpoint(endpoint.current, direct=True), driver="psycopg", options={})
    assert not made.pool.dispatch.checkout.listeners
    assert not made.pool.dispatch.checkin.listeners  # its own: all pools may have one


MAKERS = [(engine, name) for name in SYNC] + [(async_engine, name) for name in ASYNC]


@pytest.mark.parametrize(("make", "driver"), MAKERS)
def test_a_healthy_one_is_asked_and_used_again(
    make: Any, driver: str, url: PostgresURL, proxy: TCPProxy, transactions
) -> None:
    made = make(endpoint_of(url, settings=ALWAYS), driver=driver, options={})
    sync = getattr(made, "sync_engine", made)

    def work(connection: sqlalchemy.Connection) -> None:
        assert transactions() == []  # the test is over
        assert connection.scalar(text("SELECT 1")) == 1

    async def run() -> None:
        for _ in range(4):
            async with made.connect() as connection:
                await connection.run_sync(work)
        await made.dispose()

    if make is async_engine:
        asyncio.run(run())
    else:
        for _ in range(4):
            with sync.connect() as connection:
                work(connection)
        made.dispose()
    assert proxy.accepted == 1


@pytest.mark.parametrize(("make", "driver"), MAKERS)
def test_whatever_a_test_raises_another_connection_is_opened(
    make: Any, driver: str, url: PostgresURL, proxy: TCPProxy, monkeypatch, caplog
) -> None:
    def broken(*_: object) -> None:
        raise AttributeError("'NoneType' object has no attribute 'decode'")

    made = make(endpoint_of(url, settings=ALWAYS), driver=driver, options={})
    if driver == "asyncpg":
        monkeypatch.setattr(loops, "ping", broken)
    else:
        monkeypatch.setattr(getattr(made, "sync_engine", made).dialect, "do_ping", broken)

    async def run() -> None:
        for _ in range(2):
            await who_async(made)
        await made.dispose()

    if make is async_engine:
        asyncio.run(run())
    else:
        for _ in range(2):
            who(made)
        made.dispose()
    assert proxy.accepted == 2
    assert caplog.messages == ["the test of an idle connection raised AttributeError"]


# ---------------------------------------------------------------- dead ones


@pytest.mark.parametrize("driver", SYNC)
def test_what_died_within_the_window_is_noticed(
    driver: str, url: PostgresURL, proxy: TCPProxy
) -> None:
    made = engine(endpoint_of(url, settings=NEVER), driver=driver, options={})
    faulty = engine(endpoint_of(url), driver=driver, options={"pool_pre_ping": False})
    for reset in (False, True):
        for each in (made, faulty):
            idle(each)
        proxy.cut(reset=reset)
        until = time.monotonic() + 5
        while proxy._links and time.monotonic() < until:  # a reset takes its threads a moment
            time.sleep(0.01)
        all_answer(made)
        with pytest.raises(DBAPIError):
            all_answer(faulty)
    for each in (made, faulty):
        each.dispose()


@pytest.mark.parametrize("driver", SYNC)
def test_one_silent_connection_costs_one_wait_for_all(
    driver: str, url: PostgresURL, proxy: TCPProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A firewall has forgotten it: neither an answer nor an end comes."""
    monkeypatch.setattr(liveness, "ANSWER", 0.4)
    made = engine(endpoint_of(url, settings=ALWAYS), driver=driver, options={})
    idle(made)
    proxy.freeze()
    thaw = threading.Timer(0.2, proxy._frozen.clear)  # for new ones: the ping is lost by then
    thaw.start()
    began = time.monotonic()
    all_answer(made)
    assert 0.35 < time.monotonic() - began < 0.8 + 0.4
    assert proxy.accepted == 2 * COUNT
    thaw.join()
    made.dispose()


@pytest.mark.parametrize("driver", ASYNC)
def test_a_silent_one_in_an_event_loop(
    driver: str, url: PostgresURL, proxy: TCPProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(liveness, "ANSWER", 0.4)
    # Without TLS: the transport of asyncio on Python 3.10 complains when the other end hangs up.
    url = url.replace(params={"sslmode": "disable"})
    made = async_engine(endpoint_of(url, settings=ALWAYS), driver=driver, options={})

    async def run() -> None:
        async with made.connect() as connection:
            await connection.scalar(text("SELECT 1"))
        proxy.freeze()
        asyncio.get_running_loop().call_later(0.2, proxy._frozen.clear)
        began = time.monotonic()
        async with made.connect() as connection:
            assert await connection.scalar(text("SELECT 1")) == 1
        assert 0.35 < time.monotonic() - began < 1.5
        await made.dispose()

    asyncio.run(run())


@pytest.mark.parametrize("died", [True, False], ids=["dead", "outdated"])
def test_asyncpg_waits_for_no_answer_to_its_goodbye(
    died: bool, url: PostgresURL, proxy: TCPProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Closing politely takes two seconds for each of them."""
    monkeypatch.setattr(liveness, "ANSWER", 0.3)
    url = url.replace(params={"sslmode": "disable"})
    current = CurrentPair(lambda: pair_of(url), env_file=None)
    settings = ALWAYS if died else NEVER
    made = async_engine(Endpoint(current, settings=settings), driver="asyncpg", options={})

    async def run() -> float:
        opened = [await made.connect() for _ in range(COUNT)]
        for each in opened:
            await each.scalar(text("SELECT 1"))
        for each in opened:
            await each.close()
        proxy.freeze()
        event.listen(made.sync_engine, "do_connect", elsewhere)
        if not died:
            current.override(pair_of(url.replace(password="another")))
        began = time.monotonic()
        again = [await made.connect() for _ in range(COUNT)]
        taken = time.monotonic() - began
        for each in again:
            assert await each.scalar(text("SELECT 1")) == 1
            await each.close()
        await made.dispose()
        return taken

    def elsewhere(_dialect: object, _record: object, _args: object, keywords: Any) -> None:
        keywords.update(port=straight.port, password=url.password.reveal())

    with TCPProxy(proxy.target) as straight:
        assert asyncio.run(run()) < 1.5


def test_a_pooler_that_restarts_costs_four_threads_nothing(
    url: PostgresURL, proxy: TCPProxy
) -> None:
    who(engine(endpoint_of(url), options={"poolclass": sqlalchemy.NullPool}))  # it is known to work
    # Threads that hold a connection each are more than the pooler has servers.
    options = {"isolation_level": "AUTOCOMMIT"}
    made = engine(endpoint_of(url, settings=NEVER), driver="psycopg", options=options)
    faults: list[BaseException] = []
    together = threading.Barrier(5, timeout=10)
    rounds = 3

    def work() -> None:
        try:
            for _ in range(rounds):
                together.wait()
                with made.connect() as connection:
                    assert connection.scalar(text("SELECT 1")) == 1
                    together.wait()  # so that each has a connection of its own
                together.wait()
        except BaseException as fault:
            faults.append(fault)
            together.abort()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(rounds):
        proxy.refuse()
        proxy.cut()
        up = threading.Timer(0.3, proxy.listen)
        up.start()
        for _ in range(3):
            together.wait()
        up.join()
    for thread in threads:
        thread.join(10)
    assert faults == []
    assert proxy.accepted == 4 * rounds + 1
    made.dispose()


# ---------------------------------------------------------------- another pair


@pytest.mark.parametrize(
    "options", [{}, {"pool_pre_ping": False}, {"pool_pre_ping": True}], ids=str
)
def test_another_pair_counts_however_it_is_tested(
    options: dict[str, object], env_file: Path, generated: Generated, servers: LocalServers
) -> None:
    current = follow(env_file=env_file, environ={})
    made = engine(Endpoint(current), driver="psycopg", options=options)
    idle(made)
    successor = servers.generate("successor", database=generated.pooled.database)
    write_env(env_file, successor)
    with made.connect() as first, made.connect() as second:
        for each in (first, second):
            assert each.scalar(text("SELECT session_user")) == successor.pooled.user
    made.dispose()


def test_another_direct_url_disturbs_nobody_on_the_pooled_one(generated: Generated, logins) -> None:
    pairs = [pair_of(generated.pooled, generated.direct)]
    current = CurrentPair(lambda: pairs[-1], env_file=None)
    made = engine(Endpoint(current), driver="psycopg", options={})
    straight = engine(Endpoint(current, direct=True), driver="psycopg", options={"poolclass": None})
    for each in (made, straight):
        who(each)
    current.override(pair_of(generated.pooled, generated.direct.replace(params={})))
    for each in (made, straight):
        who(each)
    assert logins() == (1, 2)
    for each in (made, straight):
        each.dispose()


def test_a_connection_that_somebody_shares_is_left_to_them(
    env_file: Path, generated: Generated, servers: LocalServers
) -> None:
    made = engine(
        Endpoint(follow(env_file=env_file, environ={}), settings=ALWAYS),
        driver="psycopg",
        options={"poolclass": sqlalchemy.StaticPool},
    )
    who(made)
    with made.connect() as first:
        first.execute(text("CREATE TEMPORARY TABLE seen () ON COMMIT DROP"))
        successor = servers.generate("successor", database=generated.pooled.database)
        write_env(env_file, successor)
        with made.connect() as second:
            assert second.scalar(text("SELECT session_user")) == generated.pooled.user
        assert first.scalar(text("SELECT session_user")) == generated.pooled.user
    assert who(made) == successor.pooled.user
    made.dispose()


@pytest.mark.parametrize("driver", ASYNC)
def test_a_store_that_has_changed_is_not_read_in_the_event_loop(
    driver: str, tmp_path: Path, generated: Generated, servers: LocalServers
) -> None:
    store = tmp_path / "store"
    store.write_text("1")
    pairs, threads = [generated], []

    def find():
        threads.append(threading.get_ident())
        pair = pair_of(pairs[-1].pooled, pairs[-1].direct)
        return pair.__class__(
            *(str(store) if name == "store" else getattr(pair, name) for name in pair.__slots__)
        )

    made = async_engine(
        Endpoint(CurrentPair(find, env_file=None)), driver=driver, options={"pool_size": 1}
    )
    threads.clear()

    async def user() -> str:
        async with made.connect() as connection:
            return await connection.scalar(text("SELECT session_user"))

    async def run() -> None:
        assert await user() == generated.pooled.user
        pairs.append(servers.generate("successor", database=generated.pooled.database))
        store.write_text("another")
        assert await user() == pairs[-1].pooled.user
        assert threads
        assert threading.get_ident() not in threads
        await made.dispose()

    asyncio.run(run())


def test_who_is_diverted_gets_no_idle_connection(
    generated: Generated, logins: Callable[[], tuple[int, int]]
) -> None:
    diverted = [False]
    endpoint = endpoint_of(generated.pooled, generated.direct, diverted=lambda: diverted[0])
    made = engine(endpoint, driver="psycopg", options={})
    idle(made, 1)
    diverted[0] = True
    idle(made, 1)
    assert logins() == (1, 1)
    diverted[0] = False
    idle(made, 1)
    assert logins() == (2, 1)
    made.dispose()
