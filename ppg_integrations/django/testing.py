"""Test runs: their databases are created, used and dropped through the direct endpoint.

Through a pooler the run ends with "database is being accessed by other users", because the pooler
keeps a server connection to what is to be dropped. ``manage.py test`` comes here by its command,
pytest-django by :mod:`ppg_integrations.pytest_plugin`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from django.db import connections
from django.db.backends.base.creation import TEST_DATABASE_PREFIX, BaseDatabaseCreation

from ppg_integrations import hosts, testdatabase

from . import routing, state, swapping

if TYPE_CHECKING:
    from ppg_integrations.urls import PostgresURL


@contextmanager
def tests_on_direct() -> Iterator[None]:
    """Runs a block with every pair on its direct endpoint, or on ``PPG_TEST_PROVIDER``'s.

    A pair without a direct URL is let be until a test database is to be made for it: a run of tests
    that need no database needs no URL.

    Raises:
        ConfigurationError: PPG_TEST_PROVIDER names something else than ``local``.
        LocalServerError: the embedded servers did not start.
    """
    local = _is_local()
    with ExitStack() as stack:
        for entry in state.registered():
            if not routing.still_ours(entry):
                continue
            if local and not swapping.is_swapped(entry.pooled_alias):
                _route_to_local(entry, stack)
            elif local:
                for alias in _aliases(entry):
                    stack.enter_context(swapping.swapped(alias, {}))
            elif entry.problem(entry.direct_alias) is None:
                _route_replica(entry, stack)
                stack.enter_context(routing.route(entry))
            for alias in _aliases(entry):
                stack.enter_context(_asked_first(entry, alias))
        yield


def _is_local() -> bool:
    """Whether the run is to be on the embedded servers: all of it, whichever file says so."""
    files = dict.fromkeys([None, *(entry.env_file for entry in state.registered())])
    return any(testdatabase.on_local(testdatabase.settings_of(os.environ, each)) for each in files)


def _route_to_local(entry: state.Registered, stack: ExitStack) -> None:
    # The same database every time, or --keepdb would never find what it kept.
    database = "tests" if entry.pooled_alias == "default" else f"tests_{entry.pooled_alias}"
    direct = stack.enter_context(testdatabase.local_role(_project(entry), database))
    parameters = _parameters(direct)
    for alias in _aliases(entry):
        stack.enter_context(swapping.swapped(alias, parameters))


def _route_replica(entry: state.Registered, stack: ExitStack) -> None:
    """MIRROR alone would keep it at the replica's host, which test databases never reach."""
    if entry.replica_alias in connections.settings:
        parameters = routing.direct_parameters(entry)
        stack.enter_context(swapping.swapped(entry.replica_alias, parameters))


def _aliases(entry: state.Registered) -> list[str]:
    aliases = (entry.pooled_alias, entry.direct_alias, entry.replica_alias)
    return [alias for alias in aliases if alias in connections.settings]


def _project(entry: state.Registered) -> str:
    """The folder whose ``.ppg/`` holds the embedded servers: that of the ``.env`` file."""
    return os.path.dirname(entry.env_file) if entry.env_file else os.getcwd()


def _parameters(url: PostgresURL) -> dict[str, Any]:
    settings: dict[str, Any] = {"OPTIONS": {}, **url.django()}
    return {key: settings[key] for key in swapping.KEYS}


@contextmanager
def _asked_first(entry: state.Registered, alias: str) -> Iterator[None]:
    """Asks whether a test database can be made before the runner tries.

    On the one instance that the runner will call, because nothing public runs between its decision
    to make a database and ``CREATE DATABASE``, and its own answer to a refusal is ``sys.exit(2)``.
    """
    creation = connections[alias].creation
    original = creation.create_test_db
    if "create_test_db" in vars(creation):
        yield  # entered twice: a project's django_db_setup may ask for pytest-django's
        return

    def create_test_db(*args: Any, **kwargs: Any) -> Any:
        problem = entry.problem(entry.direct_alias)
        if problem is not None and not swapping.is_swapped(entry.pooled_alias):
            raise problem
        # def create_test_db(self, verbosity=1, autoclobber=False, serialize=None, keepdb=False)
        keepdb = kwargs.get("keepdb", args[3] if len(args) > 3 else False)
        _check_may_create(creation, keepdb=bool(keepdb))
        return original(*args, **kwargs)

    creation.create_test_db = create_test_db  # type: ignore[method-assign]
    try:
        yield
    finally:
        del creation.create_test_db


def _check_may_create(creation: BaseDatabaseCreation, *, keepdb: bool) -> None:
    settings = creation.connection.settings_dict
    host = str(settings["HOST"])
    info = hosts.classify(host, int(settings["PORT"] or 5432))
    name = settings["TEST"]["NAME"] or TEST_DATABASE_PREFIX + settings["NAME"]
    if not info.creates_databases and not keepdb:
        raise testdatabase.refusal(name, host)
    with creation._nodb_cursor() as cursor:  # type: ignore[attr-defined]  # noqa: SLF001
        cursor.execute(testdatabase.MAY_CREATE, [name])
        allowed, exists = cursor.fetchone()
    if not ((allowed and info.creates_databases) or (keepdb and exists)):
        raise testdatabase.refusal(name, host, settings["USER"])
