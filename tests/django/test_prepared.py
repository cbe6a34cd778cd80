"""What Django's connections are told beside the place: to prepare, and how long to wait."""

from __future__ import annotations

import pytest

from ppg_integrations.drivers import driver
from ppg_integrations.probe import probe
from tests.support.poolers import pooler

LIMITS = """
import socket
def limits(connection):
    connection.ensure_connection()
    with socket.fromfd(connection.connection.fileno(), socket.AF_INET, socket.SOCK_STREAM) as held:
        return [
            held.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE),
            held.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE),
            held.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL),
            held.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT),
            held.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT),
        ]
result([limits(connections[alias]) for alias in ("default", "direct")])
"""

PREPARED = """
call_command("migrate", verbosity=0)
item = Item.objects.create(name="a")
for _ in range(8):
    Item.objects.get(pk=item.pk)
with connection.cursor() as cursor:
    cursor.execute(
        "SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE 'SELECT \\"shop_item\\"%%'"
    )
    result(cursor.fetchone()[0])
"""


TESTS = """
from django.test import TestCase
from shop.models import Item
class One(TestCase):
    def test(self):
        self.assertFalse(Item.objects.exists())
"""


def test_a_server_that_vanishes_is_noticed_within_a_minute(project):
    assert project.python(LIMITS) == [[1, 30, 10, 3, 60_000], [1, 30, 10, 3, 0]]
    own = project.generated.pooled.replace(params={"sslmode": "require", "keepalives_idle": "7"})
    assert project.python(LIMITS, DATABASE_URL=own.reveal())[0] == [1, 7, 10, 3, 60_000]


@pytest.mark.parametrize("asked", ["1", "0"])
def test_statements_are_prepared_where_that_is_asked_for(project, generated, asked):
    # Any machine has a place that keeps what is prepared; a pooler that does is another matter.
    environ = {"DATABASE_URL": generated.direct.reveal(), "PPG_PREPARED": asked}
    if asked == "1" and driver().__name__ == "psycopg2":
        assert "psycopg2 cannot prepare" in project.manage("check", status=1, **environ).stderr
    else:
        assert project.python(PREPARED, **environ) == int(asked)


def test_a_pooler_that_forgets_is_said_where_the_database_is_named(project, servers, generated):
    if driver().__name__ == "psycopg2":
        return  # refused, see above
    with pooler(servers, prepared=False) as p:
        environ = {"DATABASE_URL": p.url(generated.pooled).reveal(), "PPG_PREPARED": "1"}
        done = project.manage("check", "--database", "default", status=1, **environ)
        assert "ppg.E128" in done.stderr
        # By its warning alone: a migration runs without the pooler.
        assert "ppg.W128" in project.manage("migrate", "shop", **environ).stderr
        assert "128" not in project.manage("check", **environ).stderr
        assert "128" not in project.manage("check", "--database", "direct", **environ).stderr
        # A test run does not go there.
        project.write("shop/tests.py", TESTS)
        done = project.manage("test", **environ)
        assert "Ran 1 test" in done.stderr
        assert "128" not in done.stderr
        del environ["PPG_PREPARED"]
        assert "128" not in project.manage("check", "--database", "default", **environ).stderr


def test_a_pooler_that_keeps_is_asked_and_one_that_is_away_is_not_waited_for(
    project, generated, pooled_logins
):
    if driver().__name__ == "psycopg2":
        return
    done = project.manage("check", "--database", "default", status=None, PPG_PREPARED="1")
    assert ("128" in done.stderr) is (probe(generated.pooled).prepared is False)
    assert pooled_logins() > 0
    away = generated.pooled.replace(port=1).reveal()
    environ = {"DATABASE_URL": away, "PPG_PREPARED": "1"}
    assert "128" not in project.manage("migrate", "shop", **environ).stderr
