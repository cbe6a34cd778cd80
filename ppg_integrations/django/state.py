"""What ``databases()`` was asked for, so that routing, checks and ``ppg_connect`` know it.

The settings module fills it in while Django imports it. Other code may call ``databases()`` too, a
second settings file or a unit test, so every call is kept; the one that counts for an alias is the
one whose values Django uses.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from ppg_integrations.connect_settings import DEFAULT, ConnectSettings
from ppg_integrations.errors import MissingDirectURLError, PPGError
from ppg_integrations.value import Value

if TYPE_CHECKING:
    from ppg_integrations.current import CurrentPair
    from ppg_integrations.pair import ConnectionPair

    from .following import Followed

#: ENGINE of an alias for which there is no URL: every use of it says which variable to set.
UNCONFIGURED: Final = "ppg_integrations.django.unconfigured"


class Place(Value):
    """Where the settings of an alias lead."""

    __slots__ = ("unconfigured", "host", "port", "user", "name")  # noqa: RUF023 - the arguments

    unconfigured: bool
    host: str
    port: int | str
    user: str
    name: str

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Place:
        """The place in an entry of ``DATABASES``, before or after Django has completed it."""
        texts = (values.get(key, "") for key in ("HOST", "PORT", "USER", "NAME"))
        return cls(values.get("ENGINE") == UNCONFIGURED, *texts)

    def same_server(self, other: Place) -> bool:
        """Whether both lead to one server, whatever the user and the database there."""
        here = (self.unconfigured, self.host, self.port)
        return here == (other.unconfigured, other.host, other.port)

    def likeness(self, other: Place) -> int:
        """0 for another server, 3 for the same user and database of the same server."""
        if not self.same_server(other):
            return 0
        # A test runner changes the name, and a rotation may change the user.
        return 1 + (self.user == other.user) + (self.name == other.name)


def same_server(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """:meth:`Place.same_server` of two entries of ``DATABASES``, for each new connection."""
    here, there = (
        (values.get("ENGINE") == UNCONFIGURED, values.get("HOST", ""), values.get("PORT", ""))
        for values in (one, other)
    )
    return here == there


class Source:
    """How a call of ``databases()`` found its pair, and what it makes of one.

    Attributes:
        remake: the entries for a pair, in the order of the aliases.
        follow: looks where the call looked, for a pair to take the place of the given one.
    """

    __slots__ = ("follow", "remake")

    def __init__(
        self,
        remake: Callable[[ConnectionPair], list[dict[str, Any]]],
        follow: Callable[[ConnectionPair], CurrentPair],
    ) -> None:
        self.remake = remake
        self.follow = follow


class Registered:
    """One call of ``databases()``.

    Attributes:
        pooled_alias, direct_alias: names in ``DATABASES``.
        pair: what was resolved, or what has taken its place since; None where that failed.
        error: why ``pair`` is None.
        env_file: absolute path of the ``.env`` file that was, or would have been, read; None where
            none is to be read.
        place: of the pooled alias as it was returned; whoever changed its host or port since meant
            another database, and routing keeps away from it.
        direct_place: of the direct alias.
        forced: ``PPG_DIRECT`` gave the pooled alias the direct parameters.
        replica_alias: name of the read replica in ``DATABASES``; None where there is none. It is no
            half of the pair: :func:`find` does not know it, so nothing is routed there.
        connect_settings: how connections of these aliases are opened and kept.
        source: what to do when the pair changes; None without a pair.
        usual_age: nobody has said how long the pooled alias keeps connections.
        followed: what follows the pair; None until a connection is prepared.
    """

    __slots__ = (
        "connect_settings",
        "direct_alias",
        "direct_place",
        "env_file",
        "error",
        "followed",
        "forced",
        "pair",
        "place",
        "pooled_alias",
        "replica_alias",
        "source",
        "usual_age",
    )

    def __init__(
        self,
        pooled_alias: str,
        direct_alias: str,
        pair: ConnectionPair | None,
        error: PPGError | None,
        env_file: str | None,
        place: Place,
        direct_place: Place,
        forced: bool = False,
        replica_alias: str | None = None,
        connect_settings: ConnectSettings = DEFAULT,
        source: Source | None = None,
        usual_age: bool = False,
    ) -> None:
        self.pooled_alias = pooled_alias
        self.direct_alias = direct_alias
        self.pair = pair
        self.error = error
        self.env_file = env_file
        self.place = place
        self.direct_place = direct_place
        self.forced = forced
        self.replica_alias = replica_alias
        self.connect_settings = connect_settings
        self.source = source
        self.usual_age = usual_age
        self.followed: Followed | None = None

    @property
    def aliases(self) -> tuple[str, ...]:
        """All aliases that the call returned."""
        names = (self.pooled_alias, self.direct_alias, self.replica_alias)
        return tuple(name for name in names if name is not None)

    def problem(self, alias: str) -> PPGError | None:
        """Why an alias of this pair has no URL; None where it has one."""
        if self.pair is None:
            return self.error
        if alias == self.direct_alias:
            try:
                self.pair.require_direct()
            except MissingDirectURLError as error:
                return error
        return None


_calls: list[Registered] = []
#: The same by the aliases of either half, so that a process with many looks none of them through.
_by_alias: dict[str, list[Registered]] = {}
_failures: dict[int, tuple[PPGError, float]] = {}
#: Seconds within which Django's next import of a settings module that failed is the same attempt.
_SAME_ATTEMPT: Final = 10.0


def register(entry: Registered) -> None:
    """Keeps a call."""
    _calls.append(entry)
    for alias in (entry.pooled_alias, entry.direct_alias):
        _by_alias.setdefault(alias, []).append(entry)


def fail(call: tuple[object, ...], environ: Mapping[str, str], error: PPGError) -> None:
    """Keeps why an API gave no pair, for :func:`raise_again`.

    Args:
        call: the other arguments that the answer depends on.
    """
    _failures[_hash(call, environ)] = (error, time.monotonic())


def raise_again(call: tuple[object, ...], environ: Mapping[str, str]) -> None:
    """Raises what the same call raised a moment ago.

    One command of Django's imports a settings module that fails up to three times, and the API is
    not to be waited for as often.
    """
    if _failures:
        error, at = _failures.get(_hash(call, environ), (None, 0.0))
        if error is not None and time.monotonic() - at < _SAME_ATTEMPT:
            raise error


def _hash(call: tuple[object, ...], environ: Mapping[str, str]) -> int:
    return hash((*map(str, call), frozenset(environ.items())))


def registered() -> tuple[Registered, ...]:
    """All pairs that are in ``DATABASES``, in the order of their calls."""
    return tuple(entry for entry in _pairs() if _live(entry.pooled_alias) != {})


def current() -> Registered | None:
    """The pair that a command means when it names none: that of ``default``, else the last one."""
    pairs = _pairs()
    default = (entry for entry in pairs if entry.pooled_alias == "default")
    return next(default, pairs[-1] if pairs else None)


def find(alias: str) -> Registered | None:
    """The pair that an alias belongs to, as either half; None for an alias that is not ours."""
    for entry in _by_alias.get(alias, ()):
        pooled = entry.pooled_alias
        if _best(_by_alias[pooled]).get(pooled) is entry and _live(pooled) != {}:
            return entry
    return None


def clear() -> None:
    """Forgets everything. For tests that call ``databases()`` without a Django project."""
    _calls.clear()
    _by_alias.clear()
    _failures.clear()


def _pairs() -> list[Registered]:
    """All that count, in the order of their calls."""
    return [*_best(_calls).values()]


def _best(calls: list[Registered]) -> dict[str, Registered]:
    """One call for each pooled alias: the last of those that Django's values fit best."""
    best: dict[str, Registered] = {}
    for entry in calls:
        rival = best.get(entry.pooled_alias)
        if rival is None or _fit(entry) >= _fit(rival):
            best.pop(entry.pooled_alias, None)
            best[entry.pooled_alias] = entry
    return best


def _fit(entry: Registered) -> tuple[int, int]:
    pooled, direct = _live(entry.pooled_alias), _live(entry.direct_alias)
    return (
        entry.place.likeness(Place.of(pooled)) if pooled else 0,
        entry.direct_place.likeness(Place.of(direct)) if direct else 0,
    )


def _live(alias: str) -> Mapping[str, Any] | None:
    """The settings that Django uses, outside any swap; None as long as there are none to be had."""
    conf = sys.modules.get("django.conf")
    if conf is None or not conf.settings.configured:
        return None  # while Django imports the settings module, too
    from .swapping import at_rest

    return at_rest(alias)
