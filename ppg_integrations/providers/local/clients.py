"""PgBouncer's clients of a role that has ended: each is refused at once, none is left waiting.

They logged in while the role was there, and their connections to PgBouncer stay open. Their next
question needs a connection to the server, which does not let PgBouncer in. Versions differ in what
comes of that (measured on 1.18 and 1.24): the newer one passes the refusal on; the older one lets
whoever asks first wait for ``query_wait_timeout``, two minutes, and refuses the others. So somebody
else has to ask first.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, NamedTuple

from ...drivers import connect
from ...errors import ConnectError, QueryError

if TYPE_CHECKING:
    from ...connection import Connection
    from ...urls import PostgresURL

#: Seconds for all of it, and for a question that is asked in vain.
_PATIENCE: Final = 5.0
_QUESTION: Final = 0.5
#: Seconds: for the moment in which those who wait are sent away, what they may wait.
_WAIT: Final = "0.05"
#: PgBouncer looks three times a second for who has waited too long.
_ROUND: Final = 0.35


class _Client(NamedTuple):
    database: str
    waits: bool


def refuse(console: Connection, login: PostgresURL) -> None:
    """Sees to it that clients of a role that is shut out are told so.

    Args:
        console: PgBouncer's own, as one who may change its settings.
        login: lets into PgBouncer as that role, and PgBouncer not into the server.
    """
    deadline = time.monotonic() + _PATIENCE
    for database in {client.database for client in _clients(console, login.user)}:
        _ask_in_vain(login.replace(database=database), deadline)
    while any(client.waits for client in _clients(console, login.user)):
        # They asked between the end of their sessions and the refusal of ours.
        if not _send_away(console) or time.monotonic() > deadline:
            return  # their two minutes


def _clients(console: Connection, role: str) -> list[_Client]:
    # type, user, database, then (from 1.24 on) another column before the state
    rows = [row for row in console.fetch("SHOW CLIENTS") if row[1] == role]
    return [_Client(str(row[2]), "waiting" in row[3:5]) for row in rows]


def _ask_in_vain(login: PostgresURL, deadline: float) -> None:
    """Asks until the answer is a refusal: from then on everybody gets it."""
    while time.monotonic() < deadline and not _is_refused(login):
        pass


def _is_refused(login: PostgresURL) -> bool:
    try:
        with connect(login, timeout=_PATIENCE, lifetime=_QUESTION) as connection:
            connection.fetch("SELECT 1")
    except QueryError:
        return True
    except ConnectError as error:
        return error.code != "timeout"
    return False


def _send_away(console: Connection) -> bool:
    """Ends the waiting of all who wait. Those of other roles are few: theirs is a full pool.

    Returns:
        False where this PgBouncer was started with other rights for us.
    """
    before = next(row[1] for row in console.fetch("SHOW CONFIG") if row[0] == "query_wait_timeout")
    try:
        console.execute(f"SET query_wait_timeout = '{_WAIT}'")
    except QueryError:
        return False
    try:
        time.sleep(_ROUND)
    finally:
        console.execute(f"SET query_wait_timeout = '{before}'")
    return True
