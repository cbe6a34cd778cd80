"""What a server says of itself to anybody who may log in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from .errors import QueryError

if TYPE_CHECKING:
    from .drivers import Connection

# pg_stat_activity shows the rows of other roles without privilege, with most columns empty; datid
# stays, and tells clients from the server's own processes.
_VITALS: Final = """
    WITH client AS (
        SELECT datid, usesysid FROM pg_stat_activity
        WHERE datid IS NOT NULL AND coalesce(backend_type, 'client backend') = 'client backend'
    )
    SELECT current_setting('server_version'), current_database()::text, session_user::text,
           pg_is_in_recovery(),
           (SELECT count(*) FROM client),
           current_setting('max_connections')::int
             - current_setting('superuser_reserved_connections')::int
             - coalesce(current_setting('reserved_connections', true), '0')::int,
           (SELECT count(*) FROM client c, pg_roles r
            WHERE r.rolname = session_user AND c.usesysid = r.oid),
           (SELECT rolconnlimit FROM pg_roles WHERE rolname = session_user),
           (SELECT count(*) FROM client c, pg_database d
            WHERE d.datname = current_database() AND c.datid = d.oid),
           (SELECT datconnlimit FROM pg_database WHERE datname = current_database())
"""
_LIMITS: Final = ("server", "role", "database")


@dataclass(frozen=True)
class Slots:
    """Connections in use and allowed, by the limit that is nearest to being reached.

    Attributes:
        used: client connections to the server now, our own included.
        allowed: how many an ordinary role can have.
        limit: ``server`` (max_connections less the reserved ones), ``role`` or ``database``.
    """

    used: int
    allowed: int
    limit: str

    def as_json(self) -> dict[str, Any]:
        return {"used": self.used, "allowed": self.allowed, "limit": self.limit}


@dataclass(frozen=True)
class Vitals:
    """A server's answers; the defaults stand for "it was not asked".

    Attributes:
        server_version: such as ``17.10``.
        database: the one we are in.
        user: the role that logged in.
        in_recovery: True on a replica: it takes no writes.
        slots: None where the server does not say.
        system: identifies the cluster, the same on its replicas; None where it may not be read.
    """

    server_version: str = ""
    database: str = ""
    user: str = ""
    in_recovery: bool = False
    slots: Slots | None = None
    system: str | None = None


def read(connection: Connection) -> Vitals:
    """Asks in autocommit, so that it works through every kind of pooler.

    Raises:
        ConnectError: the connection was lost.
    """
    try:
        version, database, user, recovery, *counts = connection.fetch(_VITALS)[0]
    except QueryError:  # something that only resembles PostgreSQL, or catalogs that are closed
        return Vitals()
    pairs = zip(_LIMITS, counts[0::2], counts[1::2], strict=True)
    # -1 stands for no limit
    slots = [Slots(used, allowed, limit) for limit, used, allowed in pairs if (allowed or 0) > 0]
    return Vitals(
        # Debian's reads "15.18 (Debian 15.18-0+deb12u1)"
        server_version=version.split()[0],
        database=database,
        user=user,
        in_recovery=recovery,
        slots=max(slots, key=lambda s: s.used / s.allowed, default=None),
        system=_system(connection),
    )


def _system(connection: Connection) -> str | None:
    try:
        return str(connection.fetch("SELECT system_identifier FROM pg_control_system()")[0][0])
    except QueryError:  # a host may take the right away
        return None
