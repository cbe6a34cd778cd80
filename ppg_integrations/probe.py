"""Asks a live endpoint what it is: the server itself, a pooler of one kind or another, or a proxy.

A URL's name, a host's name and even errors do not tell: migrations through a transaction pooler
mostly succeed. What tells is who gets which backend (measured on PgBouncer 1.18 and 1.24, cold,
warm, pool size 1, round robin, busy):

- Two clients are given the same backend, or one client is moved to another: *transaction pooler*,
  proven. A lone client is not enough, it is handed the same backend again and again.
- A transaction is refused (08P01): *statement pooler*.
- Neither, and the BackendKeyData message names the real backend: *direct*.
- Neither, and it names another: something ends the protocol and keeps sessions. When a new client
  is given a used backend it is a *session pooler*; else a *proxy*, such as Neon's on its direct
  host.

No privilege is needed. At most two connections are open at a time, five are made in all (nine when
a pooler is found where none should be, because that is asked twice), and nothing is left behind.
"""

from __future__ import annotations

import contextlib
import statistics
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, Literal

from . import preparing, tls, vitals
from .drivers import connect, passes
from .errors import ConnectError, QueryError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .drivers import Connection
    from .urls import PostgresURL

Kind = Literal[
    "transaction-pooler", "session-pooler", "statement-pooler", "direct", "proxy", "unreachable"
]

#: Asks for its own backend and how many seconds ago that was started. The latter is NULL where the
#: role was changed at login (ALTER ROLE ... SET role) and may not see the one that logged in.
_BACKEND: Final = """
    SELECT pg_backend_pid(),
           (SELECT extract(epoch FROM clock_timestamp() - backend_start)::float8
            FROM pg_stat_activity WHERE pid = pg_backend_pid())
"""
_READS_OF_A: Final = 3  # round robin shows at once
_TRIES_OF_B: Final = 3  # several pooler processes may share one port
_TRIES_OF_C: Final = 3  # a pooler cleans a backend (DISCARD ALL) before it hands it on
_PAUSE_OF_C: Final = 0.05  # seconds
_PINGS: Final = 5
#: Seconds that B may take: with a session pooler of size 1, A has what B waits for.
_PATIENCE: Final = 3.0
#: Seconds between two looks at a database that wakes, restarts or is full.
_NAP: Final = 1.0
#: Seconds by which a backend must be older than the connection to it: clocks may be slewed.
_OLDER: Final = 0.005


@dataclass(frozen=True)
class ProbeResult:
    """What an endpoint is, and what was seen on the way.

    Attributes:
        kind: what it is.
        evidence: why we think so, one sentence.
        error: why it is unreachable.
        tls: our own leg; None when it is not encrypted.
        vitals: what the server says of itself.
        latency_ms: median of several round trips, milliseconds.
        seconds: how long the probe took.
        woke: why it was unreachable at first, where it was.
        waited: seconds until it no longer was.
        prepared: whether statements that drivers prepare outlive their transaction; None where that
            could not be found out.
    """

    kind: Kind
    evidence: str
    error: ConnectError | None = None
    tls: tls.TLS | None = None
    vitals: vitals.Vitals = field(default_factory=vitals.Vitals)
    latency_ms: float | None = None
    seconds: float = 0.0
    woke: ConnectError | None = None
    waited: float = 0.0
    prepared: bool | None = None

    @property
    def server_version(self) -> str:
        """Such as ``17.10``; empty when unreachable."""
        return self.vitals.server_version


class _Clock:
    """A total deadline, handed out in pieces."""

    def __init__(self, seconds: float) -> None:
        self.started = time.monotonic()
        self._end = self.started + seconds

    @property
    def left(self) -> float:
        return max(0.0, self._end - time.monotonic())

    @property
    def spent(self) -> float:
        return time.monotonic() - self.started


def probe(
    url: PostgresURL, *, timeout: float = 10.0, claim: str = "", source: str = ""
) -> ProbeResult:
    """Finds out what answers at `url`.

    Args:
        timeout: seconds for everything. A database that sleeps may need ten to wake; what it says
            until then is asked again, as :data:`.drivers.PATIENCE` has it.
        claim: ``"direct"`` asks twice before a pooler is reported, because a failover between two
            reads looks like one.
        source: where the URL came from, for the error.

    Raises:
        DriverError: no driver is installed.
    """
    clock = _Clock(timeout)
    result = _probe(url, clock, source)
    first = result.error
    waited = 0.0
    while result.error and passes(result.error, clock.spent) and clock.left > _NAP:
        time.sleep(_NAP)
        waited = clock.spent
        again = _probe(url, clock, source)
        # That there was little time left for the last look tells less than the one before.
        if again.error is None or again.error.code != "timeout":
            result = again
    if claim == "direct" and result.kind in ("transaction-pooler", "statement-pooler"):
        again = _probe(url, clock, source) if clock.left > 0 else result
        # what was seen once counts for more than a deadline that came in between
        result = result if again.error else again
    woke = first if result.error is None else None
    return replace(result, woke=woke, waited=waited if woke else 0.0)


def _probe(url: PostgresURL, clock: _Clock, source: str) -> ProbeResult:
    try:
        with connect(url, timeout=clock.left, lifetime=clock.left, source=source) as a:
            own = {_backend(a)[0] for _ in range(_READS_OF_A)}
            others: set[int] = set()
            facts = vitals.read(a)
            latency_ms = _latency(a, clock)
            kind, evidence = _compare(a, own, others, clock)
            kept = None
            if kind != "statement-pooler":
                kept = preparing.are_kept(a, shared=kind == "transaction-pooler")
            encrypted = a.tls
    except ConnectError as error:
        return ProbeResult("unreachable", error.message, error, seconds=clock.spent)
    except QueryError as error:
        # It speaks the protocol and refuses the plainest of questions, as a pooler whose server is
        # gone does.
        failure = ConnectError(error.message, hint=error.hint, code="refuses-queries")
        return ProbeResult("unreachable", error.message, failure, seconds=clock.spent)
    if kind == "proxy":
        kind, evidence = _reuse(url, own | others, clock, evidence)
    leg = _tls(url, clock) if encrypted else None
    return ProbeResult(kind, evidence, None, leg, facts, latency_ms, clock.spent, prepared=kept)


def _compare(a: Connection, own: set[int], others: set[int], clock: _Clock) -> tuple[Kind, str]:
    """Sets a second client B against A, which is connected, idle, and has had the backends `own`.

    B's go into `others`.
    """
    if len(own) > 1:
        return "transaction-pooler", "one client was moved between backends, nothing else held"
    lost = 0
    doubt = ""
    for _ in range(_TRIES_OF_B):
        try:
            with _transaction(a.url, clock) as b:
                # B's first: a pool of size 1 has nothing left to answer A with.
                others.add(_backend(b)[0])
                if own & others:
                    return "transaction-pooler", "two clients were given the same backend"
                if _backend(a)[0] not in own:
                    return "transaction-pooler", "a client was moved while another held a backend"
        except QueryError as error:  # noqa: PERF203 - each try stands for itself
            if error.sqlstate == "08P01":
                return "statement-pooler", "it refuses transactions"
            doubt = f"; a second client was refused: {error.message}"
        except ConnectError as error:
            if a.closed:
                raise
            # psycopg2 and older libpqs lose why a statement pooler hangs up: that it does so at
            # BEGIN, every time, while A lives on, has to do.
            lost += error.code == "closed"
            if lost == _TRIES_OF_B and a.key_pid not in own:
                return "statement-pooler", "it hangs up on every transaction"
            doubt = f"; a second client got no answer: {error.message}"
            if error.code == "timeout":
                break
    if a.key_pid in own:
        return "direct", f"backends are the clients' own, the key names the real one{doubt}"
    return "proxy", f"sessions are kept, the key does not name the real backend{doubt}"


def _reuse(url: PostgresURL, used: set[int], clock: _Clock, evidence: str) -> tuple[Kind, str]:
    """A session pooler gives the backend of a client that left to one that comes."""
    for attempt in range(_TRIES_OF_C):
        time.sleep(min(attempt * _PAUSE_OF_C, clock.left))
        limit = min(_PATIENCE, clock.left)
        began = time.monotonic()
        try:
            with connect(url, timeout=limit, lifetime=limit) as c:
                pid, age = _backend(c)
        except (ConnectError, QueryError):
            break  # A was answered: what is known stands
        if pid in used or age > time.monotonic() - began + _OLDER:
            return "session-pooler", "sessions are kept, a new client was given a used backend"
    return "proxy", evidence


@contextlib.contextmanager
def _transaction(url: PostgresURL, clock: _Clock) -> Iterator[Connection]:
    limit = min(_PATIENCE, clock.left / 2)
    with connect(url, timeout=limit, lifetime=limit) as connection:
        connection.begin()
        try:
            yield connection
        finally:
            # A client that leaves inside a transaction costs the pool that backend.
            if not connection.closed:
                connection.rollback()


def _backend(connection: Connection) -> tuple[int, float]:
    pid, age = connection.fetch(_BACKEND)[0]
    return pid, age or 0.0


def _latency(connection: Connection, clock: _Clock) -> float:
    times: list[float] = []
    budget = clock.left / 4
    while len(times) < _PINGS and (not times or sum(times) < budget):
        began = time.perf_counter()
        connection.fetch("SELECT 1")
        times.append(time.perf_counter() - began)
    return round(statistics.median(times) * 1000, 2)


def _tls(url: PostgresURL, clock: _Clock) -> tls.TLS | None:
    try:
        return tls.inspect(url, timeout=clock.left)
    except OSError as error:  # the driver got further: say that it is encrypted, and no more
        return tls.TLS("", "", verified=False, why_not=f"it could not be looked at: {error}")
