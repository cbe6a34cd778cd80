"""Engines of others, in a migration.

``env.py`` is generated once and then kept for years. Those of Flask-Migrate before 2.6 build an
engine of their own from ``SQLALCHEMY_DATABASE_URI``, and so do many hand-written ones. Where such
an engine connects to the pooled place, with the pair's user, while this thread migrates, it gets
the direct endpoint. What it demands beyond the pooled URL, such as a stricter ``sslmode``, stays.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import URL, Engine, Pool, event

from ppg_integrations import conversions
from ppg_integrations.hostport import DEFAULT_PORT
from ppg_integrations.sqlalchemy import checkouts, plugin
from ppg_integrations.sqlalchemy.options import DRIVERS

if TYPE_CHECKING:
    from sqlalchemy.engine import Dialect
    from sqlalchemy.engine.interfaces import DBAPIConnection
    from sqlalchemy.pool import ConnectionPoolEntry

    from ppg_integrations.endpoint import Endpoint

#: Where a connection leads, and whose it is, in the words of each driver. The password is not
#: compared: it may be one from before a rotation.
_PLACE: Final = frozenset({"host", "hostaddr", "port", "dbname", "database", "user", "password"})

_lock: Final = threading.Lock()


def prepare() -> None:
    """To be called at start-up: listens to all engines and their pools from then on.

    And not when a run begins: adding a listener to pools that threads are using can break their
    iteration over those that they have (see the note at ``sqlalchemy.event.listen``).
    """
    with _lock:
        if not event.contains(Engine, "do_connect", _open):
            event.listen(Pool, "checkin", checkouts.leave)
            event.listen(Engine, "do_connect", _open)


def withdraw() -> None:
    """Undoes :func:`prepare`, for tests, while no other thread connects."""
    with _lock:
        if event.contains(Engine, "do_connect", _open):
            event.remove(Engine, "do_connect", _open)
            event.remove(Pool, "checkin", checkouts.leave)


def _open(
    dialect: Dialect,
    record: ConnectionPoolEntry | None,
    _cargs: object,
    cparams: Mapping[str, Any],
) -> DBAPIConnection | None:
    driver = dialect.driver
    if dialect.name != "postgresql" or driver not in DRIVERS or plugin.opens(dialect):
        return None
    for endpoint in _diverted():
        pair = endpoint.current.pair
        pooled = dialect.create_connect_args(conversions.sqlalchemy(pair.pooled, driver))[1]
        if pair.one_endpoint or _place(cparams) != _place(pooled):
            continue
        url, kept = endpoint.destination()
        if record is not None and not kept:
            checkouts.once(record)
        dialects_own = dialect.create_connect_args(URL.create(f"postgresql+{driver}"))[1]
        # What the engine has from the pooled URL gives way to the direct one, and the rest is its
        # own. A password stays where the direct URL has none.
        own = {
            name: value
            for name, value in cparams.items()
            if name == "password" or (name not in _PLACE and pooled.get(name) != value)
        }
        keywords = conversions.connect_keywords(url, driver)
        place = {name: value for name, value in keywords.items() if name in _PLACE}
        return dialect.connect(**{**dialects_own, **keywords, **own, **place})
    return None


def _diverted() -> Iterator[Endpoint]:
    """The pooled endpoints that stand for direct ones in this thread."""
    from .state import states

    for state in states():
        if state.migrations.active():
            for bind in (None, *state.binds):
                endpoint = state.endpoint(bind=bind)
                if endpoint.is_diverted() and endpoint.current.error is None:
                    yield endpoint


def _place(parameters: Mapping[str, Any]) -> tuple[str, str, str, str]:
    host = str(parameters.get("host", "")).lower()
    port = str(parameters.get("port") or DEFAULT_PORT)
    user = str(parameters.get("user") or "")
    return host, port, user, str(parameters.get("dbname") or parameters.get("database") or user)
