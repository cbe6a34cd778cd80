"""What the servers say for themselves: logins, transactions, connections, rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    from ppg_integrations import PostgresURL
    from ppg_integrations.providers.local.counters import Counters
    from ppg_integrations.providers.local.servers import LocalServers

    Result = TypeVar("Result")

_OURS: Final = "FROM pg_stat_activity WHERE datname = %s AND usename = %s"


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
        url: any URL of the application's database.
    """

    def __init__(self, servers: LocalServers, url: PostgresURL) -> None:
        self._servers = servers
        self._database = url.dbname
        self._whose = (url.dbname, url.user)

    def limit(self, connections: int) -> None:
        """Grants the database this many connections, as a hosted plan does."""
        with self._servers.connect() as connection:
            connection.execute(f'ALTER DATABASE "{self._database}" CONNECTION LIMIT {connections}')

    def let_go(self) -> None:
        """Ends every connection to the database, so that the next step starts with none."""
        with self._servers.connect() as connection:
            connection.fetch(f"SELECT pg_terminate_backend(pid, 5000) {_OURS}", self._whose)

    def entries(self) -> int:
        """Rows of the guestbook."""
        with self._servers.connect(self._database) as connection:
            return int(connection.fetch("SELECT count(*) FROM guestbook_entry")[0][0])

    def watch(self, work: Callable[[], Result]) -> tuple[Result, Seen]:
        """Does `work` and says what the servers saw of it."""
        before = self._servers.counters(self._database)
        result = work()
        with self._servers.connect() as connection:
            held = int(connection.fetch(f"SELECT count(*) {_OURS}", self._whose)[0][0])
        return result, Seen(self._servers.counters(self._database) - before, held)
