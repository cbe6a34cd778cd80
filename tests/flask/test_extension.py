"""``PPG``: one object for many apps, whose state is theirs; what connects goes through the pooler."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import subprocess
import sys
import traceback
from pprint import pformat

import pytest
from flask import Flask
from quart import Quart
from sqlalchemy import make_url, text

from ppg_integrations.encryption import secured
from ppg_integrations.errors import ConfigurationError, MismatchedPairError, PPGWarning
from ppg_integrations.flask import PPG
from ppg_integrations.flask import state as flask_state
from ppg_integrations.flask.state import State, states
from tests.flask.conftest import DIRECT, OTHER, POOLED, urls


def initialised(**config):
    app = Flask("shop")
    app.config.update(config or {"DATABASE_URL": POOLED})
    PPG(app)
    return app


# ---------------------------------------------------------------- apps


@pytest.mark.parametrize("initialise", [PPG, lambda app: PPG().init_app(app)])
def test_both_spellings_put_the_state_into_the_app(initialise):
    app = Flask("shop")
    app.config["DATABASE_URL"] = POOLED
    initialise(app)
    state = app.extensions["ppg"]
    assert isinstance(state, State)
    assert state.pair.pooled.reveal() == POOLED
    assert state.pair.require_direct().reveal() == DIRECT
    assert state.manages == {None}


def test_one_object_serves_several_apps_and_keeps_nothing_of_them():
    ppg = PPG()
    before = {**vars(ppg)}
    first, second = Flask("first"), Flask("second")
    for app, url in ((first, POOLED), (second, OTHER)):
        app.config["DATABASE_URL"] = url
        ppg.init_app(app)
    assert vars(ppg) == before
    with first.app_context():
        assert ppg.pair.pooled.database == "shop"
        with second.app_context():
            assert ppg.pair.pooled.database == "facts"
        assert ppg.pair.pooled.database == "shop"


def test_arguments_win_over_the_configuration_in_every_app():
    ppg = PPG(pooled=POOLED, env_file=False, driver="psycopg2", serverless=True)
    for name in ("first", "second"):
        app = Flask(name)
        app.config.update(DATABASE_URL=OTHER, PPG_DRIVER="psycopg", PPG_SERVERLESS=False)
        ppg.init_app(app)
        state = app.extensions["ppg"]
        assert state.pair.pooled.database == "shop"
        assert str(state.pair.pooled_source) == "the argument pooled"
        assert (state.env_file, state.driver) == (None, "psycopg2")
        assert app.config["SQLALCHEMY_ENGINE_OPTIONS"]["poolclass"].__name__ == "NullPool"


@pytest.mark.parametrize(
    "use",
    [
        lambda ppg: ppg.pair,
        lambda ppg: ppg.endpoint(),
        lambda ppg: ppg.engine_options(),
        lambda ppg: ppg.create_engine(),
        lambda ppg: ppg.create_async_engine(),
        lambda ppg: ppg.connection_pool(),
        lambda ppg: ppg.async_connection_pool(),
    ],
)
def test_outside_of_an_apps_context_the_error_says_what_to_do(use):
    app = Flask("shop")
    app.config["DATABASE_URL"] = POOLED
    ppg = PPG(app)
    with pytest.raises(ConfigurationError, match="outside of any app context") as caught:
        use(ppg)
    assert "with app.app_context():" in caught.value.hint
    assert 'app.extensions["ppg"]' in caught.value.hint
    with Flask("other").app_context():
        with pytest.raises(ConfigurationError, match="not initialised in the app 'other'"):
            use(ppg)


def test_after_flask_sqlalchemy_it_is_too_late(make_app):
    made = make_app({"DATABASE_URL": POOLED})
    del made.app.extensions["ppg"]
    with pytest.raises(ConfigurationError, match=r"db\.init_app\(app\) came before") as caught:
        made.ppg.init_app(made.app)
    assert "Swap the two lines" in caught.value.hint


def test_an_app_is_initialised_once():
    app = initialised()
    with pytest.raises(ConfigurationError, match="initialised in the app 'shop' already"):
        PPG(app)


def test_an_app_that_was_refused_can_be_initialised_again():
    app = Flask("shop")
    app.config.update(DATABASE_URL=POOLED, DIRECT_URL=OTHER)
    with pytest.raises(MismatchedPairError):
        PPG(app)
    app.config["DIRECT_URL"] = DIRECT
    PPG(app)
    assert app.extensions["ppg"].pair.require_direct().reveal() == DIRECT


def test_a_warning_names_the_line_that_called():
    swapped = {"DATABASE_URL": DIRECT, "DIRECT_URL": POOLED}
    app = Flask("shop")
    app.config.update(swapped)
    with pytest.warns(PPGWarning) as constructed:
        PPG(app)
    app = Flask("shop")
    app.config.update(swapped)
    with pytest.warns(PPGWarning) as initialised:
        PPG().init_app(app)
    assert {each.filename for each in (*constructed, *initialised)} == {__file__}


# ---------------------------------------------------------------- what connects


def test_a_session_is_pooled_and_its_data_stay(make_app, generated, pooled_logins, direct_logins):
    made = make_app(urls(generated))
    with made.app.app_context():
        made.db.session.execute(text("CREATE TABLE notes (body text)"))
        made.db.session.execute(text("INSERT INTO notes VALUES ('kept')"))
        made.db.session.commit()
        made.db.session.remove()
    assert made.scalar("SELECT body FROM notes") == "kept"
    assert made.port() == generated.pooled.port
    assert (pooled_logins() > 0, direct_logins()) == (True, 0)


def test_engines_and_pools_without_flask_sqlalchemy(make_app, generated):
    made = make_app(urls(generated))
    with made.app.app_context():
        for keeper in (made.ppg, made.state):
            for direct in (False, True):
                expected = (generated.direct if direct else generated.pooled).port
                engine = keeper.create_engine(direct=direct, pool_recycle=60)
                with engine.connect() as connection:
                    assert connection.connection.dbapi_connection.info.port == expected
                engine.dispose()
                with keeper.connection_pool(direct=direct, min_size=1) as pool:
                    with pool.connection() as connection:
                        assert connection.info.port == expected
                        assert connection.prepare_threshold is None


@pytest.mark.parametrize("driver", [None, "asyncpg"])
def test_an_async_engine_in_quart(generated, driver, pooled_logins):
    app = Quart("shop")
    app.config.update(urls(generated))
    ppg = PPG(app)

    @app.get("/")
    async def where():
        engine = ppg.create_async_engine(driver=driver)
        try:
            async with engine.connect() as connection:
                found = await connection.execute(text("SELECT current_user"))
                return found.scalar_one()
        finally:
            await engine.dispose()

    async def ask():
        response = await app.test_client().get("/")
        return await response.get_data(as_text=True)

    assert asyncio.run(ask()) == role_of(generated)
    assert pooled_logins() > 0


def test_in_a_thread_that_migrates_the_pooled_endpoint_leads_to_the_direct_one(monkeypatch):
    state = initialised().extensions["ppg"]
    pooled, direct = secured(state.pair.pooled), secured(state.pair.direct)
    assert state.endpoint().destination() == (pooled, True)
    monkeypatch.setattr(state.migrations, "active", lambda: True)
    assert state.endpoint().destination() == (direct, False)
    assert state.endpoint(direct=True).destination() == (direct, True)


def test_an_async_pool(make_app, generated):
    made = make_app(urls(generated))

    async def port():
        async with made.state.async_connection_pool(min_size=1) as pool:
            async with pool.connection() as connection:
                return connection.info.port

    assert asyncio.run(port()) == generated.pooled.port


def role_of(generated):
    from ppg_integrations.drivers import connect

    with connect(generated.direct) as connection:
        return connection.fetch("SELECT current_user")[0][0]


# ---------------------------------------------------------------- who else looks


def test_whoever_wants_to_sees_a_state_before_the_configuration_is_set():
    seen = []
    app = Flask("shop")
    app.config["DATABASE_URL"] = POOLED

    def look(state):
        seen.append((state, "SQLALCHEMY_DATABASE_URI" in app.config))

    flask_state.on_new.append(look)
    try:
        PPG(app)
    finally:
        flask_state.on_new.remove(look)
    assert seen == [(app.extensions["ppg"], False)]


def test_the_states_of_apps_that_are_gone_are_gone():
    gc.collect()
    before = states()
    first, second = initialised(), initialised()
    new = [state for state in states() if state not in before]
    assert new == [first.extensions["ppg"], second.extensions["ppg"]]
    del new, first
    gc.collect()
    assert [state for state in states() if state not in before] == [second.extensions["ppg"]]


def test_the_package_imports_nothing_until_it_is_used():
    code = (
        "import sys, ppg_integrations.flask, ppg_integrations.flask.cli\n"
        "print([n for n in ('sqlalchemy', 'flask_sqlalchemy', 'httpx', 'psycopg') "
        "if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]", done.stderr


# ---------------------------------------------------------------- secrets


SECRETS = ("sesame", "token-of-neon", "bind-secret", "from-argument", "own-uri", "of-the-key")


def dumps(app):
    """The ways in which configurations end up in logs and on debug pages."""
    yield pformat(dict(app.config))
    yield repr(app.config)
    yield str(app.config)
    ours = ("SQLALCHEMY_DATABASE_URI", "SQLALCHEMY_ENGINE_OPTIONS")
    yield json.dumps({name: str(app.config[name]) for name in ours})
    yield json.dumps(app.extensions, default=str)
    yield pformat(app.extensions)
    state = app.extensions["ppg"]
    yield pformat(vars(state))
    yield pformat([vars(state.current), *map(vars, state.binds.values())])
    yield pformat(vars(state.endpoint()))


def test_no_dump_shows_a_secret(caplog):
    caplog.set_level(logging.DEBUG)
    own = POOLED.replace("sesame", "own-uri").replace("/shop", "/x")
    app = Flask("shop")
    app.config.update(
        DATABASE_URL=f"{POOLED}?sslpassword=of-the-key-1",
        NEON_API_KEY="token-of-neon",
        SQLALCHEMY_ENGINE_OPTIONS={"connect_args": {"sslpassword": "of-the-key-2"}},
        PPG_BINDS={"facts": {"DATABASE_URL": OTHER.replace("secret", "bind-secret")}},
        SQLALCHEMY_BINDS={"own": own, "more_of_it": {"url": own}},
    )
    ppg = PPG(app, binds={"more": {"DATABASE_URL": POOLED.replace("sesame", "from-argument")}})
    shown = [*dumps(app), pformat(vars(ppg)), repr(ppg), caplog.text]
    for secret in SECRETS:
        assert not [text for text in shown if secret in text]
    # The values themselves are what they were, for whoever uses them.
    assert app.config["DATABASE_URL"].startswith(POOLED)
    assert app.config["PPG_BINDS"]["facts"]["DATABASE_URL"].count("bind-secret") == 1
    assert make_url(app.config["SQLALCHEMY_DATABASE_URI"]).password == "sesame"


@pytest.mark.parametrize(
    "wrong",
    [
        {"DIRECT_URL": OTHER},
        {"DIRECT_URL": "mysql://ada:sesame@db.test/shop"},
        {"DIRECT_URL": "postgresql://ada:sesame@db.test:64x/shop"},
        {"PPG_TIMEOUT": []},
        {"PPG_DRIVER": "pg8000"},
        {"PPG_BINDS": {"facts": OTHER}},
        {"PPG_BINDS": {"facts": {"DATABASE_URL": OTHER, "DIRECT_URL": POOLED}}},
        {"SQLALCHEMY_DATABASE_URI": "postgres://ada:own-uri@db.test/shop"},
        {"SQLALCHEMY_ENGINE_OPTIONS": {"connect_args": {"options": "-c geqo=off"}}},
    ],
)
def test_no_error_shows_a_secret_even_with_the_variables_of_its_frames(wrong, caplog, monkeypatch):
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("NEON_API_KEY", "token-of-neon")
    app = Flask("shop")
    app.config.update({"DATABASE_URL": POOLED, **wrong})
    del wrong
    given = POOLED.replace("sesame", "from-argument")
    with pytest.raises(ConfigurationError) as caught:
        PPG(app, pooled=given, binds={"more": {"DATABASE_URL": given}})
    # Without this function's own frame, which has the values in its hands.
    told = traceback.TracebackException(
        type(caught.value), caught.value, caught.value.__traceback__.tb_next, capture_locals=True
    )
    text = "".join(told.format()) + caplog.text
    assert "_init_app" in text
    for secret in (*SECRETS, "secret@"):
        assert secret not in text
