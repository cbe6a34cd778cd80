"""What the servers themselves counted: the proof of which endpoint something went through."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from .pgbouncer import AUTH_USER, STATS_USER
from .postgres import ADMIN

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

_OLD_COLUMNS: Final = 8
_INTERNAL: Final = frozenset({ADMIN, AUTH_USER, STATS_USER})
# LOG C-0x55d: app/app_1@127.0.0.1:40714 login attempt: db=app user=app_1 tls=TLSv1.3/...
_LOGIN: Final = re.compile(r" C-0x\w+: (?P<db>[^/ ]*)/(?P<user>[^@ ]*)@\S+ login attempt: ")
# LOG S-0x55d: app/app_1@127.0.0.1:20432 new connection to server (from 127.0.0.1:40716)
_SERVER: Final = re.compile(
    r" S-0x\w+: (?P<db>[^/ ]*)/(?P<user>[^@ ]*)@\S+ new connection to server"
    r" \(from (?P<host>[^ ]+):(?P<port>\d+)\)"
)


@dataclass(frozen=True)
class Counters:
    """Counted since the servers' logs began, without our own management connections.

    Attributes:
        pooled_logins: clients that asked PgBouncer for a database.
        pooled_transactions: transactions that PgBouncer carried, since it was started.
        server_connections: connections that PgBouncer opened to PostgreSQL.
        direct_logins: connections that reached PostgreSQL without PgBouncer.
    """

    pooled_logins: int = 0
    pooled_transactions: int = 0
    server_connections: int = 0
    direct_logins: int = 0

    def __sub__(self, earlier: Counters) -> Counters:
        """What happened since `earlier`."""
        return Counters(
            self.pooled_logins - earlier.pooled_logins,
            self.pooled_transactions - earlier.pooled_transactions,
            self.server_connections - earlier.server_connections,
            self.direct_logins - earlier.direct_logins,
        )


def transactions_of(rows: Iterable[tuple[Any, ...]]) -> dict[str, int]:
    """Transactions by database, of the rows of PgBouncer's ``SHOW STATS_TOTALS``."""
    found = {}
    for row in rows:
        # name, then xact_count; newer ones (seen: 1.24) count server assignments before those
        column = 1 if len(row) == _OLD_COLUMNS else 2
        found[str(row[0])] = int(row[column])
    found.pop("pgbouncer", None)  # its own console is a database too
    return found


def count(folder: Path, transactions: Mapping[str, int], database: str | None = None) -> Counters:
    """Reads the logs below `folder`.

    Args:
        transactions: by database, of PgBouncer's own statistics.
        database: only this one; None for all.

    A line is in the log before the client learns that it is logged in, so a difference taken around
    a piece of work is exact.
    """

    def wanted(found: str, user: str) -> bool:
        return user not in _INTERNAL and (database is None or found == database)

    main = folder / "pgbouncer.log"
    logins = servers = 0
    # A pooler's own connection is known by the port it comes from; any PgBouncer below counts here.
    pooled: Counter[tuple[str, str, str]] = Counter()
    for log in folder.glob("**/pgbouncer.log"):
        for line in _lines(log):
            if log == main and (found := _LOGIN.search(line)):
                logins += wanted(found["db"], found["user"])
            elif found := _SERVER.search(line):
                pooled[found["db"], found["user"], found["port"]] += 1
                servers += log == main and wanted(found["db"], found["user"])
    arrived: Counter[tuple[str, str, str]] = Counter()
    for line in _lines(folder / "postgres.log"):
        if "connection authorized: " not in line:
            continue
        parts = line.split("|", 5)
        if len(parts) == 6 and parts[5].lstrip().startswith("LOG:  connection authorized: "):
            _, _, user, found_database, remote, _ = parts
            arrived[found_database, user, remote.rpartition("(")[2].rstrip(")")] += 1
    direct = sum(
        max(0, number - pooled[key]) for key, number in arrived.items() if wanted(key[0], key[1])
    )
    carried = sum(number for name, number in transactions.items() if database in (None, name))
    return Counters(logins, carried, servers, direct)


def _lines(log: Path) -> Iterator[str]:
    try:
        with log.open(encoding="utf-8", errors="replace") as file:
            yield from file
    except FileNotFoundError:
        return
