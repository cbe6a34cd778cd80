"""Asks for the endpoint each time an engine opens a connection."""

from __future__ import annotations

import math
import os
import time
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakSet

from sqlalchemy import URL, event
from sqlalchemy.dialects import plugins
from sqlalchemy.engine import CreateEnginePlugin

from ppg_integrations import connecting, conversions
from ppg_integrations.endpoint import Endpoint
from ppg_integrations.errors import ConfigurationError, PPGError
from ppg_integrations.secret import MaskedStr

from . import checkouts, loops, pooling
from .passed import Passed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Engine
    from sqlalchemy.engine import Dialect
    from sqlalchemy.engine.interfaces import DBAPIConnection
    from sqlalchemy.pool import ConnectionPoolEntry

    from ppg_integrations.pair import ConnectionPair
    from ppg_integrations.urls import PostgresURL

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
        # Who says whether to ping, or makes the pool, tests as he likes.
        self._tests = "pool_pre_ping" not in kwargs and kwargs.get("pool") is None
        # A ping that finds one that was given up would empty the pool.
        self._trims = kwargs.get("pool") is None and not kwargs.get("pool_pre_ping")
        self._given = frozenset(kwargs.get("connect_args") or ())

    def update_url(self, url: URL) -> URL:
        """Hides the password in what SQLAlchemy makes of the URL, the variables of its frames.

        Error reporters print those whenever a connection fails.
        """
        return url.set(password=_Password(url.password)) if url.password else url

    def engine_created(self, engine: Engine) -> None:
        """Listens to each connection that the engine is about to open, and to its pool."""
        password = engine.url.password
        if isinstance(password, _Password):
            # It hides its password itself. Who makes another engine from it, such as an env.py,
            # gets what was there: asyncpg takes a plain text only.
            engine.url = engine.url.set(password="".join(password))
        found = checkouts.watch(engine, self._endpoint, tests=self._tests, trims=self._trims)
        opener = _Opener(engine, self._endpoint, self._given, found)
        event.listen(engine, "do_connect", opener.open)
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

    def __init__(
        self,
        engine: Engine,
        endpoint: Endpoint,
        given: frozenset[str],
        watched: checkouts.Checkouts,
    ) -> None:
        dialect = engine.dialect
        self._endpoint = endpoint
        self._given = given
        self._watched = watched
        self._errors = loops.errors(dialect)
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
        """Connects to where the endpoint is now, as often as it takes.

        `cparams` is what the engine was built with, ``connect_args`` over it, and what listeners
        have changed. Only the last two count. In SQLAlchemy 2.0 all threads share it.
        """
        if dialect.is_async:
            loops.check(dialect)
        given = {
            name: value
            for name, value in cparams.items()
            if name in self._given or name not in self._built or self._built[name] != value
        }

        taken: list[Passed] = []

        def where() -> tuple[PostgresURL, str]:
            if dialect.is_async:
                loops.look(self._endpoint)
            pair = self._pair()
            url, kept = self._endpoint.destination()
            if record is not None:
                self._watched.opened(record, pair, kept=kept)
            source = pair.direct_source if self._endpoint.direct or not kept else pair.pooled_source
            return url, str(source or "")

        def connect(url: PostgresURL, left: float) -> DBAPIConnection:
            while taken:
                passed = taken.pop()
                if passed.url == self._endpoint.current.pair.pooled:
                    return passed.connection
                passed.close()
            return self._connect(dialect, record, url, left, given)

        shared = not (self._endpoint.direct or self._endpoint.is_diverted())
        try:
            return connecting.patiently(
                connect,
                where,
                errors=self._errors,
                deadline=self._endpoint.settings.connect_deadline,
                sleep=loops.sleep if dialect.is_async else time.sleep,
                line=self._watched.line(self._pair().pooled) if shared else None,
                take=taken.append,  # type: ignore[arg-type]
            )
        finally:
            for passed in taken:  # that no attempt came to use
                passed.close()

    def _pair(self) -> ConnectionPair:
        """The pair before the connection is opened: if it changes meanwhile, that is noticed."""
        try:
            return self._endpoint.current.pair
        except PPGError:
            self._endpoint.destination()  # says it as the app's commands print it
            raise

    def _connect(
        self,
        dialect: Dialect,
        record: ConnectionPoolEntry | None,
        url: PostgresURL,
        left: float,
        given: Mapping[str, Any],
    ) -> DBAPIConnection:
        is_asyncpg = dialect.driver == "asyncpg"
        timeout = "timeout" if is_asyncpg else "connect_timeout"
        direct = self._endpoint.direct or self._endpoint.is_diverted()
        waits: dict[str, Any] = conversions.patience(direct=direct)
        keywords = {
            **self._dialects_own,
            **({timeout: conversions.CONNECT_TIMEOUT} if is_asyncpg else waits),
            **conversions.connect_keywords(url, dialect.driver),
            **given,
        }
        # asyncpg's is for all hosts together
        seconds = connecting.limit(keywords[timeout], left, url, whole=is_asyncpg)
        keywords[timeout] = (seconds or None) if is_asyncpg else math.ceil(seconds)
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


def _forget_connections() -> None:
    """Gives each engine an empty pool: the sockets in the one that it has are the parent's."""
    for engine in list(_engines):
        engine.dispose(close=False)


# gunicorn --preload, Celery, multiprocessing: the parent has connected, and then it forks.
# https://docs.sqlalchemy.org/en/20/core/pooling.html#using-connection-pools-with-multiprocessing-or-os-fork
if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_forget_connections)

plugins.register(NAME, __name__, Plugin.__name__)
