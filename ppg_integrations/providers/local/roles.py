"""Databases, and roles that all act as the one owner of a database."""

from __future__ import annotations

import re
import secrets
import time
from typing import TYPE_CHECKING, Final, NamedTuple

from ...errors import LocalServerError, QueryError
from .pgbouncer import AUTH_USER
from .scram import verifier

if TYPE_CHECKING:
    from collections.abc import Callable

    from ...drivers import Connection

_RESERVED: Final = frozenset({"postgres", "template0", "template1", "pgbouncer"})
_LENGTH: Final = 40  # leaves room for what follows it in a role's name, of 63 bytes
_SESSIONS_SECONDS: Final = 5.0
_DEPENDENT: Final = "2BP01"  # dependent_objects_still_exist


class Login(NamedTuple):
    role: str
    password: str
    database: str


def identifier(text: str, default: str = "app") -> str:
    """A name that needs no quotes anywhere, made of `text`."""
    name = _plain(text)
    if not name or _is_reserved(name):
        name = default
    return f"{default}_{name}" if name[0].isdigit() else name


def database_name(wanted: str, project: str) -> tuple[str, tuple[str, ...]]:
    """The name of a database, and a note where it is another one than was asked for.

    Args:
        wanted: what the user asks for; empty for one named after `project`.

    Raises:
        LocalServerError: the server keeps that name to itself.
    """
    if not wanted:
        return identifier(project), ()
    plain = _plain(wanted)
    if _is_reserved(plain):
        raise LocalServerError(
            f"the embedded server keeps the database name {plain} to itself",
            hint="Choose another name with --database.",
        )
    name = identifier(wanted)
    if name == wanted:
        return name, ()
    limits = f"at most {_LENGTH} characters, a-z, 0-9 and _, and start with a letter"
    shown = wanted if len(wanted) <= 80 else f"{wanted[:80]}..."
    note = (
        f"The database {shown!r} is called {name} here: names of the embedded server have {limits}."
    )
    return name, (note,)


def _plain(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")[:_LENGTH].rstrip("_")


def _is_reserved(name: str) -> bool:
    # PostgreSQL refuses roles whose names start with pg_, and each database's owner is one.
    return name in _RESERVED or name.startswith("pg_")


def logins(connection: Connection) -> frozenset[str]:
    """The roles that :func:`generate` made: logins that act as the owner of a database."""
    return frozenset(databases(connection))


def databases(connection: Connection) -> dict[str, str]:
    """The same roles in the order they were made, each with the database it is for."""
    # An owner may have more databases: a test runner's are made by roles that act as it.
    rows = connection.fetch(
        "SELECT m.rolname, d.datname FROM pg_auth_members a JOIN pg_roles m ON m.oid = a.member"
        " JOIN pg_roles g ON g.oid = a.roleid JOIN pg_database d ON d.datdba = g.oid"
        " WHERE m.rolcanlogin AND g.rolname = d.datname || '_owner' ORDER BY m.oid"
    )
    return dict(rows)


def ensure_pooler_role(connection: Connection, password: str) -> None:
    """Makes the role by which PgBouncer looks up the others.

    It reads ``pg_authid`` as a member of pg_read_all_data, which exists since PostgreSQL 14 and
    holds in every database; before that only a superuser could.
    """
    if connection.fetch("SELECT 1 FROM pg_roles WHERE rolname = %s", (AUTH_USER,)):
        return
    version = int(connection.fetch("SHOW server_version_num")[0][0])
    rights = "IN ROLE pg_read_all_data" if version >= 140000 else "SUPERUSER"
    connection.execute(f"CREATE ROLE {AUTH_USER} LOGIN PASSWORD '{verifier(password)}' {rights}")


def owner_of(database: str) -> str:
    """The group that owns everything in `database`."""
    return f"{database}_owner"


def generate(
    connection: Connection, database: str, name: str, announce: Callable[[str], None] | None = None
) -> Login:
    """A new login role for `database`, which is made with its owner at the first call.

    The caller keeps others from doing the same at the same time.

    The role acts as the owner from the start of each session: ``role`` is a setting of its own, so
    the server applies it and nothing has to be sent by a client, which a pooler would refuse. What
    one role makes, the next one may change and drop. Both may make databases, for test runners.

    Args:
        database: an identifier that needs no quotes.
        name: becomes part of the role's name.
        announce: called with the role's name, right before it is made.

    Raises:
        LocalServerError: the database is somebody else's.
    """
    owner = owner_of(database)
    if not connection.fetch("SELECT 1 FROM pg_roles WHERE rolname = %s", (owner,)):
        connection.execute(f"CREATE ROLE {_quoted(owner)} NOLOGIN CREATEDB")
    found = connection.fetch(
        "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = %s", (database,)
    )
    if not found:
        connection.execute(f"CREATE DATABASE {_quoted(database)} OWNER {_quoted(owner)}")
    elif found != [(owner,)]:
        raise LocalServerError(
            f"the database {database} of the embedded server belongs to {found[0][0]}",
            hint="Choose another name with --database.",
        )
    # A group can never be told from a login by its name alone.
    role = f"{identifier(name, database)}_{secrets.token_hex(4)}"
    password = secrets.token_urlsafe(24)
    if announce is not None:
        announce(role)
    connection.begin()
    connection.execute(
        f'CREATE ROLE "{role}" LOGIN CREATEDB PASSWORD \'{verifier(password)}\' IN ROLE "{owner}"'
    )
    connection.execute(f"ALTER ROLE {_quoted(role)} SET role TO {_quoted(owner)}")
    connection.commit()
    return Login(role, password, database)


def renew(connection: Connection, role: str) -> str:
    """A new password for `role`, whose sessions end; returns it."""
    password = secrets.token_urlsafe(24)
    connection.execute(f"ALTER ROLE {_quoted(role)} PASSWORD '{verifier(password)}'")
    _end_sessions(connection, role)
    return password


def shut_out(connection: Connection, role: str) -> str:
    """Lets nobody in as `role` any more, and ends its sessions.

    Returns:
        A password that PgBouncer takes, which looks at nothing else, and the server does not. It is
        of use to :func:`.clients.refuse` until the role is dropped.
    """
    password = secrets.token_urlsafe(24)
    connection.execute(
        f"ALTER ROLE {_quoted(role)} PASSWORD '{verifier(password)}' VALID UNTIL '-infinity'"
    )
    _end_sessions(connection, role)
    return password


def drop(connection: Connection, inside: Connection, role: str, database: str) -> bool:
    """Drops a role that is shut out.

    Args:
        inside: a connection to `database`, whose owner gets what the role made in its own name.

    Returns:
        False where the role stays as a name that nobody can log in with: it owns something in
        another database.
    """
    connection.execute(f"ALTER ROLE {_quoted(role)} NOLOGIN")
    owner = _quoted(owner_of(database))
    inside.execute(f"REASSIGN OWNED BY {_quoted(role)} TO {owner}")
    inside.execute(f"DROP OWNED BY {_quoted(role)}")
    try:
        connection.execute(f"DROP ROLE {_quoted(role)}")
    except QueryError as error:
        if error.sqlstate != _DEPENDENT:
            raise
        return False
    return True


def _end_sessions(connection: Connection, role: str) -> None:
    """Ends them and waits until they have: a pooler would still hand out one that is dying."""
    deadline = time.monotonic() + _SESSIONS_SECONDS
    sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s"
    while connection.fetch(sql, (role,)) and time.monotonic() < deadline:
        time.sleep(0.01)


def drop_database(connection: Connection, database: str) -> None:
    """Drops `database`, its owner, and the logins that act as it, whoever is connected."""
    owner = owner_of(database)
    logins = connection.fetch(
        "SELECT m.rolname FROM pg_auth_members a JOIN pg_roles m ON m.oid = a.member"
        " JOIN pg_roles g ON g.oid = a.roleid WHERE g.rolname = %s AND m.rolcanlogin",
        (owner,),
    )
    connection.execute(f"DROP DATABASE IF EXISTS {_quoted(database)} WITH (FORCE)")
    for name in (*(row[0] for row in logins), owner):
        connection.execute(f"DROP ROLE IF EXISTS {_quoted(name)}")


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
