"""The pool of an engine: how many connections it keeps, and for how long."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from typing import Any, Final

from sqlalchemy import NullPool, QueuePool

#: Sizes and seconds of the pool that a process keeps. There is no overflow: what exceeds the size
#: is closed as soon as it is given back, and whoever needs it logs in anew. A process that is idle
#: gives up what others on the machine ask for: :mod:`ppg_integrations.resting`.
DEFAULTS: Final = {
    "pool_size": 10,
    "max_overflow": 0,
    "pool_timeout": 10,
    "pool_recycle": 300,
    "pool_use_lifo": True,
}
#: Of these, what a pool that keeps nothing does not take.
_QUEUE: Final = frozenset({"pool_size", "max_overflow", "pool_timeout", "pool_use_lifo"})


def options(given: Mapping[str, Any], *, keeps: bool) -> dict[str, Any]:
    """Those of this package.

    Args:
        given: the user's own, which say what pool it is.
        keeps: whether connections may be kept between uses.
    """
    if given.get("pool") is not None:
        return {}
    own = given.get("poolclass")
    if own is None:
        if not keeps and not _QUEUE & given.keys():
            return {"poolclass": NullPool}
        return dict(DEFAULTS)
    if issubclass(own, QueuePool):
        return dict(DEFAULTS)
    return {name: value for name, value in DEFAULTS.items() if name not in _QUEUE}


def fit(arguments: MutableMapping[str, Any]) -> None:
    """Takes out of ``create_engine``'s arguments what is ours, and nothing for the pool in them.

    Flask-SQLAlchemy lays ``SQLALCHEMY_ENGINE_OPTIONS`` over the options of its constructor key by
    key: a pool of the one can meet the sizes of the other.
    """
    own, pool = arguments.get("poolclass"), arguments.get("pool")
    if pool is not None:
        wrong = frozenset(DEFAULTS)
    elif own is not None and not issubclass(own, QueuePool):
        wrong = _QUEUE
    else:
        return
    for name in wrong:
        if arguments.get(name) == DEFAULTS[name]:
            del arguments[name]
    # Sizes of the user's, then: they win over a pool of ours, which keeps nothing.
    if own is NullPool and (pool is not None or _QUEUE & arguments.keys()):
        del arguments["poolclass"]
        arguments.update({**options(arguments, keeps=True), **arguments})
