"""Which port a URL of ours has to name, whatever it named before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from . import ports

if TYPE_CHECKING:
    from collections.abc import Container

    from ...urls import PostgresURL
    from .files import State

_HERE: Final = (ports.LOOPBACK, "localhost")


def may_be_ours(url: PostgresURL) -> bool:
    """Does it name a server of this machine, and nothing else?"""
    return len(url.hosts) == 1 and url.host in _HERE


def current(url: PostgresURL, pooled: bool, state: State, logins: Container[str]) -> PostgresURL:
    """`url` with the port of today, if it is one of ours.

    That is one of a role of ours on a port that our servers have or had, or on one that nobody
    listens on; another live port may be a proxy that the user put in front.

    Args:
        pooled: it is to go through the pooler, while there is one.
        logins: roles that :func:`roles.generate` made on these servers.
    """
    if not may_be_ours(url) or url.user not in logins:
        return url
    known = {state.postgres_port, state.pooler_port, *state.former_ports}
    if url.port not in known and ports.accepts(url.port):
        return url
    through = pooled and state.pooler_port and not state.no_pooler
    port = state.pooler_port if through else state.postgres_port
    return url if url.port == port else url.replace(port=port)
