"""Points a pooled alias at the direct endpoint, in place, for as long as something needs it.

Each other way was tried and loses: a migration run on another alias (``--database direct``) commits
what it should have rolled back, or waits for ever on a lock that its own process holds under
``default``; a router sees the ORM only; an ENGINE is a slot that other packages need. So the
parameters in ``connections.settings[alias]`` change, which every ``DatabaseWrapper`` shares and
reads when it connects.

That makes it a matter of the whole process: while one thread runs a direct command, a connection
that another thread *opens* is direct as well. One that is open stays where it is.
"""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, Literal

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from ppg_integrations.errors import ConfigurationError, PPGWarning

from . import state
from .settings import merged

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

Outcome = Literal["direct", "one endpoint", "in a transaction", "not ours"]

_ABSENT: Final = object()
_lock = threading.RLock()


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
def direct_connection(alias: str = "default") -> Iterator[BaseDatabaseWrapper]:
    """Runs a block with an alias on its direct endpoint; gives that alias's connection.

    For session-level work: advisory locks, ``LISTEN``, long transactions, ``SET``. The same block
    may be entered again inside. Inside ``transaction.atomic()`` nothing changes, with a
    :class:`~ppg_integrations.errors.PPGWarning`: closing the connection there would lose the
    transaction. An alias that ``databases()`` did not make is left alone. Asynchronous code puts
    the whole block into a function for ``sync_to_async``, as all work with a connection.

    Args:
        alias: the pooled alias; its direct one means the same.

    Raises:
        MissingDirectURLError: there is no direct URL.
        MissingURLError: there is no URL at all.
    """
    entry = state.find(alias)
    if entry is None:
        yield connections[alias]
        return
    with route(entry) as outcome:
        if outcome == "in a transaction":
            warnings.warn(
                f"direct_connection({alias!r}) inside a transaction changes nothing: "
                "enter it before transaction.atomic()",
                PPGWarning,
                stacklevel=3,
            )
        yield connections[entry.pooled_alias]


@contextmanager
def route(entry: state.Registered) -> Iterator[Outcome]:
    """Runs a block with the pooled alias of a pair on its direct endpoint.

    Gives what came of it: ``direct``; ``one endpoint`` where both URLs reach the same place;
    ``in a transaction`` or ``not ours`` (somebody pointed the alias elsewhere after ``databases()``
    had made it) where the alias was left alone.
    """
    alias = entry.pooled_alias
    with _lock:
        outcome = _outcome(entry)
        if outcome == "direct":
            _enter(alias, direct_parameters(entry))
    try:
        yield outcome
    finally:
        if outcome == "direct":
            _leave(alias)


@contextmanager
def swapped(alias: str, parameters: Mapping[str, Any]) -> Iterator[None]:
    """Runs a block with an alias on other parameters (those of :data:`KEYS`)."""
    _enter(alias, parameters)
    try:
        yield
    finally:
        _leave(alias)


def is_swapped(alias: str) -> bool:
    """Whether an alias runs on exchanged parameters at the moment, in any thread."""
    return alias in _swaps


def at_rest(alias: str) -> Mapping[str, Any]:
    """The settings of an alias as they are outside any swap; empty for no such alias.

    System checks need these: a direct command runs them when its alias is on direct already.
    """
    with _lock:
        settings: dict[str, Any] = connections.settings.get(alias, {})
        swap = _swaps.get(alias)
        if swap is None:
            return settings
        before = {key: value for key, value in swap.before.items() if value is not _ABSENT}
        return {**{key: settings[key] for key in settings.keys() - swap.before.keys()}, **before}


def still_ours(entry: state.Registered) -> bool:
    """Whether the pooled alias still goes where ``databases()`` pointed it."""
    alias = entry.pooled_alias
    settings = connections.settings.get(alias)
    if settings is None or is_swapped(alias):
        return settings is not None
    place = state.Place.of(settings)
    if not place.same_server(entry.place):
        return False
    # Test settings often replace the entry by one of SQLite, which has no HOST either.
    return place.unconfigured or bool(place.host) or connections[alias].vendor == "postgresql"


def may_be_pooled(entry: state.Registered) -> bool:
    """Whether an alias that is not ours any more may still lead through a pooler."""
    alias = entry.pooled_alias
    known = entry.pair is not None and alias in connections.settings
    return known and connections[alias].vendor == "postgresql"


def _outcome(entry: state.Registered) -> Outcome:
    swap = _swaps.get(entry.pooled_alias)
    if swap is not None and threading.get_ident() in swap.depths:
        return "direct"
    if not still_ours(entry):
        return "not ours"
    for alias in (entry.pooled_alias, entry.direct_alias):
        if connections.settings.get(alias, {}).get("ENGINE") == state.UNCONFIGURED:
            error = entry.problem(alias)
            if error is not None:
                raise error
    if entry.direct_alias not in connections.settings:
        raise ConfigurationError(
            f"DATABASES has no alias {entry.direct_alias!r}, which databases() returned beside "
            f"{entry.pooled_alias!r}",
            hint="Keep both: the direct one says where migrations go.",
        )
    parameters = direct_parameters(entry)
    settings = connections.settings[entry.pooled_alias]
    same = all(settings[key] == parameters[key] for key in ("HOST", "PORT", "USER", "NAME"))
    if same and swap is None:
        return "one endpoint"
    if connections[entry.pooled_alias].in_atomic_block:
        return "in a transaction"
    return "direct"


def direct_parameters(entry: state.Registered) -> dict[str, Any]:
    """Those of :data:`KEYS` that lead to the direct endpoint of a pair, which has one."""
    target = connections.settings[entry.pooled_alias]
    source = connections.settings[entry.direct_alias]
    parameters = {key: source[key] for key in KEYS if key in source}
    parameters["OPTIONS"] = merged(source["OPTIONS"], {})
    parameters.setdefault("DISABLE_SERVER_SIDE_CURSORS", False)
    if target["NAME"] != entry.place.name:
        # A test runner has renamed it, and calls `migrate` itself on the new name.
        parameters["NAME"] = target["NAME"]
    return parameters


def _enter(alias: str, parameters: Mapping[str, Any]) -> None:
    thread = threading.get_ident()
    with _lock:
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


def _leave(alias: str) -> None:
    thread = threading.get_ident()
    with _lock:
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
    global _lock  # noqa: PLW0603
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):  # POSIX
    os.register_at_fork(after_in_child=_after_fork)
