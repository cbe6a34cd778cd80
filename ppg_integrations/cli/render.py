"""What a verb's result looks like to a person: short and aligned."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import PPGError
from ..urls import PostgresURL

if TYPE_CHECKING:
    from ..doctor import Diagnosis
    from ..pair import ConnectionPair, Source
    from ..providers.local.status import LocalStatus
    from ..verbs.create import Created
    from .screen import Screen

_MARKS = {"error": ("red", "error"), "warning": ("yellow", "warning"), "info": ("dim", "note")}


def error_json(error: PPGError) -> dict[str, Any]:
    """An error as in the JSON contract."""
    return {"type": type(error).__name__, "message": error.message, "hint": error.hint}


def pair(screen: Screen, found: ConnectionPair, *, reveal: bool = False) -> None:
    """Both URLs, each with its source below it."""
    if found.provider:
        _row(screen, "provider", found.provider)
    _half(screen, "pooled", found.pooled, found.pooled_source, reveal=reveal)
    _half(screen, "direct", found.direct, found.direct_source, reveal=reveal)


def created(screen: Screen, result: Created, program: str, *, reveal: bool = False) -> None:
    """What was generated, the proof, where it was written, and the next command."""
    verb = "took up" if result.resumed else "generated"
    _row(screen, verb, f"{result.connection_name or result.connection_id} ({result.pair.provider})")
    proof = result.diagnosis.as_json()
    for name, url in (("pooled", result.pair.pooled), ("direct", result.pair.direct)):
        if url is not None:
            _row(screen, name, url.reveal() if reveal else str(url))
            _row(screen, "", screen.style("green", _proof(proof[name])))
    _row(screen, "written", f"{', '.join(result.written)} to {result.pair.env_file}")
    problems(screen, result.diagnosis)
    following = "manage.py migrate" if program.startswith("manage.py") else f"{program} doctor"
    screen.line(f"\nNext: {following}")


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
    for problem in result.problems:
        style, word = _MARKS[problem.severity]
        screen.line(f"\n{screen.style(style, word)} {problem.id}: {problem.message}")
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
    _row(screen, name, url.reveal() if reveal else str(url))
    _row(screen, "", screen.style("dim", str(source)))
    for note in url.notes:
        _row(screen, "", screen.style("dim", note))


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
    slots = endpoint.get("slots")
    if slots and slots.get("allowed"):
        parts.append(f"{slots['used']} of {slots['allowed']} connections used")
    return "  ".join(parts)


def _row(screen: Screen, name: str, text: str) -> None:
    screen.line(f"{screen.style('bold', f'{name:<10}')}{text}")
