"""Prepares each ``DatabaseWrapper`` of a pair's aliases, with Django's own ENGINE.

``django.db.connections`` makes one for each alias and thread. Its ``create_connection`` is replaced
by one that goes on to make what it made, and then hands the wrapper to :mod:`.upkeep`. An ENGINE of
ours would do the same in fewer lines, and take the one place that PostGIS, django-tenants and
Prometheus need.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

#: Where a prepared wrapper keeps its upkeep.
_ATTRIBUTE: Final = "_ppg_upkeep"


class _Preparing:
    """``connections.create_connection``, and the preparation of what it gives."""

    def __init__(self, create: Callable[[str], BaseDatabaseWrapper]) -> None:
        self._create = create

    def __call__(self, alias: str) -> BaseDatabaseWrapper:
        wrapper = self._create(alias)
        prepare(wrapper)
        return wrapper


def install() -> None:
    """From now on each new wrapper is prepared, and so are those that this thread has already."""
    create = connections.create_connection
    if not isinstance(create, _Preparing):
        connections.create_connection = _Preparing(create)  # type: ignore[method-assign]
    if "settings" in vars(connections):  # else there are none, and asking would read DATABASES
        for wrapper in connections.all(initialized_only=True):
            prepare(wrapper)


def is_installed() -> bool:
    """Whether nobody has come after :func:`install`. Whoever has may still ask what it set."""
    return isinstance(connections.create_connection, _Preparing)


def prepare(wrapper: BaseDatabaseWrapper) -> None:
    """Prepares a wrapper of an alias that leads to a pair; leaves every other one as it is."""
    if wrapper.vendor != "postgresql" or is_prepared(wrapper):
        return
    # Here, as setting Django up would pay for it, in commands that never connect, too.
    from .following import followed

    found = followed(wrapper.alias)
    if found is not None:
        from .upkeep import Upkeep

        setattr(wrapper, _ATTRIBUTE, Upkeep(wrapper, found))


def is_prepared(wrapper: BaseDatabaseWrapper) -> bool:
    """Whether a wrapper follows its pair."""
    return _ATTRIBUTE in vars(wrapper)
