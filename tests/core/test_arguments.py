"""Arguments of another kind than is needed: said at once, by name."""

from __future__ import annotations

import math
import sys

import pytest

from ppg_integrations import ConnectionPair, PostgresURL, arguments
from ppg_integrations.current import CurrentPair
from ppg_integrations.direct import advisory_lock, direct_session, listen
from ppg_integrations.errors import ConfigurationError, DriverError
from ppg_integrations.pair import Source
from ppg_integrations.sqlalchemy import create_async_engine, create_engine

SOURCE = Source("argument", "pooled")
URL = PostgresURL.parse("postgresql://ada:s3cret@127.0.0.1:1/shop")
PAIR = ConnectionPair(URL, URL, SOURCE, SOURCE)


@pytest.mark.parametrize(
    ("channels", "more", "words"),
    [
        ((None,), {}, "a channel of listen() is None, and must be a text"),
        ((5,), {}, "a channel of listen() is 5, and must be a text"),
        ((["a"],), {}, "a channel of listen() is ['a'], and must be a text"),
        (("jobs",), {"timeout": "x"}, "timeout of listen() is 'x', and must be a number of sec"),
        (("jobs",), {"timeout": True}, "timeout of listen() is True"),
        (("jobs",), {"timeout": math.nan}, "timeout of listen() is nan"),
        (("jobs",), {"stop": True}, "stop of listen() is True, and must be a function"),
        (("jobs",), {"catch_up": "x"}, "catch_up of listen() is 'x', and must be a function"),
    ],
)
def test_a_listener(channels, more, words):
    with pytest.raises(ConfigurationError) as caught:
        listen(*channels, pair=PAIR, **more)
    assert caught.value.message.startswith(words)
    assert caught.value.hint


def test_a_listener_takes_what_is_left_of_a_time():
    for timeout in (-0.5, 0, 1.5, math.inf):
        listen("jobs", pair=PAIR, timeout=timeout).close()


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"wait": "x"}, "wait of advisory_lock() is 'x', and must be a number of seconds"),
        ({"wait": True}, "wait of advisory_lock() is True"),
        ({"shared": "no"}, "shared of advisory_lock() is 'no', and must be True or False"),
    ],
)
def test_a_lock(more, words):
    with pytest.raises(ConfigurationError) as caught:
        advisory_lock("nightly", pair=PAIR, **more)
    assert caught.value.message.startswith(words)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"name": 5}, "the argument name is 5, and must be a text"),
        ({"autocommit": "no"}, "the argument autocommit is 'no', and must be True or False"),
    ],
)
def test_a_session(more, words):
    with pytest.raises(ConfigurationError) as caught, direct_session(pair=PAIR, **more):
        pass
    assert caught.value.message.startswith(words)


TAKES_A_PAIR = [
    lambda **more: listen("jobs", **more),
    lambda **more: advisory_lock("nightly", **more),
    lambda **more: direct_session(**more),
    lambda **more: create_engine(**more),
    lambda **more: create_async_engine(**more),
]


@pytest.mark.parametrize("call", TAKES_A_PAIR)
@pytest.mark.parametrize("pair", [URL.reveal(), URL, {"pooled": URL}])
def test_a_pair(call, pair):
    with pytest.raises(ConfigurationError) as caught:
        call(pair=pair)
    kind = type(pair).__name__
    assert caught.value.message == f"the argument pair is a {kind}, and must be a pair of URLs"
    assert "resolve(" in caught.value.hint
    assert "s3cret" not in str(caught.value)
    call(pair=CurrentPair(lambda: PAIR, env_file=None))


@pytest.mark.parametrize("call", TAKES_A_PAIR[:3])
@pytest.mark.parametrize("driver", ["mysql", "asyncpg", 5])
def test_a_driver_that_has_no_sessions(call, driver):
    with pytest.raises(ConfigurationError) as caught:
        call(pair=PAIR, driver=driver)
    assert caught.value.message == (
        f"the argument driver is {driver!r}, and must be psycopg or psycopg2"
    )


@pytest.mark.parametrize(
    ("call", "driver"),
    [
        *((call, driver) for call in TAKES_A_PAIR[:4] for driver in ("psycopg", "psycopg2")),
        (TAKES_A_PAIR[4], "asyncpg"),
    ],
)
def test_a_driver_that_is_not_installed(call, driver, monkeypatch):
    monkeypatch.setitem(sys.modules, driver, None)
    with pytest.raises(DriverError) as caught:
        call(pair=PAIR, driver=driver)
    assert caught.value.message.startswith(f"the driver {driver} cannot be imported (")
    assert caught.value.__cause__ is caught.value.__context__ is None
    package = "asyncpg" if driver == "asyncpg" else f"ppg-integrations[{driver}]"
    assert f'pip install "{package}"' in caught.value.hint


@pytest.mark.parametrize("call", TAKES_A_PAIR[3:])
@pytest.mark.parametrize("name", ["serverless", "direct"])
def test_a_switch_of_an_engine(call, name):
    for value in ("no", 1, "true"):
        with pytest.raises(ConfigurationError) as caught:
            call(pair=PAIR, **{name: value})
        assert caught.value.message == (
            f"the argument {name} is {value!r}, and must be True or False"
        )


def test_seconds_from_the_least_to_the_most():
    assert arguments.seconds("x", None, hint="") is None
    for value in (0, 2.5, math.inf):
        assert arguments.seconds("x", value, hint="") == value
    for value in (-1, 11, math.nan, "5", None.__class__):
        with pytest.raises(ConfigurationError, match="^x is .*, and must be a number of seconds"):
            arguments.seconds("x", value, hint="", most=10)
