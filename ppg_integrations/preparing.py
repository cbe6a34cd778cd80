"""Whether drivers prepare statements behind a pooler, and how each of them is told.

Off by default, and ``PPG_PREPARED`` turns it on. A pooler has to know the statements by the name
that each client gives them: PgBouncer does from 1.21 on where ``max_prepared_statements`` is not 0
(https://www.pgbouncer.org/config.html#max_prepared_statements). And even there a statement whose
columns change type, a ``varchar`` that gets longer included, fails for every client with "cached
plan must not change result type", until the pooler has replaced its server connections: all clients
share what it prepared, so neither the driver nor a new connection heals it. Without preparation no
migration can do that.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any, Final

from .errors import ConfigurationError, ConnectError, QueryError
from .hazards import endpoint
from .problems import Problem, problem

if TYPE_CHECKING:
    from .connection import Connection
    from .pair import ConnectionPair
    from .probe import ProbeResult

#: psycopg prepares what one connection has run as often as this: its own default.
THRESHOLD: Final = 5

#: Providers that document so of their poolers: https://neon.com/docs/connect/connection-pooling
_DOCUMENTED: Final = frozenset({"neon", "casedev"})

#: The statement that :func:`are_kept` prepares: a pooler keeps one, however often it is asked.
_STATEMENT: Final = "SELECT 1 AS ppg_prepared"


def _unnamed() -> str:
    return ""


_OFF: Final[dict[str, dict[str, Any]]] = {
    # psycopg prepares what it has seen five times, and the pooler's next server does not know it.
    # SQLAlchemy's rollbacks hide that, until a connection commits again and again.
    "psycopg": {"prepare_threshold": None},
    "psycopg2": {},
    # asyncpg prepares everything. With its own cache off it parses the *unnamed* statement again
    # together with each execution, in one message to one server; a named one (the unique names that
    # are recommended elsewhere, and what versions before 0.31 make up here) is parsed first and
    # then executed, which outside of a transaction are two servers. SQLAlchemy's cache would keep
    # the column types of a statement beyond an ALTER TABLE.
    "asyncpg": {
        "statement_cache_size": 0,
        "prepared_statement_cache_size": 0,
        "prepared_statement_name_func": _unnamed,
    },
}
_ON: Final[dict[str, dict[str, Any]]] = {
    "psycopg": {"prepare_threshold": THRESHOLD},
    "asyncpg": {},
}


def arguments(driver: str, *, prepared: bool) -> dict[str, Any]:
    """What ``connect()`` of a driver takes besides the place.

    Args:
        driver: ``psycopg``, ``psycopg2`` or ``asyncpg``.
        prepared: whether statements are to be prepared.

    Raises:
        ConfigurationError: they are, and the driver cannot.
    """
    if not prepared:
        return dict(_OFF[driver])
    check(driver)
    return dict(_ON[driver])


def django_options() -> dict[str, Any]:
    """Of ``OPTIONS``, where statements are to be prepared.

    Django puts values into the statements' text by itself, so that none is the same as another:
    it has to leave that to the server.

    Raises:
        ConfigurationError: the driver that Django takes cannot prepare.
    """
    from .drivers import driver

    check(driver().__name__)
    return {"server_side_binding": True, **_ON["psycopg"]}


def check(driver: str) -> None:
    """Nothing, where a driver can prepare statements behind a pooler.

    Raises:
        ConfigurationError: it cannot.
    """
    if driver == "psycopg2":
        raise ConfigurationError(
            "PPG_PREPARED is set, and psycopg2 cannot prepare statements",
            hint='pip install "ppg-integrations[psycopg]", or unset PPG_PREPARED.',
        )
    if driver == "psycopg" and not _closes():
        # Without that message psycopg says DEALLOCATE, of a name that the server does not know:
        # https://www.psycopg.org/psycopg3/docs/advanced/prepare.html#using-prepared-statements-with-pgbouncer
        raise ConfigurationError(
            "PPG_PREPARED is set, and psycopg cannot close prepared statements behind a pooler: it "
            "takes psycopg 3.2 and a libpq of PostgreSQL 17",
            hint='pip install "psycopg[binary]>=3.2.2", which brings its own libpq, or unset '
            "PPG_PREPARED.",
        )


def _closes() -> bool:
    import psycopg

    capabilities = getattr(psycopg, "capabilities", None)  # from 3.2 on
    return capabilities is not None and bool(capabilities.has_send_close_prepared())


def is_documented(pair: ConnectionPair) -> bool:
    """Whether a pair's provider says that its pooler keeps track of prepared statements."""
    return pair.provider in _DOCUMENTED


def are_kept(connection: Connection, *, shared: bool) -> bool | None:
    """Whether what a driver prepares outlives the transaction that prepared it.

    A pooler that keeps track of statements has the server know them by names of its own; one that
    does not passes the client's name on, and the next server has never heard of it. The server says
    which: one transaction, and the statement is closed in it.

    Args:
        connection: to the endpoint; in autocommit, with no transaction open.
        shared: whether the endpoint hands servers on between transactions.

    Returns:
        None where it cannot be found out: with psycopg2, or while something refuses the question.
    """
    if not shared:
        return True
    name = f"ppg_{secrets.token_hex(4)}"
    try:
        connection.begin()
        try:
            if not connection.prepare(name, _STATEMENT):
                return None
            rows = connection.fetch(
                "SELECT name FROM pg_prepared_statements WHERE statement = %s", (_STATEMENT,)
            )
            names = {str(row[0]) for row in rows}
            if name in names:
                connection.execute(f"DEALLOCATE {name}")
                return False
            return True if names else None
        finally:
            if not connection.closed:
                connection.rollback()
    except (ConnectError, QueryError):
        return None


def lost(pair: ConnectionPair, pooled: ProbeResult, *, wanted: bool) -> tuple[Problem, ...]:
    """What is wrong where drivers are to prepare, and the pooler was seen to forget it."""
    if wanted and pooled.prepared is False:
        return (problem("prepared-lost", endpoint=endpoint("pooled", pair.pooled_source)),)
    return ()
