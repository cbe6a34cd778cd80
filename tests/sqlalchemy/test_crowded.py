"""More connections wanted than the pooler has slots: engines pass on those that they have."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from collections.abc import Iterator
from weakref import WeakSet, ref

import pytest
from sqlalchemy import Engine, NullPool, StaticPool, event, text

from ppg_integrations import waiting
from ppg_integrations.connect_settings import ConnectSettings
from ppg_integrations.endpoint import Endpoint
from ppg_integrations.providers.base import Generated
from ppg_integrations.providers.local.servers import LocalServers
from ppg_integrations.sqlalchemy.checkouts import Checkouts
from ppg_integrations.sqlalchemy.engines import async_engine, engine
from ppg_integrations.waiting import Line
from tests.support.poolers import pooler

from .conftest import ASYNC, SYNC, endpoint_of


@pytest.fixture
def crowded(
    servers: LocalServers, generated: Generated, monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> Iterator[Endpoint]:
    """Through a pooler that takes two clients."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pooler(servers, max_client_conn=2) as made:
        settings = ConnectSettings(connect_deadline=8)
        yield endpoint_of(made.url(generated.pooled), settings=settings)


@pytest.fixture
def roomy(generated: Generated) -> Endpoint:
    """Through a pooler that has slots."""
    return endpoint_of(generated.pooled)


@pytest.mark.parametrize("driver", SYNC)
def test_threads_pass_connections_on(crowded: Endpoint, driver: str) -> None:
    made = engine(crowded, driver=driver, options={"pool_size": 10})
    answers, failures = [], []

    def work() -> None:
        try:
            for _ in range(8):
                with made.connect() as connection:
                    answers.append(connection.scalar(text("SELECT 1 FROM pg_sleep(0.002)")))
        except Exception as error:  # noqa: BLE001 - whatever it is, nothing may fail
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    made.dispose()
    assert failures == []
    assert len(answers) == 64


@pytest.mark.parametrize("driver", ASYNC)
def test_tasks_pass_connections_on(crowded: Endpoint, driver: str) -> None:
    async def run() -> list[int]:
        made = async_engine(crowded, driver=driver, options={"pool_size": 10})

        async def work() -> int:
            for _ in range(5):
                async with made.connect() as connection:
                    await connection.scalar(text("SELECT 1 FROM pg_sleep(0.002)"))
            return 5

        try:
            return await asyncio.gather(*(work() for _ in range(8)))
        finally:
            await made.dispose()

    assert asyncio.run(run()) == [5] * 8


@pytest.mark.parametrize("driver", SYNC)
def test_an_idle_pool_gives_slots_up(crowded: Endpoint, driver: str) -> None:
    """Another engine is as another process: each has a line of its own."""
    idle, other = (engine(crowded, driver=driver, options={}) for _ in range(2))
    first, second = idle.connect(), idle.connect()
    for each in (first, second):
        assert each.scalar(text("SELECT 1")) == 1
    for each in (first, second):
        each.close()
    with other.connect() as connection:  # the pooler takes two
        assert connection.scalar(text("SELECT 2")) == 2
        with idle.connect() as kept:
            assert kept.scalar(text("SELECT 3")) == 3
    other.dispose()
    with idle.connect() as kept, idle.connect() as opened:
        assert [each.scalar(text("SELECT 4")) for each in (kept, opened)] == [4, 4]
    idle.dispose()


def used(made: Engine) -> None:
    """Three connections at once, and given back."""
    opened = [made.connect() for _ in range(3)]
    for each in opened:
        each.scalar(text("SELECT 1"))
    for each in opened:
        each.close()


def resting() -> list[int]:
    """Of each engine's pool."""
    return [len(each.resting) for each in waiting._lines_alive if each._pools]


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without what other tests have left."""
    monkeypatch.setattr(waiting, "_lines_alive", WeakSet())


@pytest.mark.once
def test_what_the_pool_closes_rests_no_more(alone: None, roomy: Endpoint) -> None:
    made = engine(roomy, driver="psycopg", options={"pool_recycle": 0})
    for _ in range(3):
        used(made)
        time.sleep(0.01)
    assert resting() == [3]
    made.dispose()
    assert resting() == [0]


@pytest.mark.parametrize(
    "options", [{"pool_pre_ping": True}, {"poolclass": StaticPool}, {"poolclass": NullPool}]
)
def test_pools_of_other_ways_give_nothing_up(
    alone: None, roomy: Endpoint, options: dict[str, object]
) -> None:
    """A ping that meets a connection that was given up would have the whole pool closed."""
    made = engine(roomy, driver="psycopg", options=options)
    used(made)
    assert resting() == [0]
    made.dispose()


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_engine_that_is_forgotten_keeps_nothing(alone: None, roomy: Endpoint) -> None:
    known: list[ref[object]] = []

    def make() -> None:
        made = engine(roomy, driver="psycopg", options={})
        used(made)
        with made.connect() as connection:
            known.append(ref(connection.connection.driver_connection))

    make()
    gc.collect()
    assert [each() for each in known] == [None]


def test_listeners_of_the_user_still_have_what_comes_back(alone: None, roomy: Endpoint) -> None:
    made = engine(roomy, driver="psycopg", options={})
    seen: list[list[int]] = []

    @event.listens_for(made, "checkin")
    def reset(_connection: object, _record: object) -> None:
        seen.append(resting())

    with made.connect() as connection:
        connection.scalar(text("SELECT 1"))
    assert seen == [[0]]
    assert resting() == [1]
    made.dispose()


@pytest.mark.once
def test_an_engine_has_one_line(roomy: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    made = engine(roomy, driver="psycopg", options={})
    begin = Line.__init__

    def slow(self: Line, host: str, port: int, *, pools: bool = False) -> None:
        time.sleep(0.02)
        begin(self, host, port, pools=pools)

    monkeypatch.setattr(Line, "__init__", slow)
    watched = Checkouts(made, roomy, tests=True, trims=True)
    url, barrier = roomy.current.pair.pooled, threading.Barrier(3)
    found: list[Line] = []

    def work() -> None:
        barrier.wait()
        found.append(watched.line(url))

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(each) for each in found}) == 1


def test_connections_in_use_are_given_up_by_nobody(crowded: Endpoint) -> None:
    busy, other = (engine(crowded, driver="psycopg", options={}) for _ in range(2))
    first, second = busy.connect(), busy.connect()
    for each in (first, second):
        each.close()
    first, second = busy.connect(), busy.connect()
    found: list[object] = []

    def work() -> None:
        with other.connect() as connection:
            found.append(connection.scalar(text("SELECT 2")))
        other.dispose()

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(0.8)  # it asks, and the pool's thread hears it
    assert found == []
    assert [each.scalar(text("SELECT 1")) for each in (first, second)] == [1, 1]
    first.close()
    while thread.is_alive():  # for eight seconds at the most
        with busy.connect() as connection:
            assert connection.scalar(text("SELECT 1 FROM pg_sleep(0.01)")) == 1
    assert found == [2]
    assert second.scalar(text("SELECT 1")) == 1
    second.close()
    busy.dispose()


@pytest.mark.parametrize("driver", ASYNC)
def test_an_idle_pool_of_an_event_loop_gives_slots_up(crowded: Endpoint, driver: str) -> None:
    async def run() -> None:
        idle, other = (async_engine(crowded, driver=driver, options={}) for _ in range(2))
        async with idle.connect() as first, idle.connect() as second:
            for each in (first, second):
                assert await each.scalar(text("SELECT 1")) == 1
        async with other.connect() as connection:
            assert await connection.scalar(text("SELECT 2")) == 2
            async with idle.connect() as kept:
                assert await kept.scalar(text("SELECT 3")) == 3
        await other.dispose()
        async with idle.connect() as kept, idle.connect() as opened:
            assert [await each.scalar(text("SELECT 4")) for each in (kept, opened)] == [4, 4]
        await idle.dispose()

    asyncio.run(run())
