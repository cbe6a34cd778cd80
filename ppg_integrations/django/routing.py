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

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from ppg_integrations.errors import ConfigurationError, PPGWarning

from . import entries, state, swapping

Outcome = Literal["direct", "one endpoint", "in a transaction", "not ours"]


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
    with swapping.lock:
        outcome = _outcome(entry)
        if outcome == "direct":
            swapping.enter(alias, direct_parameters(entry))
    try:
        yield outcome
    finally:
        if outcome == "direct":
            swapping.leave(alias)


def still_ours(entry: state.Registered) -> bool:
    """Whether the pooled alias still goes where ``databases()`` pointed it."""
    alias = entry.pooled_alias
    settings = connections.settings.get(alias)
    if settings is None or swapping.is_swapped(alias):
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
    if swapping.is_entered(entry.pooled_alias):
        return "direct"
    if not still_ours(entry):
        return "not ours"
    check(entry)
    parameters = direct_parameters(entry)
    settings = connections.settings[entry.pooled_alias]
    same = all(settings[key] == parameters[key] for key in ("HOST", "PORT", "USER", "NAME"))
    if same and not swapping.is_swapped(entry.pooled_alias):
        return "one endpoint"
    if connections[entry.pooled_alias].in_atomic_block:
        return "in a transaction"
    return "direct"


def check(entry: state.Registered) -> None:
    """Nothing, where a pair has a direct alias that leads somewhere.

    Raises:
        MissingDirectURLError: there is no direct URL.
        MissingURLError: there is no URL at all.
        ConfigurationError: ``DATABASES`` has lost the alias.
    """
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


def direct_parameters(entry: state.Registered) -> dict[str, Any]:
    """Those of :data:`KEYS` that lead to the direct endpoint of a pair, which has one."""
    target = connections.settings[entry.pooled_alias]
    source = connections.settings[entry.direct_alias]
    parameters = {key: source[key] for key in swapping.KEYS if key in source}
    parameters["OPTIONS"] = entries.merged(source["OPTIONS"], {})
    parameters.setdefault("DISABLE_SERVER_SIDE_CURSORS", False)
    if target["NAME"] != entry.place.name:
        # A test runner has renamed it, and calls `migrate` itself on the new name.
        parameters["NAME"] = target["NAME"]
    return parameters
