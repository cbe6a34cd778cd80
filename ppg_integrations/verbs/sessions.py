"""Who still uses a login: asked of its server, by logging in with it once more.

A role always sees its own rows of ``pg_stat_activity``, so no privilege is needed. Sessions of the
pooler are there too: it logs in to the server as its clients do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from .. import drivers
from ..errors import ConnectError, QueryError
from ..generation import GONE

if TYPE_CHECKING:
    from ..connection import Connection
    from ..urls import PostgresURL

#: Seconds for which a session that was used still counts as in use.
QUIET: Final = 60.0
#: Seconds for one look, all of it.
_TIMEOUT: Final = 5.0
#: What our own connections call themselves. PgBouncer 1.18 lends it to the next client without one.
_OUR_NAME: Final = "ppg"
#: What our own questions begin with; see :class:`~ppg_integrations.connection.Connection`.
_OURS: Final = f"/* {_OUR_NAME} */"
#: Seconds: a session that served nobody but our own proof was not there for long before that.
_PROOF: Final = 15.0

# "query" is the last one where the session is idle. It is empty where the pooler has logged in and
# nobody has asked anything yet. A row that we may not see has no state.
_SESSIONS: Final = """
    SELECT application_name, state,
           extract(epoch FROM clock_timestamp() - state_change)::float8,
           query = '' OR (query LIKE %s AND state_change - backend_start < %s * interval '1 s')
    FROM pg_stat_activity
    WHERE usename = session_user AND pid <> pg_backend_pid()
      AND coalesce(backend_type, 'client backend') = 'client backend'
"""


@dataclass(frozen=True)
class Use:
    """What a server shows of the use of one login.

    Attributes:
        sessions: how many are in use: not idle, or idle for less than :data:`QUIET` seconds.
        applications: what these call themselves, each once; not those that bear our own name.
        since: seconds since the last of them was used; 0 where one is at work.
        role: whom the server takes the login for; empty where it was not asked.
        ended: the login is refused: somebody has retired it.
        unknown: why it cannot be told; empty where it can.
        passes: what is unknown may be known at the next look.
    """

    sessions: int = 0
    applications: tuple[str, ...] = ()
    since: float = 0.0
    role: str = ""
    ended: bool = False
    unknown: str = ""
    passes: bool = False

    @property
    def unused(self) -> bool:
        """Nobody uses it, for sure."""
        return self.ended or not (self.sessions or self.unknown)

    def __str__(self) -> str:
        if self.unknown:
            return f"it cannot be told whether it is in use: {self.unknown}"
        if not self.sessions:
            return "no session uses it now"
        who = f" ({', '.join(self.applications)})" if self.applications else ""
        many = "1 session uses it" if self.sessions == 1 else f"{self.sessions} sessions use it"
        when = f", last {self.since:.0f} s ago" if self.since >= 1 else ""
        return f"{many}{who}{when}"


def use(url: PostgresURL, *, quiet: float = QUIET, timeout: float = _TIMEOUT) -> Use:
    """Looks once who uses the login of `url`.

    What does not show is a process that connects past the pooler for each of its questions, and
    happens not to be connected at the moment.

    Args:
        url: its direct URL. Through a pooler the question itself would count as a use.
        quiet: seconds for which an idle session still counts.
        timeout: seconds for everything.

    Raises:
        DriverError: no driver is installed.
    """
    try:
        with drivers.connect(url, timeout=timeout, lifetime=timeout) as connection:
            return _read(connection, quiet)
    except ConnectError as error:
        if error.code in GONE:
            return Use(ended=True)
        return Use(unknown=error.message, passes=True)
    except QueryError as error:
        return Use(unknown=error.message)


def _read(connection: Connection, quiet: float) -> Use:
    # By ALTER ROLE ... SET role a session acts as another role from its start, which sees the rows
    # of that one.
    if not connection.fetch("SELECT current_user = session_user")[0][0]:
        connection.execute("SET ROLE NONE")
    role = str(connection.fetch("SELECT session_user")[0][0])
    rows = connection.fetch(_SESSIONS, (f"{_OURS}%", _PROOF))
    if any(state in (None, "disabled") for _, state, _, _ in rows):
        why = "the server hides what its sessions do"
        return Use(role=role, unknown=why)
    used = [
        (name, 0.0 if state != "idle" else max(0.0, since))
        for name, state, since, nobody in rows
        if state != "idle" or (since < quiet and not nobody)
    ]
    return Use(
        len(used),
        tuple(sorted({name for name, _ in used if name not in ("", _OUR_NAME)})),
        min((since for _, since in used), default=0.0),
        role,
    )
