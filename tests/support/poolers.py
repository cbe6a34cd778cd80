"""More PgBouncers in front of the same PostgreSQL, with settings of the test's own."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from ppg_integrations.providers.local import account as accounts
from ppg_integrations.providers.local import certificates, pgbouncer_binary, ports
from ppg_integrations.providers.local.files import Store, make_private
from ppg_integrations.providers.local.pgbouncer import PgBouncer, Pool, PoolMode
from ppg_integrations.providers.local.programs import version_number
from ppg_integrations.providers.local.servers import LocalServers
from ppg_integrations.urls import PostgresURL


@dataclass(frozen=True)
class Pooler:
    """A running PgBouncer."""

    port: int
    pid: int
    server: PgBouncer

    def url(self, url: PostgresURL) -> PostgresURL:
        """`url`, through this pooler."""
        return url.replace(host=ports.LOOPBACK, port=self.port)


@contextmanager
def pooler(
    servers: LocalServers,
    *,
    mode: PoolMode = "transaction",
    size: int = 20,
    prepared: bool = True,
    **settings: object,
) -> Iterator[Pooler]:
    """Starts another PgBouncer in front of `servers`, and ends it.

    Args:
        size: connections to PostgreSQL, for each pair of database and role.
        prepared: False for one that knows nothing of prepared statements, as none before 1.21 does.
        settings: more lines for pgbouncer.ini, such as ``server_round_robin=1``.

    `servers.counters()` does not count what goes through it, neither as pooled nor as direct.
    """
    store = Store(servers.folder)
    state = store.state()
    account = accounts.choose()
    folder = store.server_folder(state) / "variants" / secrets.token_hex(4)
    make_private(folder.parent, account)
    make_private(folder, account)
    found = pgbouncer_binary.find(os.environ, account, store.server_folder(state), print)
    assert not isinstance(found, str), found
    install, text = found
    server = PgBouncer(folder)
    if not prepared and pgbouncer_binary.number(version_number(text)) >= (1, 21):
        settings["max_prepared_statements"] = 0
    pool = Pool(mode, size, settings={name: str(value) for name, value in settings.items()})
    port = ports.choose()
    tls = store.server_folder(state) / "tls"
    server.configure(
        account,
        version_number(text),
        pool,
        port=port,
        postgres_port=state.postgres_port,
        passwords=store.passwords(),
        certificate=certificates.ensure(tls, account) if state.tls else None,
    )
    pid = server.start(install, account, port)
    try:
        yield Pooler(port, pid, server)
    finally:
        server.stop()
        for path in folder.iterdir():
            if path.name != "pgbouncer.log":  # counters tell by it what was no direct login
                path.unlink()
