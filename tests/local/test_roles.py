"""Roles that `generate` makes, through PgBouncer and past it."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys

import pytest

from ppg_integrations.drivers import connect
from ppg_integrations.errors import ConnectError, LocalServerError, QueryError
from ppg_integrations.providers.base import Generated
from ppg_integrations.providers.local import roles
from ppg_integrations.providers.local.servers import LocalServers
from tests.support.poolers import pooler
from tests.support.programs import ROOT


def ask(url, sql, *params):
    with connect(url) as connection:
        return connection.fetch(sql, params)


@pytest.fixture
def second(servers: LocalServers, generated: Generated) -> Generated:
    return servers.generate("second", database=generated.direct.database)


def ends(generated):
    return (generated.pooled, generated.direct)


@pytest.mark.parametrize("first_end", [0, 1])
@pytest.mark.parametrize("second_end", [0, 1])
def test_a_second_role_has_full_rights_over_what_the_first_made(
    generated, second, first_end, second_end
):
    one, two = ends(generated)[first_end], ends(second)[second_end]
    ask(one, "CREATE TABLE t (id serial PRIMARY KEY, a int)")
    ask(one, "CREATE SCHEMA s")
    ask(one, "CREATE TYPE mood AS ENUM ('sad')")
    ask(two, "ALTER TABLE t ADD b int")
    ask(two, "INSERT INTO t (a, b) VALUES (1, 2)")
    ask(two, "ALTER TYPE mood ADD VALUE 'happy'")
    ask(two, "CREATE TABLE s.u (id int)")
    ask(two, "CREATE INDEX ON t (a)")
    ask(one, "DROP TABLE s.u")
    ask(one, "ALTER TABLE t DROP COLUMN b")
    ask(two, "DROP TABLE t")
    ask(two, "DROP SCHEMA s")


def test_sessions_act_as_the_owner_and_are_known_by_their_login(generated):
    owner = roles.owner_of(generated.direct.database)
    for url in ends(generated):
        assert ask(url, "SELECT current_user, session_user") == [(owner, generated.id)]


@pytest.mark.parametrize("mode", ["session", "transaction"])
def test_the_owner_is_kept_by_a_pooler_that_resets_its_connections(servers, generated, mode):
    owner = roles.owner_of(generated.direct.database)
    with pooler(servers, mode=mode, size=1, server_reset_query_always=1) as other:
        url = other.url(generated.pooled)
        for _ in range(3):
            assert ask(url, "SELECT current_user") == [(owner,)]


def test_discard_all_by_the_application_keeps_the_owner(generated):
    owner = roles.owner_of(generated.direct.database)
    with connect(generated.direct) as connection:
        connection.execute("DISCARD ALL")
        assert connection.fetch("SELECT current_user") == [(owner,)]
        connection.execute("RESET ALL")
        assert connection.fetch("SELECT current_user") == [(owner,)]


def test_pgbouncer_learns_a_role_without_a_restart(servers, generated):
    before = servers.status().pooler.pid
    assert ask(generated.pooled, "SELECT 1") == [(1,)]
    new = servers.generate("late", database=generated.direct.database)
    assert ask(new.pooled, "SELECT 1") == [(1,)]
    assert servers.status().pooler.pid == before


def test_test_databases_are_made_cloned_used_and_dropped_by_both_roles(generated, second):
    name = f"test_{secrets.token_hex(4)}"
    for maker, other in ((generated, second), (second, generated)):
        maintenance = maker.direct.replace(database="postgres")
        colleague = other.direct.replace(database="postgres")
        ask(maintenance, f"CREATE DATABASE {name}")
        ask(maker.direct.replace(database=name), "CREATE TABLE t (id int)")
        ask(other.direct.replace(database=name), "ALTER TABLE t ADD a int")
        ask(colleague, f"CREATE DATABASE {name}_1 WITH TEMPLATE {name}")
        ask(maker.direct.replace(database=f"{name}_1"), "DROP TABLE t")
        ask(maintenance, f"DROP DATABASE {name}_1")
        ask(colleague, f"DROP DATABASE {name}")


def test_no_role_is_a_superuser_or_may_make_roles(servers, generated):
    with servers.connect() as connection:
        rows = connection.fetch(
            "SELECT rolsuper, rolcreaterole, rolreplication, rolbypassrls FROM pg_roles"
            " WHERE rolname IN (%s, %s)",
            (generated.id, roles.owner_of(generated.direct.database)),
        )
    assert rows == [(False,) * 4] * 2
    for url in ends(generated):
        with pytest.raises(QueryError):
            ask(url, "SELECT rolpassword FROM pg_authid")


def test_the_pooler_role_reads_verifiers_everywhere_without_being_a_superuser(servers, generated):
    password = servers._store.passwords()["pooler"]
    for database in ("postgres", "template1", generated.direct.database):
        url = generated.direct.replace(user="ppg_pooler", password=password, database=database)
        sql = "SELECT rolpassword FROM pg_authid WHERE rolname = %s"
        assert ask(url, sql, generated.id)[0][0].startswith("SCRAM-SHA-256$")
    with servers.connect() as connection:
        sql = "SELECT rolsuper FROM pg_roles WHERE rolname = 'ppg_pooler'"
        assert connection.fetch(sql) == [(False,)]


def test_every_password_is_kept_as_a_scram_verifier(servers, generated):
    with servers.connect() as connection:
        rows = connection.fetch("SELECT rolname, rolpassword FROM pg_authid WHERE rolcanlogin")
    assert {"ppg_admin", "ppg_pooler", generated.id} <= {name for name, _ in rows}
    assert all(password.startswith("SCRAM-SHA-256$") for _, password in rows)


@pytest.mark.parametrize("end", [0, 1])
def test_a_wrong_password_is_refused(generated, end):
    with pytest.raises(ConnectError) as caught:
        connect(ends(generated)[end].replace(password="wrong"))
    assert "wrong" not in str(caught.value).replace("wrong-password", "")


def test_another_project_s_database_is_out_of_reach_for_changes(servers, generated):
    database = f"t_{secrets.token_hex(4)}"
    stranger = servers.generate(database=database)
    try:
        ask(generated.direct, "CREATE TABLE t (id int)")
        foreign = stranger.direct.replace(database=generated.direct.database)
        with pytest.raises((QueryError, ConnectError)):
            ask(foreign, "SELECT * FROM t")
        with pytest.raises(QueryError):
            ask(stranger.direct, f"DROP DATABASE {generated.direct.database}")
    finally:
        servers.drop(database)


def test_a_database_of_somebody_else_is_refused(servers):
    name = f"foreign_{secrets.token_hex(4)}"
    with servers.connect() as connection:
        connection.execute(f"CREATE DATABASE {name}")
    try:
        with pytest.raises(LocalServerError, match="belongs to ppg_admin"):
            servers.generate(database=name)
    finally:
        servers.drop(name)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("My Shop", "my_shop"),
        ("", "app"),
        ("---", "app"),
        ("Köln", "k_ln"),
        ("2fast", "app_2fast"),
        ("pg_stuff", "app"),
        ("postgres", "app"),
        ("PgBouncer", "app"),
        ("x" * 80, "x" * 40),
        ('a"; DROP TABLE t; --', "a_drop_table_t"),
    ],
)
def test_identifiers_need_no_quotes(text, name):
    assert roles.identifier(text) == name


MIGRATE = """
import sys
import django
from django.conf import settings
from django.core.management import call_command
from ppg_integrations.urls import PostgresURL
url = PostgresURL.parse(sys.stdin.readline())
settings.configure(
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth"],
    DATABASES={"default": url.django()},
    USE_TZ=True,
)
django.setup()
for target in sys.argv[1:]:
    call_command("migrate", *target.split(), verbosity=0)
"""


def migrate(url, *targets):
    answer = subprocess.run(
        [sys.executable, "-c", MIGRATE, *targets],
        input=url.reveal() + "\n",
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert answer.returncode == 0, answer.stderr


def test_migrations_of_one_role_go_on_and_back_by_another(generated, second):
    migrate(generated.direct, "auth 0003")
    migrate(second.direct, "auth", "auth 0002")
    migrate(generated.direct, "", "auth zero")
    sql = "SELECT count(*) FROM pg_tables WHERE starts_with(tablename, 'auth_')"
    assert ask(second.direct, sql) == [(0,)]
