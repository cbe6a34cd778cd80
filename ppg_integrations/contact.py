"""Where this process has connected to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from .urls import PostgresURL

#: Small tuples, one for each endpoint.
_reached: Final[set[tuple[str, int]]] = set()


def reached(url: PostgresURL) -> None:
    """Notes that a connection was opened there: from now on a refusal is a restart."""
    _reached.add((url.host, url.port))


def was_reached(url: PostgresURL) -> bool:
    return (url.host, url.port) in _reached
