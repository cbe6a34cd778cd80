"""Neon's double over a real PostgreSQL and PgBouncer: what the provider hands out works."""

from __future__ import annotations

import pytest

from ppg_integrations.drivers import connect
from ppg_integrations.errors import ConnectError, QueryError
from ppg_integrations.providers import load
from ppg_integrations.providers.base import GenerateRequest, Target
from ppg_integrations.providers.neon import operations
from ppg_integrations.providers.settings import Settings
from tests.support.doubles.accounts import Accounts
from tests.support.doubles.neon import NeonDouble


@pytest.fixture
def neon(servers, monkeypatch):
    monkeypatch.setattr(operations, "_EVERY", 0.01)
    with Accounts(servers) as accounts, NeonDouble(accounts) as double:
        double.steps = ("running", "finished")
        yield double


def provider(neon):
    return load("neon", Settings(neon.environ(PPG_TIMEOUT="30")))


def generate(neon, **target):
    request = GenerateRequest(target=Target(**target), create=True)
    return provider(neon).generate(request, lambda intent: None)


def ask(url, sql):
    with connect(url) as connection:
        return connection.fetch(sql)


def refused(url):
    with pytest.raises(ConnectError) as raised:
        connect(url)
    return raised.value.code in ("wrong-password", "no-role", "no-database")


def test_both_urls_lead_to_the_same_database_as_the_same_role(neon):
    found = provider(neon).read(Target())
    who = "SELECT session_user, current_database()"
    assert ask(found.pooled, who) == ask(found.direct, who)
    assert ask(found.direct, who) == [(found.direct.user, found.direct.database)]
    assert found.pooled.port != found.direct.port
    ask(found.direct, "CREATE TABLE t (a int)")
    assert ask(found.pooled, "SELECT * FROM t") == []


def test_a_branch_that_was_made_has_the_data_and_goes_its_own_way(neon):
    main = provider(neon).read(Target())
    ask(main.direct, "CREATE TABLE t AS SELECT 1 AS a")
    dev = generate(neon, branch="dev")
    assert ask(dev.pooled, "SELECT a FROM t") == [(1,)]
    ask(dev.direct, "ALTER TABLE t ADD b int")
    assert ask(main.pooled, "SELECT * FROM t") == [(1,)]
    (note,) = provider(neon).revoke(Target(), dev.id.partition("/")[0])
    assert "deleted" in note
    assert refused(dev.direct)  # PgBouncer lets a client wait for a database that is not there
    assert ask(main.pooled, "SELECT * FROM t") == [(1,)]


def test_a_read_replica_that_was_made_can_be_read(neon):
    request = GenerateRequest(create=True, replica=True)
    found = provider(neon).generate(request, lambda intent: None)
    assert found.replica.host != found.pooled.host
    assert ask(found.replica, "SELECT session_user") == [(found.pooled.user,)]


def test_a_role_that_was_made_works_until_it_is_revoked(neon):
    app = generate(neon, role="app_x1")
    assert ask(app.pooled, "SELECT session_user") == [("app_x1",)]
    assert ask(app.direct, "SELECT session_user") == [("app_x1",)]
    provider(neon).revoke(Target(), app.id)
    assert refused(app.direct)
    assert refused(app.pooled)
    assert ask(provider(neon).read(Target()).pooled, "SELECT 1") == [(1,)]


def test_a_rotation_waits_until_the_new_password_holds(neon):
    old = provider(neon).read(Target())
    with connect(old.direct) as open_before:
        rotated = provider(neon).rotate(GenerateRequest(), lambda intent: None, in_use=old.id)
        with pytest.raises(ConnectError):  # as the note says: open connections end
            open_before.fetch("SELECT 1")
    assert ask(rotated.generated.pooled, "SELECT 1") == [(1,)]
    assert ask(rotated.generated.direct, "SELECT 1") == [(1,)]
    assert refused(old.direct)
    assert refused(old.pooled)


def test_the_old_password_holds_until_the_last_operation_has_finished(neon):
    old = provider(neon).read(Target())
    neon.steps = ()
    (role,) = neon.branch.roles
    path = f"{neon.path}/projects/{neon.project.id}/branches/{neon.branch.id}/roles/{role}"
    with neon.app.test_client() as client:
        client.post(f"{path}/reset_password", headers={"Authorization": f"Bearer {neon.token}"})
    new = provider(neon).read(Target())
    assert new.direct != old.direct
    assert ask(old.direct, "SELECT 1") == [(1,)]
    assert refused(new.direct)


# What a role that the API made may do; the rows of the table in `making`.


@pytest.fixture
def two(neon):
    """The owner of a database with a table, and a second role."""
    owner = provider(neon).read(Target())
    ask(owner.direct, "CREATE TABLE t (id serial PRIMARY KEY, a int)")
    return owner, generate(neon, role="second_x1")


def test_a_second_role_reads_and_writes_all_tables_and_alters_none(two):
    owner, second = two
    for url in (second.pooled, second.direct):
        ask(url, "INSERT INTO t (a) VALUES (1)")
        ask(url, "UPDATE t SET a = a + 1")
    assert ask(second.pooled, "SELECT a FROM t ORDER BY id") == [(3,), (2,)]
    ask(second.pooled, "DELETE FROM t")
    for sql in ("ALTER TABLE t ADD b int", "DROP TABLE t", "CREATE INDEX ON t (a)"):
        with pytest.raises(QueryError, match="must be owner"):
            ask(second.direct, sql)


def test_the_owner_cannot_grant_its_own_role_from_16_on(two):
    owner, second = two
    version = int(ask(owner.direct, "SHOW server_version_num")[0][0])
    sql = f'GRANT "{owner.direct.user}" TO "{second.direct.user}"'
    if version < 160000:
        ask(owner.direct, sql)
        ask(second.direct, "ALTER TABLE t ADD b int")
    else:
        with pytest.raises(QueryError, match="permission denied to grant role"):
            ask(owner.direct, sql)


def test_the_second_role_pooled_and_the_owner_direct_is_a_pair_that_works(two, monkeypatch):
    from ppg_integrations import resolve

    owner, second = two
    monkeypatch.setenv("DATABASE_URL", second.pooled.reveal())
    monkeypatch.setenv("DIRECT_URL", owner.direct.reveal())
    monkeypatch.setenv("PPG_ALLOW_MISMATCH", "user")
    pair = resolve(env_file=None)
    ask(pair.require_direct(), "CREATE TABLE made_later (id serial PRIMARY KEY, a int)")
    ask(pair.require_direct(), "ALTER TABLE t ADD b int")
    ask(pair.pooled, "INSERT INTO made_later (a) VALUES (1)")
    ask(pair.pooled, "UPDATE t SET b = 1")
    assert ask(pair.pooled, "SELECT a FROM made_later") == [(1,)]


def test_a_role_that_both_are_members_of_may_own_everything(two):
    """The other way, for those who want two equal roles: once for each table that exists."""
    owner, second = two
    user, group = owner.direct.user, "team_x1"
    ask(owner.direct, f'CREATE ROLE {group} NOLOGIN; GRANT {group} TO "{user}", second_x1')
    try:
        ask(owner.direct, f"GRANT CREATE, USAGE ON SCHEMA public TO {group}")
        ask(owner.direct, f"ALTER TABLE t OWNER TO {group}")
        for url in (owner.direct, second.direct):
            ask(url, f"ALTER ROLE CURRENT_USER SET role TO {group}")
        ask(second.direct, "ALTER TABLE t ADD b int")
        ask(second.direct, "CREATE TABLE u (a int)")
        ask(owner.direct, "ALTER TABLE u ADD b int")
        ask(owner.direct, "ALTER TABLE t DROP COLUMN b")
        assert ask(second.pooled, "SELECT current_user")[0][0] == group
    finally:
        sql = (
            "SET ROLE NONE; REASSIGN OWNED BY {0} TO CURRENT_USER; DROP OWNED BY {0}; DROP ROLE {0}"
        )
        ask(owner.direct, sql.format(group))
