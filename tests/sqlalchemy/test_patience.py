"""Engines whose server is not ready yet: opening a connection waits, within a deadline."""

from __future__ import annotations

import asyncio
import random
import threading
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
from sqlalchemy import event, text
from sqlalchemy.exc import DBAPIError

from ppg_integrations import connecting
from ppg_integrations.connect_settings import ConnectSettings
from ppg_integrations.current import CurrentPair, follow
from ppg_integrations.endpoint import Endpoint
from ppg_integrations.errors import ConfigurationError
from ppg_integrations.providers.base import Generated
from ppg_integrations.sqlalchemy import create_async_engine, create_engine
from ppg_integrations.sqlalchemy.engines import async_engine, engine
from ppg_integrations.urls import PostgresURL
from tests.support.poolers import Pooler
from tests.support.refusing import Refusing

from .conftest import ASYNC, SYNC, endpoint_of, pair_of, use, write_env

STARTING = ("57P03", "the database system is starting up")
WRONG = ("28P01", 'password authentication failed for user "ada"')
MAKERS = [(engine, name) for name in SYNC] + [(async_engine, name) for name in ASYNC]
STEPS = [
    STARTING,
    ("53300", "sorry, too many clients already"),
    ("08P01", "no more connections allowed (max_client_conn)"),
    ("XX000", "Failed to connect to upstream database. Please contact Prisma support"),
    "hang-up",
]


@pytest.fixture(autouse=True)
def told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connecting, "_told", {})


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits are chosen at random up to a limit: a tenth of it."""
    monkeypatch.setattr(random, "uniform", lambda _low, high: high / 10)


def behind(server: Refusing, url: PostgresURL) -> PostgresURL:
    # Without TLS, which the server in front has not.
    return url.replace(port=server.port, params={"sslmode": "disable"})


@pytest.mark.parametrize(("make", "driver"), MAKERS)
def test_it_waits_until_the_server_is_ready(
    make: Any, driver: str, forgetful: Pooler, generated: Generated, hasty, caplog
) -> None:
    with Refusing(STEPS, (generated.pooled.host, forgetful.port)) as server:
        endpoint = endpoint_of(behind(server, generated.pooled))
        assert use(make(endpoint, driver=driver, options={})) == generated.pooled.user
        assert server.accepted == len(STEPS) + 1
    warned = [record for record in caplog.records if record.name == "ppg_integrations"]
    assert len(warned) == 1


def fails(made: Any) -> str:
    # SQLAlchemy 2.0 lets asyncpg's own errors through, and no version takes those of the system.
    kinds: tuple[type[Exception], ...] = (DBAPIError, OSError, ValueError)
    try:
        import asyncpg
    except ImportError:
        pass
    else:
        kinds += (asyncpg.PostgresError,)
    with pytest.raises(kinds) as caught:
        use(made)
    return str(caught.value)


@pytest.mark.parametrize(("make", "driver"), MAKERS)
def test_a_wrong_password_fails_at_once_and_says_what_to_do(make: Any, driver: str) -> None:
    with Refusing([WRONG]) as server:
        url = PostgresURL.parse(f"postgresql://ada:opensesame@127.0.0.1:{server.port}/shop")
        said = fails(make(endpoint_of(url), driver=driver, options={}))
        assert server.accepted == 1
    assert f"127.0.0.1:{server.port} is from the argument pooled. Copy the URL again" in said


@pytest.mark.parametrize("step", [WRONG, STARTING], ids=str)
def test_no_frame_of_asyncpg_is_kept(step: tuple[str, str]) -> None:
    settings = ConnectSettings(connect_deadline=0)
    with Refusing([step]) as server:
        url = PostgresURL.parse(f"postgresql://ada:opensesame@127.0.0.1:{server.port}/shop")
        made = async_engine(endpoint_of(url, settings=settings), driver="asyncpg", options={})
        with pytest.raises(Exception, match=step[1]) as caught:
            use(made)
    faults: list[BaseException] = [caught.value]
    modules = set()
    for fault in faults:
        more = (fault.__cause__, fault.__context__, getattr(fault, "orig", None))
        faults += (each for each in more if each is not None and each not in faults)
        for frame, _ in traceback.walk_tb(fault.__traceback__):
            modules.add(frame.f_globals["__name__"].partition(".")[0])
    assert "sqlalchemy" in modules
    assert "asyncpg" not in modules


@pytest.mark.parametrize(("make", "driver"), MAKERS)
def test_a_wrong_port_fails_at_once(make: Any, driver: str) -> None:
    with Refusing(["hang-up"]) as server:
        pass  # it is ours no more, and nobody's yet
    url = PostgresURL.parse(f"postgresql://ada:opensesame@127.0.0.1:{server.port}/shop")
    began = time.monotonic()
    said = fails(make(endpoint_of(url), driver=driver, options={}))
    assert time.monotonic() - began < 2
    assert "Nothing listens there." in said


@pytest.mark.parametrize(("make", "driver"), MAKERS)
def test_the_deadline(make: Any, driver: str) -> None:
    settings = ConnectSettings(connect_deadline=0.6)
    with Refusing([STARTING]) as server:
        url = PostgresURL.parse(f"postgresql://ada:opensesame@127.0.0.1:{server.port}/shop")
        began = time.monotonic()
        said = fails(make(endpoint_of(url, settings=settings), driver=driver, options={}))
        assert time.monotonic() - began < 2
        assert server.accepted > 1
    assert "The server is starting or stopping" in said


@pytest.mark.parametrize(("make", "driver"), MAKERS)
def test_none_is_one_attempt(make: Any, driver: str) -> None:
    settings = ConnectSettings(connect_deadline=0)
    with Refusing([STARTING]) as server:
        url = PostgresURL.parse(f"postgresql://ada:opensesame@127.0.0.1:{server.port}/shop")
        fails(make(endpoint_of(url, settings=settings), driver=driver, options={}))
        assert server.accepted == 1


@pytest.mark.parametrize("driver", [*SYNC, "asyncpg"])
@pytest.mark.parametrize(
    ("own", "deadline", "expected"),
    [({}, 20.0, 10), ({}, 4.0, 4), ({"own": 3}, 20.0, 3), ({}, 0, 10)],
)
def test_each_attempt_is_limited(
    own: dict[str, int], deadline: float, expected: int, driver: str, generated: Generated
) -> None:
    name = "timeout" if driver == "asyncpg" else "connect_timeout"
    arguments = {name: own["own"]} if own else {}
    endpoint = endpoint_of(generated.pooled, settings=ConnectSettings(connect_deadline=deadline))
    make = async_engine if driver == "asyncpg" else engine
    made = make(endpoint, driver=driver, options={"connect_args": arguments})
    seen = []

    def look(_dialect, _record, _cargs, cparams) -> None:
        seen.append(cparams[name])

    event.listen(getattr(made, "sync_engine", made), "do_connect", look)
    use(made)
    assert expected - 1 < seen[0] <= expected


@pytest.mark.parametrize(("make", "driver"), [(engine, "psycopg"), (async_engine, "asyncpg")])
def test_a_pair_that_moves_while_it_is_refused(
    make: Any, driver: str, generated: Generated
) -> None:
    retired = generated.pooled.replace(password="retired")
    pairs = [pair_of(retired)]
    current = CurrentPair(lambda: pairs[-1], env_file=None)
    made = make(Endpoint(current), driver=driver, options={})

    def move(*_: object) -> None:
        current.override(pair_of(generated.pooled))

    event.listen(getattr(made, "sync_engine", made), "do_connect", move)
    assert use(made) == generated.pooled.user


def test_the_event_loop_goes_on_meanwhile(
    forgetful: Pooler, generated: Generated, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(random, "uniform", lambda _low, high: high)  # 0.8 s in all

    async def run() -> int:
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                await asyncio.sleep(0.01)
                ticks += 1

        ticking = asyncio.ensure_future(tick())
        made = async_engine(endpoint, driver="psycopg", options={})
        async with made.connect() as connection:
            await connection.execute(text("SELECT 1"))
        ticking.cancel()
        await made.dispose()
        return ticks

    with Refusing([STARTING] * 4, (generated.pooled.host, forgetful.port)) as server:
        endpoint = endpoint_of(behind(server, generated.pooled))
        assert asyncio.run(run()) > 30


def test_threads_that_wait_for_the_same_server(
    forgetful: Pooler, generated: Generated, caplog
) -> None:
    faults: list[BaseException] = []
    with Refusing([STARTING] * 10, (generated.pooled.host, forgetful.port)) as server:
        made = engine(endpoint_of(behind(server, generated.pooled)), driver="psycopg", options={})

        def work() -> None:
            try:
                with made.connect() as connection:
                    connection.execute(text("SELECT 1"))
            except BaseException as fault:
                faults.append(fault)

        threads = [threading.Thread(target=work) for _ in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        made.dispose()
    assert faults == []
    warned = [record for record in caplog.records if record.name == "ppg_integrations"]
    assert len(warned) == 1


# ---------------------------------------------------------------- settings


def settings_of(made: Any) -> ConnectSettings:
    """Those of an engine, by the one who opens its connections."""
    dispatch = getattr(made, "sync_engine", made).dialect.dispatch
    (ours,) = {getattr(each, "__self__", None) for each in dispatch.do_connect} - {None}
    return ours._endpoint.settings


@pytest.fixture
def asked(env_file: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(env_file.parent)
    with env_file.open("a") as stream:
        stream.write("PPG_CONNECT_DEADLINE=7\nPPG_ALIVE_WINDOW=1.5\n")
    yield env_file


@pytest.mark.usefixtures("asked")
@pytest.mark.parametrize("create", [create_engine, create_async_engine])
def test_settings_of_the_environment_and_of_the_file(
    create: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert settings_of(create()) == ConnectSettings(7.0, 1.5, "")
    monkeypatch.setenv("PPG_CONNECT_DEADLINE", "9")
    monkeypatch.setenv("PPG_SSLMODE", "verify-full")
    assert settings_of(create()) == ConnectSettings(9.0, 1.5, "verify-full")


@pytest.mark.usefixtures("asked")
def test_a_pair_of_ones_own_has_those_of_the_environment(
    generated: Generated, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PPG_ALIVE_WINDOW", "3")
    assert settings_of(create_engine(pair_of(generated.pooled))) == ConnectSettings(20.0, 3.0, "")


def test_a_setting_that_cannot_be_used_names_its_place(
    asked: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked.write_text(asked.read_text().replace("=7", "=soon"))
    with pytest.raises(ConfigurationError) as caught:
        create_engine()
    assert f"PPG_CONNECT_DEADLINE in {asked} is 'soon'" in str(caught.value)
    with monkeypatch.context() as patched:  # the fixtures' own end reads it, too
        patched.setenv("PPG_CONNECT_DEADLINE", "later")
        with pytest.raises(ConfigurationError, match="PPG_CONNECT_DEADLINE in the environment is"):
            create_engine()
