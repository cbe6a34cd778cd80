"""``env.py`` is generated once and kept for years: old ones, hand-written ones, ones for asyncio."""

from __future__ import annotations

import asyncio
from types import MappingProxyType

import flask_migrate
import pytest
import sqlalchemy
from sqlalchemy import make_url

from ppg_integrations.errors import MissingDirectURLError
from tests.flask.projects import Site, port, urls

pytestmark = pytest.mark.filterwarnings("ignore:'get_engine' is deprecated:DeprecationWarning")

#: As Flask-Migrate 1.x and 2.x made it: it builds an engine of its own.
OWN_ENGINE = """
from alembic import context
from flask import current_app
from sqlalchemy import engine_from_config, pool

config = context.config
config.set_main_option("sqlalchemy.url", {url})
connectable = engine_from_config(
    config.get_section(config.config_ini_section), prefix="sqlalchemy.", poolclass=pool.NullPool
)
with connectable.connect() as connection:
    context.configure(
        connection=connection, target_metadata=current_app.extensions["migrate"].db.metadata
    )
    with context.begin_transaction():
        context.run_migrations()
"""
URLS = {
    "1.x": 'current_app.config.get("SQLALCHEMY_DATABASE_URI")',
    "2.5": 'current_app.config.get("SQLALCHEMY_DATABASE_URI").replace("%", "%%")',
    # With SQLAlchemy 2 the password in it is three asterisks, and only ours gets in.
    "2.5.3": 'str(current_app.extensions["migrate"].db.engine.url).replace("%", "%%")',
}
TABLE = 'op.create_table("item", sa.Column("id", sa.Integer))'


@pytest.fixture
def stats(servers, generated):
    other = servers.generate("stats", database=f"{generated.pooled.database}_s")
    yield other
    servers.drop(other.pooled.database)


def uri(pair, driver="psycopg"):
    """What an app had in its configuration before it met PPG."""
    return pair.pooled.sqlalchemy(driver).render_as_string(hide_password=False)


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])
@pytest.mark.parametrize("url", URLS.values(), ids=URLS)
def test_an_engine_that_env_py_builds_goes_direct(tmp_path, generated, servers, url, driver):
    config = {"SQLALCHEMY_DATABASE_URI": uri(generated, driver)}
    with Site(tmp_path, generated, servers, config=config) as site:
        site.init()
        site.write("migrations/env.py", OWN_ENGINE.format(url=url))
        site.revision("one", TABLE)
        before = site.logins()
        site.flask("db", "upgrade")
        counters = site.logins() - before
        assert (counters.pooled_logins, counters.direct_logins) == (0, 1)


def test_without_a_direct_url_such_an_engine_does_not_slip_through(tmp_path, generated, servers):
    config = {"DIRECT_URL": None, "SQLALCHEMY_DATABASE_URI": uri(generated)}
    with Site(tmp_path, generated, servers, config=config) as site:
        site.init()
        site.write("migrations/env.py", OWN_ENGINE.format(url=URLS["1.x"]))
        before = site.logins()
        with site.app.app_context(), pytest.raises(MissingDirectURLError):
            flask_migrate.current()
        output = site.flask("db", "current", status=1)
        assert output.startswith("Error: this needs the direct URL")
        assert (site.logins() - before).pooled_logins == 0


def test_engines_that_lead_elsewhere_or_connect_later_are_left_alone(
    tmp_path, generated, servers, stats
):
    """``stats`` is behind the same pooler, and no pair of this app."""
    engines = {
        "ours": sqlalchemy.create_engine(uri(generated), poolclass=sqlalchemy.NullPool),
        "pooling": sqlalchemy.create_engine(uri(generated)),
        "other": sqlalchemy.create_engine(uri(stats), poolclass=sqlalchemy.NullPool),
        "sqlite": sqlalchemy.create_engine("sqlite://"),
    }

    def ports():
        found = {}
        for name in ("ours", "pooling", "other"):
            with engines[name].connect() as connection:
                found[name] = port(connection)
        with engines["sqlite"].connect() as connection:
            assert connection.scalar(sqlalchemy.text("SELECT 1")) == 1
        return found

    with Site(tmp_path, generated, servers) as site:
        site.app.config["PORTS"] = ports
        site.init()
        site.revision(
            "one",
            """
            from flask import current_app
            current_app.config["FOUND"] = current_app.config["PORTS"]()
            """,
        )
        site.flask("db", "upgrade")
        pooled, direct = generated.pooled.port, generated.direct.port
        assert site.app.config["FOUND"] == {"ours": direct, "pooling": direct, "other": pooled}
        assert set(ports().values()) == {pooled}
    for engine in engines.values():
        engine.dispose()


@pytest.fixture
def in_migration(tmp_path, generated, servers):
    """Gives what a function gives for a connection of an engine that a migration makes."""

    def call(url, function, config=MappingProxyType({}), **options):
        def use():
            engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool, **options)
            with engine.connect() as connection:
                found.append(function(connection))

        found = []
        with Site(tmp_path, generated, servers, config={**config, "USE": use}) as site:
            site.init()
            site.revision("one", 'from flask import current_app\ncurrent_app.config["USE"]()')
            site.flask("db", "upgrade")
        return found[0]

    return call


def user_and_port(connection):
    return connection.scalar(sqlalchemy.text("SELECT session_user")), port(connection)


def test_an_engine_for_another_role_keeps_its_role(in_migration, generated, servers):
    """Such as the owner of the tables, on the same pooler."""
    owner = servers.generate("owner", database=generated.pooled.database)
    assert owner.pooled.user != generated.pooled.user
    found = in_migration(uri(owner), user_and_port)
    assert found == (owner.pooled.user, generated.pooled.port)


def test_the_password_is_that_of_the_pair_now(in_migration, generated):
    """A rotation may have replaced the one in ``env.py``."""
    found = in_migration(make_url(uri(generated)).set(password="old"), user_and_port)
    assert found == (generated.direct.user, generated.direct.port)


def of_libpq(connection):
    return {
        "port": str(port(connection)),
        **connection.connection.driver_connection.info.get_parameters(),
    }


@pytest.mark.parametrize("way", ["url", "connect_args"])
def test_what_such_an_engine_demands_of_tls_stays(in_migration, generated, servers, way):
    strict = {
        "sslmode": "verify-full",
        "sslrootcert": str(servers._server_folder() / "tls/ca.pem"),
        "options": "-c statement_timeout=7s",
    }
    url, more = make_url(uri(generated)), {}
    if way == "url":
        url = url.update_query_dict(strict)
    else:
        more["connect_args"] = strict
    assert generated.direct.params["sslmode"] == "require"
    found = in_migration(url, of_libpq, **more)
    assert found.items() >= {"port": str(generated.direct.port), **strict}.items()


def test_what_it_has_from_the_pooled_url_is_the_direct_ones(in_migration, generated):
    def named(url, name):
        return url.replace(params={**url.params, "application_name": name})

    pooled = named(generated.pooled, "pooled")
    config = {
        "DATABASE_URL": pooled.reveal(),
        "DIRECT_URL": named(generated.direct, "direct").reveal(),
    }
    url = pooled.sqlalchemy("psycopg").update_query_dict({"connect_timeout": "9"})
    found = in_migration(url, of_libpq, config)
    expected = {"application_name": "direct", "sslmode": "require", "connect_timeout": "9"}
    assert found.items() >= expected.items()


@pytest.mark.parametrize("driver", ["psycopg", "asyncpg"])
def test_the_template_for_asyncio(tmp_path, generated, servers, driver):
    class AsyncDatabase:
        """What that template needs of a database extension."""

        metadata = sqlalchemy.MetaData()

        def get_engine(self):
            return engine

    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        with Site(tmp_path, generated, servers) as site:
            engine = site.app.extensions["ppg"].create_async_engine(driver=driver)
            site.app.extensions["migrate"].db = AsyncDatabase()
            site.init("--template", "aioflask")
            site.revision("one", TABLE)
            before = site.logins()
            site.flask("db", "upgrade")
            counters = site.logins() - before
            assert (counters.pooled_logins, counters.direct_logins) == (0, 1)
            assert engine.pool.checkedin() == 1  # an empty place: the connection is closed
            loop.run_until_complete(engine.dispose())
    finally:
        asyncio.set_event_loop(None)
        loop.close()
