"""Connections that are direct for once, and pools that other threads use at the same time.

Where an endpoint is diverted for the calling thread, a *new* connection is direct. This sees to the
rest: that the thread gets no idle connection that leads to the pooler, which other threads put back
at any time, and that nobody gets the direct one after it.

The listeners are installed at start-up, by what may divert later on, and not when it does: adding
one to pools that threads are using can break their iteration over those that they have (see the
note at ``sqlalchemy.event.listen``). A process that never calls ``init_migrate`` pays nothing. In
the others, to take a connection from a pool and to put it back takes 1.3 µs longer, 0.9 of them
SQLAlchemy's for having listeners at all. With a ``SELECT 1`` through a local pooler it takes 250.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

from sqlalchemy import Pool, event
from sqlalchemy.exc import DisconnectionError

if TYPE_CHECKING:
    from sqlalchemy.pool import ConnectionPoolEntry

    from ppg_integrations.endpoint import Endpoint

#: In the pool's record of a connection: the endpoint that it was opened for, and that it leaves the
#: pool after this use.
_ENDPOINT: Final = "ppg.endpoint"
_ONCE: Final = "ppg.once"

_lock: Final = threading.Lock()


def prepare() -> None:
    """To be called at start-up, where an endpoint may be diverted later; again changes nothing."""
    with _lock:
        if not event.contains(Pool, "checkout", _replace):
            event.listen(Pool, "checkin", _leave)
            event.listen(Pool, "checkout", _replace)


def withdraw() -> None:
    """Undoes :func:`prepare`, for tests, while no other thread uses a pool."""
    with _lock:
        if event.contains(Pool, "checkout", _replace):
            event.remove(Pool, "checkin", _leave)
            event.remove(Pool, "checkout", _replace)


def opened(record: ConnectionPoolEntry, endpoint: Endpoint | None, *, kept: bool) -> None:
    """Notes what a pool is to know of a connection.

    Args:
        record: the pool's.
        endpoint: that it is opened for; None if the engine has none.
        kept: False if it is direct for once.
    """
    record.info[_ENDPOINT] = endpoint
    if not kept:
        record.info[_ONCE] = True


def _replace(_connection: object, record: ConnectionPoolEntry, _proxy: object) -> None:
    """On its way out of the pool: is it one for this thread?"""
    endpoint: Endpoint | None = record.info.get(_ENDPOINT)
    if endpoint is not None and _ONCE not in record.info and endpoint.is_diverted():
        # The pool closes this one and opens another in its place.
        raise DisconnectionError("a direct connection is needed")


def _leave(_connection: object, record: ConnectionPoolEntry) -> None:
    """On its way back into the pool."""
    if record.info.pop(_ONCE, False):
        record.invalidate()
