"""A real PostgreSQL with a real PgBouncer in front of it, with the caps of a plan.

TLS and SCRAM, as every provider has them. Nothing waits for a disk.

    with database(max_clients=50) as made:
        made.pooled, made.direct        # PostgresURLs of one role, sslmode=require
        made.connections()              # clients of the pooler, at the moment
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ppg_integrations import drivers
from ppg_integrations.providers.local.pgbouncer import Pool
from ppg_integrations.providers.local.servers import LocalServers
from ppg_integrations.urls import PostgresURL
from tests.conftest import UNSAFE_AND_FAST
from tests.resilience.stores import console

NAME = "bench"
#: Of a hundred rows, of which every view reads some.
TABLE = """
CREATE TABLE item (id int PRIMARY KEY, name text NOT NULL, count int NOT NULL);
INSERT INTO item SELECT id, 'item ' || id, 0 FROM generate_series(1, 100) id;
"""


_PLAIN = {"sslmode": "disable"}


@dataclass(frozen=True)
class Database:
    """A database with its table, and a role that owns both."""

    servers: LocalServers
    pooled: PostgresURL
    direct: PostgresURL

    @property
    def target(self) -> tuple[str, int]:
        """Host and port of the pooler, for a proxy in front of it."""
        return str(self.pooled.host), self.pooled.port or 0

    def plain(self) -> Database:
        """The same without TLS on the way to the pooler, which has to allow it."""
        return Database(self.servers, self.pooled.replace(params=_PLAIN), self.direct)

    def through(self, port: int) -> Database:
        """The same with the pooled URL behind a proxy on that port."""
        return Database(self.servers, self.pooled.replace(port=port), self.direct)

    def connections(self) -> int:
        """How many connections the pooler's clients have to the database."""
        with console(self.servers) as asked:
            return sum(NAME in row for row in asked.fetch("SHOW CLIENTS"))

    def direct_connections(self) -> int:
        """How many connections PostgreSQL has to the database, those of the pooler included."""
        with self.servers.connect() as admin:
            found = admin.fetch("SELECT count(*) FROM pg_stat_activity WHERE datname = %s", (NAME,))
        return int(found[0][0])


@contextmanager
def database(
    *,
    max_clients: int = 500,
    pool_size: int = 20,
    direct: int | None = None,
    **settings: object,
) -> Iterator[Database]:
    """Starts the servers in a folder of their own; both are gone afterwards.

    Args:
        max_clients: that the pooler takes (``max_client_conn``). The next one is refused, with
            "no more connections allowed".
        pool_size: connections of the pooler to PostgreSQL, for this role and database.
        direct: connections to PostgreSQL that the role has beside those of the pooler, once it has
            them all; any number by default. The next one is refused, with "too many connections
            for role". (A limit of the server would count the pooler's own logins, too.)
        settings: more lines for pgbouncer.ini, such as ``query_wait_timeout=10``.
    """
    with tempfile.TemporaryDirectory(prefix="ppg-benchmark-") as folder:
        Path(folder).chmod(0o711)  # an account that root drops to has to get through
        servers = LocalServers(
            Path(folder, "app/.ppg/local"),
            settings={**UNSAFE_AND_FAST, "max_connections": "100"},
            pool=Pool(
                "transaction",
                pool_size,
                max_clients,
                {name: str(value) for name, value in settings.items()},
            ),
        )
        try:
            status = servers.start()
            assert status.pooler is not None, status.notes
            assert status.tls, status.notes
            made = servers.generate(NAME, database=NAME)
            with drivers.connect(made.direct) as connection:
                connection.execute(TABLE)
            if direct is not None:
                with servers.connect() as admin:
                    limit = pool_size + direct
                    admin.execute(f'ALTER ROLE "{made.direct.user}" CONNECTION LIMIT {limit}')
            yield Database(servers, made.pooled, made.direct)
        finally:
            servers.erase()
