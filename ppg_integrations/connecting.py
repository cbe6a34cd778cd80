"""Opens one connection although the server sleeps, restarts or is full at the moment.

Connecting only: nothing that was sent to a server is ever sent again.
"""

from __future__ import annotations

import logging
import math
import random
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeVar

from .contact import reached

if TYPE_CHECKING:
    from tenacity import RetryCallState

    from .resting import Given
    from .urls import PostgresURL
    from .waiting import Line

T = TypeVar("T")

_log: Final = logging.getLogger("ppg_integrations")

#: Seconds: the first wait is up to this long, each later one up to twice the one before ...
_FIRST: Final = 0.1
#: ... and no longer than this.
_LONGEST: Final = 2.0
#: The first one for a server without a free slot, whom each attempt costs one.
_FIRST_IF_FULL: Final = 0.5
#: libpq takes anything less for 2.
_LEAST: Final = 2

#: Until when, by :func:`time.monotonic`, it needs not be said again that an endpoint is not ready.
_told: Final[dict[tuple[str, int], float]] = {}


class _RefusedError(Exception):
    """What the driver raised, on its way to :func:`patiently`: tenacity keeps it from raising."""

    def __init__(self, error: Exception, url: PostgresURL, source: str, took: float) -> None:
        """Adds to the driver's error what to do next.

        Args:
            error: the driver's.
            url: that it was about.
            source: of the URL, in words.
            took: seconds.
        """
        # With all their words, which connections that open do without.
        from . import failures, refusals

        super().__init__()
        self.error = error
        self.url = url
        self.took = took
        said = failures.redact(refusals.text_of(error), url).partition("\n")[0]
        #: Of the driver alone, on one line.
        self.reason = failures.condense(said) or type(error).__name__
        failure = refusals.failure_of(error)
        self.passes = refusals.passes(failure, url)
        code = failure.code if failure is not None else ""
        self.is_full = code == refusals.FULL
        #: Whether the server does not know the credential, or does not any more.
        self.is_retired = code in refusals.RETIRED
        refusals.explained(error, url, source, failure)


def patiently(
    connect: Callable[[PostgresURL, float], T],
    where: Callable[[], tuple[PostgresURL, str]],
    *,
    errors: tuple[type[Exception], ...],
    deadline: float,
    sleep: Callable[[float], None] = time.sleep,
    line: Line | None = None,
    take: Callable[[Given], None] | None = None,
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
        line: where to wait while the server has no free slot.
        take: is told of a connection that somebody else has done with, before an attempt that is
            to use it.

    Raises:
        Exception: the driver's last error itself, with what to do next added to its text, without
            the frames of the driver: those hold the password.
    """
    until = time.monotonic() + deadline if deadline else 0.0

    def attempt() -> T:
        return _attempt(connect, where, errors, until)

    first = None
    try:
        if line is None or not until:
            return attempt()
        spare = line.spare() if take else None
        if spare and take:
            take(spare)
        if spare or not line.is_busy():
            return attempt()
    except _RefusedError as refused:
        first = refused
    try:
        if line is not None and until and (first is None or first.is_full):
            return _in_line(attempt, line, first, until, sleep, take)
    except _RefusedError as refused:
        first = refused
    assert first is not None
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
            fault = _RefusedError(error, url, source, time.monotonic() - began)
        else:
            reached(url)
            return connection
        moved = False
        if fault.is_retired and not last:
            before, (url, source) = url, where()
            moved = last = url != before
        if not moved:
            raise fault


def _in_line(
    attempt: Callable[[], T],
    line: Line,
    first: _RefusedError | None,
    until: float,
    sleep: Callable[[float], None],
    take: Callable[[Given], None] | None,
) -> T:
    last = first
    with line.turn() as turn:
        while True:
            if last is not None:
                _tell(last, until)
                line.refused()
            # What is left for the last attempt is what one takes.
            given = line.wait(turn, until - min(last.took if last else 0.0, _LEAST), sleep)
            if given is not None and take is not None:
                take(given)
            try:
                made = attempt()
            except _RefusedError as refused:
                if not refused.is_full or time.monotonic() >= until - refused.took:
                    raise
                last = refused
            else:
                if given is None:
                    line.opened()
                return made


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
    from .failures import address

    _log.warning(
        "%s is not ready (%s); trying again for %.0f s",
        address(refused.url),
        refused.reason,
        max(0.0, until - now),
    )
