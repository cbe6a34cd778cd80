"""Counters are exact: other tests prove by them which endpoint something went through."""

from __future__ import annotations

import secrets

import pytest

from ppg_integrations.drivers import connect
from ppg_integrations.errors import ConnectError
from ppg_integrations.providers.local.counters import Counters
from tests.support.poolers import pooler


@pytest.fixture
def since(servers, generated):
    """What happened to the test's own database since the test began."""
    database = generated.direct.database
    before = servers.counters(database)
    return lambda: servers.counters(database) - before


def use(url, times=1):
    with connect(url) as connection:
        for _ in range(times):
            connection.execute("SELECT 1")


def test_nothing_happened(servers, since):
    assert since() == Counters()
    servers.status()
    with servers.connect() as admin:
        admin.fetch("SELECT 1")
    assert since() == Counters()


def test_management_connections_to_the_same_database_do_not_count(servers, generated, since):
    with servers.connect(generated.direct.database) as admin:
        admin.fetch("SELECT 1")
    assert since() == Counters()


def test_pooled_logins(generated, since):
    for _ in range(3):
        use(generated.pooled, times=4)
    counted = since()
    assert (counted.pooled_logins, counted.direct_logins) == (3, 0)
    assert counted.pooled_transactions == 12
    assert counted.server_connections == 1  # one after the other they share it


def test_direct_logins(generated, since):
    for _ in range(3):
        use(generated.direct, times=4)
    assert since() == Counters(direct_logins=3)


def test_each_login_is_counted_when_its_client_is_told(servers, generated):
    database = generated.direct.database
    for expected in range(1, 20):
        with connect(generated.direct), connect(generated.pooled) as pooled:
            pooled.execute("SELECT 1")
            counted = servers.counters(database)
            assert (counted.direct_logins, counted.pooled_logins) == (expected, expected)


def test_clients_side_by_side_need_a_server_each_only_in_transactions(generated, since):
    clients = [connect(generated.pooled) for _ in range(5)]
    for client in clients:
        client.execute("SELECT 1")
    assert (since().pooled_logins, since().server_connections) == (5, 1)
    for client in clients[:3]:
        client.begin()
        client.execute("SELECT 1")
    assert since().server_connections == 3
    for client in clients:
        client.close()
    assert since().direct_logins == 0


def test_all_databases_together(servers, generated):
    before = servers.counters()
    use(generated.direct)
    use(generated.direct.replace(database="postgres"))
    use(generated.pooled)
    counted = servers.counters() - before
    assert (counted.direct_logins, counted.pooled_logins) == (2, 1)


def test_a_database_of_another_name_is_left_out(servers, generated, since):
    name = f"t_{secrets.token_hex(4)}"
    other = servers.generate(database=name)
    use(other.direct)
    use(other.pooled)
    assert since() == Counters()
    servers.drop(name)


def test_refused_logins(generated, since):
    with pytest.raises(ConnectError):
        connect(generated.direct.replace(password="wrong"))
    assert since() == Counters()
    with pytest.raises(ConnectError):
        connect(generated.pooled.replace(password="wrong"))
    # it did ask the pooler, and that is what a test wants to know
    assert since() == Counters(pooled_logins=1)


def test_another_pooler_in_front_counts_neither_as_pooled_nor_as_direct(servers, generated, since):
    with pooler(servers, mode="session") as other:
        use(other.url(generated.pooled), times=2)
    assert since() == Counters()


def test_counters_after_the_servers_were_restarted(local):
    generated = local.generate(database="shop")
    use(generated.direct)
    use(generated.pooled)
    local.stop()
    assert local.counters("shop").direct_logins == 1
    local.start()
    use(generated.direct)
    counted = local.counters("shop")
    assert (counted.direct_logins, counted.pooled_logins) == (2, 2 - 1)
