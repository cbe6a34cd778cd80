"""What a refused connection means: what it is, whether it passes by itself, and what to do next."""

from __future__ import annotations

import errno
import re
from typing import TYPE_CHECKING, Any, Final

from . import hosts, next_steps
from .contact import was_reached
from .failures import FAILURES, address, explain, redact

if TYPE_CHECKING:
    from .failures import Failure
    from .urls import PostgresURL

#: What passes by itself: a compute that wakes, a server that starts or stops (57P03), one that hung
#: up within the login, one without a free slot (53300).
TRANSIENT: Final = frozenset({"upstream", "starting", "closed", "too-many-connections"})
#: The same where somebody listened before: that is a restart. Elsewhere it is a wrong port, and
#: waiting helps nobody.
_RESTART: Final = frozenset({"refused", "no-socket"})
#: The same of these providers, whose poolers are silent for ten seconds while a compute wakes.
_ASLEEP: Final = "timeout"
_SLEEPERS: Final = frozenset({"neon", "prisma"})
#: What a server says of a credential that was retired.
RETIRED: Final = frozenset({"wrong-password", "no-role"})
#: No free slot.
FULL: Final = "too-many-connections"

_BY_SQLSTATE: Final = {
    "57P01": "closed",
    "57P02": "closed",
    "57P03": "starting",
    "53300": "too-many-connections",
    "28P01": "wrong-password",
    "3D000": "no-database",
    "08003": "closed",
    "08006": "closed",
}
#: Of asyncio, which tells of several addresses in one error, and of Python's ssl.
_BY_TEXT: Final = (
    (re.compile(rf"\[Errno {errno.ECONNREFUSED}\]"), "refused"),
    (re.compile("EOF occurred in violation of protocol"), "closed"),
)
_ROWS: Final = {row.code: row for row in FAILURES}


def failure_of(error: BaseException) -> Failure | None:
    """What is known of a driver's error at connect."""
    sqlstate: str = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None) or ""
    text = str(error)
    return (
        _ROWS.get(_BY_SQLSTATE.get(sqlstate, ""))
        or explain(text)
        or next((_ROWS[code] for pattern, code in _BY_TEXT if pattern.search(text)), None)
        or _ROWS.get(_kind(error))
    )


def passes(failure: Failure | None, url: PostgresURL) -> bool:
    """Whether a failure to connect is one that passes by itself."""
    if failure is None:
        return False
    if failure.code in _RESTART:
        return was_reached(url)
    if failure.code == _ASLEEP:
        return hosts.classify(url.host, url.port).provider in _SLEEPERS
    return failure.code in TRANSIENT


def explained(error: Exception, url: PostgresURL, source: str, failure: Failure | None) -> Any:
    """The error itself, whose text says where the URL came from and what to do next."""
    said = redact(text_of(error), url)
    origin = f"{address(url)} is from {source}." if source else ""
    step = next_steps.after(failure, url) if failure is not None else ""
    more = " ".join(filter(None, (origin, step)))
    if more and not said.endswith(more):
        said = f"{said}\n{more}".lstrip()
    if isinstance(error, OSError) and error.strerror:  # its text is not made of `args`
        error.strerror = said
    else:
        error.args = (said, *error.args[1:])
    if getattr(error, "_pgconn", None) is not None:
        error._pgconn = None  # type: ignore[attr-defined] # noqa: SLF001 - psycopg's: the password
    # What SQLAlchemy makes of an error of asyncpg keeps that one.
    inner: BaseException | None = error
    while isinstance(inner, BaseException):
        inner.__cause__ = inner.__context__ = inner.__traceback__ = None
        inner = getattr(inner, "orig", None)
    return error


def _kind(error: BaseException) -> str:
    """The code of an error by its type, where its text says nothing."""
    if isinstance(error, ConnectionRefusedError):
        return "refused"
    if isinstance(error, (ConnectionResetError, ConnectionAbortedError, BrokenPipeError)):
        return "closed"
    # asyncio's own one until Python 3.10
    return _ASLEEP if type(error).__name__ == "TimeoutError" else ""


def text_of(error: Exception) -> str:
    """What a driver said."""
    if isinstance(error, OSError) and error.strerror:
        return str(error.strerror).strip()
    return str(error).strip()
