"""The doubles' credentials are real ones: they let in, and once revoked they do not."""

import pytest

from ppg_integrations.drivers import connect
from ppg_integrations.errors import ConnectError, QueryError
from tests.support.doubles.accounts import Accounts

pytestmark = pytest.mark.once


@pytest.fixture
def accounts(servers):
    with Accounts(servers) as made:
        yield made


def whoami(url):
    with connect(url) as connection:
        return connection.fetch("SELECT session_user, current_user, current_database()")[0]


@pytest.mark.parametrize(
    "role", ["", 'Odd "name" %s\'; --', "0123456789abcdef" * 3 + "0123456789ab"]
)
def test_both_endpoints_let_a_login_in_and_it_acts_as_the_owner(accounts, role):
    database = accounts.database()
    login = accounts.login(database, role=role, password="a 'b\" c@/:")
    for url in accounts.urls(login):
        assert whoami(url) == (login.role, accounts.owner(database), database)


def test_the_two_urls_are_two_endpoints(accounts):
    pooled, direct = accounts.urls(accounts.login(accounts.database()))
    assert pooled.port != direct.port
    assert pooled.replace(port=direct.port) == direct


def test_what_one_login_makes_another_may_change(accounts):
    database = accounts.database()
    first, second = accounts.login(database), accounts.login(database)
    with connect(accounts.urls(first).direct) as connection:
        connection.execute("CREATE TABLE made (id int)")
    accounts.drop_login(first.role)
    with connect(accounts.urls(second).direct) as connection:
        connection.execute("ALTER TABLE made ADD name text")


def test_a_login_that_does_not_act_owns_nothing(accounts):
    owner = accounts.owning_login()
    guest = accounts.login(owner.database, acts=False)
    with connect(accounts.urls(owner).direct) as connection:
        connection.execute("CREATE TABLE made (id int)")
    with connect(accounts.urls(guest).pooled) as connection, pytest.raises(QueryError):
        connection.fetch("SELECT * FROM made")


@pytest.mark.parametrize("way", ["drop_login", "set_password"])
def test_a_revoked_credential_is_refused_at_once_at_both_endpoints(accounts, way):
    login = accounts.login(accounts.database())
    urls = accounts.urls(login)
    sessions = [connect(url) for url in urls for _ in range(2)]
    try:
        for session in sessions:
            session.fetch("SELECT 1")
        changed = getattr(accounts, way)(login.role)
        for url in urls:
            with pytest.raises(ConnectError) as caught:
                connect(url)
            assert caught.value.code in ("wrong-password", "no-role"), caught.value
        with pytest.raises((ConnectError, QueryError)):  # whoever was in is out
            sessions[-1].fetch("SELECT 1")
    finally:
        for session in sessions:
            session.close()
    if changed:
        for url in accounts.urls(changed):
            assert whoami(url)[0] == login.role


def test_a_copy_has_what_was_there_and_goes_its_own_way(accounts):
    parent = accounts.owning_login()
    with connect(accounts.urls(parent).pooled) as connection:
        connection.execute("CREATE TABLE made AS SELECT 7 AS seven")
    copy = accounts.copy(parent.database)
    login = accounts.login(copy)
    with connect(accounts.urls(login).direct) as connection:
        assert connection.fetch("SELECT seven FROM made") == [(7,)]
        connection.execute("DROP TABLE made")
    with connect(accounts.urls(parent).pooled) as connection:
        assert connection.fetch("SELECT seven FROM made") == [(7,)]


def test_nothing_is_left(servers):
    def everything():
        with servers.connect() as connection:
            return {
                row[0]
                for row in connection.fetch(
                    "SELECT rolname FROM pg_roles UNION ALL SELECT datname FROM pg_database"
                )
            }

    before = everything()
    with Accounts(servers) as accounts:
        owner = accounts.owning_login()
        accounts.login(accounts.database(), role="a b")
        accounts.login(owner.database)
        accounts.drop_database(accounts.copy(owner.database))
        accounts.drop_login(accounts.login("postgres").role)
        accounts.drop_login(accounts.owning_login().role)
        session = connect(accounts.urls(owner).pooled)
        assert everything() - before
    session.close()
    assert everything() == before
