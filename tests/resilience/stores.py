"""A ``.env`` file with a pair of the embedded servers, made and rotated by the real commands."""

from __future__ import annotations

import io
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

from ppg_integrations import drivers, envfile
from ppg_integrations.cli import main
from ppg_integrations.providers.local import ports
from ppg_integrations.providers.local.files import Store as Files
from ppg_integrations.providers.local.pgbouncer import AUTH_USER, STATS_USER
from ppg_integrations.providers.local.servers import LocalServers
from ppg_integrations.urls import PostgresURL
from tests.resilience.sources import TABLE


@dataclass(frozen=True)
class Store:
    """The file, of a database of its own.

    Attributes:
        env_file: in the folder of the servers, which the provider ``local`` looks for there.
    """

    servers: LocalServers
    env_file: Path
    database: str

    def url(self, name: str = "DIRECT_URL") -> PostgresURL:
        """One of the two URLs, as the file has it at the moment."""
        return PostgresURL.parse(envfile.read(self.env_file)[name])

    @property
    def role(self) -> str:
        """Whom the file lets in at the moment."""
        return str(self.url().user)

    def tokens(self) -> list[str]:
        """What has been written into the table."""
        with drivers.connect(self.url()) as connection:
            return [token for (token,) in connection.fetch("SELECT token FROM item")]

    def sessions(self) -> dict[str, int]:
        """How many sessions of the database each role has, but for what PgBouncer asks itself."""
        with self.servers.connect() as admin:
            return dict(
                admin.fetch(
                    "SELECT usename, count(*) FROM pg_stat_activity"
                    " WHERE datname = %s AND usename <> %s GROUP BY usename",
                    (self.database, AUTH_USER),
                )
            )

    def connections(self) -> int:
        """How many connections PgBouncer's clients have to the database."""
        with console(self.servers) as asked:
            return sum(self.database in row for row in asked.fetch("SHOW CLIENTS"))


@contextmanager
def console(servers: LocalServers) -> Iterator[drivers.Connection]:
    """PgBouncer's console."""
    status = servers.status().pooler
    assert status is not None
    url = PostgresURL.build(
        host=ports.LOOPBACK,
        port=status.port,
        user=STATS_USER,
        password=Files(servers.folder).passwords()["stats"],
        database="pgbouncer",
        params={"sslmode": "require"},
    )
    with drivers.connect(url, application_name="") as connection:
        yield connection


@contextmanager
def store(servers: LocalServers) -> Iterator[Store]:
    """A pair of a new role for a new database with its table; all are gone afterwards."""
    database = f"t_{secrets.token_hex(4)}"
    env_file = servers.folder.parent.parent / f"{database}.env"
    try:
        _create(env_file, database)
        made = Store(servers, env_file, database)
        with drivers.connect(made.url()) as connection:
            connection.execute(TABLE)
        yield made
    finally:
        servers.drop(database)
        for path in env_file.parent.glob(f"*{database}*"):
            path.unlink()


def _create(env_file: Path, database: str) -> None:
    said = io.StringIO()
    argv = ["create", "--provider=local", f"--database={database}", f"--env-file={env_file}"]
    with redirect_stdout(said), redirect_stderr(said):
        status = main(argv)
    assert status == 0, said.getvalue()
