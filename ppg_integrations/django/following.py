"""The pair that the aliases of one ``databases()`` call lead to, also after a rotation.

A rotation changes what ``connections.settings`` holds, in place: every ``DatabaseWrapper`` reads it
when it connects. Nothing is done before something does, so that settings import as fast as ever.
"""

from __future__ import annotations

import math
import os
import threading
import warnings
from typing import TYPE_CHECKING, Final, Literal, NamedTuple
from weakref import WeakSet

from django.db import connections

from ppg_integrations.current import MOMENT
from ppg_integrations.errors import PPGError, PPGWarning

from . import state, swapping

if TYPE_CHECKING:
    from ppg_integrations.current import CurrentPair
    from ppg_integrations.pair import ConnectionPair
    from ppg_integrations.urls import PostgresURL

    from .entries import Entry

Half = Literal["pooled", "direct", "replica"]


class Destination(NamedTuple):
    """Where an alias leads.

    Attributes:
        half: of the pair.
        url: of that half.
        source: where it came from, in words.
        keeps_sessions: False behind a transaction pooler, where a connection has no session that
            work could rely on.
    """

    half: Half
    url: PostgresURL
    source: str
    keeps_sessions: bool


class Followed:
    """The pair of one call, looked at anew when its store changes. Threads may share it."""

    def __init__(self, entry: state.Registered, source: state.Source, pair: ConnectionPair) -> None:
        """Looks at nothing yet.

        Args:
            entry: the call, whose ``pair`` and places are kept up to date.
            source: how that call found its pair.
            pair: what it found.

        Attributes:
            settings: how connections are opened and kept.
        """
        self.settings = entry.connect_settings
        self._entry = entry
        self._source = source
        self._pair = pair  #: in use
        self._seen = pair  #: looked at last, in use or not
        self._looked = -math.inf
        self._known: dict[Half, Destination] = {}
        self._made: dict[str, Entry] = {}
        self._current: CurrentPair | None = None
        self._lock = threading.Lock()
        _alive.add(self)

    def pair(self) -> ConnectionPair:
        """The pair as it is now, which the settings of its aliases lead to from now on."""
        current = self._current or self._begun()
        if current.found() is not self._seen:
            with self._lock:
                found = current.found()  # another thread may have seen a later one meanwhile
                if found is not self._seen:
                    self._take(found)
                    self._seen = found
        return self._pair

    def url(self, half: Half, now: float) -> PostgresURL | None:
        """One half of the pair as it was a moment ago; None where it has lost that half.

        Args:
            now: by :func:`time.monotonic`. A busy process looks at the store once in
                :data:`~ppg_integrations.current.MOMENT`, not in each request.
        """
        if now - self._looked >= MOMENT:
            self.pair()
            self._looked = now
        url: PostgresURL | None = getattr(self._pair, half)
        return url

    def destination(self, alias: str) -> Destination | None:
        """Where a connection of an alias leads that is opened now.

        None where it is no concern of ours: somebody has pointed the alias elsewhere, or a test run
        has.
        """
        pair = self.pair()
        half = self._half(alias)
        url: PostgresURL | None = getattr(pair, half) if half else None
        if half is None or url is None:
            return None
        known = self._known.get(half)
        if known is None or known.url is not url:  # each pair that is found has URLs of its own
            known = self._known[half] = Destination(
                half,
                url,
                str(getattr(pair, f"{half}_source")),
                half == "direct" or (half == "pooled" and pair.one_endpoint),
            )
        return known

    def _half(self, alias: str) -> Half | None:
        entry = self._entry
        half: Half
        if swapping.is_swapped(alias):
            half, made = "direct", self._made.get(entry.direct_alias)
        elif alias == entry.replica_alias:
            half, made = "replica", self._made.get(alias)
        else:
            is_direct = entry.forced or alias == entry.direct_alias
            half, made = "direct" if is_direct else "pooled", self._made.get(alias)
        if made is None or not state.same_server(connections.settings.get(alias, {}), made):
            return None
        return half

    def _begun(self) -> CurrentPair:
        with self._lock:
            if self._current is None:
                self._made = self._remade(self._pair)
                self._current = self._source.follow(self._pair)
            return self._current

    def _take(self, found: ConnectionPair) -> None:
        old = self._pair
        if (found.pooled, found.direct, found.replica) == (old.pooled, old.direct, old.replica):
            return  # something else in the file is new
        try:
            made = self._remade(found)
        except PPGError as error:
            warnings.warn(
                f"{found.store}: {error.message}; the last good pair stays in use",
                PPGWarning,
                stacklevel=2,
            )
            return
        entry = self._entry
        direct = (self._made[entry.direct_alias], made[entry.direct_alias])
        for alias in self._made.keys() & made.keys():
            swapping.renew(alias, self._made[alias], made[alias], direct)
            if made[alias]["ENGINE"] != state.UNCONFIGURED:  # else the settings keep the old one
                self._made[alias] = made[alias]
        entry.pair = self._pair = found
        entry.place = state.Place.of(self._made[entry.pooled_alias])
        entry.direct_place = state.Place.of(self._made[entry.direct_alias])

    def _remade(self, pair: ConnectionPair) -> dict[str, Entry]:
        aliases = (*self._entry.aliases, None)
        made = zip(aliases, self._source.remake(pair), strict=False)
        return {alias: entry for alias, entry in made if alias is not None}


_alive: Final[WeakSet[Followed]] = WeakSet()
_lock = threading.Lock()


def followed(alias: str) -> Followed | None:
    """What follows the pair of an alias; None for one that is not ours, or has no pair."""
    for entry in state.registered():
        if alias in entry.aliases and entry.pair is not None and entry.source is not None:
            with _lock:
                if entry.followed is None:
                    entry.followed = Followed(entry, entry.source, entry.pair)
            return entry.followed
    return None


def _renew_locks() -> None:
    """In the child of a fork, where a thread of the parent may have held one, and is no more."""
    global _lock  # noqa: PLW0603
    _lock = threading.Lock()
    for each in list(_alive):
        each._lock = threading.Lock()  # noqa: SLF001 - this module's own


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_renew_locks)
