"""What ``app.config`` may say, and what Flask-SQLAlchemy finds in it afterwards."""

from __future__ import annotations

import copy
import os
import re
import sys
from pathlib import Path
from urllib.parse import quote

import pytest
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import make_url, NullPool, QueuePool, text
from sqlalchemy.dialects import plugins
from sqlalchemy.engine import CreateEnginePlugin

from ppg_integrations import PostgresURL, names, providers
from ppg_integrations.encryption import secured
from ppg_integrations.errors import (
    ConfigurationError,
    DriverError,
    MissingDirectURLError,
    ProviderError,
    URLError,
)
from ppg_integrations.flask import PPG, config, wishes
from ppg_integrations.providers.prisma_temporary import TemporaryProvider
from tests.flask.conftest import DIRECT, OTHER, POOLED, urls

URI = "SQLALCHEMY_DATABASE_URI"
OPTIONS = "SQLALCHEMY_ENGINE_OPTIONS"


def initialised(ppg=None, **settings):
    app = Flask("shop")
    app.config.update(settings)
    (ppg or PPG()).init_app(app)
    return app


def state_of(**settings):
    return initialised(**settings).extensions["ppg"]


def encrypted(uri):
    """As it is connected with: a provider's host is verified."""
    roots = quote(secured(PostgresURL.parse(POOLED)).params["sslrootcert"], safe="")
    return f"{uri}?sslmode=verify-full&sslrootcert={roots}"


# ---------------------------------------------------------------- where the pair comes from


def test_the_configuration_wins_over_the_environment_and_that_over_the_file(folder, monkeypatch):
    url = "postgresql://{}:x@db.test:6432/shop"
    (folder / ".env").write_text(f"DATABASE_URL={url.format('file')}\n")
    state = state_of()
    assert state.pair.pooled.user == "file"
    assert str(state.pair.pooled_source) == f"DATABASE_URL in {folder / '.env'}"
    monkeypatch.setenv("DATABASE_URL", url.format("environment"))
    state = state_of()
    assert str(state.pair.pooled_source) == "DATABASE_URL in the environment"
    state = state_of(POSTGRES_URL=url.format("config"))
    assert state.pair.pooled.user == "config"
    assert str(state.pair.pooled_source) == "POSTGRES_URL in app.config"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("1", "1"),
        (True, "1"),
        (False, "0"),
        (5, "5"),
        (2.5, "2.5"),
        (None, None),
        ("", ""),
    ],
)
def test_plain_values_are_taken_as_the_environment_would_have_them(value, text):
    assert config.variables({"PPG_X": value}).get("PPG_X") == text


def test_a_url_may_be_one_of_ours_and_a_path_a_path(folder):
    (folder / "other.env").write_text(f"DIRECT_URL={DIRECT}\n")
    state = state_of(DATABASE_URL=PostgresURL.parse(POOLED), PPG_ENV_FILE=Path(folder, "other.env"))
    assert state.pair.pooled.reveal() == POOLED
    assert str(state.pair.direct_source) == f"DIRECT_URL in {folder / 'other.env'}"


def test_no_file_is_read_where_the_configuration_says_so(folder):
    (folder / ".env").write_text(f"DATABASE_URL={POOLED}\n")
    state = state_of(PPG_ENV_FILE=False)
    assert state.env_file is None
    assert state.current.error is not None
    assert state_of(PPG_ENV_FILE=None).pair.pooled.reveal() == POOLED


@pytest.mark.parametrize("value", [["secret"], {"secret": 1}, b"secret", object()])
@pytest.mark.parametrize("name", ["DATABASE_URL", "PPG_PROVIDER", "NEON_API_KEY", "PPG_ENV_FILE"])
def test_a_value_of_another_type_is_named_and_not_shown(name, value):
    with pytest.raises(ConfigurationError) as caught:
        initialised(**{name: value})
    assert caught.value.message.startswith(f"{name} in app.config is a {type(value).__name__}")
    assert "secret" not in str(caught.value)


def test_keys_of_others_are_nobodys_business():
    others = {"PPGX": [], "DATABASE_URLS": [], "NEON_SIGN": [], "ppg_x": [], "DATABASE": {}}
    assert dict(config.variables(others)) == {}


def test_every_variable_of_a_provider_counts():
    for name in providers.NAMES:
        provider = type(providers.load(name))
        used = [*providers.tokens(name), *provider.api_variables]
        used += [each for group in provider.variables.values() for each in group]
        for variable in used:
            assert config.is_variable(variable), variable
            secret = variable in providers.tokens(name)
            assert (variable in config.TOKENS) == secret
    for variable in TemporaryProvider.api_variables:
        assert config.is_variable(variable)
    for value in vars(names).values():
        for name in value if isinstance(value, tuple) else (value,):
            if isinstance(name, str) and re.fullmatch(r"[A-Z]+_[A-Z_]+", name):
                assert config.is_variable(name), name


def test_a_url_that_cannot_be_used_stops_the_app():
    with pytest.raises(URLError, match=r"DATABASE_URL in app\.config"):
        initialised(DATABASE_URL="postgresql://ada:sesame@db.test:64x/shop")


def test_an_api_that_refuses_stops_the_app(monkeypatch):
    monkeypatch.setenv("PPG_TIMEOUT", "0.2")
    with pytest.raises(ProviderError):
        initialised(NEON_API_KEY="wrong", PPG_API_URL="http://127.0.0.1:9", PPG_PROJECT="p")


# ---------------------------------------------------------------- what the loaded file is


@pytest.mark.parametrize("copied", [False, True])
def test_what_was_loaded_from_the_file_is_the_files(folder, monkeypatch, copied):
    """Also where the app has copied it: ``app.config["X"] = os.environ["X"]``."""
    (folder / ".env").write_text(f"DATABASE_URL={POOLED}\n")
    monkeypatch.setenv("DATABASE_URL", POOLED)  # as load_dotenv() does
    state = state_of(**({"DATABASE_URL": os.environ["DATABASE_URL"]} if copied else {}))
    assert str(state.pair.pooled_source) == f"DATABASE_URL in {folder / '.env'}"
    assert state.pair.store == str(folder / ".env")
    assert "DATABASE_URL" not in state.environ


def test_another_value_than_the_loaded_one_is_the_configurations(folder, monkeypatch):
    (folder / ".env").write_text(f"DATABASE_URL={POOLED}\n")
    monkeypatch.setenv("DATABASE_URL", POOLED)
    state = state_of(DATABASE_URL=OTHER)
    assert str(state.pair.pooled_source) == "DATABASE_URL in app.config"


# ---------------------------------------------------------------- the default engine


def test_the_uri_is_the_pooled_url_and_the_options_are_ours():
    app = initialised(DATABASE_URL=POOLED)
    assert app.config[URI] == encrypted(POOLED.replace("postgresql:", "postgresql+psycopg:"))
    assert "sesame" not in str(app.config[URI])
    options = app.config[OPTIONS]
    assert options["connect_args"]["prepare_threshold"] is None
    assert options["pool_size"] == 10
    assert options["ppg"].direct is False


def test_options_of_the_app_are_laid_over_ours_deeply():
    given = {"pool_size": 2, "connect_args": {"application_name": "web"}, "plugins": ["other"]}
    ppg = PPG(
        options={"pool_size": 3, "max_overflow": 0, "connect_args": {"keepalives": 1}},
        direct_options={"connect_args": {"application_name": "migrations"}},
    )
    app = initialised(ppg, DATABASE_URL=POOLED, SQLALCHEMY_ENGINE_OPTIONS=given)
    options = app.config[OPTIONS]
    assert (options["pool_size"], options["max_overflow"]) == (2, 0)
    assert options["connect_args"] == {
        "prepare_threshold": None,
        "keepalives": 1,
        "application_name": "web",
    }
    assert sorted(options["plugins"]) == ["other", "ppg"]
    assert given == {
        "pool_size": 2,
        "connect_args": {"application_name": "web"},
        "plugins": ["other"],
    }
    direct = app.extensions["ppg"].engine_options(direct=True, connect_args={"keepalives": 0})
    assert direct["connect_args"]["application_name"] == "migrations"
    assert direct["connect_args"]["keepalives"] == 0


def test_a_deep_copy_of_the_configuration_follows_the_same_pair():
    app = initialised(DATABASE_URL=POOLED)
    copied = copy.deepcopy(dict(app.config))
    assert copied[OPTIONS]["ppg"] is app.config[OPTIONS]["ppg"]
    assert copied[URI] == app.config[URI]


class Silent(CreateEnginePlugin):
    made = 0

    def update_url(self, url):
        Silent.made += 1
        return url


def test_another_plugin_of_the_engine_goes_on_working(make_app, monkeypatch):
    monkeypatch.setitem(plugins.impls, "silent", lambda: Silent)
    before = Silent.made
    make_app({"DATABASE_URL": POOLED, OPTIONS: {"plugins": ["silent"]}})
    assert Silent.made == before + 1


@pytest.mark.parametrize(
    ("uri", "driver"),
    [
        (POOLED.replace("postgresql", "postgresql+psycopg2"), "psycopg2"),
        (POOLED.replace("postgresql", "postgresql+psycopg"), "psycopg"),
        (POOLED.replace("postgresql", "postgresql+psycopg_async"), "psycopg"),
        (POOLED.replace("postgresql", "postgresql+asyncpg"), "asyncpg"),
        (POOLED.replace(".tech/", ".tech:5432/") + "?application_name=own", None),
    ],
)
@pytest.mark.parametrize("as_text", [True, False])
def test_a_uri_of_the_app_that_leads_there_gets_the_options_of_its_driver(uri, driver, as_text):
    given = uri if as_text else make_url(uri)
    app = initialised(DATABASE_URL=POOLED, SQLALCHEMY_DATABASE_URI=given)
    assert app.config[URI] == given
    assert app.extensions["ppg"].manages == {None}
    options = app.config[OPTIONS]
    assert options["plugins"] == ["ppg"]
    driver = driver or make_url(uri).get_dialect().driver
    assert ("prepare_threshold" in options["connect_args"]) == (driver == "psycopg")
    assert ("statement_cache_size" in options["connect_args"]) == (driver == "asyncpg")


@pytest.mark.parametrize(
    "uri",
    [
        "sqlite://",
        "postgresql+pg8000://ada:sesame@db.test/shop",
        OTHER,
        POOLED.replace("ada", "eve"),
        POOLED + "2",
        DIRECT,
        POOLED.replace(".tech/", ".tech:6543/"),
        "no URL at all",
        7,
    ],
)
def test_a_uri_of_the_app_that_leads_elsewhere_is_left_alone(uri):
    given = {"echo": True}
    app = initialised(
        DATABASE_URL=POOLED, SQLALCHEMY_DATABASE_URI=uri, SQLALCHEMY_ENGINE_OPTIONS=given
    )
    assert app.config[URI] == uri
    assert app.config[OPTIONS] is given
    assert app.extensions["ppg"].manages == frozenset()


def test_a_url_among_the_options_is_a_uri_too():
    app = initialised(DATABASE_URL=POOLED, SQLALCHEMY_ENGINE_OPTIONS={"url": "sqlite://"})
    assert URI not in app.config
    assert app.config[OPTIONS] == {"url": "sqlite://"}


def test_postgres_colon_is_refused_before_sqlalchemy_does():
    with pytest.raises(ConfigurationError, match="begins with postgres://") as caught:
        initialised(
            DATABASE_URL=POOLED, SQLALCHEMY_DATABASE_URI=POOLED.replace("postgresql", "postgres")
        )
    assert "PPG sets it from DATABASE_URL" in caught.value.hint


# ---------------------------------------------------------------- PPG_DIRECT, PPG_DRIVER, ...


@pytest.mark.parametrize("where", ["config", "environment"])
def test_ppg_direct_sends_a_whole_process_to_the_direct_endpoint(
    make_app, generated, monkeypatch, where
):
    settings = {"PPG_DIRECT": True} if where == "config" else {}
    if where == "environment":
        monkeypatch.setenv("PPG_DIRECT", "1")
    made = make_app({**urls(generated), **settings})
    assert made.port() == generated.direct.port
    assert made.app.config[OPTIONS]["poolclass"] is NullPool


def test_ppg_direct_without_a_direct_url_says_so_at_the_first_connection(make_app, generated):
    made = make_app({"DATABASE_URL": generated.pooled.reveal(), "PPG_DIRECT": "1"})
    with pytest.raises(MissingDirectURLError, match="this needs the direct URL"):
        made.scalar("SELECT 1")


def test_the_driver_can_be_chosen(make_app, generated):
    made = make_app({**urls(generated), "PPG_DRIVER": "psycopg2"})
    assert made.app.config[URI].startswith("postgresql+psycopg2://")
    assert made.port() == generated.pooled.port
    with made.app.app_context():
        assert made.db.engine.driver == "psycopg2"
        assert made.ppg.create_async_engine().driver == "psycopg"
    state = state_of(DATABASE_URL=POOLED, PPG_DRIVER="asyncpg")
    assert state.create_async_engine().driver == "asyncpg"
    assert state.create_engine().driver == "psycopg"


@pytest.mark.parametrize("name", ["pg8000", 3])
def test_a_driver_that_nobody_knows_is_refused(name):
    with pytest.raises(
        ConfigurationError, match=r"PPG_DRIVER in app\.config is .*, and no driver"
    ) as caught:
        initialised(DATABASE_URL=POOLED, PPG_DRIVER=name)
    assert "psycopg, psycopg2, asyncpg" in caught.value.hint


def test_a_blank_driver_is_none():
    assert state_of(DATABASE_URL=POOLED, PPG_DRIVER="").driver == "psycopg"


@pytest.mark.parametrize("name", ["asyncpg", "psycopg2"])
def test_a_driver_that_is_not_installed(name, monkeypatch):
    monkeypatch.setitem(sys.modules, name, None)
    for given in ({}, {"argument": name}):
        app = Flask("shop")
        app.config.update(DATABASE_URL=POOLED)
        if not given:
            app.config["PPG_DRIVER"] = name
        with pytest.raises(DriverError, match=f"the driver {name} cannot be imported") as caught:
            PPG(app, driver=given.get("argument"))
        assert caught.value.message.startswith("PPG_DRIVER in app.config: ") is (not given)
        assert "pip install" in caught.value.hint


@pytest.mark.parametrize("value", ["false", "x", 0])
def test_an_argument_that_is_neither_on_nor_off(value):
    app = Flask("shop")
    app.config.update(DATABASE_URL=POOLED)
    words = f"the argument serverless is {value!r}, and must be True or False"
    with pytest.raises(ConfigurationError, match=words):
        PPG(app, serverless=value)


def test_where_only_asyncpg_is_installed_it_is_the_driver(monkeypatch):
    def installed(*, asynchronous=False):
        if asynchronous:
            return "asyncpg"
        raise DriverError("no driver", hint="pip install it")

    monkeypatch.setattr(wishes, "default_driver", installed)
    assert state_of(DATABASE_URL=POOLED).driver == "asyncpg"
    monkeypatch.setattr(wishes, "default_driver", lambda **_: installed())
    with pytest.raises(DriverError, match="no driver"):
        initialised(DATABASE_URL=POOLED)


@pytest.mark.parametrize(
    ("settings", "environ", "pool"),
    [
        ({}, {}, QueuePool),
        ({"PPG_SERVERLESS": True}, {}, NullPool),
        ({"PPG_SERVERLESS": "yes"}, {}, NullPool),
        ({"PPG_SERVERLESS": " "}, {"VERCEL": "1"}, NullPool),
        ({}, {"AWS_LAMBDA_FUNCTION_NAME": "shop"}, NullPool),
        ({"PPG_SERVERLESS": False}, {"AWS_LAMBDA_FUNCTION_NAME": "shop"}, QueuePool),
        ({"PPG_SERVERLESS": 0}, {"VERCEL": "1"}, QueuePool),
    ],
)
def test_serverless_platforms_keep_no_connection(make_app, monkeypatch, settings, environ, pool):
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    made = make_app({"DATABASE_URL": POOLED, **settings})
    with made.app.app_context():
        assert type(made.db.engine.pool) is pool


def test_serverless_takes_no_other_type():
    with pytest.raises(ConfigurationError, match=r"PPG_SERVERLESS in app\.config is a list"):
        initialised(DATABASE_URL=POOLED, PPG_SERVERLESS=[])


@pytest.mark.parametrize("name", ["options", "direct_options"])
def test_options_have_to_be_a_mapping(name):
    with pytest.raises(ConfigurationError, match=f"{name} is a str") as caught:
        PPG(Flask("shop"), **{name: "sslpassword=secret"})
    assert "secret" not in str(caught.value)


def test_halves_may_differ_where_that_is_allowed():
    other_user = DIRECT.replace("ada", "owner")
    with pytest.raises(ConfigurationError):
        initialised(DATABASE_URL=POOLED, DIRECT_URL=other_user)
    for ppg, settings in (
        (PPG(allow_mismatch=["user"]), {}),
        (PPG(), {"PPG_ALLOW_MISMATCH": "user"}),
        (PPG(), {"PPG_ALLOW_MISMATCH": ["database", "user"]}),
    ):
        app = initialised(ppg, DATABASE_URL=POOLED, DIRECT_URL=other_user, **settings)
        assert app.extensions["ppg"].pair.require_direct().user == "owner"


# ---------------------------------------------------------------- what poolers refuse


STARTUP = "?options=-c%20geqo%3Doff"


@pytest.mark.parametrize(
    ("settings", "where"),
    [
        ({"DATABASE_URL": POOLED + STARTUP}, r"DATABASE_URL in app\.config"),
        ({OPTIONS: {"connect_args": {"options": "-c geqo=off"}}}, r'connect_args\["options"\]'),
        (
            {OPTIONS: {"connect_args": {"server_settings": {"geqo": "off"}}}},
            "connect_args.*settings",
        ),
    ],
)
def test_startup_options_on_the_pooled_half_are_refused(settings, where):
    with pytest.raises(ConfigurationError, match=rf"startup options .*\(geqo, from {where}") as e:
        initialised(**{"DATABASE_URL": POOLED, "DIRECT_URL": DIRECT, **settings})
    assert "direct_options=" in e.value.hint
    assert "ALTER ROLE ... SET geqo" in e.value.hint


@pytest.mark.parametrize("method", ["connection_pool", "async_connection_pool"])
def test_a_pool_of_psycopgs_own_refuses_them_too(method):
    make = getattr(state_of(DATABASE_URL=POOLED, DIRECT_URL=DIRECT), method)
    with pytest.raises(ConfigurationError, match=r'from kwargs\["options"\]') as caught:
        make(kwargs={"options": "-c geqo=off"})
    assert "a pool with direct=True" in caught.value.hint
    make(kwargs={"application_name": "shop"})
    make(kwargs=dict)
    make(kwargs={"options": "-c geqo=off"}, direct=True)


def test_startup_options_may_be_where_no_pooler_is(make_app, generated):
    options = {"connect_args": {"options": "-c geqo=off"}}
    made = make_app(urls(generated), ppg=PPG(direct_options=options))
    engine = made.state.create_engine(direct=True)
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SHOW geqo").scalar() == "off"
    engine.dispose()
    one = "postgresql://ada:sesame@db.test/shop"
    app = initialised(DATABASE_URL=one, DIRECT_URL=one, SQLALCHEMY_ENGINE_OPTIONS=options)
    assert app.config[OPTIONS]["connect_args"]["options"] == "-c geqo=off"


@pytest.mark.parametrize(
    "harmless",
    [
        {"options": "endpoint=ep-cool-rain"},
        {"options": None},
        {"server_settings": {"application_name": "shop", "TimeZone": "UTC"}},
    ],
)
def test_what_poolers_pass_on_is_not_refused(harmless):
    initialised(DATABASE_URL=POOLED, SQLALCHEMY_ENGINE_OPTIONS={"connect_args": harmless})


def test_the_uri_is_a_text_that_hides_its_password(make_app):
    uri = make_app({"DATABASE_URL": POOLED}).app.config[URI]
    redacted = POOLED.replace("postgresql:", "postgresql+psycopg:").replace("sesame", "***")
    redacted = encrypted(redacted)
    for shown in (str(uri), repr(uri).strip("'"), f"{uri}", f"{uri!s:.200}", "%s" % uri):
        assert shown == redacted
    assert uri.replace("%", "%%").startswith("postgresql+psycopg://ada:sesame@")
    assert make_url(uri).password == "sesame"


def test_driver_and_platform_may_be_set_anywhere(folder, monkeypatch):
    monkeypatch.setenv("PPG_DRIVER", "psycopg2")
    env_file = folder / ".env"
    env_file.write_text(f"DATABASE_URL={POOLED}\nPPG_SERVERLESS=1\nPPG_DRIVER=asyncpg\n")
    state = state_of(PPG_ENV_FILE=env_file)
    assert state.driver == "psycopg2"
    assert state.engine_options()["poolclass"] is NullPool
    monkeypatch.delenv("PPG_DRIVER")
    assert state_of(PPG_ENV_FILE=env_file).driver == "asyncpg"
    assert state_of(PPG_ENV_FILE=env_file, PPG_DRIVER="psycopg").driver == "psycopg"


@pytest.mark.parametrize(
    ("given", "source"),
    [
        ({"config": {"PPG_DRIVER": "psycopg3"}}, r"^PPG_DRIVER in app\.config is 'psycopg3'"),
        ({"environ": "psycopg3"}, r"^PPG_DRIVER in the environment is 'psycopg3'"),
        ({"argument": "psycopg3"}, r"^the argument driver is 'psycopg3'"),
    ],
)
def test_a_driver_that_does_not_exist_is_named_with_its_source(given, source, monkeypatch):
    if "environ" in given:
        monkeypatch.setenv("PPG_DRIVER", given["environ"])
    app = Flask("shop")
    app.config.update({"DATABASE_URL": POOLED, **given.get("config", {})})
    with pytest.raises(ConfigurationError, match=source):
        PPG(app, driver=given.get("argument"))


def test_a_platform_that_is_neither_on_nor_off():
    words = r"PPG_SERVERLESS in app\.config is 'maybe', and must be 1 or 0"
    with pytest.raises(ConfigurationError, match=words):
        initialised(DATABASE_URL=POOLED, PPG_SERVERLESS="maybe")


def test_engine_options_that_are_no_dictionary():
    with pytest.raises(ConfigurationError, match="SQLALCHEMY_ENGINE_OPTIONS is a str") as caught:
        initialised(DATABASE_URL=POOLED, SQLALCHEMY_ENGINE_OPTIONS="{'x': 'sesame'}")
    assert "sesame" not in str(caught.value)


@pytest.mark.parametrize("value", ["sqlite://", {"url": "sqlite://"}])
def test_a_default_engine_among_the_binds_stays_what_it_is(value):
    app = Flask("shop")
    app.config.update(DATABASE_URL=POOLED, SQLALCHEMY_BINDS={None: value})
    PPG(app)
    db = SQLAlchemy()
    db.init_app(app)
    assert app.extensions["ppg"].manages == frozenset()
    with app.app_context():
        assert db.engine.dialect.name == "sqlite"


def test_options_for_the_default_engine_among_the_binds():
    app = Flask("shop")
    app.config.update(DATABASE_URL=POOLED, SQLALCHEMY_BINDS={None: {"pool_size": 2}})
    PPG(app)
    db = SQLAlchemy()
    db.init_app(app)
    assert app.extensions["ppg"].manages == {None}
    with app.app_context():
        assert db.engine.pool.size() == 2
        assert db.engine.url.host == make_url(POOLED).host


def test_the_file_of_a_folder_above_is_the_apps_as_it_is_flasks(folder, monkeypatch):
    (folder / ".env").write_text(f"DATABASE_URL={POOLED}\n")
    below = folder / "docs" / "pages"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    state = state_of()
    assert state.env_file == str(folder / ".env")
    assert state.pair.store == str(folder / ".env")
    monkeypatch.setenv("PPG_ENV_FILE", ".env")
    assert state_of().env_file == str(below / ".env")


def test_what_may_differ_can_be_said_in_the_file(folder):
    env_file = folder / ".env"
    text = f"DATABASE_URL={POOLED}\nDIRECT_URL={POOLED.replace('-pooler', '').replace('ada', 'ada2')}\n"
    env_file.write_text(text)
    with pytest.raises(ConfigurationError, match="differ"):
        initialised(PPG_ENV_FILE=env_file)
    env_file.write_text(f"{text}PPG_ALLOW_MISMATCH=user\n")
    assert state_of(PPG_ENV_FILE=env_file).pair.direct.user == "ada2"


@pytest.mark.parametrize("own", [{"poolclass": NullPool}, {"pool_size": 2}])
def test_a_pool_given_to_flask_sqlalchemy_itself(own):
    app = initialised(DATABASE_URL=POOLED)
    db = SQLAlchemy(engine_options=own)
    db.init_app(app)
    with app.app_context():
        assert type(db.engine.pool) is own.get("poolclass", QueuePool)


def test_a_driver_for_event_loops_says_so_where_there_is_none(make_app, generated):
    made = make_app({**urls(generated), "PPG_DRIVER": "asyncpg"})
    with made.app.app_context(), pytest.raises(ConfigurationError, match="asyncpg, works in an"):
        made.db.session.execute(text("SELECT 1"))


def test_what_somebody_else_calls_ppg_is_let_be():
    state = state_of(DATABASE_URL=POOLED, PPG_FEATURE_FLAGS={"a": 1}, PPG_ICONS=["x"])
    assert state.pair.pooled.host == make_url(POOLED).host
    with pytest.raises(ConfigurationError, match=r"PPG_TIMEOUT in app\.config is a list"):
        initialised(PPG_TIMEOUT=[])
