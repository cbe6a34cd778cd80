"""Opens one connection although the server sleeps, restarts or is full at the moment.

Connecting only: nothing that was sent to a server is ever sent again.
"""

from __future__ import annotations

import errno
import logging
import math
import random
import re
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeVar

from . import hosts, next_steps
from .failures import FAILURES, address, condense, explain, redact

if TYPE_CHECKING:
    from tenacity import RetryCallState

    from .failures import Failure
    from .urls import PostgresURL

T = TypeVar("T")

_log: Final = logging.getLogger("ppg_integrations")

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
_FULL: Final = "too-many-connections"

#: Seconds: the first wait is up to this long, each later one up to twice the one before ...
_FIRST: Final = 0.1
#: ... and no longer than this.
_LONGEST: Final = 2.0
#: The first one for a server without a free slot, whom each attempt costs one.
_FIRST_IF_FULL: Final = 0.5
#: libpq takes anything less for 2.
_LEAST: Final = 2

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

#: Where this process has connected to; a set of small tuples, one for each endpoint.
_reached: Final[set[tuple[str, int]]] = set()
#: Until when, by :func:`time.monotonic`, it needs not be said again that an endpoint is not ready.
_told: Final[dict[tuple[str, int], float]] = {}


class _RefusedError(Exception):
    """What the driver raised, on its way to :func:`patiently`: tenacity keeps it from raising."""

    def __init__(self, error: Exception, url: PostgresURL, reason: str, took: float) -> None:
        """`reason` is of the driver alone, on one line; `took` is seconds."""
        super().__init__()
        self.error = error
        self.url = url
        self.reason = reason
        self.took = took
        self.failure = failure_of(error)

    @property
    def passes(self) -> bool:
        return passes(self.failure, self.url)

    @property
    def is_full(self) -> bool:
        return self.failure is not None and self.failure.code == _FULL


def patiently(
    connect: Callable[[PostgresURL, float], T],
    where: Callable[[], tuple[PostgresURL, str]],
    *,
    errors: tuple[type[Exception], ...],
    deadline: float,
    sleep: Callable[[float], None] = time.sleep,
) -> T:
    """Connects, again and again where the failure is one that passes.

    A credential that is refused is tried once more if another one has taken its place meanwhile.

    Args:
        connect: one attempt: the URL, and the seconds that are left for it, 0 where nothing limits
            them; see :func:`limit`.
        where: the URL at the moment, and where it came from; asked before each attempt.
        errors: what the driver raises. Everything else goes through.
        deadline: seconds for all attempts and waits; 0 for one attempt, however long it takes. The
            last one may end later, by the two seconds that libpq takes at least.
        sleep: waits for so many seconds.

    Raises:
        Exception: the driver's last error itself, with what to do next added to its text, without
            the frames of the driver: those hold the password.
    """
    until = time.monotonic() + deadline if deadline else 0.0

    def attempt() -> T:
        return _attempt(connect, where, errors, until)

    try:
        return attempt()
    except _RefusedError as refused:
        first = refused
    if first.passes and time.monotonic() < until:
        _tell(first, until)
        longest = _FIRST_IF_FULL if first.is_full else _FIRST
        sleep(_within(random.uniform(0, longest), first, until))  # noqa: S311 - no secret
        try:
            return _again(attempt, first, until, sleep)
        except _RefusedError as refused:
            first = refused
    error = first.error
    del first  # whose frames are those of the attempts
    # Outside of the handlers: what is raised in one keeps what is handled as its context.
    raise error


def limit(given: Any, left: float, url: PostgresURL, *, whole: bool = False) -> float:
    """How long a driver may take for one attempt: ``connect_timeout`` of libpq, or its like.

    Args:
        given: what the user or the framework says, in seconds; 0 and less are no limit.
        left: seconds for the attempt; 0 where nothing limits them.
        url: which may name several hosts.
        whole: whether the driver's timeout is for all of them; libpq's is for each.

    Returns:
        Seconds, to be rounded up for libpq; 0 for no limit.
    """
    own = max(0.0, float(given or 0))
    if not left:
        return own
    share = max(_LEAST, left / (1 if whole else max(1, len(url.hosts))))
    return min(own, share) if own else share


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
        return (url.host, url.port) in _reached
    if failure.code == _ASLEEP:
        return hosts.classify(url.host, url.port).provider in _SLEEPERS
    return failure.code in TRANSIENT


def reached(url: PostgresURL) -> None:
    """Notes that a connection was opened there: from now on a refusal is a restart."""
    _reached.add((url.host, url.port))


def explained(error: Exception, url: PostgresURL, source: str, failure: Failure | None) -> Any:
    """The error itself, whose text says where the URL came from and what to do next."""
    said = redact(_text(error), url)
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


def _attempt(
    connect: Callable[[PostgresURL, float], T],
    where: Callable[[], tuple[PostgresURL, str]],
    errors: tuple[type[Exception], ...],
    until: float,
) -> T:
    url, source = where()
    last = False
    while True:
        # Whoever comes too late gets the least that there is: 0 would be no limit.
        began = time.monotonic()
        left = max(until - began, math.ulp(0)) if until else 0.0
        try:
            connection = connect(url, left)
        except errors as error:
            reason = condense(redact(_text(error), url).partition("\n")[0]) or type(error).__name__
            fault = _RefusedError(error, url, reason, time.monotonic() - began)
            explained(error, url, source, failure := fault.failure)
        else:
            reached(url)
            return connection
        moved = False
        if failure is not None and failure.code in RETIRED and not last:
            before, (url, source) = url, where()
            moved = last = url != before
        if not moved:
            raise fault


def _again(
    attempt: Callable[[], T], first: _RefusedError, until: float, sleep: Callable[[float], None]
) -> T:
    from tenacity import Retrying, retry_if_exception, wait_random_exponential

    last = first
    usual = wait_random_exponential(multiplier=_FIRST, max=_LONGEST)
    full = wait_random_exponential(multiplier=_FIRST_IF_FULL, max=_LONGEST)

    def wait(state: RetryCallState) -> float:
        return _within((full if last.is_full else usual)(state), last, until)

    def is_passing(error: BaseException) -> bool:
        nonlocal last
        if not isinstance(error, _RefusedError):
            return False
        last = error
        return error.passes

    def over(_state: RetryCallState) -> bool:
        return time.monotonic() >= until

    retry = retry_if_exception(is_passing)
    return Retrying(retry=retry, wait=wait, stop=over, sleep=sleep, reraise=True)(attempt)


def _within(pause: float, last: _RefusedError, until: float) -> float:
    """A pause that leaves time for one more attempt: as long as the last one, or the least."""
    return max(0.0, min(pause, until - time.monotonic() - min(last.took, _LEAST)))


def _tell(refused: _RefusedError, until: float) -> None:
    """One line for all threads that wait for the same endpoint."""
    place, now = (refused.url.host, refused.url.port), time.monotonic()
    if _told.get(place, 0.0) > now:
        return
    _told[place] = until
    _log.warning(
        "%s is not ready (%s); trying again for %.0f s",
        address(refused.url),
        refused.reason,
        max(0.0, until - now),
    )


def _kind(error: BaseException) -> str:
    """The code of an error by its type, where its text says nothing."""
    if isinstance(error, ConnectionRefusedError):
        return "refused"
    if isinstance(error, (ConnectionResetError, ConnectionAbortedError, BrokenPipeError)):
        return "closed"
    # asyncio's own one until Python 3.10
    return _ASLEEP if type(error).__name__ == "TimeoutError" else ""


def _text(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return str(error.strerror).strip()
    return str(error).strip()
