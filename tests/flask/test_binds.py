"""``PPG_BINDS``: further pairs of an app, each on its own; ``SQLALCHEMY_BINDS`` of the app's own."""

from __future__ import annotations

import secrets

import pytest
from flask import Flask
from sqlalchemy import make_url, NullPool

from ppg_integrations.errors import (
    ConfigurationError,
    MismatchedPairError,
    MissingURLError,
    ProviderError,
)
from ppg_integrations.flask import PPG
from tests.flask.conftest import DIRECT, OTHER, POOLED, urls, write_env

BINDS = "SQLALCHEMY_BINDS"
OTHER_DIRECT = OTHER.replace("-pooler", "")


@pytest.fixture
def second(servers):
    """A pair of another database."""
    database = f"t_{secrets.token_hex(4)}"
    try:
        yield servers.generate("second", database=database)
    finally:
        servers.drop(database)


def initialised(ppg=None, **settings):
    app = Flask("shop")
    app.config.update(settings)
    (ppg or PPG()).init_app(app)
    return app


def bind_of(key="facts", **settings):
    return initialised(**settings).extensions["ppg"].binds[key]


# ---------------------------------------------------------------- engines


def test_each_bind_has_its_own_pair_and_its_own_engine(make_app, generated, second):
    made = make_app({**urls(generated), "PPG_BINDS": {"facts": urls(second)}})
    assert made.state.manages == {None, "facts"}
    assert made.scalar("SELECT current_database()") == generated.pooled.database
    assert made.scalar("SELECT current_database()", "facts") == second.pooled.database
    assert made.port("facts") == second.pooled.port
    engine = made.state.create_engine(direct=True, bind="facts")
    with engine.connect() as connection:
        assert connection.connection.dbapi_connection.info.port == second.direct.port
        assert connection.connection.dbapi_connection.info.dbname == second.direct.database
    engine.dispose()


def test_no_bind_is_made_of_the_direct_url(make_app, generated):
    """``flask db upgrade`` with several databases would migrate it as one of its own."""
    made = make_app(urls(generated))
    with made.app.app_context():
        assert [*made.db.engines] == [None]
    assert BINDS not in made.app.config or made.app.config[BINDS] == {}


def test_an_argument_adds_binds_and_wins():
    ppg = PPG(binds={"facts": {"DATABASE_URL": OTHER}, "more": {"DATABASE_URL": POOLED}})
    app = initialised(ppg, DATABASE_URL=POOLED, PPG_BINDS={"facts": {"DATABASE_URL": POOLED}})
    state = app.extensions["ppg"]
    assert {key: each.pair.pooled.database for key, each in state.binds.items()} == {
        "facts": "facts",
        "more": "shop",
    }


def test_a_bind_may_have_its_own_driver_and_pool():
    app = initialised(
        DATABASE_URL=POOLED,
        PPG_BINDS={
            "facts": {"DATABASE_URL": OTHER, "PPG_DRIVER": "psycopg2", "PPG_SERVERLESS": True}
        },
    )
    assert app.config["SQLALCHEMY_DATABASE_URI"].startswith("postgresql+psycopg://")
    assert "poolclass" not in app.config["SQLALCHEMY_ENGINE_OPTIONS"]
    entry = app.config[BINDS]["facts"]
    assert entry["url"].startswith("postgresql+psycopg2://")
    assert entry["poolclass"] is NullPool


@pytest.mark.parametrize("direct", [True, False])
def test_ppg_direct_of_the_app_counts_for_its_binds(make_app, generated, second, direct):
    made = make_app(
        {
            **urls(generated),
            "PPG_DIRECT": not direct,
            "PPG_BINDS": {"facts": {**urls(second), "PPG_DIRECT": direct}, "more": urls(second)},
        }
    )
    ports = [generated.pooled.port, generated.direct.port]
    assert made.port() == ports[not direct]
    assert made.port("facts") == ports[direct]
    assert made.port("more") == ports[not direct]


def test_there_is_no_such_bind():
    state = initialised(PPG_BINDS={"facts": {"DATABASE_URL": OTHER}}).extensions["ppg"]
    for use in (state.endpoint, state.engine_options, state.create_engine):
        with pytest.raises(ConfigurationError, match="bind='fact': PPG_BINDS has facts"):
            use(bind="fact")


# ---------------------------------------------------------------- what a bind sees


def test_a_bind_never_takes_the_apps_urls(folder, monkeypatch):
    (folder / ".env").write_text(f"DATABASE_URL={POOLED}\nDIRECT_URL={DIRECT}\n")
    monkeypatch.setenv("POSTGRES_URL", POOLED)
    monkeypatch.setenv("REPLICA_URL", POOLED.replace("cool-rain", "cool-rain-replica"))
    found = bind_of(DATABASE_URL_POOLED=POOLED, PPG_BINDS={"facts": {"DATABASE_URL": OTHER}})
    assert found.pair.pooled.reveal() == OTHER
    assert found.pair.require_direct().reveal() == OTHER_DIRECT
    assert found.pair.replica is None
    error = bind_of(DATABASE_URL=POOLED, PPG_BINDS={"facts": {}}).error
    assert isinstance(error, MissingURLError)


def test_a_bind_shares_everything_else(servers, folder, monkeypatch):
    """A token in any of the three places, unless its own mapping has another target or token."""
    (folder / ".env").write_text("PPG_TIMEOUT=0.2\nPPG_DATABASE=db_app\nPPG_CONNECTION=x:y\n")
    monkeypatch.setenv("PPG_API_URL", "http://127.0.0.1:9")
    asked = {"NEON_API_KEY": "k", "PPG_PROVIDER": "neon", "PPG_BRANCH": "main"}
    app = Flask("shop")
    app.config.update({"DATABASE_URL": POOLED, **asked, "PPG_BINDS": {"facts": {}}})
    with pytest.raises(ProviderError, match=r"^PPG_BINDS\['facts'\]: ") as caught:
        PPG(app)
    assert "127.0.0.1:9" in str(caught.value)
    seen = bind_environ({}, **asked)
    assert seen["NEON_API_KEY"] == "k"
    assert seen["PPG_BRANCH"] == "main"
    seen = bind_environ({"PPG_PROJECT": "other", "NEON_API_KEY": "own"}, **asked)
    assert seen["NEON_API_KEY"] == "own"
    assert (seen["PPG_PROJECT"], "PPG_BRANCH" in seen) == ("other", False)


def bind_environ(own, **app):
    from ppg_integrations.flask.binds import Bind
    from ppg_integrations.layers import Layered

    return Bind("facts", own, Layered(app, {}), None, ()).environ


def test_a_bind_may_have_a_file_of_its_own_which_is_followed(make_app, folder, generated, second):
    write_env(folder / ".env", generated, PPG_TIMEOUT="7")
    write_env(folder / "facts.env", second)
    made = make_app({"PPG_BINDS": {"facts": {"PPG_ENV_FILE": "facts.env"}}})
    pair = made.state.binds["facts"].pair
    assert str(pair.pooled_source) == f"DATABASE_URL in {folder / 'facts.env'}"
    assert pair.env_file == pair.store == str(folder / "facts.env")
    assert made.scalar("SELECT current_database()", "facts") == second.pooled.database
    assert made.scalar("SELECT current_database()") == generated.pooled.database


def test_a_file_of_its_own_may_come_later(folder, generated):
    found = bind_of(PPG_BINDS={"facts": {"PPG_ENV_FILE": folder / "facts.env"}})
    assert f"in it and {folder / 'facts.env'}" in str(found.error)
    write_env(folder / "facts.env", generated)
    assert found.pair.pooled == generated.pooled


@pytest.mark.parametrize("off", [None, False, ""])
def test_the_apps_file_is_not_the_binds(folder, off):
    (folder / ".env").write_text(f"DATABASE_URL={POOLED}\n")
    own = {} if off is None else {"PPG_ENV_FILE": off}
    found = bind_of(PPG_BINDS={"facts": own})
    assert isinstance(found.error, MissingURLError)


# ---------------------------------------------------------------- what is wrong with one


def test_a_bind_without_a_url_is_missed_where_it_is_used(make_app, caplog, generated):
    made = make_app({**urls(generated), "PPG_BINDS": {"facts": {}}})
    (said,) = [each for each in caplog.records if each.name == "shop"]
    assert said.getMessage().startswith(
        "PPG_BINDS['facts']: no database URL: looked for DATABASE_URL, DATABASE_URL_POOLED, "
        "POSTGRES_URL, POSTGRES_PRISMA_URL in it\n"
    )
    assert made.scalar("SELECT current_database()") == generated.pooled.database
    with pytest.raises(MissingURLError, match=r"^PPG_BINDS\['facts'\]: no database") as caught:
        made.scalar("SELECT 1", "facts")
    assert "Give PPG_BINDS['facts'] its DATABASE_URL and DIRECT_URL" in caught.value.hint


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"DATABASE_URL": "mysql://x"}, r"DATABASE_URL in PPG_BINDS\['facts'\]"),
        ({"DATABASE_URL": 5.0}, r"DATABASE_URL in PPG_BINDS\['facts'\]"),
        ({"DATABASE_URL": []}, r"DATABASE_URL in PPG_BINDS\['facts'\] is a list"),
        ({"DATABASE_URL": OTHER, "PPG_DRIVER": "x"}, r"PPG_DRIVER in PPG_BINDS\['facts'\] is 'x'"),
    ],
)
def test_what_is_wrong_with_a_bind_names_it(wrong, message):
    with pytest.raises(ConfigurationError, match=message):
        initialised(DATABASE_URL=POOLED, PPG_BINDS={"facts": wrong})


def test_halves_of_different_databases_name_their_bind():
    wrong = {"DATABASE_URL": OTHER, "DIRECT_URL": DIRECT}
    with pytest.raises(MismatchedPairError, match=r"^PPG_BINDS\['facts'\]: "):
        initialised(DATABASE_URL=POOLED, PPG_BINDS={"facts": wrong})


@pytest.mark.parametrize(
    ("binds", "message"),
    [
        (["secret"], "PPG_BINDS is a list"),
        ({"facts": "secret"}, r"PPG_BINDS\['facts'\] is a str"),
        ({None: {}}, "a key of PPG_BINDS is a NoneType"),
        ({"": {}}, "a key of PPG_BINDS is a str"),
    ],
)
@pytest.mark.parametrize("argument", [True, False])
def test_what_is_no_mapping_of_mappings_is_refused(binds, message, argument):
    with pytest.raises(ConfigurationError, match=message) as caught:
        if argument:
            PPG(binds=binds)
        else:
            initialised(DATABASE_URL=POOLED, PPG_BINDS=binds)
    assert "secret" not in str(caught.value)
    assert '"analytics": {"DATABASE_URL"' in caught.value.hint


# ---------------------------------------------------------------- binds of the app's own


@pytest.mark.parametrize(
    "entry",
    [
        "sqlite://",
        make_url("sqlite://"),
        {"url": "sqlite://", "echo": False},
        OTHER_DIRECT,
        {"url": OTHER.replace("facts", "other"), "pool_size": 1},
    ],
)
@pytest.mark.parametrize("key", ["facts", "own"])
def test_an_entry_that_leads_elsewhere_is_left_alone(entry, key):
    app = initialised(
        DATABASE_URL=POOLED,
        PPG_BINDS={"facts": {"DATABASE_URL": OTHER}},
        SQLALCHEMY_BINDS={key: entry},
    )
    assert app.config[BINDS][key] == entry
    assert key not in app.extensions["ppg"].manages


@pytest.mark.parametrize("key", ["facts", "own"])
@pytest.mark.parametrize(
    "entry",
    [
        OTHER,
        make_url(OTHER.replace("postgresql", "postgresql+psycopg")),
        {"url": OTHER, "pool_size": 1, "connect_args": {"application_name": "facts"}},
    ],
)
def test_an_entry_that_leads_to_our_place_gets_our_options(entry, key):
    app = initialised(
        DATABASE_URL=POOLED,
        PPG_BINDS={"facts": {"DATABASE_URL": OTHER}},
        SQLALCHEMY_BINDS={key: entry},
    )
    state = app.extensions["ppg"]
    found = app.config[BINDS][key]
    assert key in state.manages
    assert found["url"] == (entry["url"] if isinstance(entry, dict) else entry)
    assert found["ppg"].current is state.binds["facts"]
    if isinstance(entry, dict):
        assert found["pool_size"] == 1
        assert found["connect_args"]["application_name"] == "facts"


def test_of_two_binds_at_one_place_the_one_of_that_name_is_meant():
    both = {key: {"DATABASE_URL": OTHER} for key in ("facts", "more")}
    app = initialised(DATABASE_URL=POOLED, PPG_BINDS=both, SQLALCHEMY_BINDS={"more": OTHER})
    found = app.config[BINDS]["more"]["ppg"]
    assert found.current is app.extensions["ppg"].binds["more"]


def test_options_without_a_url_are_for_our_bind():
    given = {"facts": {"pool_size": 1}}
    app = initialised(
        DATABASE_URL=POOLED, PPG_BINDS={"facts": {"DATABASE_URL": OTHER}}, SQLALCHEMY_BINDS=given
    )
    found = app.config[BINDS]["facts"]
    assert (make_url(found["url"]).database, found["pool_size"], found["max_overflow"]) == (
        "facts",
        1,
        0,
    )
    assert given == {"facts": {"pool_size": 1}}


def test_an_entry_that_leads_where_the_default_does_is_ours_too(make_app, generated):
    made = make_app({**urls(generated), BINDS: {"reports": generated.pooled.reveal()}})
    assert made.state.manages == {None, "reports"}
    assert made.app.config[BINDS]["reports"]["ppg"].current is made.state.current
    assert made.scalar("SELECT current_database()", "reports") == generated.pooled.database
