"""Django's own pool, ``OPTIONS["pool"]``, which keeps the parameters that it was made with."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from typing import Any, Final
from weakref import WeakKeyDictionary, WeakSet

from ppg_integrations import liveness
from ppg_integrations.urls import PostgresURL

#: By pool, where its connections lead.
_urls: Final[WeakKeyDictionary[Any, PostgresURL]] = WeakKeyDictionary()
#: Those that lead elsewhere than they once did, and may still open a connection to there.
_moved: Final[WeakSet[Any]] = WeakSet()
#: By connection, when somebody got it from its pool, by :func:`time.monotonic`.
_used: Final[WeakKeyDictionary[Any, float]] = WeakKeyDictionary()
_lock = threading.Lock()


def is_used(wrapper: Any) -> bool:
    """Whether an alias has a pool."""
    return bool(wrapper.settings_dict["OPTIONS"].get("pool"))


def connect(
    wrapper: Any, url: PostgresURL, class_connect: Callable[[], None], window: float
) -> None:
    """The class's own ``connect()``, with a connection that the pool opened for `url`.

    Args:
        wrapper: of an alias that has a pool.
        url: where the alias leads now; its settings do already.
        class_connect: of the wrapper.
        window: seconds within which a connection counts as alive.
    """
    pool = wrapper.pool
    if _urls.get(pool) is not url:
        with _lock:
            _lead(pool, wrapper, url, window)
    try:
        class_connect()
        while not _is_current(wrapper, pool):
            wrapper.connection.close()  # its pool opens another one in its place
            wrapper.close()
            class_connect()
    except wrapper.Database.Error as error:
        if type(error).__name__ == "PoolTimeout":
            error.args = (f"{error}; the logger psycopg.pool has the reason",)
        raise
    _used[wrapper.connection] = time.monotonic()


def _lead(pool: Any, wrapper: Any, url: PostgresURL, window: float) -> None:
    """Makes a pool open its next connections for `url`, and close those that it has.

    Nobody who waits is sent away: a connection that comes back is closed, and the one opened in its
    place is theirs.
    """
    if pool not in _urls:
        _test_what_was_idle(pool, window)
    _urls[pool] = url
    keywords = _keywords(pool)
    if keywords is None:
        return
    changed = {**keywords, **wrapper.get_connection_params()}
    if changed != keywords:
        _moved.add(pool)
        pool.kwargs = changed  # psycopg_pool reads it for each connection
        if not pool.closed and hasattr(pool, "drain"):  # from psycopg_pool 3.3 on
            pool.drain()


def _keywords(pool: Any) -> dict[str, Any] | None:
    """What a pool connects with; None where a function of somebody else's says it."""
    return None if callable(pool.kwargs) else pool.kwargs


def _is_current(wrapper: Any, pool: Any) -> bool:
    """False for a connection of another role.

    One that was being opened when the pool was drained, or any before psycopg_pool 3.3. A session
    of the same role outlives the password that it was opened with.
    """
    if pool not in _moved:
        return True
    user = (_keywords(pool) or {}).get("user")
    return user is None or bool(wrapper.connection.info.user == user)


def _test_what_was_idle(pool: Any, window: float) -> None:
    """Spares the pool its round trip for connections that were used a moment ago."""
    check: Callable[[Any], None] = pool.check_connection
    if getattr(pool, "_check", None) is not check:
        return  # health checks are off, or the project has its own

    def test(connection: Any) -> None:
        last_used = _used.get(connection, 0.0)
        fileno = connection.fileno()
        if liveness.needs_test(fileno, last_used, window):
            with liveness.limited(fileno):
                check(connection)

    pool._check = test  # noqa: SLF001 - only Django 6.1 lets one be given


def _renew_lock() -> None:
    global _lock  # noqa: PLW0603
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_renew_lock)
