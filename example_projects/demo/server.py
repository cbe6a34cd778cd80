"""What the servers say for themselves: logins, transactions, connections, rows."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, NamedTuple

from ppg_integrations import PPGError, drivers
from ppg_integrations.providers.local.pgbouncer import Pool
from ppg_integrations.providers.local.servers import LocalServers

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    from ppg_integrations import PostgresURL
    from ppg_integrations.providers.local.counters import Counters

    Result = TypeVar("Result")

_RETRY: Final = 20  # seconds; PgBouncer's server_login_retry is 15
_HELD: Final = "SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND usename = %s"


class Seen(NamedTuple):
    """What was counted while something ran.

    Attributes:
        counters: the difference it made.
        held: connections to PostgreSQL that were open at its end, PgBouncer's or the application's.
    """

    counters: Counters
    held: int


class Server:
    """The embedded servers, asked as their superuser; none of these questions is counted.

    Args:
        pooled: the application's pooled URL.
    """

    def __init__(self, servers: LocalServers, pooled: PostgresURL) -> None:
        self._servers = servers
        self._pooled = pooled
        self._database = pooled.dbname
        self._whose = (pooled.dbname, pooled.user)

    def limit(self, *, pool: int, connections: int) -> None:
        """Sets the limits of a small hosted plan, which takes a restart.

        Args:
            pool: connections to PostgreSQL that PgBouncer may hold for the application.
            connections: what PostgreSQL grants to everybody who uses the database.
        """
        self._servers.stop()
        LocalServers(self._servers.folder, pool=Pool(default_size=pool)).start()
        with self._servers.connect() as connection:
            connection.execute(f'ALTER DATABASE "{self._database}" CONNECTION LIMIT {connections}')

    def let_go(self) -> None:
        """Ends every connection to the database, so that the next step starts with none."""
        self._end_all()
        # One that PgBouncer was just logging in with is a failed login to it, after which it turns
        # clients away for a while.
        deadline = time.monotonic() + _RETRY
        while True:
            try:
                with drivers.connect(self._pooled) as connection:
                    connection.fetch("SELECT 1")
                break
            except PPGError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)
        self._end_all()

    def _end_all(self) -> None:
        with self._servers.connect() as connection:
            connection.fetch(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s",
                (self._database,),
            )

    def count(self, statement: str) -> int:
        """The number that a statement gives, in the application's database."""
        with self._servers.connect(self._database) as connection:
            return int(connection.fetch(statement)[0][0])

    def watch(self, work: Callable[[], Result]) -> tuple[Result, Seen]:
        """Does `work` and says what the servers saw of it."""
        before = self._servers.counters(self._database)
        result = work()
        with self._servers.connect() as connection:
            held = int(connection.fetch(_HELD, self._whose)[0][0])
        return result, Seen(self._servers.counters(self._database) - before, held)
