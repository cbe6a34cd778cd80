"""Providers by name, and the one called local."""

from __future__ import annotations

import secrets
from dataclasses import replace

import pytest

from ppg_integrations import providers
from ppg_integrations.drivers import connect
from ppg_integrations.errors import (
    ConfigurationError,
    ConnectError,
    LocalServerError,
    QueryError,
)
from ppg_integrations.pair import ConnectionPair, Source
from ppg_integrations.providers.base import GenerateRequest, Intent, Listed, Target
from ppg_integrations.providers.local import roles
from ppg_integrations.providers.local.servers import LocalServers
from ppg_integrations.providers.settings import Settings
from tests.conftest import UNSAFE_AND_FAST
from tests.support.programs import run_python


def test_the_local_provider_generates(project):
    provider = providers.load("local")
    assert provider.name == "local"
    request = GenerateRequest(name="Bob", project_folder=project / "shop")
    steps = []
    intents = []
    servers = LocalServers(project / "shop/.ppg/local", settings=UNSAFE_AND_FAST)
    try:
        generated = provider.generate(request, intents.append, steps.append)
        assert steps
        (intent,) = intents
        assert (intent.provider, intent.action, intent.kind) == ("local", "create", "role")
        assert intent.name == generated.id
        assert generated.name == "Bob"
        assert generated.direct.database == "shop"
        assert generated.pooled.port == servers.status().pooler.port
        assert generated.direct.port == servers.status().postgres.port
        target = Target(database="Other")
        other = provider.generate(
            GenerateRequest(target=target, project_folder=project / "shop"), intents.append
        )
        assert other.direct.database == "other"
        assert other.notes[0].startswith("The database 'Other' is called other here: ")
        assert generated.notes == ()
        target = Target(database="Postgres")
        request = GenerateRequest(target=target, project_folder=project / "shop")
        with pytest.raises(LocalServerError, match="keeps the database name postgres"):
            provider.generate(request, intents.append)
        assert len(intents) == 2
    finally:
        servers.erase()


@pytest.fixture
def shop(servers):
    """A provider whose project is that of the shared servers, and a database of the test's own."""
    folder = servers.folder.parent.parent
    database = f"t_{secrets.token_hex(4)}"
    provider = providers.load("local", Settings({}, {}, str(folder / ".env")))
    request = GenerateRequest(target=Target(database=database), project_folder=folder)
    try:
        yield provider, request
    finally:
        servers.drop(database)


def works(url):
    with connect(url) as connection:
        return connection.fetch("SELECT 1") == [(1,)]


def refused(url):
    with pytest.raises(ConnectError) as caught:
        connect(url)
    assert caught.value.code in ("wrong-password", "no-role"), caught.value
    return True


def no_intent(_intent):
    raise AssertionError("nothing is made here")


def pair_of(generated, provider="local"):
    source = Source("file", "DATABASE_URL", ".env")
    return ConnectionPair(generated.pooled, generated.direct, source, source, provider)


def test_the_list_is_of_the_database_in_use(shop):
    provider, request = shop
    one = provider.generate(request, lambda _: None)
    two = provider.generate(request, lambda _: None)
    listed = provider.connections(Target(), in_use=two.id)
    assert [(each.id, each.in_use) for each in listed] == [(one.id, False), (two.id, True)]
    assert provider.connections(Target(), pair=pair_of(one))[0].in_use
    assert provider.connections(request.target, pair=None)[0] == Listed(one.id, one.id, "", False)
    elsewhere = pair_of(replace(one, direct=one.direct.replace(host="db.example.com")))
    assert not any(each.in_use for each in provider.connections(request.target, pair=elsewhere))
    assert one.id not in {each.id for each in provider.connections(Target(), pair=elsewhere)}


def test_a_list_starts_nothing(project):
    provider = providers.load("local", Settings({}, {}, str(project / ".env")))
    with pytest.raises(LocalServerError, match="does not run") as caught:
        provider.connections(Target())
    assert "local start" in caught.value.hint
    assert list(project.iterdir()) == []


def test_a_revoked_role_is_refused_at_once_and_loses_its_sessions(shop, servers):
    provider, request = shop
    old = provider.generate(request, lambda _: None)
    new = provider.generate(request, lambda _: None)
    with connect(old.pooled) as pooled, connect(old.direct) as direct:
        direct.execute("CREATE TABLE t (id int)")
        pooled.execute("INSERT INTO t VALUES (1)")
        pooled.begin()  # so that PgBouncer has no other backend to give it
        pooled.fetch("SELECT 1")
        assert provider.revoke(Target(), old.id) == ()
        for session in (pooled, direct):
            with pytest.raises((ConnectError, QueryError)):
                session.fetch("SELECT 1")
    assert refused(old.pooled)
    assert refused(old.direct)
    with connect(new.pooled) as connection:
        assert connection.fetch("SELECT id FROM t") == [(1,)]
    with pytest.raises(LocalServerError, match="has no connection") as caught:
        provider.revoke(Target(), old.id)
    assert "list" in caught.value.hint


@pytest.mark.parametrize("id", ["ppg_admin", "ppg_pooler", "postgres", 'x"; DROP ROLE y', ""])
def test_no_other_role_can_be_revoked(shop, id):
    provider, request = shop
    provider.generate(request, lambda _: None)
    with pytest.raises(LocalServerError, match="has no connection"):
        provider.revoke(Target(), id)


def test_what_a_role_made_in_its_own_name_goes_to_the_owner(shop, servers):
    provider, request = shop
    old = provider.generate(request, lambda _: None)
    new = provider.generate(request, lambda _: None)
    other = f"{request.target.database}_2"
    with connect(old.direct) as connection:
        connection.execute("SET ROLE none")
        connection.execute("CREATE SCHEMA AUTHORIZATION CURRENT_USER CREATE TABLE t (id int)")
        connection.execute(f"CREATE DATABASE {other}")
    try:
        with servers.connect() as admin:
            # A database by itself goes to the owner as well; one with something in it holds on.
            admin.execute(f"ALTER DATABASE {other} OWNER TO ppg_admin")
            with servers.connect(other) as inside:
                inside.execute(f'CREATE SCHEMA s AUTHORIZATION "{old.id}"')
        (note,) = provider.revoke(Target(), old.id)
        assert "its name stays" in note
        assert refused(old.direct)
        assert refused(old.pooled)
        assert old.id not in {each.id for each in provider.connections(request.target)}
        with connect(new.direct) as connection:
            connection.execute(f'DROP TABLE "{old.id}".t')
    finally:
        with servers.connect() as admin:
            admin.execute(f"DROP DATABASE {other}")
            admin.execute(f'DROP ROLE IF EXISTS "{old.id}"')


def test_a_role_is_replaced_or_gets_a_new_password(shop):
    provider, request = shop
    old = provider.generate(request, lambda _: None)
    intents = []
    open_target = replace(request, target=Target())
    rotated = provider.rotate(open_target, intents.append, in_use=old.id)
    new = rotated.generated
    assert (intents[-1].action, intents[-1].kind, intents[-1].name) == ("create", "role", new.id)
    assert rotated.retire == old.id != new.id
    assert new.direct.database == old.direct.database
    assert all(works(url) for url in (old.pooled, old.direct, new.pooled, new.direct))
    with connect(new.direct) as session:
        rotated = provider.rotate(open_target, intents.append, in_use=new.id, in_place=True)
        with pytest.raises((ConnectError, QueryError)):
            session.fetch("SELECT 1")
    assert (intents[-1].action, intents[-1].kind, intents[-1].name) == (
        "rotate",
        "password",
        new.id,
    )
    assert rotated.retire == ""
    assert rotated.generated.id == new.id
    assert works(rotated.generated.pooled)
    assert works(rotated.generated.direct)
    assert refused(new.pooled)
    assert refused(new.direct)


def test_an_unknown_role_is_replaced_and_has_no_password_to_change(shop):
    provider, request = shop
    rotated = provider.rotate(request, lambda _: None, in_use="somebody")
    assert rotated.retire == ""
    assert rotated.generated.direct.database == request.target.database
    with pytest.raises(LocalServerError, match="no role 'somebody'"):
        provider.rotate(request, no_intent, in_use="somebody", in_place=True)


class Killed(Exception):
    pass


def test_what_an_interrupted_run_made_is_settled(shop):
    provider, request = shop
    intents = []

    def intend(intent):
        intents.append(intent)
        raise Killed

    with pytest.raises(Killed):
        provider.generate(request, intend)
    assert provider.settle(intents[0]).outcome == "missing"
    made = provider.generate(request, intents.append)
    settled = provider.settle(intents[1])
    assert settled.outcome == "removed"
    assert made.id in settled.text
    assert refused(made.direct)
    assert provider.settle(intents[1]).outcome == "missing"

    kept = provider.generate(request, lambda _: None)
    with pytest.raises(Killed):
        provider.rotate(request, intend, in_use=kept.id, in_place=True)
    assert works(kept.direct)
    settled = provider.settle(intents[2])
    assert settled.outcome == "restored"
    assert settled.generated.id == kept.id
    assert works(settled.generated.pooled)
    assert refused(kept.direct)


def test_settling_where_no_server_ever_was_starts_none(project):
    provider = providers.load("local", Settings({}, {}, str(project / ".env")))
    intent = Intent("local", "create", "role", "shop_1")
    assert provider.settle(intent).outcome == "missing"
    assert list(project.iterdir()) == []


@pytest.mark.parametrize(
    ("wanted", "name"),
    [
        ("shop", "shop"),
        ("shop_2", "shop_2"),
        ('we"ird', "we_ird"),
        ("naïve", "na_ve"),
        ("数据", "app"),
        ("2fast", "app_2fast"),
        ("x" * 40, "x" * 40),
        ("x" * 500, "x" * 40),
    ],
)
def test_a_database_name_that_had_to_be_changed_is_told(wanted, name):
    found, notes = roles.database_name(wanted, "project")
    assert found == name
    if wanted == name:
        assert notes == ()
    else:
        (note,) = notes
        assert f"is called {name} here" in note
        assert len(note) < 300


@pytest.mark.parametrize(
    "wanted", ["postgres", "Postgres", "template0", "template1", "pgbouncer", "pg_x", "PG-x"]
)
def test_a_database_name_that_the_server_keeps_is_refused_before_anything(local, project, wanted):
    with pytest.raises(LocalServerError, match="to itself") as caught:
        local.generate(database=wanted)
    assert "--database" in caught.value.hint
    assert list(project.iterdir()) == []


def test_a_project_s_folder_may_have_any_name():
    assert roles.database_name("", "postgres") == ("app", ())
    assert roles.database_name("", "My Shop") == ("my_shop", ())


@pytest.mark.parametrize("name", ["", "oracle", "Local"])
def test_an_unknown_provider_lists_the_known_ones(name):
    with pytest.raises(ConfigurationError) as caught:
        providers.load(name)
    assert all(known in caught.value.hint for known in ("prisma", "neon", "casedev", "local"))


@pytest.mark.parametrize(
    ("environ", "name"),
    [
        ({}, None),
        ({"PPG_PROVIDER": "local"}, "local"),
        ({"PPG_PROVIDER": " Neon "}, "neon"),
        ({"PPG_PROVIDER": "local", "NEON_API_KEY": "x"}, "local"),
        ({"PRISMA_SERVICE_TOKEN": "x"}, "prisma"),
        ({"PRISMA_API_TOKEN": "x"}, "prisma"),
        ({"NEON_API_KEY": "x"}, "neon"),
        ({"CASEDEV_API_KEY": "x"}, "casedev"),
        ({"CASEDEV_API_KEY": " "}, None),
        ({"CASEDEV_API_KEY": "x", "NEON_API_KEY": "y"}, None),
    ],
)
def test_detection(environ, name):
    assert providers.detect(environ) == name


def test_a_wrong_ppg_provider_is_named():
    with pytest.raises(ConfigurationError, match="PPG_PROVIDER in the environment is 'Oracle'"):
        providers.detect({"PPG_PROVIDER": "Oracle"})


def test_the_table_imports_nothing_heavy():
    code = """
import sys
from ppg_integrations import providers
providers.detect({})
heavy = {"dataclasses", "inspect", "pathlib", "httpx", "filelock", "platformdirs", "psycopg"}
print(sorted(heavy & sys.modules.keys()))
"""
    before = run_python("import sys; print(sorted({'inspect', 'pathlib'} & sys.modules.keys()))")
    assert run_python(code) == before
