"""The options of an engine: no server is asked."""

from __future__ import annotations

import sys

import pytest
import sqlalchemy
from sqlalchemy.dialects import plugins
from sqlalchemy.engine import CreateEnginePlugin

from ppg_integrations.current import CurrentPair
from ppg_integrations.endpoint import Endpoint
from ppg_integrations.errors import ConfigurationError, DriverError, MissingURLError
from ppg_integrations.sqlalchemy import create_async_engine
from ppg_integrations.sqlalchemy.engines import async_engine, engine
from ppg_integrations.sqlalchemy.options import default_driver, engine_options, engine_url
from ppg_integrations.urls import PostgresURL

from .conftest import endpoint_of

POOLED = PostgresURL.parse("postgresql://ada:sesame@pooled.db.prisma.io:5432/shop?sslmode=require")
DIRECT = PostgresURL.parse("postgresql://ada:sesame@db.prisma.io:5432/shop?sslmode=require")
SIZES = ("pool_size", "max_overflow", "pool_timeout", "pool_use_lifo")


@pytest.fixture
def pooled() -> Endpoint:
    return endpoint_of(POOLED, DIRECT)


def options(endpoint: Endpoint, driver: str = "psycopg", **more: object) -> dict[str, object]:
    environ = more.pop("environ", {})
    serverless = more.pop("serverless", None)
    return engine_options(
        endpoint, driver=driver, serverless=serverless, environ=environ, options=more
    )


def missing() -> Endpoint:
    def find():
        raise MissingURLError("no pooled URL was found", hint="Set DATABASE_URL.")

    return Endpoint(CurrentPair(find, env_file=None))


def test_a_server_keeps_a_small_pool(pooled: Endpoint) -> None:
    found = options(pooled)
    assert {name: found[name] for name in (*SIZES, "pool_recycle")} == {
        "pool_size": 10,
        "max_overflow": 0,
        "pool_timeout": 10,
        "pool_use_lifo": True,
        "pool_recycle": 300,
    }
    assert found["connect_args"] == {"prepare_threshold": None}


def test_nothing_is_kept_on_a_serverless_platform(pooled: Endpoint) -> None:
    found = options(pooled, environ={"VERCEL": "1"})
    assert issubclass(found["poolclass"], sqlalchemy.NullPool)
    assert not set(SIZES) & found.keys()
    assert "poolclass" not in options(pooled, environ={"VERCEL": "1"}, serverless=False)
    assert issubclass(options(pooled, serverless=True)["poolclass"], sqlalchemy.NullPool)


def test_nothing_is_kept_of_the_direct_endpoint() -> None:
    endpoint = Endpoint(endpoint_of(POOLED, DIRECT).current, direct=True)
    assert issubclass(options(endpoint)["poolclass"], sqlalchemy.NullPool)


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2", "asyncpg"])
@pytest.mark.parametrize(
    "own",
    [
        {},
        {"poolclass": sqlalchemy.NullPool},
        {"poolclass": sqlalchemy.StaticPool},
        {"poolclass": sqlalchemy.SingletonThreadPool},
        {"pool": None},
        {"pool_size": 2},
        {"pool_pre_ping": False},
        {"echo": False, "isolation_level": "AUTOCOMMIT"},
    ],
    ids=str,
)
@pytest.mark.parametrize("serverless", [True, False])
def test_sqlalchemy_takes_them_with_the_users_pool(
    driver: str, own: dict[str, object], serverless: bool, pooled: Endpoint
) -> None:
    make = async_engine if driver == "asyncpg" else engine
    if driver == "asyncpg" and own.get("poolclass") is sqlalchemy.SingletonThreadPool:
        own = {"poolclass": sqlalchemy.AsyncAdaptedQueuePool}
    made = make(pooled, driver=driver, serverless=serverless, environ={}, options=own)
    if "poolclass" in own:
        assert type(made.pool) is own["poolclass"]
    if "pool_size" in own:
        assert made.pool.size() == 2


def test_a_pool_of_the_users_gets_no_options_of_ours(pooled: Endpoint) -> None:
    own = sqlalchemy.QueuePool(lambda: None)
    made = engine(pooled, driver="psycopg", options={"pool": own})
    assert made.pool is own


@pytest.mark.parametrize("direct", [False, True])
def test_sizes_that_somebody_adds_win_over_a_pool_that_keeps_nothing(direct: bool) -> None:
    """Flask-SQLAlchemy lays our options over those of its constructor."""
    endpoint = Endpoint(endpoint_of(POOLED, DIRECT).current, direct=direct)
    ours = options(endpoint, serverless=not direct)
    made = sqlalchemy.create_engine(POOLED.sqlalchemy(), **{"pool_size": 20, **ours})
    assert type(made.pool) is sqlalchemy.QueuePool
    assert (made.pool.size(), made.pool._max_overflow, made.pool._recycle) == (20, 0, 300)
    own = sqlalchemy.QueuePool(lambda: None)
    assert sqlalchemy.create_engine(POOLED.sqlalchemy(), **{"pool": own, **ours}).pool is own


def test_the_users_are_laid_over_deeply_and_copied(pooled: Endpoint) -> None:
    own = {"connect_args": {"options": "", "prepare_threshold": 7}, "plugins": ["other"], "echo": 1}
    found = options(pooled, **own)
    assert found["connect_args"] == {"prepare_threshold": 7, "options": ""}
    assert found["plugins"] == ["ppg", "other"]
    assert found["echo"] == 1
    found["connect_args"]["more"] = 1
    assert own["connect_args"] == {"options": "", "prepare_threshold": 7}
    assert options(pooled)["connect_args"] == {"prepare_threshold": None}


def test_another_plugin_stays(pooled: Endpoint) -> None:
    seen = []

    class Other(CreateEnginePlugin):
        def __init__(self, url: object, kwargs: dict[str, object]) -> None:
            seen.append(kwargs.pop("other_argument"))

        def update_url(self, url: object) -> None:
            return None

    plugins.impls["ppg_test_other"] = lambda: Other
    try:
        engine(
            pooled,
            driver="psycopg",
            options={"plugins": ["ppg_test_other"], "other_argument": 3},
        )
    finally:
        del plugins.impls["ppg_test_other"]
    assert seen == [3]


def test_the_plugin_without_an_endpoint_says_what_to_do() -> None:
    with pytest.raises(ConfigurationError, match="got no endpoint") as caught:
        sqlalchemy.create_engine(POOLED.sqlalchemy(), plugins=["ppg"])
    assert "engine_options()" in caught.value.hint


@pytest.mark.parametrize(
    ("make", "driver", "hint"),
    [
        (engine, "asyncpg", "create_async_engine"),
        (async_engine, "psycopg2", "psycopg or asyncpg"),
        (engine, "pg8000", "psycopg, psycopg2 or asyncpg"),
        (async_engine, "pg8000", "psycopg, psycopg2 or asyncpg"),
    ],
)
def test_a_driver_that_does_not_fit(make, driver: str, hint: str, pooled: Endpoint) -> None:
    with pytest.raises(ConfigurationError, match=driver) as caught:
        make(pooled, driver=driver, options={})
    assert hint in caught.value.hint


def test_sqlalchemy_without_its_extra_for_asyncio(
    pooled: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "greenlet", None)
    with pytest.raises(DriverError, match="greenlet") as caught:
        create_async_engine(pooled.current)
    assert 'pip install "sqlalchemy[asyncio]"' in caught.value.hint


@pytest.mark.parametrize(
    ("gone", "asynchronous", "found"),
    [
        ((), False, "psycopg"),
        ((), True, "psycopg"),
        (("psycopg",), False, "psycopg2"),
        (("psycopg",), True, "asyncpg"),
    ],
)
def test_the_driver_that_is_installed(
    gone: tuple[str, ...], asynchronous: bool, found: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in gone:
        monkeypatch.setitem(sys.modules, name, None)
    assert default_driver(asynchronous=asynchronous) == found


def test_no_driver_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("psycopg", "psycopg2", "asyncpg"):
        monkeypatch.setitem(sys.modules, name, None)
    for asynchronous in (False, True):
        with pytest.raises(DriverError) as caught:
            default_driver(asynchronous=asynchronous)
        assert "pip install" in caught.value.hint


def test_where_the_engine_is_said_to_lead(pooled: Endpoint) -> None:
    url = engine_url(pooled, "psycopg")
    assert (url.drivername, url.host, url.username) == (
        "postgresql+psycopg",
        "pooled.db.prisma.io",
        "ada",
    )
    assert "sesame" not in str(url) + repr(url)
    direct = engine_url(Endpoint(pooled.current, direct=True), "psycopg2")
    assert (direct.drivername, direct.host) == ("postgresql+psycopg2", "db.prisma.io")


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2", "asyncpg"])
def test_no_secret_parameter_stands_in_it(driver: str) -> None:
    url = POOLED.replace(params={"sslmode": "require", "sslcert": "c", "sslpassword": "opensesame"})
    shown = engine_url(endpoint_of(url), driver)
    assert "opensesame" not in shown.render_as_string(hide_password=False) + repr(shown)


def test_without_a_pair_it_leads_nowhere() -> None:
    url = engine_url(missing(), "psycopg")
    assert url.render_as_string() == "postgresql+psycopg://unconfigured.invalid/unconfigured"
    no_direct = Endpoint(endpoint_of(POOLED).current, direct=True)
    assert engine_url(no_direct, "asyncpg").host == "unconfigured.invalid"
