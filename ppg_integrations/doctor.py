"""Both endpoints of a pair, probed at once, and what is wrong with them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from . import hazards, names, silence
from .connect_settings import DEFAULT
from .drivers import connect
from .encryption import least, mode, secured
from .errors import ConnectError
from .failures import address
from .hazards import endpoint, loopback
from .probe import ProbeResult, probe
from .problems import Problem, problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from .pair import ConnectionPair, Source
    from .problems import Severity
    from .urls import PostgresURL

#: kinds that hand a backend on while the client is still there
SHARING: Final = frozenset({"transaction-pooler", "statement-pooler"})
#: kinds that keep a session
_KEEPING: Final = frozenset({"direct", "proxy", "session-pooler"})
#: share of the connections above which a burst is likely to find none
_FEW: Final = 0.8
_WORDS: Final = {
    "transaction-pooler": "a transaction pooler",
    "session-pooler": "a session pooler",
    "statement-pooler": "a statement pooler",
    "direct": "the server itself",
    "proxy": "a proxy that keeps sessions",
}
_SEVERITIES: Final = ("error", "warning", "info")


@dataclass(frozen=True)
class Diagnosis:
    """What ``doctor`` found.

    Attributes:
        pair: what was probed.
        pooled, direct: what answered; ``direct`` is None where the pair has none.
        problems: the worst first.
    """

    pair: ConnectionPair
    pooled: ProbeResult
    direct: ProbeResult | None
    problems: tuple[Problem, ...]

    @property
    def failed(self) -> bool:
        """Is one of the problems an error?"""
        return any(found.severity == "error" for found in self.problems)

    def with_problems(self, more: Iterable[Problem]) -> Diagnosis:
        """The same with what a framework's settings show, the worst first."""
        found = dict.fromkeys((*self.problems, *more))
        return replace(self, problems=tuple(sorted(found, key=_badness)))

    def as_json(self, *, reveal: bool = False) -> dict[str, Any]:
        """The document of ``doctor --json``; its keys are stable.

        Args:
            reveal: give the URLs with their passwords.
        """
        pair = self.pair
        direct = None
        if pair.direct is not None and self.direct is not None:
            direct = _endpoint_json(pair.direct, pair.direct_source, self.direct, reveal=reveal)
        return {
            "pooled": _endpoint_json(pair.pooled, pair.pooled_source, self.pooled, reveal=reveal),
            "direct": direct,
            "problems": [found.as_json() for found in self.problems],
        }


def diagnose(
    pair: ConnectionPair,
    *,
    timeout: float = DEFAULT.connect_deadline,
    progress: Callable[[str], None] | None = None,
) -> Diagnosis:
    """Probes both endpoints of `pair`, and connects to its replica, all at the same time.

    Args:
        timeout: seconds for everything. A database that sleeps may need ten to wake, and is asked
            again until then.
        progress: told what is being done.

    Raises:
        DriverError: no PostgreSQL driver is installed.
        ConfigurationError: there is nothing to verify the servers' certificates with.
    """
    if progress is not None:
        progress("probing both endpoints" if pair.direct else "probing the pooled endpoint")
    with ThreadPoolExecutor(3, "ppg-doctor") as threads:
        three = threads.submit(_replica, pair, timeout)
        one = threads.submit(probe, pair.pooled, timeout=timeout, source=str(pair.pooled_source))
        two = one
        if pair.direct is not None and pair.direct != pair.pooled:
            two = threads.submit(
                probe,
                pair.direct,
                timeout=timeout,
                claim="direct",
                source=str(pair.direct_source),
            )
        pooled, direct = one.result(), two.result() if pair.direct is not None else None
    found = Diagnosis(pair, pooled, direct, tuple(judge(pair, pooled, direct)))
    return found.with_problems(three.result())


def _replica(pair: ConnectionPair, timeout: float) -> tuple[Problem, ...]:
    """Why nobody can read from the replica, if nobody can; its kind is the provider's matter."""
    if pair.replica is None:
        return ()
    source = str(pair.replica_source)
    try:
        connect(pair.replica, timeout=timeout, lifetime=timeout, source=source, waking=True).close()
    except ConnectError as error:
        text, hint = error.message, error.hint
        return (problem("replica-unreachable", endpoint="replica", text=text, hint=hint),)
    return ()


def judge(pair: ConnectionPair, pooled: ProbeResult, direct: ProbeResult | None) -> list[Problem]:
    """Every problem, the worst first, from what the URLs say and what the probes saw."""
    found = [
        *_unreachable(pair, pooled, direct),
        *_kinds(pair, pooled, direct),
        *_agreement(pair, pooled, direct),
        *_vitals(pair, pooled, direct),
        *_tls(pair, pooled, direct),
        *hazards.hazards(pair),
    ]
    return sorted(found, key=_badness)


def _badness(found: Problem) -> int:
    return _SEVERITIES.index(found.severity)


def _unreachable(
    pair: ConnectionPair, pooled: ProbeResult, direct: ProbeResult | None
) -> Iterator[Problem]:
    for name, _, result in _each(pair, pooled, direct):
        if result.error is not None:
            error = result.error
            if result is pooled and direct is not None:
                error = silence.explained(pair, error, direct.error)
            text, hint = error.message, error.hint
            yield problem("unreachable", endpoint=name.partition(" ")[0], text=text, hint=hint)
        elif result.woke is not None:
            text, seconds = result.woke.message, f"{result.waited:.1f}"
            yield problem("woke-up", endpoint=name, text=text, seconds=seconds)


def _kinds(
    pair: ConnectionPair, pooled: ProbeResult, direct: ProbeResult | None
) -> Iterator[Problem]:
    left = endpoint("pooled", pair.pooled_source)
    right = endpoint("direct", pair.direct_source)
    if direct is not None and pooled.kind in _KEEPING and direct.kind in SHARING:
        yield problem(
            "swapped",
            pooled=pair.pooled_source,
            direct=pair.direct_source,
            pooled_kind=_WORDS[pooled.kind],
            direct_kind=_WORDS[direct.kind],
            pooled_host=address(pair.pooled),
            direct_host=address(pair.direct or pair.pooled),
            pooled_name=_name(pair.pooled_source, names.POOLED),
            direct_name=_name(pair.direct_source, names.DIRECT),
        )
        return
    if direct is not None and direct.kind in SHARING:
        kind, name = _WORDS[direct.kind], _name(pair.direct_source, names.DIRECT)
        yield problem("direct-is-pooler", endpoint=right, kind=kind, name=name)
    elif direct is not None and direct.kind == "session-pooler":
        yield problem("direct-is-session-pooler", endpoint=right)
    if pooled.kind == "statement-pooler":
        yield problem("statement-pooler", endpoint=left)
    elif pair.one_endpoint and pooled.kind not in SHARING:
        # A local server without a pooler has no other endpoint to offer.
        yield problem(
            "same-endpoint",
            severity="info" if loopback(pair.pooled) else "warning",
            host=address(pair.pooled),
            name=_name(pair.pooled_source, names.POOLED),
        )
    elif pooled.kind in _KEEPING:
        yield problem(
            f"pooled-is-{pooled.kind}", endpoint=left, name=_name(pair.pooled_source, names.POOLED)
        )


def _agreement(
    pair: ConnectionPair, pooled: ProbeResult, direct: ProbeResult | None
) -> Iterator[Problem]:
    """Do both endpoints lead to the same place?"""
    if direct is None or pair.direct is None or pooled.error or direct.error:
        return
    one, two = pooled.vitals, direct.vitals
    if one.system and two.system and one.system != two.system:
        yield problem("different-servers")
    elif one.server_version != two.server_version:
        yield problem("versions-differ", pooled=one.server_version, direct=two.server_version)
    if one.database != two.database:
        # URLs that name two databases were allowed to by whoever set them.
        meant = pair.pooled.dbname != pair.direct.dbname
        severity: Severity = "warning" if meant else "error"
        yield problem(
            "databases-differ", severity=severity, pooled=one.database, direct=two.database
        )
    if one.user != two.user:
        yield problem("users-differ", pooled=one.user, direct=two.user)


def _vitals(
    pair: ConnectionPair, pooled: ProbeResult, direct: ProbeResult | None
) -> Iterator[Problem]:
    for name, _, result in _each(pair, pooled, direct):
        if result.vitals.in_recovery:
            # a pooled replica may be meant, for reads
            severity: Severity = "error" if name.startswith("direct") else "warning"
            yield problem("in-recovery", severity=severity, endpoint=name)
    slots = (direct.vitals.slots if direct else None) or pooled.vitals.slots
    if slots is not None and slots.used >= _FEW * slots.allowed:
        yield problem("slots-low", used=slots.used, allowed=slots.allowed, limit=slots.limit)


def _tls(
    pair: ConnectionPair, pooled: ProbeResult, direct: ProbeResult | None
) -> Iterator[Problem]:
    for name, url, result in _each(pair, pooled, direct):
        if result.error is not None or loopback(url):
            continue
        sslmode = mode(secured(url, least()))
        if result.tls is None:
            yield problem("tls-off", endpoint=name, host=url.host)
            continue
        if sslmode in ("disable", "allow", "prefer"):
            yield problem("tls-optional", endpoint=name, sslmode=sslmode)
        if not result.tls.verified:
            yield problem("tls-unverified", endpoint=name, why_not=result.tls.why_not)
        elif sslmode == "require":
            yield problem("tls-not-enforced", endpoint=name, sslmode=sslmode)


def _each(
    pair: ConnectionPair, pooled: ProbeResult, direct: ProbeResult | None
) -> Iterator[tuple[str, PostgresURL, ProbeResult]]:
    for (name, url), result in zip(hazards.halves(pair), (pooled, direct), strict=False):
        if result is not None:
            yield name, url, result


def _endpoint_json(
    url: PostgresURL, source: Source | None, result: ProbeResult, *, reveal: bool
) -> dict[str, Any]:
    vitals = result.vitals
    error = result.error
    return {
        "host": url.host,
        "port": url.port,
        "source": str(source),
        "url": url.reveal() if reveal else str(url),
        "kind": result.kind,
        "evidence": result.evidence,
        "tls": result.tls.as_json() if result.tls else None,
        "server_version": vitals.server_version or None,
        "latency_ms": result.latency_ms,
        "prepared_statements": result.prepared,
        "database": vitals.database or None,
        "user": vitals.user or None,
        "in_recovery": None if error else vitals.in_recovery,
        "slots": vitals.slots.as_json() if vitals.slots else None,
        "error": {"code": error.code, "message": error.message, "hint": error.hint}
        if error
        else None,
    }


def _name(source: Source | None, variables: tuple[str, ...]) -> str:
    """What a user changes: the variable that was read, else the one to set."""
    if source is not None and source.kind == "argument":
        return str(source)
    if source is not None and source.kind in ("environment", "file"):
        return source.name
    return variables[0]
