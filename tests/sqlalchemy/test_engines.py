"""Engines against the real servers: where their connections lead, and what is said if nowhere."""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import Iterator
from ipaddress import IPv4Address
from pathlib import Path

import asyncpg
import pytest
import sqlalchemy
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from ppg_integrations.endpoint import Endpoint
from ppg_integrations.errors import (
    ConfigurationError,
    MismatchedPairError,
    MissingDirectURLError,
)
from ppg_integrations.providers.base import Generated
from ppg_integrations.sqlalchemy import create_async_engine, create_engine
from ppg_integrations.sqlalchemy.engines import async_engine, engine
from ppg_integrations.sqlalchemy.options import engine_options, engine_url
from ppg_integrations.urls import PostgresURL

from .conftest import ASYNC, SYNC, connects, endpoint_of, pair_of, use, who, who_async


@pytest.mark.parametrize("driver", SYNC)
def test_pooled_and_direct(driver: str, endpoint: Endpoint, logins) -> None:
    pair = endpoint.current.pair
    for direct, counted in ((False, (1, 0)), (True, (1, 1))):
        made = create_engine(pair, direct=direct, driver=driver)
        assert who(made) == pair.pooled.user
        made.dispose()
        assert logins() == counted


@pytest.mark.parametrize("driver", ASYNC)
def test_pooled_and_direct_in_an_event_loop(driver: str, endpoint: Endpoint, logins) -> None:
    pair = endpoint.current.pair

    async def run(direct: bool) -> str:
        made = create_async_engine(pair, direct=direct, driver=driver)
        found = await who_async(made)
        await made.dispose()
        return found

    assert asyncio.run(run(direct=False)) == pair.pooled.user
    assert logins() == (1, 0)
    assert asyncio.run(run(direct=True)) == pair.pooled.user
    assert logins() == (1, 1)


def test_the_pair_is_found_as_always(
    env_file: Path, generated: Generated, logins, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(env_file.parent)
    made = create_engine()
    assert who(made) == generated.pooled.user
    made.dispose()
    assert logins() == (1, 0)
    monkeypatch.setenv("PPG_DIRECT", "1")
    made = create_engine()
    assert who(made) == generated.pooled.user
    assert isinstance(made.pool, sqlalchemy.NullPool)
    assert logins() == (1, 1)


def test_what_is_no_pair_is_said_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABASE_URL", "postgresql://a:p@ep-one-1-pooler.eu.aws.neon.tech/d")
    monkeypatch.setenv("DIRECT_URL", "postgresql://a:p@ep-two-2.eu.aws.neon.tech/d")
    for create in (create_engine, create_async_engine):
        with pytest.raises(MismatchedPairError):
            create()


def test_startup_options_on_the_pooled_url_are_refused_at_once(endpoint: Endpoint) -> None:
    with pytest.raises(ConfigurationError, match="statement_timeout") as caught:
        create_engine(endpoint.current, connect_args={"options": "-c statement_timeout=1"})
    with pytest.raises(ConfigurationError, match="statement_timeout"):
        create_async_engine(
            endpoint.current, connect_args={"server_settings": {"statement_timeout": "1"}}
        )
    assert "an engine with direct=True" in caught.value.hint
    made = create_engine(
        endpoint.current, direct=True, connect_args={"options": "-c statement_timeout=7s"}
    )
    with made.connect() as connection:
        assert connection.scalar(text("SHOW statement_timeout")) == "7s"


def test_no_direct_url(generated: Generated) -> None:
    made = engine(Endpoint(endpoint_of(generated.pooled).current, direct=True), options={})
    with pytest.raises(MissingDirectURLError):
        made.connect()


def test_a_connection_that_is_direct_for_once_does_not_stay(generated: Generated, logins) -> None:
    diverted = [True]
    endpoint = endpoint_of(generated.pooled, generated.direct, diverted=lambda: diverted[0])
    made = engine(endpoint, driver="psycopg", options={})
    for count in (1, 2):
        who(made)
        assert logins() == (0, count)
        assert made.pool.checkedin() == 1  # its place; the connection has gone
    diverted[0] = False
    for _ in range(2):
        who(made)
    assert logins() == (1, 2)
    made.dispose()


@pytest.mark.parametrize("driver", ASYNC)
def test_direct_for_once_in_an_event_loop(driver: str, generated: Generated, logins) -> None:
    diverted = [True]
    endpoint = endpoint_of(generated.pooled, generated.direct, diverted=lambda: diverted[0])
    made = async_engine(endpoint, driver=driver, options={})

    async def run() -> None:
        await who_async(made)
        diverted[0] = False
        await who_async(made)
        await made.dispose()

    asyncio.run(run())
    assert logins() == (1, 1)


@pytest.mark.parametrize("driver", SYNC)
@pytest.mark.parametrize("own", [None, "from-user", "from-url"])
def test_what_the_user_gives_the_driver_wins(
    own: str | None, driver: str, generated: Generated
) -> None:
    """Over the URL, and for good: also where both said the same, and the next URL does not."""
    params = {"sslmode": "require", "application_name": "from-url"}
    # The server itself: a pooler's next client inherits what it does not say.
    endpoint = endpoint_of(generated.direct.replace(params=params))
    arguments = {"application_name": own} if own else {}
    made = engine(endpoint, driver=driver, options={"connect_args": arguments})
    for expected in (own or "from-url", own or ""):
        with made.connect() as connection:
            assert connection.scalar(text("SHOW application_name")) == expected
        made.dispose()
        endpoint.current.override(pair_of(generated.direct))


def test_asyncpgs_own_arguments(generated: Generated) -> None:
    url = generated.pooled.replace(
        params={
            "sslmode": "require",
            "channel_binding": "require",
            "connect_timeout": "5",
            "keepalives_idle": "30",
            "application_name": "from-url",
        }
    )
    made = async_engine(
        endpoint_of(url), driver="asyncpg", options={"connect_args": {"command_timeout": 9}}
    )

    async def run() -> None:
        async with made.connect() as connection:
            assert await connection.scalar(text("SHOW application_name")) == "from-url"
            raw = (await connection.get_raw_connection()).driver_connection
            assert raw._config.command_timeout == 9
        await made.dispose()

    asyncio.run(run())


@pytest.mark.parametrize("driver", SYNC)
def test_listeners_of_the_user_have_the_last_word(driver: str, endpoint: Endpoint) -> None:
    made = engine(endpoint, driver=driver, options={})
    seen: list[dict[str, object]] = []

    def change(_dialect, _record, _cargs, cparams) -> None:
        seen.append(dict(cparams))
        cparams["application_name"] = f"listener-{len(seen)}"

    sqlalchemy.event.listen(made, "do_connect", change)
    for count in (1, 2):
        with made.connect() as connection:
            assert connection.scalar(text("SHOW application_name")) == f"listener-{count}"
        made.dispose()
    assert "application_name" not in seen[1]  # each connection gets keywords of its own
    made.dispose()


@pytest.mark.parametrize("early", [True, False])
def test_a_listener_of_the_user_may_connect_itself(early: bool, generated: Generated) -> None:
    import psycopg

    pair = generated.pooled.replace(password="not this one")
    made = engine(endpoint_of(pair), driver="psycopg", options={})

    def connect(_dialect, _record, _cargs, _cparams) -> psycopg.Connection:
        return psycopg.connect(**generated.pooled.libpq())

    if early:  # one for all engines comes before
        sqlalchemy.event.listen(sqlalchemy.Engine, "do_connect", connect)
    else:
        sqlalchemy.event.listen(made, "do_connect", connect)
    try:
        assert who(made) == generated.pooled.user
    finally:
        if early:
            sqlalchemy.event.remove(sqlalchemy.Engine, "do_connect", connect)
        made.dispose()


@pytest.mark.parametrize("native", [False, True])
def test_what_the_dialect_adds_to_the_arguments_stays(native: bool, endpoint: Endpoint) -> None:
    """psycopg's adapters, which know of options such as this one."""
    made = engine(endpoint, driver="psycopg", options={"native_inet_types": native})
    with made.connect() as connection:
        found = connection.scalar(text("SELECT inet '192.0.2.7'"))
    made.dispose()
    assert found == (IPv4Address("192.0.2.7") if native else "192.0.2.7")


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2", "asyncpg"])
def test_no_password_anywhere(
    driver: str, generated: Generated, caplog: pytest.LogCaptureFixture
) -> None:
    """Not of an engine that works, and not of one whose password is wrong."""
    caplog.set_level(logging.DEBUG, "sqlalchemy")
    wrong = generated.pooled.replace(password="wrong-horse-battery")
    shown = []
    for url in (generated.pooled, wrong):
        endpoint = endpoint_of(url)
        made = (async_engine if driver == "asyncpg" else engine)(
            endpoint, driver=driver, options={}
        )
        if url is wrong:
            # SQLAlchemy 2.0 lets asyncpg's own error through
            with pytest.raises((DBAPIError, asyncpg.PostgresError)) as caught:
                use(made)
            shown += [*told(caught.value)]
        else:
            use(made)
        options = engine_options(endpoint, driver=driver, environ={})
        shown += map(repr, (made, made.url, made.pool, endpoint, options))
        shown += map(str, (made, made.url, made.pool))
        # Other engines may be made from it, also by asyncpg, which takes no subclass of str.
        assert type(made.url.password) is str
        assert made.url == engine_url(endpoint, driver)
    found = "\n".join((*shown, caplog.text))
    assert "Created new connection" in caplog.text
    assert "cparams = " in found
    assert generated.pooled.password is not None
    assert generated.pooled.password.reveal() not in found
    assert "wrong-horse-battery" not in found


def told(fault: BaseException | None) -> Iterator[str]:
    """All that an error reporter would show, with the variables of our frames and SQLAlchemy's."""
    while fault is not None:
        yield from traceback.format_exception(type(fault), fault, fault.__traceback__)
        for frame, _ in traceback.walk_tb(fault.__traceback__):
            if frame.f_globals["__name__"].startswith(("ppg_integrations.", "sqlalchemy.")):
                for name, value in dict(frame.f_locals).items():
                    yield f"{name} = {value!r}"
        fault = fault.__cause__ or fault.__context__


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2", "asyncpg"])
def test_several_hosts(driver: str, generated: Generated) -> None:
    down = 1  # the port of a service that nobody runs
    url = PostgresURL.parse(
        generated.pooled.reveal().replace("@127.0.0.1:", f"@127.0.0.1:{down},127.0.0.1:")
    )
    assert len(url.hosts) == 2
    connects(url, driver)
