"""How an app's connections are opened and kept: its settings, and idle ones of a pair that is gone."""

from __future__ import annotations

import os
import threading
import time

import click
import pytest
from flask import jsonify
from sqlalchemy import text

from ppg_integrations.connect_settings import ConnectSettings
from ppg_integrations.errors import ConfigurationError
from tests.flask.conftest import OTHER, POOLED, write_env
from tests.flask.test_config import state_of
from tests.support.tcp_proxy import TCPProxy

USER = "SELECT session_user"


# ---------------------------------------------------------------- settings


def test_the_configuration_wins_over_the_environment_and_that_over_the_file(folder, monkeypatch):
    def found(**config):
        return state_of(DATABASE_URL=POOLED, **config).endpoint().settings

    assert found() == ConnectSettings(20.0, 5.0, "")
    (folder / ".env").write_text(
        "PPG_CONNECT_DEADLINE=1\nPPG_ALIVE_WINDOW=1\nPPG_SSLMODE=require\n"
    )
    assert found() == ConnectSettings(1.0, 1.0, "require")
    monkeypatch.setenv("PPG_CONNECT_DEADLINE", "2")
    assert found() == ConnectSettings(2.0, 1.0, "require")
    assert found(PPG_CONNECT_DEADLINE=0, PPG_ALIVE_WINDOW=0.5, PPG_SSLMODE="verify-full") == (
        ConnectSettings(0.0, 0.5, "verify-full")
    )


def test_every_way_to_connect_has_them():
    state = state_of(DATABASE_URL=POOLED, PPG_ALIVE_WINDOW="7")
    for direct in (False, True):
        endpoint = state.endpoint(direct=direct)
        assert endpoint.settings.alive_window == 7
        assert state.engine_options(direct=direct)["ppg"].settings.alive_window == 7
    assert state_of(DATABASE_URL=POOLED, PPG_DIRECT="1", PPG_ALIVE_WINDOW="7").endpoint().settings


def test_a_bind_may_have_its_own():
    state = state_of(
        DATABASE_URL=POOLED,
        PPG_ALIVE_WINDOW="7",
        PPG_BINDS={
            "facts": {"DATABASE_URL": OTHER, "PPG_ALIVE_WINDOW": 0},
            "more": {"DATABASE_URL": OTHER},
        },
    )
    windows = [state.endpoint(bind=bind).settings.alive_window for bind in (None, "facts", "more")]
    assert windows == [7, 0, 7]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PPG_CONNECT_DEADLINE", "soon"),
        ("PPG_CONNECT_DEADLINE", -1),
        ("PPG_ALIVE_WINDOW", "inf"),
        ("PPG_SSLMODE", "prefer"),
    ],
)
def test_one_that_cannot_be_used_stops_the_app_and_names_its_place(
    name, value, folder, monkeypatch
):
    def said(**config):
        with pytest.raises(ConfigurationError) as caught:
            state_of(DATABASE_URL=POOLED, **config)
        return str(caught.value)

    assert f"{name} in app.config is '{value}'" in said(**{name: value})
    bind = {"facts": {"DATABASE_URL": OTHER, name: value}}
    assert f"{name} in PPG_BINDS['facts'] is '{value}'" in said(PPG_BINDS=bind)
    (folder / ".env").write_text(f"{name}={value}\n")
    assert f"{name} in {folder / '.env'} is '{value}'" in said()
    (folder / ".env").unlink()  # or the file would be where the environment has it from
    monkeypatch.setenv(name, str(value))
    assert f"{name} in the environment is '{value}'" in said()


# ---------------------------------------------------------------- requests


def served(made):
    """An app with one view, and what it answers."""

    @made.app.get("/")
    def who():
        return jsonify(made.db.session.scalar(text(USER)))

    def ask():
        answer = made.app.test_client().get("/")
        assert answer.status_code == 200
        return answer.json

    return ask


@pytest.fixture
def rotated(servers, generated):
    return servers.generate("rotated", database=generated.pooled.database)


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])
def test_no_request_meets_a_role_that_was_dropped(
    driver, make_app, env_file, generated, rotated, servers
):
    """Its idle connections would wait in the pooler for as long as that lets them: two minutes."""
    made = make_app({"PPG_DRIVER": driver})
    ask = served(made)
    with made.app.app_context():
        for connection in [made.db.engine.connect() for _ in range(5)]:
            assert connection.scalar(text(USER)) == generated.pooled.user
            connection.close()
        assert made.db.engine.pool.checkedin() == 5
    write_env(env_file.with_name("new.env"), rotated)
    os.replace(env_file.with_name("new.env"), env_file)
    servers.revoke(generated.pooled.user)
    answers, began = [], time.monotonic()

    def work():
        answers.extend(ask() for _ in range(3))

    threads = [threading.Thread(target=work) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert answers == [rotated.pooled.user] * 15
    assert time.monotonic() - began < 10


def test_a_transaction_that_runs_is_left_to_its_end(make_app, env_file, generated, rotated):
    made = make_app()
    with made.app.app_context():
        session = made.db.session
        session.execute(text("CREATE TABLE written (n int)"))
        write_env(env_file, rotated)
        assert made.scalar(USER) == rotated.pooled.user
        session.execute(text("INSERT INTO written VALUES (1)"))
        assert session.scalar(text(USER)) == generated.pooled.user
        session.commit()
    assert made.scalar("SELECT n FROM written") == 1


def test_a_request_costs_no_ping_and_a_dead_connection_no_request(make_app, generated, folder):
    with TCPProxy((generated.pooled.host, generated.pooled.port)) as proxy:
        url = generated.pooled.replace(port=proxy.port).reveal()
        made = make_app({"DATABASE_URL": url})
        ask = served(made)
        with made.app.app_context():
            dialect = made.db.engine.dialect
        pings = []
        ping = dialect.do_ping
        dialect.do_ping = lambda connection: pings.append(connection) or ping(connection)
        for _ in range(3):
            ask()
        assert (pings, proxy.accepted) == ([], 1)
        proxy.cut()
        ask()
        assert (len(pings), proxy.accepted) == (1, 2)


def test_in_a_command_without_a_pair_click_prints_what_is_missing(make_app):
    made = make_app()
    with made.app.app_context(), click.Context(click.Command("report")):
        with pytest.raises(click.ClickException, match="no database URL"):
            made.db.engine.connect()
