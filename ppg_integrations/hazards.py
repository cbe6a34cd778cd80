"""Hazards that a pair's URLs show by themselves, before anybody is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from . import hosts, names
from .parameters import startup_options
from .problems import Problem, problem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .pair import ConnectionPair, Source
    from .urls import PostgresURL

#: Providers whose databases sleep, and the seconds that waking may take.
_SLEEPERS: Final = frozenset({"neon", "prisma", "casedev"})
_WAKE: Final = 10


def hazards(pair: ConnectionPair) -> list[Problem]:
    """All of them, without touching the network."""
    return [*_direct(pair), *_startup_parameters(pair), *_connect_timeout(pair)]


def endpoint(name: str, source: Source | None) -> str:
    """How an endpoint is called in messages."""
    return f"{name} ({source})"


def loopback(url: PostgresURL) -> bool:
    """Does the URL stay on this machine?"""
    return not url.host or hosts.classify(url.host, url.port).provider == "local"


def halves(pair: ConnectionPair) -> Iterator[tuple[str, PostgresURL]]:
    """Each endpoint's name for messages and its URL."""
    yield endpoint("pooled", pair.pooled_source), pair.pooled
    if pair.direct is not None:
        yield endpoint("direct", pair.direct_source), pair.direct


def _direct(pair: ConnectionPair) -> Iterator[Problem]:
    if pair.direct is None:
        yield problem("no-direct-url", name=names.DIRECT[0])


def _startup_parameters(pair: ConnectionPair) -> Iterator[Problem]:
    if pair.one_endpoint:
        return
    shown = startup_options(pair.pooled.params.get("options", ""))
    if "replication" in pair.pooled.params:
        shown.append("replication")
    if shown:
        yield problem(
            "startup-parameters",
            endpoint=endpoint("pooled", pair.pooled_source),
            names=", ".join(shown),
        )


def _connect_timeout(pair: ConnectionPair) -> Iterator[Problem]:
    for name, url in halves(pair):
        given = url.params.get("connect_timeout", "")
        sleeps = pair.provider in _SLEEPERS
        if sleeps and given.isdecimal() and 0 < int(given) < _WAKE:  # 0: no limit
            yield problem("short-connect-timeout", endpoint=name, seconds=given)
