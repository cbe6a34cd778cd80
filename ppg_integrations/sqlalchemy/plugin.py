"""Asks for the endpoint each time an engine opens a connection."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakSet

from sqlalchemy import URL, event
from sqlalchemy.dialects import plugins
from sqlalchemy.engine import CreateEnginePlugin
from sqlalchemy.exc import MissingGreenlet

from ppg_integrations import conversions
from ppg_integrations.endpoint import Endpoint
from ppg_integrations.errors import ConfigurationError
from ppg_integrations.secret import MaskedStr

from . import diversion, pooling

try:
    from sqlalchemy.util import await_
except ImportError:  # its name in SQLAlchemy 2.0
    from sqlalchemy.util import await_only as await_

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Engine
    from sqlalchemy.engine import Dialect
    from sqlalchemy.engine.interfaces import DBAPIConnection
    from sqlalchemy.pool import ConnectionPoolEntry

#: Its name in ``create_engine(plugins=[...])``, and that of the argument that it takes.
NAME: Final = "ppg"

#: Those that have the plugin, and their dialects.
_engines: Final[WeakSet[Engine]] = WeakSet()
_dialects: Final[WeakSet[Dialect]] = WeakSet()


class _Password(MaskedStr):
    """One that stays masked when ``URL.translate_connect_args`` makes a text of it."""

    __slots__ = ()

    def __str__(self) -> str:
        return self


class Plugin(CreateEnginePlugin):
    """``create_engine(..., plugins=["ppg"], ppg=endpoint)``; :func:`.engine_options` writes it."""

    def __init__(self, url: URL, kwargs: dict[str, Any]) -> None:
        """Takes its argument out of those of ``create_engine``.

        Raises:
            ConfigurationError: there is none, or it is no endpoint.
        """
        super().__init__(url, kwargs)
        endpoint = kwargs.pop(NAME, None)
        if not isinstance(endpoint, Endpoint):
            raise ConfigurationError(
                f"the engine plugin {NAME!r} got no endpoint",
                hint="Take the options of the engine from engine_options(), all of them.",
            )
        pooling.fit(kwargs)
        self._endpoint = endpoint
        self._given = frozenset(kwargs.get("connect_args") or ())

    def update_url(self, url: URL) -> URL:
        """Hides the password in what SQLAlchemy makes of the URL, the variables of its frames.

        Error reporters print those whenever a connection fails.
        """
        return url.set(password=_Password(url.password)) if url.password else url

    def engine_created(self, engine: Engine) -> None:
        """Listens to each connection that the engine is about to open."""
        password = engine.url.password
        if isinstance(password, _Password):
            # It hides its password itself. Who makes another engine from it, such as an env.py,
            # gets what was there: asyncpg takes a plain text only.
            engine.url = engine.url.set(password="".join(password))
        event.listen(engine, "do_connect", _Opener(engine, self._endpoint, self._given).open)
        _engines.add(engine)
        _dialects.add(engine.dialect)


def engines() -> list[Engine]:
    """Those of the process that have the plugin and are in use."""
    return list(_engines)


def opens(dialect: Dialect) -> bool:
    """Whether it is the plugin that opens the connections of the engine with this dialect."""
    return dialect in _dialects


class _Opener:
    """Opens the connections of one engine."""

    def __init__(self, engine: Engine, endpoint: Endpoint, given: frozenset[str]) -> None:
        dialect = engine.dialect
        self._endpoint = endpoint
        self._given = given
        self._built: Mapping[str, Any] = dialect.create_connect_args(engine.url)[1]
        nowhere = URL.create(engine.url.drivername)
        #: What the dialect adds wherever it connects to, such as psycopg's adapters.
        self._dialects_own: Mapping[str, Any] = dialect.create_connect_args(nowhere)[1]

    def open(
        self,
        dialect: Dialect,
        record: ConnectionPoolEntry | None,
        _cargs: object,
        cparams: Mapping[str, Any],
    ) -> DBAPIConnection:
        """Connects to where the endpoint is now.

        `cparams` is what the engine was built with, ``connect_args`` over it, and what listeners
        have changed. Only the last two count. In SQLAlchemy 2.0 all threads share it.
        """
        if dialect.is_async:
            self._look_from_loop(dialect)
        url, kept = self._endpoint.destination()
        if record is not None:
            diversion.opened(record, self._endpoint, kept=kept)
        given = {
            name: value
            for name, value in cparams.items()
            if name in self._given or name not in self._built or self._built[name] != value
        }
        timeout = "timeout" if dialect.driver == "asyncpg" else "connect_timeout"
        keywords = {
            **self._dialects_own,
            timeout: conversions.CONNECT_TIMEOUT,
            **conversions.connect_keywords(url, dialect.driver),
            **given,
        }
        # Returning a connection ends the event. The listeners that the user has added since get
        # their turn all the same, to change the keywords or to connect.
        args: list[Any] = []
        listeners = iter(dialect.dispatch.do_connect)
        for listener in listeners:
            if listener == self.open:
                break
        for listener in listeners:
            connection: DBAPIConnection | None = listener(dialect, record, args, keywords)
            if connection is not None:
                return connection
        return dialect.connect(*args, **keywords)

    def _look_from_loop(self, dialect: Dialect) -> None:
        # A store that has changed is read, and an API may be asked: not in the event loop.
        try:
            await_(asyncio.to_thread(self._look))
        except MissingGreenlet:
            raise ConfigurationError(
                f"this engine's driver, {dialect.driver}, works in an event loop only, and there "
                "is none",
                hint="Choose psycopg or psycopg2 for it, such as by PPG_DRIVER; an engine for "
                "asyncio is made by create_async_engine().",
            ) from None

    def _look(self) -> None:
        _ = self._endpoint.current.pair


def _forget_connections() -> None:
    """Gives each engine an empty pool: the sockets in the one that it has are the parent's."""
    for engine in list(_engines):
        engine.dispose(close=False)


# gunicorn --preload, Celery, multiprocessing: the parent has connected, and then it forks.
# https://docs.sqlalchemy.org/en/20/core/pooling.html#using-connection-pools-with-multiprocessing-or-os-fork
if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_forget_connections)

plugins.register(NAME, __name__, Plugin.__name__)
