"""What Django's connections are told beside the place: to prepare, and how long to wait."""

from __future__ import annotations

import pytest

from ppg_integrations.drivers import driver

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
