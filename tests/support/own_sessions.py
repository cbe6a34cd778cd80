"""Sessions that the package opened by itself, as the server sees them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ppg_integrations.providers.local.servers import LocalServers


@contextmanager
def watched(servers: LocalServers, database: str) -> Iterator[Callable[[], dict[int, str]]]:
    """Gives what tells their names by pid; none may be left after the block."""

    def found() -> dict[int, str]:
        with servers.connect() as connection:
            return dict(
                connection.fetch(
                    "SELECT pid, application_name FROM pg_stat_activity"
                    " WHERE datname = %s AND application_name LIKE 'ppg %%'",
                    (database,),
                )
            )

    yield found
    until = time.monotonic() + 5
    while found():  # the server takes a moment to see that a client has gone
        assert time.monotonic() < until, found()
        time.sleep(0.05)
