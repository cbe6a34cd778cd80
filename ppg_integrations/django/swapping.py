"""Exchanges the parameters of an alias in place, and puts them back.

What needs it, and why in this way, says :mod:`.routing`. The parameters in
``connections.settings[alias]`` are the whole process's, so that is whose the exchange is: a
connection that any thread opens meanwhile has them.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from . import entries

#: What changes. Never ENGINE (other packages patch the class it names), nor TEST (the test runner
#: keeps its own values there).
KEYS: Final = (
    "HOST",
    "PORT",
    "USER",
    "PASSWORD",
    "NAME",
    "OPTIONS",
    "CONN_MAX_AGE",
    "CONN_HEALTH_CHECKS",
    "DISABLE_SERVER_SIDE_CURSORS",
)

_ABSENT: Final = object()
#: Held for each change, and by :mod:`.routing` to decide on one.
lock = threading.RLock()


class _Swap:
    """An alias whose parameters are exchanged, until the last user has left."""

    def __init__(self, before: dict[str, Any], ours: dict[str, Any]) -> None:
        self.before = before
        self.ours = ours
        self.depths: dict[int, int] = {}  # by thread


class _CursorsOffElsewhere:
    """DISABLE_SERVER_SIDE_CURSORS during a swap: off for the threads that run on direct only.

    A request in another thread may hold a connection that was opened through the pooler before, and
    ``.iterator()`` on that one would lose its cursor.
    """

    def __init__(self, swap: _Swap) -> None:
        self._swap = swap

    def __bool__(self) -> bool:
        return threading.get_ident() not in self._swap.depths

    def __reduce__(self) -> tuple[object, ...]:
        # A copy goes to a new wrapper or a test worker, which connects afresh, that is to direct.
        return (bool, (False,))


_swaps: dict[str, _Swap] = {}


@contextmanager
def swapped(alias: str, parameters: Mapping[str, Any]) -> Iterator[None]:
    """Runs a block with an alias on other parameters (those of :data:`KEYS`)."""
    enter(alias, parameters)
    try:
        yield
    finally:
        leave(alias)


def renew(
    alias: str,
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    direct: tuple[Mapping[str, Any], Mapping[str, Any]],
) -> None:
    """Gives an alias the entry of another pair, in place, whether it is swapped or not.

    Args:
        before, after: its entries for the pair until now and for the new one.
        direct: the same of the direct alias, for as long as this one runs on its parameters.
    """
    with lock:
        settings = connections.settings.get(alias)
        if settings is None:
            return
        swap = _swaps.get(alias)
        if swap is None:
            settings.update(entries.changes(settings, before, after))
            return
        swap.before.update(entries.changes(swap.before, before, after))
        for key, value in entries.changes(swap.ours, *direct).items():
            if settings.get(key) == swap.ours[key]:
                settings[key] = value
            swap.ours[key] = value


def is_swapped(alias: str) -> bool:
    """Whether an alias runs on exchanged parameters at the moment, in any thread."""
    return alias in _swaps


def is_entered(alias: str) -> bool:
    """Whether this thread is among those that an alias is exchanged for."""
    swap = _swaps.get(alias)
    return swap is not None and threading.get_ident() in swap.depths


def at_rest(alias: str) -> Mapping[str, Any]:
    """The settings of an alias as they are outside any swap; empty for no such alias.

    System checks need these: a direct command runs them when its alias is on direct already.
    """
    with lock:
        settings: dict[str, Any] = connections.settings.get(alias, {})
        swap = _swaps.get(alias)
        if swap is None:
            return settings
        before = {key: value for key, value in swap.before.items() if value is not _ABSENT}
        return {**{key: settings[key] for key in settings.keys() - swap.before.keys()}, **before}


def enter(alias: str, parameters: Mapping[str, Any]) -> None:
    """Gives an alias other parameters, until each thread that entered has left.

    Connections of this thread are closed; in a transaction that would lose it.
    """
    thread = threading.get_ident()
    with lock:
        connection = connections[alias]
        swap = _swaps.get(alias)
        if swap is None:
            _close(connection)
            settings = connections.settings[alias]
            ours = dict(parameters)
            pool = settings["OPTIONS"].get("pool")
            if pool:
                # Wrappers of other threads return their connection to `_pool` if OPTIONS has a
                # pool when they close, so both must agree about that, before and after.
                most = pool.get("max_size") or 4 if isinstance(pool, Mapping) else 4
                ours["OPTIONS"] = {**ours["OPTIONS"], "pool": {"min_size": 0, "max_size": most}}
                ours["CONN_MAX_AGE"] = 0
            swap = _Swap({key: settings.get(key, _ABSENT) for key in ours}, ours)
            if settings.get("DISABLE_SERVER_SIDE_CURSORS") and not ours.get(
                "DISABLE_SERVER_SIDE_CURSORS"
            ):
                ours["DISABLE_SERVER_SIDE_CURSORS"] = _CursorsOffElsewhere(swap)
            settings.update(ours)
            _swaps[alias] = swap
        elif thread not in swap.depths:
            connection.close()  # this thread's may still be a pooled one
        swap.depths[thread] = swap.depths.get(thread, 0) + 1


def leave(alias: str) -> None:
    """Ends one :func:`enter` of this thread."""
    thread = threading.get_ident()
    with lock:
        swap = _swaps[alias]
        swap.depths[thread] -= 1
        if swap.depths[thread]:
            return
        del swap.depths[thread]
        connection = connections[alias]
        if swap.depths:
            connection.close()
            return
        try:
            # While the parameters are still ours: closing reads OPTIONS["pool"].
            _close(connection)
        finally:
            del _swaps[alias]
            settings = connections.settings[alias]
            for key, value in swap.ours.items():
                # Whoever changed one meanwhile (a test runner the NAME, a rotation the PASSWORD)
                # meant the change to stay.
                if settings.get(key, _ABSENT) == value:
                    if swap.before[key] is _ABSENT:
                        del settings[key]
                    else:
                        settings[key] = swap.before[key]


def _close(connection: BaseDatabaseWrapper) -> None:
    connection.close()
    # Native pools are kept on the class by alias, with the parameters they were made with.
    close_pool = getattr(connection, "close_pool", None)
    if close_pool is not None:
        close_pool()


def _after_fork() -> None:
    # Another thread may have held it, and that thread does not exist in the child.
    global lock  # noqa: PLW0603
    lock = threading.RLock()


if hasattr(os, "register_at_fork"):  # POSIX
    os.register_at_fork(after_in_child=_after_fork)
