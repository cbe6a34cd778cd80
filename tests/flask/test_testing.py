"""Test databases of Flask apps: made, used and dropped on direct; no test on the real one."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import psycopg
import pytest
import sqlalchemy
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import make_url, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import create_async_engine

from ppg_integrations import testdatabase
from ppg_integrations.current import follow
from ppg_integrations.drivers import connect
from ppg_integrations.errors import (
    ConfigurationError,
    MissingDirectURLError,
    MissingURLError,
)
from ppg_integrations.flask import PPG, testing
from ppg_integrations.providers.local.servers import LocalServers
from tests.flask.conftest import urls

ROOT = Path(__file__).resolve().parents[2]

HERE = "SELECT current_database() || ':' || inet_server_port()"


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    """As in a run that is not parallel."""
    for name in ("PYTEST_XDIST_WORKER", "TOX_PARALLEL_ENV"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def left(servers, generated):
    """Names of the test databases of the test's own database that there are now."""

    def names():
        with servers.connect() as connection:
            rows = connection.fetch(
                "SELECT datname FROM pg_database WHERE datname LIKE %s ORDER BY datname",
                (f"test_{generated.direct.database}%",),
            )
        return [name for (name,) in rows]

    yield names
    with servers.connect() as connection:
        for name in names():
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture
def there(generated):
    """What :data:`HERE` answers in the test database."""
    return f"test_{generated.direct.database}:{generated.direct.port}"


def test_an_app_made_within_and_one_made_before(
    make_app, generated, left, there, pooled_logins, direct_logins
):
    before = make_app(urls(generated))
    assert before.scalar(HERE).startswith(f"{generated.direct.database}:")
    logins = pooled_logins()
    with testing.test_databases() as databases:
        assert databases.names == ()
        within = make_app(urls(generated))
        uri = make_url(within.app.config["SQLALCHEMY_DATABASE_URI"])
        assert (uri.database, uri.port) == (there.partition(":")[0], generated.direct.port)
        for made in (before, within):
            assert made.scalar(HERE) == there
            with made.app.app_context():
                assert made.ppg.pair.direct == made.ppg.pair.pooled
        with connect(within.state.pair.direct) as connection:
            connection.execute("CREATE TABLE item (id int)")
        assert before.scalar("SELECT count(*) FROM item") == 0
        assert left() == [there.partition(":")[0]]
    assert pooled_logins() == logins
    assert direct_logins() > 0
    assert left() == []
    for made in (before, within):
        assert made.scalar(HERE).startswith(f"{generated.direct.database}:")
        assert made.port() == generated.pooled.port


def test_binds_have_their_own_and_a_shared_place_has_one(make_app, generated, servers, left, there):
    second = servers.generate("second", database=f"{generated.direct.database}_b")
    try:
        with testing.test_databases() as databases:
            made = make_app(
                {**urls(generated), "PPG_BINDS": {"b": urls(second), "a": urls(generated)}}
            )
            assert made.scalar(HERE, "b").startswith(f"test_{second.direct.database}:")
            assert made.scalar(HERE) == made.scalar(HERE, "a") == there
            assert len(databases.names) == 2
        assert left() == []
    finally:
        servers.drop(second.direct.database)


def test_a_uri_that_the_app_sets_itself_is_no_way_past(make_app, generated, there):
    uri = generated.pooled.sqlalchemy().render_as_string(hide_password=False)
    with testing.test_databases():
        made = make_app({**urls(generated), "SQLALCHEMY_DATABASE_URI": uri})
        assert made.scalar(HERE) == there


@pytest.mark.parametrize("how", ["connect", "raw", "session"])
def test_connections_from_before_are_not_used(make_app, generated, there, how):
    made = make_app(urls(generated))
    made.scalar("SELECT 1")  # leaves it in the pool
    with testing.test_databases(), made.app.app_context():
        if how == "raw":
            raw = made.db.engine.raw_connection()
            cursor = raw.cursor()
            found = cursor.execute(HERE).fetchone()[0]
            raw.close()
        elif how == "connect":
            with made.db.engine.connect() as connection:
                found = connection.scalar(text(HERE))
        else:
            found = made.db.session.scalar(text(HERE))
    assert found == there


def test_psycopgs_pools_from_before(make_app, generated, there):
    made = make_app(urls(generated))
    with made.state.connection_pool() as pool:
        with pool.connection() as connection:
            assert connection.execute(HERE).fetchone() != (there,)
        with testing.test_databases(), pool.connection() as connection:
            assert connection.execute(HERE).fetchone() == (there,)


def test_an_asynchronous_pool_that_is_open_stops_the_run(make_app, generated, left):
    made = make_app(urls(generated))

    async def run():
        async with made.state.async_connection_pool():
            with (
                pytest.raises(ConfigurationError, match="async_connection_pool"),
                testing.test_databases(),
            ):
                pass

    asyncio.run(run())
    assert left() == []


def real(generated):
    return generated.direct.sqlalchemy()


def test_an_engine_of_another_kind_is_refused(make_app, generated, left):
    """The configuration's second database, which is no pair of PPG's, or an engine of one's own."""
    other = sqlalchemy.create_engine(real(generated))
    idle = sqlalchemy.create_engine(real(generated))
    idle.connect().close()
    with testing.test_databases():
        own = make_app(
            {
                **urls(generated),
                "SQLALCHEMY_BINDS": {
                    "own": f"{real(generated).set(host='localhost').render_as_string(hide_password=False)}"
                },
            }
        )
        for engine in (other, idle):
            with pytest.raises(ConfigurationError, match="no test database of this run") as caught:
                engine.connect()
            assert f"{generated.direct.database!r} on 127.0.0.1" in caught.value.message
            assert "test_databases(allow=" in caught.value.hint
            assert engine.pool.checkedout() == 0
        with pytest.raises(ConfigurationError, match="on localhost"):
            own.scalar("SELECT 1", "own")
    assert left() == []
    with other.connect() as connection:
        assert connection.scalar(text("SELECT current_database()")) == generated.direct.database
    for engine in (other, idle):
        engine.dispose()


def test_an_engine_that_asks_for_the_pair_itself(make_app, generated, there):
    """What it has kept from before is no reason to refuse it."""
    made = make_app(urls(generated))
    own = sqlalchemy.create_engine(
        "postgresql+psycopg://", creator=lambda: psycopg.connect(made.state.pair.direct.reveal())
    )
    with own.connect() as connection:
        assert connection.scalar(text(HERE)) != there
    with testing.test_databases():
        with own.connect() as connection:
            assert connection.scalar(text(HERE)) == there
        own.dispose()


@pytest.mark.parametrize("driver", ["psycopg2", "asyncpg"])
def test_with_another_driver(make_app, generated, there, driver):
    """The guard asks the server, below SQLAlchemy: in each driver's way."""

    async def run(engine):
        async with engine.connect() as connection:
            assert not connection.in_transaction()
            found = await connection.scalar(text(HERE))
        await engine.dispose()
        return found

    with testing.test_databases():
        made = make_app({**urls(generated), "PPG_DRIVER": "psycopg2"})
        if driver == "psycopg2":
            assert made.scalar(HERE) == there
            return
        assert asyncio.run(run(made.state.create_async_engine(driver=driver))) == there
        with pytest.raises(ConfigurationError, match="no test database"):
            asyncio.run(run(create_async_engine(generated.direct.sqlalchemy(driver))))


def test_allow_names_a_database_that_tests_may_use(make_app, generated, there):
    other = sqlalchemy.create_engine(real(generated))
    with testing.test_databases(allow={generated.direct.database}):
        assert make_app(urls(generated)).scalar(HERE) == there
        with other.connect() as connection:
            assert connection.scalar(text("SELECT 1")) == 1


def test_other_kinds_of_databases_are_let_be(make_app, generated):
    with testing.test_databases():
        made = make_app({**urls(generated), "SQLALCHEMY_BINDS": {"memory": "sqlite://"}})
        assert made.scalar("SELECT 7", "memory") == 7


def test_without_a_pair_there_is_no_test(make_app, generated, left):
    with testing.test_databases() as databases:
        with pytest.raises(MissingURLError):
            make_app()
        with pytest.raises(MissingDirectURLError):
            make_app({"DATABASE_URL": generated.pooled.reveal()})
        assert databases.names == ()
    made = make_app()
    with testing.test_databases(), pytest.raises(MissingURLError):
        made.scalar("SELECT 1")
    assert left() == []


def test_a_leftover_is_replaced(make_app, generated, servers, left, there):
    name = there.partition(":")[0]
    with connect(generated.direct) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
        connection.execute(f"""COMMENT ON DATABASE "{name}" IS '{testdatabase.MARK} (0123)'""")
    with connect(generated.direct.replace(database=name)) as old:
        old.execute("CREATE TABLE old (id int)")
        with testing.test_databases():
            made = make_app(urls(generated))
            assert made.scalar("SELECT to_regclass('old')") is None
    assert left() == []


@pytest.mark.parametrize("comment", ["NULL", "'somebody''s own'"])
def test_a_database_that_no_run_has_made_is_not(make_app, generated, left, there, comment):
    name = there.partition(":")[0]
    with connect(generated.direct) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
        connection.execute(f'COMMENT ON DATABASE "{name}" IS {comment}')
    with testing.test_databases():
        with pytest.raises(ConfigurationError, match="no test run of ours") as caught:
            make_app(urls(generated))
        assert f'DROP DATABASE "{name}"' in caught.value.hint
    assert left() == [name]


@pytest.mark.parametrize("comment", ["NULL", f"'{testdatabase.MARK} (0123)'"])
def test_what_took_its_place_meanwhile_is_not_dropped(make_app, generated, left, there, comment):
    name = there.partition(":")[0]
    with testing.test_databases():
        make_app(urls(generated))
        with connect(generated.direct) as connection:
            connection.execute(f'DROP DATABASE "{name}"')
            connection.execute(f'CREATE DATABASE "{name}"')
            connection.execute(f'COMMENT ON DATABASE "{name}" IS {comment}')
    assert left() == [name]


def test_two_runs_at_once(make_app, generated, left, there, monkeypatch):
    made = make_app(urls(generated))
    with testing.test_databases():
        assert made.scalar(HERE) == there
        with pytest.raises(ConfigurationError, match="in use already"), testing.test_databases():
            pass
        current = follow(generated.pooled, generated.direct, env_file=False, environ={})
        with (
            testdatabase.Databases() as another,
            pytest.raises(ConfigurationError, match="another test run is using"),
        ):
            another.pair_for(current, env_file=None)
        assert made.scalar(HERE) == there
    monkeypatch.setenv("PYTEST_XDIST_WORKER", "gw7")
    with testing.test_databases() as databases:
        made.scalar("SELECT 1")
        assert databases.names == (f"{there.partition(':')[0]}_gw7",)
    assert left() == []


def test_what_the_tests_leave_open_hinders_nobody(make_app, generated, left):
    with testing.test_databases():
        made = make_app(urls(generated))
        with made.app.app_context():
            connection = made.db.engine.connect()
            connection.execute(text("CREATE TABLE item (id int)"))
            stray = connect(made.ppg.pair.direct)
    assert left() == []
    stray.close()
    connection.invalidate()
    connection.close()


def test_a_run_whose_own_connection_was_cut(make_app, generated, servers, left):
    with testing.test_databases():
        make_app(urls(generated))
        with servers.connect() as connection:
            cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s AND datname = %s"
            assert connection.fetch(cut, ["ppg tests", generated.direct.database]) == [(True,)]
    assert left() == []


def test_roles_and_hosts_that_may_not_create_databases(make_app, generated, servers, left):
    with servers.connect() as connection:
        connection.execute(f'ALTER ROLE "{generated.direct.database}_owner" NOCREATEDB')
    with testing.test_databases():
        with pytest.raises(ConfigurationError, match="may not create databases") as caught:
            make_app(urls(generated))
        assert "PPG_TEST_PROVIDER=local" in caught.value.hint
        with pytest.raises(ConfigurationError, match=r"no role may .* on db\.prisma\.io"):
            make_app({"DATABASE_URL": "postgresql://u:p@pooled.db.prisma.io:5432/postgres"})
    assert left() == []


def test_an_unknown_test_provider(monkeypatch, make_app, generated, tmp_path):
    """In the configuration or the file of an app, or in the environment, which none is read for."""
    file = tmp_path / ".env"
    file.write_text("PPG_TEST_PROVIDER=elsewhere\n")
    with testing.test_databases():
        for place, config in (
            (r"app\.config", {"PPG_TEST_PROVIDER": "elsewhere"}),
            (re.escape(str(file)), {"PPG_ENV_FILE": str(file)}),
        ):
            with pytest.raises(ConfigurationError, match=rf"_PROVIDER in {place} is 'elsewhere'"):
                make_app({**urls(generated), **config})
    monkeypatch.setenv("PPG_TEST_PROVIDER", "elsewhere")
    with (
        pytest.raises(ConfigurationError, match="_PROVIDER in the environment is 'elsewhere'"),
        testing.test_databases(),
    ):
        pass


@pytest.mark.parametrize(
    ("database", "suffix", "name"),
    [
        ("shop", "", "test_shop"),
        ("shop", "gw0", "test_shop_gw0"),
        ("x" * 54, "gw0", f"test_{'x' * 54}_gw0"),
    ],
)
def test_names(database, suffix, name):
    assert testdatabase.name_for(database, suffix) == name


def test_long_names_keep_their_suffix_and_differ():
    names = {
        testdatabase.name_for(database, suffix)
        for database in ("é" * 31, "é" * 30 + "a", "é" * 30 + "b")
        for suffix in ("", "gw0", "gw1")
    }
    assert len(names) == 9
    assert all(len(name.encode()) <= 63 and name.startswith("test_é") for name in names)
    assert sorted(name[-3:] for name in names)[-6:] == ["gw0"] * 3 + ["gw1"] * 3


class Shop:
    """An app with a page that writes, and a second database that is not ours."""

    def __init__(self, pair):
        self.app, self.db = Flask("shop"), SQLAlchemy()
        app, db = self.app, self.db

        class Item(db.Model):
            id = db.Column(db.Integer, primary_key=True)
            name = db.Column(db.String, unique=True)

        @app.post("/<name>")
        def add(name):
            db.session.add(Item(name=name))
            try:
                db.session.commit()
            except IntegrityError:
                db.session.rollback()
                return "taken"
            return "added"

        self.item = Item
        app.config.update(urls(pair), SQLALCHEMY_BINDS={"memory": "sqlite://"})
        PPG(app)
        db.init_app(app)
        with app.app_context():
            db.create_all(bind_key=None)

    def post(self, *names):
        return [self.app.test_client().post(f"/{name}").text for name in names]


@pytest.fixture
def shop(generated):
    with testing.test_databases():
        yield Shop(generated)


@pytest.mark.usefixtures("left")
def test_a_rollback_undoes_what_tests_and_requests_committed(shop):
    session, names = shop.db.session, sqlalchemy.select(shop.item.name)
    for _ in range(2):  # the second one finds nothing of the first
        with testing.rolled_back(shop.app), shop.app.app_context():
            assert session.scalars(names).all() == []
            session.add(shop.item(name="before"))
            session.commit()
            assert shop.post("one", "one", "before") == ["added", "taken", "taken"]
            session.add(shop.item(name="undone"))
            session.flush()
            session.rollback()
            assert sorted(session.scalars(names)) == ["before", "one"]
            with pytest.raises(AttributeError):  # and not, silently, a connection of its own
                shop.db.engine.connect()


@pytest.mark.usefixtures("left")
def test_after_a_rollback_all_is_as_it_was(shop):
    db, maker = shop.db, shop.db.session.session_factory
    with shop.app.app_context():
        engines = dict(db.engines)
        with pytest.raises(ZeroDivisionError), testing.rolled_back(shop.app):
            assert db.engines[None] is not engines[None]
            assert db.engines["memory"] is engines["memory"]
            assert shop.post("gone") == ["added"]
            1 / 0
        assert db.engines == engines
        assert engines[None].pool.checkedout() == 0
        assert maker.kw["join_transaction_mode"] == "conditional_savepoint"  # SQLAlchemy's default
        with db.engine.connect() as connection:
            assert connection.scalar(text("SELECT count(*) FROM item")) == 0


def test_a_rollback_needs_flask_sqlalchemy():
    with (
        pytest.raises(ConfigurationError, match="for apps with Flask-SQLAlchemy"),
        testing.rolled_back(Flask("bare")),
    ):
        pass


PROJECT = {
    "shop.py": """
        from flask import Flask
        from flask_sqlalchemy import SQLAlchemy
        from ppg_integrations.flask import PPG
        db, ppg = SQLAlchemy(), PPG()
        class Item(db.Model):
            id = db.Column(db.Integer, primary_key=True)
            name = db.Column(db.String, unique=True)
        def create_app():
            app = Flask(__name__)
            ppg.init_app(app)
            db.init_app(app)
            return app
        module_app = create_app()
    """,
    "conftest.py": """
        import pytest, shop
        @pytest.fixture(scope="session")
        def app(ppg_database):
            app = shop.create_app()
            with app.app_context():
                shop.db.create_all()
            return app
        @pytest.fixture
        def session(app, ppg_rollback):
            with app.app_context():
                yield shop.db.session
    """,
    "test_shop.py": """
        import os, pytest, sqlalchemy, shop
        # Collected by name, if it did not say that it is no test.
        from ppg_integrations.flask.testing import test_databases
        @pytest.mark.parametrize("turn", range(4))
        def test_row(session, turn):
            session.add(shop.Item(name="the one"))
            session.commit()
            where = session.execute(sqlalchemy.text(
                "SELECT current_database(), inet_server_port(), count(*) FROM item")).one()
            worker = os.environ.get("PYTEST_XDIST_WORKER", "")
            assert where == (os.environ["EXPECTED"] + (worker and "_" + worker), int(os.environ["PORT"]), 1)
        def test_an_app_from_before(session):
            with shop.module_app.app_context():
                assert shop.db.session.scalar(sqlalchemy.text("SELECT current_database()")).startswith("test_")
    """,
}


@pytest.fixture
def pytest_in(folder):
    """Runs pytest in a project of its own."""
    for name, content in PROJECT.items():
        (folder / name).write_text(textwrap.dedent(content))

    def run(*args, status=0, **environ):
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "XDG_CACHE_HOME")}
        done = subprocess.run(
            [
                sys.executable,
                "-W",
                "error",
                "-m",
                "pytest",
                "-q",
                "-p",
                "no:cacheprovider",
                "-p",
                "no:randomly",
                *args,
            ],
            cwd=folder,
            env={**kept, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1", **environ},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout

    return run


@pytest.mark.once
def test_the_fixtures_in_parallel(pytest_in, generated, pooled_logins, direct_logins, left):
    name = f"test_{generated.direct.database}"
    environ = {"EXPECTED": name, "PORT": str(generated.direct.port), **urls(generated)}
    assert "5 passed" in pytest_in("-n", "2", **environ)
    assert pooled_logins() == 0
    assert direct_logins() > 0
    assert left() == []


def test_the_fixtures_on_the_embedded_servers_need_no_url(pytest_in, folder):
    local = LocalServers(folder / ".ppg/local")
    try:
        local.start()
        port = str(local.status().postgres.port)
        (folder / ".env").write_text("PPG_TEST_PROVIDER=local\n")
        assert "5 passed" in pytest_in(EXPECTED="test_tests", PORT=port)
        with local.connect() as connection:
            roles = connection.fetch("SELECT rolname FROM pg_roles WHERE rolname LIKE 'tests%'")
            names = connection.fetch("SELECT datname FROM pg_database WHERE datname LIKE 'test%'")
        assert (roles, names) == ([("tests_owner",)], [("tests",)])
        assert local.counters().pooled_logins == 0
    finally:
        local.erase()


def test_tests_without_a_url_say_what_to_set(pytest_in):
    printed = pytest_in("test_shop.py::test_an_app_from_before", status=1)
    assert "MissingURLError: no database URL" in printed
    assert "Set DATABASE_URL" in printed
