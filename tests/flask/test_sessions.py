"""Listeners, locks and long jobs of an app: on direct, whatever its requests do meanwhile."""

from __future__ import annotations

import os

import pytest
from sqlalchemy import text

from ppg_integrations import listening
from ppg_integrations.errors import (
    ConfigurationError,
    LockNotAvailableError,
    MissingDirectURLError,
)
from tests.flask.conftest import urls, write_env

USERS = """
    SELECT usename FROM pg_stat_activity
    WHERE application_name LIKE 'ppg listen%' AND datname = current_database()
"""


def notify(made, payload):
    with made.app.app_context():
        made.db.session.execute(text("SELECT pg_notify('jobs', :payload)"), {"payload": payload})
        made.db.session.commit()


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])
def test_beside_requests_that_stay_on_the_pooler(make_app, generated, driver):
    made = make_app({**urls(generated), "PPG_DRIVER": driver})
    with made.app.app_context():
        # What is made in a context goes on without it.
        heard = made.ppg.listen("jobs", catch_up=lambda: notify(made, "one"), timeout=20)
        lock = made.ppg.advisory_lock("nightly", wait=0)
        job = made.ppg.direct_session(autocommit=True)
    assert next(heard).payload == "one"
    heard.close()
    with lock, pytest.raises(LockNotAvailableError, match="ppg lock nightly"):
        with made.state.advisory_lock("nightly", wait=0):
            pass
    with job as connection:
        assert type(connection).__module__.split(".")[0] == driver
        assert int(connection.info.port) == generated.direct.port
    assert made.port() == generated.pooled.port
    with pytest.raises(ConfigurationError, match="app context"):
        made.ppg.listen("jobs")


def test_a_listener_follows_a_rotation(make_app, servers, env_file, generated, monkeypatch):
    monkeypatch.setattr(listening, "LOOK", 0.05)
    rotated = servers.generate("rotated", database=generated.pooled.database)
    made = make_app()
    heard = made.state.listen("jobs", catch_up=lambda: notify(made, "begun"), timeout=20)
    assert next(heard).payload == "begun"
    assert made.scalar(USERS) == generated.direct.user
    write_env(env_file.with_name("new"), rotated)
    os.replace(env_file.with_name("new"), env_file)
    while made.scalar(USERS) != rotated.direct.user:
        notify(made, "while it goes over")
        assert next(heard).payload == "while it goes over"
    heard.close()


def test_a_bind_has_its_own(make_app, servers, generated):
    facts = {"DATABASE_URL": generated.pooled.reveal(), "DIRECT_URL": generated.direct.reveal()}
    made = make_app(
        {
            "DATABASE_URL": "postgresql://ada:sesame@ep-a-b-pooler.eu-central-1.aws.neon.tech/shop",
            "PPG_BINDS": {"facts": facts},
        }
    )
    with made.state.direct_session(bind="facts") as connection:
        assert connection.info.dbname == generated.direct.database
    with pytest.raises(ConfigurationError, match="bind='other'"):
        made.state.advisory_lock("x", bind="other")


def test_the_pooled_url_is_never_taken_instead(make_app, generated):
    made = make_app({"DATABASE_URL": generated.pooled.reveal()})
    for enter in (
        lambda: next(made.state.listen("jobs")),
        made.state.advisory_lock("x").__enter__,
        made.state.direct_session().__enter__,
    ):
        with pytest.raises(MissingDirectURLError) as caught:
            enter()
        assert "DIRECT_URL" in caught.value.hint
