"""Test runs of Flask apps: their databases are made, used and dropped through the direct endpoint.

For pytest there are the fixtures ``ppg_database`` and ``ppg_rollback`` of
:mod:`ppg_integrations.pytest_plugin`, which call this.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache, partial
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakSet

from sqlalchemy import Connection, Engine, event

from ppg_integrations import pools
from ppg_integrations.errors import ConfigurationError
from ppg_integrations.sqlalchemy import plugin
from ppg_integrations.testdatabase import COMMENT, Databases

from . import state as ppg_state

if TYPE_CHECKING:
    from flask import Flask

    from ppg_integrations.current import CurrentPair

    from .state import State

#: Each tells one process of a run apart from the others: tox's, and pytest-xdist's.
_PARALLEL: Final = ("TOX_PARALLEL_ENV", "PYTEST_XDIST_WORKER")
#: In a pooled connection's ``info``: the run that knows it.
_KNOWN: Final = "ppg.testing"

_running: list[Databases] = []


@contextmanager
def test_databases(*, allow: Collection[str] = ()) -> Iterator[Databases]:  # noqa: PT028
    """Gives every app a test database for the length of a block, and drops it at the end.

    Each pair of each app, of those that exist and of those made within the block, leads to
    ``test_<name>`` on its direct endpoint, with both its halves. It is made when the app is, or
    when an app from before uses it. Meanwhile ``connect()`` of every SQLAlchemy engine of the
    process, whoever made it, and so every session, refuses another PostgreSQL database. Not watched
    are ``raw_connection()`` of engines that PPG did not configure, connections and sessions that
    are in use when the block begins, and what connects without an engine. With
    ``PPG_TEST_PROVIDER=local`` the databases are on the embedded servers.

    Args:
        allow: names of further databases that engines may connect to.

    Raises:
        ConfigurationError: ``PPG_TEST_PROVIDER`` names something else. Within the block, where an
            app is made: it has no pair, or the database cannot be made; and where an engine
            connects: it leads to another database.
        PPGError: a server cannot be reached.
    """
    if _running:
        raise ConfigurationError(
            "test databases are in use already",
            hint="One test_databases(), or the fixture ppg_database, lasts for all of the run.",
        )
    suffix = "_".join(os.environ[name] for name in _PARALLEL if os.environ.get(name))
    # The databases are dropped once the engines are empty, and while no pair leads back yet: what
    # reconnects by itself shall not reach the real one.
    with ExitStack() as stack, Databases(suffix=suffix) as databases:
        _running.append(databases)
        stack.callback(_running.remove, databases)

        def begin(state: State) -> None:
            for current in _switched(state, databases, stack):
                _ = current.pair  # what is wrong with it is to stop the app that is being made

        for state in ppg_state.states():
            _switched(state, databases, stack)
        ppg_state.on_new.append(begin)
        stack.callback(ppg_state.on_new.remove, begin)
        _dispose(plugin.engines())
        pools.drain()
        with _Guard(databases, frozenset(allow)).watching():
            yield databases


test_databases.__test__ = False  # type: ignore[attr-defined]  # for pytest: it is no test


@contextmanager
def rolled_back(app: Flask) -> Iterator[None]:
    """Undoes at the end of a block what was written in it through Flask-SQLAlchemy's session.

    Commits within it are savepoints of one transaction for each of our engines:
    https://docs.sqlalchemy.org/en/20/orm/session_transaction.html#joining-a-session-into-an-external-transaction-such-as-for-test-suites
    Sequences go on counting. What uses ``db.engine`` itself, or other threads, needs real commits
    and has no place in the block.

    Args:
        app: an app that Flask-SQLAlchemy was initialised with.

    Raises:
        ConfigurationError: it was not.
    """
    if "sqlalchemy" not in app.extensions or "ppg" not in app.extensions:
        raise ConfigurationError(
            "a rollback after the test is for apps with Flask-SQLAlchemy",
            hint="Call ppg.init_app(app) and db.init_app(app), or do without ppg_rollback.",
        )
    db = app.extensions["sqlalchemy"]
    with app.app_context():
        engines = db.engines
    maker = db.session.session_factory
    mode = maker.kw.get("join_transaction_mode", "conditional_savepoint")
    with ExitStack() as stack:
        for key in app.extensions["ppg"].manages & engines.keys():
            connection = stack.enter_context(engines[key].connect())
            stack.callback(connection.begin().rollback)
            stack.callback(engines.__setitem__, key, engines[key])
            engines[key] = connection
        maker.configure(join_transaction_mode="create_savepoint")
        stack.callback(maker.configure, join_transaction_mode=mode)
        yield


def _switched(state: State, databases: Databases, stack: ExitStack) -> list[CurrentPair]:
    """The pairs of an app, each of which leads to its test database from its first use on."""
    currents = {"": state.current, **state.binds}
    for key, current in currents.items():
        pair = partial(
            databases.pair_for, current, env_file=state.env_file, environ=state.environ, key=key
        )
        current.override(cache(pair))
        stack.callback(current.override, None)
    return list(currents.values())


def _dispose(engines: Iterable[Engine]) -> None:
    for engine in engines:
        # An asynchronous connection can be closed in its event loop only: the pool is just emptied.
        engine.dispose(close=not engine.dialect.is_async)


class _Guard:
    """Asks what ``connect()`` of any engine in the process gives whether its database is ours."""

    def __init__(self, databases: Databases, allow: frozenset[str]) -> None:
        self._databases = databases
        self._allow = allow
        self._engines: WeakSet[Engine] = WeakSet()

    @contextmanager
    def watching(self) -> Iterator[None]:
        event.listen(Engine, "engine_connect", self._check)
        try:
            yield
        finally:
            event.remove(Engine, "engine_connect", self._check)
            _dispose([*plugin.engines(), *self._engines])

    def _check(self, connection: Connection) -> None:
        if connection.dialect.name != "postgresql":
            return
        self._engines.add(connection.engine)
        if self._passes(connection):
            return
        # It may have been idle since before the tests, in the pool of an engine that asks for the
        # pair in a way of its own.
        connection.invalidate()
        if self._passes(connection):
            return
        name = self._ask(connection)[0]
        connection.invalidate()
        connection.close()
        raise ConfigurationError(
            f"an engine connected to the database {name!r} on "
            f"{connection.engine.url.host or 'the default socket'}, which is no test database of "
            "this run; nothing was done there",
            hint="Let PPG configure the engine: leave its URL out of the app's configuration, and "
            "make further ones by ppg.create_engine(). If "
            f"tests may use that database: test_databases(allow={{{name!r}}}).",
        )

    def _passes(self, connection: Connection) -> bool:
        info = connection.connection.info
        if info.get(_KNOWN) is not self._databases:
            name, comment = self._ask(connection)
            if comment != self._databases.comment and name not in self._allow:
                return False
            info[_KNOWN] = self._databases
        return True

    def _ask(self, connection: Connection) -> tuple[Any, ...]:
        # Below SQLAlchemy's own events: a test may count queries.
        raw = connection.connection
        cursor = raw.cursor()
        try:
            cursor.execute(COMMENT)
            rows = cursor.fetchall()
        finally:
            cursor.close()
            raw.rollback()
        return tuple(rows[0])
