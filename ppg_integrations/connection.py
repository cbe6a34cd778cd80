"""One connection that works the same on psycopg 3 and psycopg2, with errors of ours.

Every text that comes from a driver is redacted, and no driver's exception is kept: its frames hold
the password.
"""

from __future__ import annotations

import contextlib
import os
import socket
from typing import TYPE_CHECKING, Any, Final

from . import next_steps
from .errors import ConnectError, QueryError
from .failures import address, condense, explain, redact
from .timers import Limit

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType
    from typing import TypeVar

    from typing_extensions import ParamSpec, Self

    from .urls import PostgresURL

    _P = ParamSpec("_P")
    _T = TypeVar("_T")

#: SQLSTATEs of a server that goes away: admin_shutdown, crash_shutdown, cannot_connect_now, ...
_SHUTDOWN: Final = "57P"


class Connection:
    """One connection, with the few things that both drivers do alike.

    Not thread-safe. ``with`` closes it. Each method that talks to the server raises
    :class:`QueryError` when the server refuses, and :class:`ConnectError` when the connection is
    lost or its lifetime is over.

    Args:
        label: stands in a comment before each statement, so that the server's views tell who sent
            it. The ``application_name`` does not: PgBouncer 1.18 lends it to the next client that
            has none.

    Attributes:
        url: what it was made from.
        autocommit: False means that the driver opens a transaction before the first statement.
        key_pid: process id of the BackendKeyData message; a pooler or proxy makes up its own.
        tls: whether our own leg, up to the first thing that ends it, is encrypted.
    """

    def __init__(
        self,
        raw: Any,
        url: PostgresURL,
        error: type[Exception],
        *,
        autocommit: bool,
        label: str = "",
    ) -> None:
        self.url = url
        self.autocommit = autocommit
        self.key_pid = int(raw.info.backend_pid)
        secured = raw.info if hasattr(raw.info, "ssl_in_use") else raw.pgconn  # psycopg2, psycopg
        self.tls = bool(secured.ssl_in_use)
        self._raw = raw
        self._error = error
        self._prefix = f"/* {label} */ " if label else ""
        self._timer: Limit | None = None
        self._socket: socket.socket | None = None
        self._expired = False

    @property
    def closed(self) -> bool:
        return bool(self._raw.closed)

    def fetch(self, sql: str, params: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Runs `sql` (``%s`` placeholders if there are `params`) and returns its rows, if any."""
        return self._ask(self._query, sql, params)

    def execute(self, sql: str, params: Sequence[object] = ()) -> None:
        """Runs `sql` for its effect."""
        self._ask(self._query, sql, params)

    def prepare(self, name: str, sql: str) -> bool:
        """Has the server prepare `sql` by a message of the protocol; False where psycopg2 is used.

        Args:
            name: what this client calls it; a pooler may call it something else.
        """
        pgconn = getattr(self._raw, "pgconn", None)
        if pgconn is None:
            return False
        result = self._ask(pgconn.prepare, name.encode(), sql.encode())
        if result.error_message:
            text = redact(result.error_message.decode(errors="replace").strip(), self.url)
            raise QueryError(f"{address(self.url)} answered: {text}")
        return True

    def begin(self) -> None:
        """Opens a transaction; without autocommit the driver does so by itself."""
        if self.autocommit:
            self.execute("BEGIN")

    def commit(self) -> None:
        self._end("COMMIT")

    def rollback(self) -> None:
        self._end("ROLLBACK")

    def expire_after(self, seconds: float) -> None:
        """Cuts the connection `seconds` from now, whatever it is doing; a later call moves that.

        The socket is shut down under the driver, because neither a cancel request nor a statement
        timeout helps with a server that answers nothing at all.
        """
        if self._timer is not None:
            self._timer.cancel()
        if self._socket is None:
            # A duplicate: the driver may close its own descriptor at any moment, and the number
            # could by then belong to another file.
            self._socket = socket.socket(fileno=os.dup(self._ask(self._raw.fileno)))
        self._timer = Limit(seconds, self._cut, self._socket)

    def close(self) -> None:
        """Ends it; closing twice is fine."""
        if self._timer is not None:
            self._timer.cancel()
        # whatever a broken connection says when it is closed, it is closed
        with contextlib.suppress(self._error):
            self._raw.close()
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Connection to {self.url}>"

    def _cut(self, sock: socket.socket) -> None:
        self._expired = True
        with contextlib.suppress(OSError):  # closed in the meantime
            sock.shutdown(socket.SHUT_RDWR)

    def _end(self, word: str) -> None:
        # With autocommit psycopg2's own rollback() does nothing, even inside a BEGIN of ours.
        if self.autocommit:
            self.execute(word)
        else:
            self._ask(getattr(self._raw, word.lower()))

    def _query(self, sql: str, params: Sequence[object]) -> list[tuple[Any, ...]]:
        with self._raw.cursor() as cursor:
            cursor.execute(self._prefix + sql, tuple(params) or None)
            return [tuple(row) for row in cursor.fetchall()] if cursor.description else []

    def _ask(self, function: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        try:
            return function(*args, **kwargs)
        except self._error as error:
            failure = self._failure(error)
        # Outside of the handler: an exception raised in it would keep the driver's as its context.
        raise failure

    def _failure(self, error: Exception) -> QueryError | ConnectError:
        where = address(self.url)
        sqlstate: str = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None) or ""
        if self._expired:
            return ConnectError(
                f"{where} did not answer in time",
                hint="A firewall, a lock, or a database that is waking: try again.",
                code="timeout",
            )
        diag = getattr(error, "diag", None)
        text = redact(getattr(diag, "message_primary", None) or str(error).strip(), self.url)
        # A pooler may say why it refuses and then hang up: its words tell more than the loss does.
        if self.closed and (not sqlstate or sqlstate.startswith(_SHUTDOWN)):
            row = explain(text)
            return ConnectError(
                f"the connection to {where} was lost: {condense(text)}",
                hint=next_steps.after(row, self.url) if row else "",
                code=row.code if row else "closed",
            )
        return QueryError(f"{where} answered: {text}", sqlstate=sqlstate)
