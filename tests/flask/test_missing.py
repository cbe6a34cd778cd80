"""Without a pair an app starts all the same; with one that cannot be used it starts for the verbs."""

from __future__ import annotations

import logging

import pytest
from flask import Flask
from sqlalchemy import make_url, text

from ppg_integrations.errors import (
    ConfigurationError,
    MismatchedPairError,
    MissingURLError,
    PPGError,
    PPGWarning,
    ProviderError,
    URLError,
)
from ppg_integrations.flask import PPG
from ppg_integrations.flask.cli import loading
from tests.flask.projects import Project
from tests.flask.conftest import DIRECT, OTHER, POOLED, flask, urls, write_env


def said(caplog, level=logging.WARNING):
    """What the app logged."""
    return [
        each.getMessage()
        for each in caplog.records
        if each.name == "shop" and each.levelno >= level
    ]


def unusable(**settings):
    """An app whose pair cannot be used, as `flask ppg` loads it."""
    app = Flask("shop")
    app.config.update(settings)
    with loading():
        PPG(app)
    return app


# ---------------------------------------------------------------- no pair


def test_one_line_of_the_log_names_what_was_looked_for_and_what_to_do(make_app, caplog, folder):
    make_app()
    (line,) = said(caplog)
    assert line.startswith(
        "no database URL: looked for DATABASE_URL, DATABASE_URL_POOLED, POSTGRES_URL, "
        f"POSTGRES_PRISMA_URL in app.config, the environment and {folder / '.env'}, which does "
        "not exist\nSet DATABASE_URL"
    )
    assert "`flask ppg create`" in line


def test_what_uses_the_database_says_the_same(make_app):
    made = make_app()
    assert make_url(made.app.config["SQLALCHEMY_DATABASE_URI"]).host == "unconfigured.invalid"
    with made.app.app_context():
        with pytest.raises(MissingURLError, match="no database URL"):
            made.db.session.execute(text("SELECT 1"))
        with pytest.raises(MissingURLError, match="no database URL"):
            _ = made.ppg.pair
        with pytest.raises(MissingURLError, match="no database URL"):
            made.ppg.create_engine(direct=True).connect()


APP = """
    from flask import Flask
    from flask_sqlalchemy import SQLAlchemy
    from ppg_integrations.flask import PPG

    app = Flask(__name__)
    PPG(app)
    SQLAlchemy(app)
    app.get("/hello")(lambda: "fine")
"""


def test_a_command_that_does_not_use_it_is_not_disturbed(folder):
    done = flask(folder, APP, "routes")
    assert "/hello" in done.stdout
    assert done.stderr.count("no database URL") == 1


def test_a_request_that_does_not_use_it_is_not_disturbed(make_app, caplog):
    made = make_app()
    made.app.get("/")(lambda: "fine")
    caplog.clear()
    assert made.app.test_client().get("/").text == "fine"
    assert said(caplog) == []


def test_a_pair_that_comes_later_is_used_without_a_restart(make_app, folder, generated):
    made = make_app()
    with pytest.raises(MissingURLError):
        made.scalar("SELECT 1")
    write_env(folder / ".env", generated)
    assert made.scalar("SELECT current_database()") == generated.pooled.database
    assert made.port() == generated.pooled.port


def test_a_missing_direct_url_is_missed_where_it_is_used(make_app, caplog, generated):
    made = make_app({"DATABASE_URL": generated.pooled.reveal()})
    assert said(caplog) == []
    assert made.port() == generated.pooled.port
    with made.app.app_context(), pytest.raises(ConfigurationError, match="the direct URL"):
        made.ppg.create_engine(direct=True).connect()


@pytest.mark.parametrize(
    "uri", ["sqlite://", "postgresql+psycopg://ada:sesame@db.test/shop", "no URL at all"]
)
def test_a_uri_of_the_apps_own_stays_and_only_sqlite_misses_nothing(caplog, uri):
    app = Flask("shop")
    app.config["SQLALCHEMY_DATABASE_URI"] = uri
    PPG(app)
    assert app.config["SQLALCHEMY_DATABASE_URI"] == uri
    assert app.extensions["ppg"].manages == frozenset()
    assert len(said(caplog)) == (0 if uri.startswith("sqlite") else 1)
    caplog.clear()
    caplog.set_level(logging.DEBUG)
    app = Flask("shop")
    app.config["SQLALCHEMY_DATABASE_URI"] = uri
    PPG(app)
    assert len(said(caplog, logging.DEBUG)) == 1


def test_no_api_is_asked_where_that_is_forbidden(caplog, monkeypatch):
    monkeypatch.setenv("NEON_API_KEY", "k")
    app = Flask("shop")
    app.config.update(PPG_RESOLVE="never", PPG_API_URL="http://127.0.0.1:9")
    PPG(app)
    (line,) = said(caplog)
    assert "PPG_RESOLVE in app.config is never, so no provider's API was asked" in line


# ---------------------------------------------------------------- within `flask ppg`


UNUSABLE = [
    ({"DATABASE_URL": POOLED, "DIRECT_URL": OTHER}, MismatchedPairError),
    ({"DATABASE_URL": "postgresql://ada:sesame@db.test:64x/shop"}, URLError),
    ({"DATABASE_URL": POOLED, "PPG_ALLOW_MISMATCH": "colour"}, ConfigurationError),
]


@pytest.mark.parametrize(("settings", "kind"), UNUSABLE)
def test_a_pair_that_cannot_be_used_stops_every_other_command(settings, kind):
    app = Flask("shop")
    app.config.update(settings)
    with pytest.raises(kind):
        PPG(app)
    assert "ppg" not in app.extensions


@pytest.mark.parametrize(("settings", "kind"), UNUSABLE)
def test_within_flask_ppg_the_app_starts_with_it(settings, kind, caplog):
    app = unusable(**settings)
    state = app.extensions["ppg"]
    assert type(state.current.error) is kind
    assert said(caplog) == []
    with app.app_context(), pytest.raises(kind):
        _ = state.pair
    with pytest.raises(kind):
        state.create_engine().connect()


def test_within_flask_ppg_no_bind_stops_it(caplog):
    app = unusable(DATABASE_URL=POOLED, PPG_BINDS={"facts": {"DATABASE_URL": "x"}, "more": {}})
    assert app.extensions["ppg"].pair.pooled.reveal() == POOLED
    assert all(isinstance(each.error, PPGError) for each in app.extensions["ppg"].binds.values())
    assert said(caplog) == []


def test_within_flask_ppg_no_api_is_asked(monkeypatch):
    settings = {"NEON_API_KEY": "k", "PPG_PROJECT": "p", "PPG_API_URL": "http://127.0.0.1:9"}
    settings["PPG_TIMEOUT"] = 0.2
    app = Flask("shop")
    app.config.update(settings, PPG_BINDS={"facts": {}})
    with pytest.raises(ProviderError):
        PPG(app)
    state = unusable(**settings, PPG_RESOLVE="auto", PPG_BINDS={"facts": {}}).extensions["ppg"]
    for current in (state.current, state.binds["facts"]):
        assert isinstance(current.error, MissingURLError)
    # The verbs ask by themselves, as the app is configured.
    assert state.environ["PPG_RESOLVE"] == "auto"


def test_within_flask_ppg_what_a_pooler_refuses_is_left_to_doctor():
    app = unusable(DATABASE_URL=f"{POOLED}?options=-c%20geqo%3Doff", DIRECT_URL=DIRECT)
    assert app.extensions["ppg"].manages == {None}


def test_within_flask_ppg_warnings_are_left_to_the_verbs(recwarn):
    unusable(DATABASE_URL=DIRECT, DIRECT_URL=POOLED)
    assert not [each for each in recwarn if issubclass(each.category, PPGWarning)]


def test_the_wrong_order_is_wrong_within_flask_ppg_too(make_app, generated):
    made = make_app(urls(generated))
    del made.app.extensions["ppg"]
    with loading(), pytest.raises(ConfigurationError, match="Swap the two lines"):
        made.ppg.init_app(made.app)


@pytest.mark.once
@pytest.mark.parametrize("command", [["routes"], ["db", "upgrade"]])
def test_a_url_that_cannot_be_used_ends_a_command_without_a_traceback(folder, command):
    said = Project(folder, None).flask(*command, status=1, DATABASE_URL="mysql://ada:sesame@x/shop")
    assert "Error: DATABASE_URL in the environment" in said.stderr
    assert "Traceback" not in said.stderr
    assert "sesame" not in said.stdout + said.stderr


def test_outside_of_a_command_the_error_is_the_leaf_itself():
    app = Flask("shop")
    app.config["DATABASE_URL"] = "mysql://ada:sesame@x/shop"
    with pytest.raises(URLError) as caught:
        PPG(app)
    assert type(caught.value) is URLError
