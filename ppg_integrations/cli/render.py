"""What a verb's result looks like to a person: short and aligned."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..entry import titled
from ..errors import PPGError
from ..urls import PostgresURL
from .screen import Screen, plain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..doctor import Diagnosis
    from ..pair import ConnectionPair, Source
    from ..providers.base import Listed
    from ..providers.local.status import LocalStatus
    from ..verbs.handover import Stored

_ORIGINS = {
    "generated": "generated",
    "read": "found",
    "resumed": "took up",
    "rotated": "rotated",
    "shared": "in use",
}
_MARKS = {"error": ("red", "error"), "warning": ("yellow", "warning"), "info": ("dim", "note")}


def error_json(error: PPGError) -> dict[str, Any]:
    """An error as in the JSON contract."""
    return {"type": type(error).__name__, "message": error.message, "hint": error.hint}


def pair(
    screen: Screen, found: ConnectionPair, claim_url: str = "", *, reveal: bool = False
) -> None:
    """Both URLs, each with its source below it; for a temporary database, where it is claimed."""
    if found.provider:
        _row(screen, "provider", found.provider)
    _half(screen, "pooled", found.pooled, found.pooled_source, reveal=reveal)
    _half(screen, "direct", found.direct, found.direct_source, reveal=reveal)
    if found.replica is not None:
        _half(screen, "replica", found.replica, found.replica_source, reveal=reveal)
    if claim_url:
        _row(screen, "claim url", plain(claim_url))


def stored(screen: Screen, result: Stored, follows: str, *, reveal: bool = False) -> None:
    """What was generated, the proof, where it was written, and the command that `follows`."""
    name = plain(titled(result.connection_id, result.connection_name))
    _row(screen, _ORIGINS[result.origin], f"{name} of {result.pair.provider}")
    proof = result.diagnosis.as_json()
    for half, url in (("pooled", result.pair.pooled), ("direct", result.pair.direct)):
        if url is not None:
            _row(screen, half, _shown(url, reveal=reveal))
            _row(screen, "", screen.style("green", _proof(proof[half])))
    if result.pair.replica is not None:
        _row(screen, "replica", _shown(result.pair.replica, reveal=reveal))
    if result.written:
        _row(screen, "written", f"{', '.join(result.written)} to {result.pair.env_file}")
    for detail, text in result.details.items():
        _row(screen, detail.replace("_", " "), plain(text))
    problems(screen, result.diagnosis)
    if result.verb == "rotate":
        apps = "a Django or Flask app that reads the file follows by itself"
        follows = f"restart what was started with the old URLs; {apps}"
    screen.line(f"\nNext: {follows}")


def connections(screen: Screen, listed: Sequence[Listed], create: str) -> None:
    """A line for each connection, the one in use marked; without any, the command to `create`."""
    if not listed:
        screen.line(f"no connections\n\nNext: {create}")
        return
    rows = [(plain(one.id), plain(one.name), _day(one.created_at)) for one in listed]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for one, row in zip(listed, rows, strict=True):
        cells = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        mark = screen.style("green", "  in use") if one.in_use else ""
        screen.line(f"{cells}{mark}".rstrip())


def diagnosis(screen: Screen, result: Diagnosis) -> None:
    """A line for each endpoint, then what is wrong and what to do about it."""
    document = result.as_json()
    for name in ("pooled", "direct"):
        endpoint = document[name]
        if endpoint is None:
            _row(screen, name, screen.style("yellow", "not set"))
            continue
        _row(screen, name, f"{endpoint['host']}:{endpoint['port']}  ({endpoint['source']})")
        good = endpoint["kind"] != "unreachable"
        _row(screen, "", screen.style("green" if good else "red", _proof(endpoint)))
    problems(screen, result)
    if not result.problems:
        screen.line("\nno problems")


def problems(screen: Screen, result: Diagnosis) -> None:
    before = ""
    for problem in result.problems:
        style, word = _MARKS[problem.severity]
        if (before, problem.severity) != ("info", "info"):
            screen.line()
        before = problem.severity
        screen.line(f"{screen.style(style, word)} {problem.id}: {problem.message}")
        if problem.hint:
            screen.line(f"  {problem.hint}")


def local(screen: Screen, status: LocalStatus) -> None:
    """The embedded servers."""
    for name, server in (("postgres", status.postgres), ("pooler", status.pooler)):
        if server is None:
            _row(screen, name, "none")
            continue
        state = screen.style("green", "running") if server.pid else "stopped"
        _row(screen, name, f"{server}  {state} on 127.0.0.1:{server.port}")
    _row(screen, "data", str(status.data))


def _half(
    screen: Screen, name: str, url: PostgresURL | None, source: Source | None, *, reveal: bool
) -> None:
    if url is None:
        _row(screen, name, screen.style("yellow", "not set; migrations and dbshell need it"))
        return
    _row(screen, name, _shown(url, reveal=reveal))
    _row(screen, "", screen.style("dim", str(source)))
    for note in url.notes:
        _row(screen, "", screen.style("dim", note))


def _shown(url: PostgresURL, *, reveal: bool) -> str:
    return url.reveal() if reveal else str(url)


def _day(created_at: str) -> str:
    """ISO 8601 as people write it, to the minute."""
    return plain(created_at[:16].replace("T", " "))


def _proof(endpoint: dict[str, Any]) -> str:
    parts = [endpoint["kind"]]
    if endpoint.get("server_version"):
        parts.append(f"PostgreSQL {endpoint['server_version']}")
    tls = endpoint.get("tls")
    if tls:
        parts.append(f"{tls['version']}{'' if tls['verified'] else ', certificate not verified'}")
    elif endpoint["kind"] != "unreachable":
        parts.append("no TLS")
    if endpoint.get("latency_ms") is not None:
        parts.append(f"{endpoint['latency_ms']:.{1 if endpoint['latency_ms'] >= 1 else 2}f} ms")
    if endpoint["kind"] == "transaction-pooler" and endpoint.get("prepared_statements"):
        parts.append("keeps prepared statements")
    slots = endpoint.get("slots")
    if slots and slots.get("allowed"):
        parts.append(f"{slots['used']} of {slots['allowed']} connections used")
    return "  ".join(parts)


def _row(screen: Screen, name: str, text: str) -> None:
    screen.line(f"{screen.style('bold', f'{name:<9}')} {text}")
