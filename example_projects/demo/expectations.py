"""What each step has to show, as rows of the table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .burst import Burst
from .server import Seen
from .table import Row, faults


def doctor_as_named(what: str, report: Mapping[str, Any], seen: Seen) -> Row:
    kinds = _kinds(report)
    return _command(
        what,
        seen,
        "both URLs are what their names say",
        (kinds == ("transaction-pooler", "direct"), f"transaction-pooler and direct, not {kinds}"),
        (not _errors(report), f"no error, but there is {_errors(report)}"),
    )


def doctor_finds_swap(what: str, report: Mapping[str, Any], seen: Seen) -> Row:
    kinds = _kinds(report)
    return _command(
        what,
        seen,
        "finds the swap, exit status 1",
        (kinds == ("direct", "transaction-pooler"), f"direct and transaction-pooler, not {kinds}"),
        ("swapped" in _errors(report), f"swapped is among the errors {_errors(report)}"),
    )


def migrate_direct(what: str, seen: Seen) -> Row:
    return _command(
        what,
        seen,
        "straight to PostgreSQL",
        (seen.counters.direct_logins > 0, "a login on PostgreSQL"),
        (seen.counters.pooled_logins == 0, "no login on PgBouncer"),
    )


def migrate_through_pooler(what: str, seen: Seen) -> Row:
    return _command(
        what,
        seen,
        "through the pooler, and no error says so",
        (seen.counters.pooled_logins > 0, "a login on PgBouncer"),
        (seen.counters.direct_logins == 0, "no login on PostgreSQL"),
    )


def burst_pooled(
    what: str, came: Burst, seen: Seen, *, writes: str, stored: int, threads: int, pool: int
) -> Row:
    """The burst by the right pair.

    Args:
        writes: what the guests wrote.
        stored: how many of them there are.
        threads: of gunicorn; each has one connection at most.
        pool: connections that PgBouncer may hold.
    """
    counters = seen.counters
    return _burst(
        what,
        seen,
        f"{came.failed or 'none'} failed",
        (came.failed == 0, "no failed request"),
        (stored == came.written > 0, f"{came.written} {writes} stored, not {stored}"),
        (counters.direct_logins == 0, "no login on PostgreSQL"),
        (
            counters.pooled_transactions >= came.requests,
            f"a transaction through PgBouncer for each request, not {counters.pooled_transactions}",
        ),
        (
            0 < seen.held <= pool < counters.pooled_logins <= threads,
            f"up to {threads} logins on PgBouncer, which makes up to {pool} connections do",
        ),
    )


def burst_direct(
    what: str, came: Burst, seen: Seen, *, pool: int, limit: int, refused: bool
) -> Row:
    """The burst by the swapped pair.

    Args:
        pool: connections that PgBouncer made do with.
        limit: connections that PostgreSQL grants.
        refused: it said that there is none left.
    """
    counters = seen.counters
    return _burst(
        what,
        seen,
        f"{came.failed} failed: too many connections",
        (came.failed > 0 and refused, "failed requests, for want of a connection"),
        (counters.pooled_logins == 0, "no login on PgBouncer"),
        (counters.pooled_transactions == 0, "no transaction through PgBouncer"),
        (pool <= seen.held <= limit, f"from {pool} to {limit} connections held"),
    )


def _command(what: str, seen: Seen, outcome: str, *expectations: tuple[bool, str]) -> Row:
    return _burst(what, seen, outcome, *expectations)._replace(held=None)


def _burst(what: str, seen: Seen, outcome: str, *expectations: tuple[bool, str]) -> Row:
    logins = seen.counters.pooled_logins, seen.counters.direct_logins
    return Row(what, *logins, seen.held, outcome, faults(*expectations))


def _kinds(report: Mapping[str, Any]) -> tuple[str, str]:
    return report["pooled"]["kind"], report["direct"]["kind"]


def _errors(report: Mapping[str, Any]) -> list[str]:
    return [found["id"] for found in report["problems"] if found["severity"] == "error"]
