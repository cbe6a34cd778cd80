"""Runs in a process that serves: what belongs to the run is direct, and nothing else is."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import flask_migrate
import pytest
from sqlalchemy import Engine, Pool, event, text
from sqlalchemy.exc import OperationalError

from tests.flask.projects import Site, port

pytestmark = pytest.mark.filterwarnings("ignore:'get_engine' is deprecated:DeprecationWarning")

TABLE = """
op.create_table(
    "item",
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.String(50), nullable=False),
)
"""
#: In a revision: calls what the test has put into the configuration.
CALL = """
from flask import current_app
current_app.config["IN_MIGRATION"](op)
"""


@pytest.fixture
def site(tmp_path, generated, servers):
    with Site(tmp_path, generated, servers) as site:
        site.init()
        yield site


@pytest.fixture
def in_migration(site):
    """Makes a function part of the one revision that ``upgrade()`` runs."""

    def install(function):
        site.app.config["IN_MIGRATION"] = function
        site.revision("one", TABLE + CALL, 'op.drop_table("item")')
        return function

    return install


def kind(site, connection):
    """Where a connection leads."""
    ports = {site.generated.pooled.port: "pooled", site.generated.direct.port: "direct"}
    return ports[port(connection)]


def engine_kind(site):
    """Where a connection of the app's engine leads, taken here and now."""
    with site.db.engine.connect() as connection:
        return kind(site, connection)


def elsewhere(site, function):
    """What a function gives in another thread, in a context of the app."""

    def call():
        with site.app.app_context():
            return function()

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(call).result(timeout=20)


def alive(site, pids):
    """Which of some server processes are there still."""
    listed = ",".join(map(str, pids))
    query = f"SELECT pid FROM pg_stat_activity WHERE pid IN ({listed})"
    for _ in range(50):
        with site.servers.connect() as connection:
            found = [pid for (pid,) in connection.fetch(query)]
        if not found:
            break
        time.sleep(0.1)  # a server process ends a moment after its client
    return found


def test_all_that_a_migration_uses_is_direct_and_nothing_of_it_stays(site, in_migration):
    found, pids = {}, []

    @in_migration
    def _(op):
        with site.db.engine.connect() as of_engine, extra.connect() as of_extra:
            connections = {
                "bind": op.get_bind(),
                "engine": of_engine,
                "extra": of_extra,
                "session": site.db.session.connection(),
            }
            for name, connection in connections.items():
                found[name] = kind(site, connection)
                pids.append(connection.scalar(text("SELECT pg_backend_pid()")))
        site.db.session.rollback()

    @site.migrate.configure
    def a_request_in_between(config):
        """Leaves connections in the pools, and the migration must not get them."""

        def request():
            with site.db.engine.connect(), site.db.engine.connect(), extra.connect():
                return engine_kind(site)

        assert elsewhere(site, request) == "pooled"
        return config

    with site.app.app_context():
        extra = site.ppg.create_engine()
        flask_migrate.upgrade()
        assert found == dict.fromkeys(["bind", "engine", "extra", "session"], "direct")
        assert alive(site, pids) == []
        assert engine_kind(site) == "pooled"
        assert kind(site, site.db.session.connection()) == "pooled"
        site.db.session.remove()
        extra.dispose()


def test_a_session_that_outlives_the_run_is_pooled_from_its_next_transaction(site, in_migration):
    @in_migration
    def _(op):
        site.db.session.connection()

    with site.app.app_context():
        flask_migrate.upgrade()
        assert kind(site, site.db.session.connection()) == "direct"  # it was open all the time
        site.db.session.commit()
        assert kind(site, site.db.session.connection()) == "pooled"
        site.db.session.remove()


def test_requests_of_other_threads_stay_pooled_and_meet_no_error(site, in_migration):
    started, stop = threading.Event(), threading.Event()
    seen, migration, threads = [], [], []

    @in_migration
    def _(op):
        op.execute("COMMIT")  # the table is there for the requests from now on
        migration.append(kind(site, op.get_bind()))
        begun = len(seen)
        # With both going on, each takes connections. A thread that has ended has failed.
        until = time.monotonic() + 20
        while len(seen) < begun + 40 and not any(each.done() for each in threads):
            assert time.monotonic() < until, "nothing is served"
            migration.append(engine_kind(site))

    def serve():
        while not stop.is_set():
            with site.app.app_context():
                seen.append(kind(site, site.db.session.connection()))
                site.db.session.execute(text("SELECT 1"))
                site.db.session.commit()
            started.set()

    with ThreadPoolExecutor(3) as pool:
        threads.extend(pool.submit(serve) for _ in range(3))
        try:
            assert started.wait(20)
            before = site.logins()
            with site.app.app_context():
                flask_migrate.upgrade()
            counters = site.logins() - before
        finally:
            stop.set()
        for thread in threads:
            thread.result(timeout=20)
    assert set(seen) == {"pooled"}
    assert set(migration) == {"direct"}
    assert counters.direct_logins == len(migration)


@pytest.mark.parametrize(("target", "name"), [(Pool, "checkout"), (Engine, "do_connect")])
def test_a_run_that_begins_does_not_disturb_a_request_that_connects(site, target, name):
    """Its thread is walking the listeners of all pools, or of all engines."""
    inside, go_on = threading.Event(), threading.Event()

    def slow(*_):
        inside.set()
        assert go_on.wait(20)

    event.listen(target, name, slow)
    try:
        with ThreadPoolExecutor(1) as pool:
            request = pool.submit(site.port)
            try:
                assert inside.wait(20)
                with site.app.app_context():
                    flask_migrate.heads()
            finally:
                go_on.set()
            assert request.result(timeout=20) == site.generated.pooled.port
    finally:
        event.remove(target, name, slow)


def test_an_upgrade_in_a_thread_leaves_the_main_one_pooled(site, in_migration):
    inside, go_on = threading.Event(), threading.Event()
    found = []

    @in_migration
    def _(op):
        found.append(engine_kind(site))
        inside.set()
        assert go_on.wait(20)

    with site.app.app_context():
        flask_migrate.heads()  # begins a run here, which uses no database and ends at once
        with ThreadPoolExecutor(1) as pool:
            run = pool.submit(elsewhere, site, flask_migrate.upgrade)
            assert inside.wait(20)
            try:
                found.append(engine_kind(site))
            finally:
                go_on.set()
            run.result(timeout=20)
    assert found == ["direct", "pooled"]


@pytest.mark.parametrize("way", ["command", "function"])
def test_threads_that_a_migration_starts(site, in_migration, way):
    """In a command they belong to it; in a process that may serve, nothing tells them apart."""
    found = []

    @in_migration
    def _(op):
        found.append(elsewhere(site, lambda: engine_kind(site)))

    if way == "command":
        site.flask("db", "upgrade")
    else:
        with site.app.app_context():
            flask_migrate.upgrade()
    assert found == ["direct" if way == "command" else "pooled"]
    with site.app.app_context():
        assert engine_kind(site) == "pooled"


def test_a_migration_that_fails(site, in_migration):
    found = []
    migrations = site.app.extensions["ppg"].migrations

    @in_migration
    def _(op):
        found.append(migrations.active())
        raise ValueError("this migration fails")

    with site.app.app_context():
        with pytest.raises(ValueError, match="this migration fails"):
            flask_migrate.upgrade()
        assert found == [True]
        assert not migrations.active()
        assert engine_kind(site) == "pooled"
        assert site.db.inspect(site.db.engine).get_table_names() == []  # rolled back
        site.app.config["IN_MIGRATION"] = lambda op: None
        flask_migrate.upgrade()
        assert "item" in site.db.inspect(site.db.engine).get_table_names()


def test_another_app_used_within_a_migration_stays_pooled(
    site, in_migration, tmp_path, generated, servers
):
    found = []

    @in_migration
    def _(op):
        with other.app.app_context():
            found.append(engine_kind(other))
        found.append(engine_kind(site))

    with Site(tmp_path / "other", generated, servers) as other:
        with site.app.app_context():
            flask_migrate.upgrade()
    assert found == ["pooled", "direct"]


def test_a_migration_may_ask_flask_migrate_for_its_revisions(site, in_migration):
    """That begins a run within the run."""
    found = []

    @in_migration
    def _(op):
        flask_migrate.heads()
        found.append(engine_kind(site))

    with site.app.app_context():
        flask_migrate.upgrade()
    assert found == ["direct"]


def test_an_index_that_is_built_concurrently(site):
    site.revision("one", TABLE)
    site.revision(
        "two",
        """
        with op.get_context().autocommit_block():
            op.create_index("by_name", "item", ["name"], postgresql_concurrently=True)
        """,
        down="one",
    )
    before = site.logins()
    site.flask("db", "upgrade")
    counters = site.logins() - before
    assert (counters.pooled_logins, counters.direct_logins) == (0, 1)
    with site.app.app_context():
        indexes = site.db.inspect(site.db.engine).get_indexes("item")
    assert [index["name"] for index in indexes] == ["by_name"]


ADD_AND_FILL = """
op.add_column("item", sa.Column("size", sa.Integer))
statement = sa.text("UPDATE item SET size = length(name)")
"""
OF_THE_APP = """
from flask import current_app
current_app.extensions["sqlalchemy"].session.execute(statement)
"""
OF_THE_MIGRATION = """
from sqlalchemy.orm import Session
with Session(op.get_bind(), join_transaction_mode="create_savepoint") as session:
    session.execute(statement)
    session.commit()
"""


@pytest.fixture
def filled(site, servers, generated):
    """A table with one row; what would wait for a lock for ever waits for a second."""
    site.revision("one", f"{TABLE}\nop.execute(\"INSERT INTO item (name) VALUES ('first')\")")
    site.flask("db", "upgrade")
    with servers.connect() as connection:
        connection.execute(f"ALTER ROLE \"{generated.direct.user}\" SET lock_timeout = '1s'")
    return site


def test_a_data_migration_on_the_connection_of_the_migration(filled):
    filled.revision("two", f"{ADD_AND_FILL}\nop.get_bind().execute(statement)", down="one")
    filled.flask("db", "upgrade")
    with filled.app.app_context(), filled.db.engine.connect() as connection:
        assert connection.scalar(text("SELECT size FROM item")) == len("first")


def test_hazard_a_session_beside_it_waits_for_the_lock_of_its_own_process(filled):
    """What the documentation warns of; it is so on one URL, too."""
    filled.revision("two", ADD_AND_FILL + OF_THE_APP, down="one")
    with filled.app.app_context():
        with pytest.raises(OperationalError, match="lock timeout"):
            flask_migrate.upgrade()
        filled.db.session.remove()


def test_a_session_bound_to_the_connection_of_the_migration_does_not_wait(filled):
    filled.revision("two", ADD_AND_FILL + OF_THE_MIGRATION, down="one")
    filled.flask("db", "upgrade")
    with filled.app.app_context(), filled.db.engine.connect() as connection:
        assert connection.scalar(text("SELECT size FROM item")) == len("first")
