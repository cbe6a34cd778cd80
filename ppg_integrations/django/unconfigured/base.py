"""Django's own dummy backend, with a message that names what to set."""

from __future__ import annotations

from typing import Any, NoReturn

from django.core.exceptions import ImproperlyConfigured
from django.db.backends.dummy import base as dummy

from ppg_integrations.django import state


def _complain(alias: str) -> NoReturn:
    entry = state.find(alias)
    error = entry.problem(alias) if entry else None
    if error is None:
        raise ImproperlyConfigured(f"the database alias {alias!r} has no URL")
    raise ImproperlyConfigured(f"the database alias {alias!r} cannot be used: {error}") from error


class DatabaseClient(dummy.DatabaseClient):
    """``dbshell`` of an alias without a URL."""

    def runshell(self, *_: Any) -> NoReturn:
        _complain(self.connection.alias)


class DatabaseCreation(dummy.DatabaseCreation):
    """The dummy backend would pretend that it made a test database."""

    def create_test_db(self, *_: Any, **__: Any) -> NoReturn:
        _complain(self.connection.alias)


class DatabaseWrapper(dummy.DatabaseWrapper):
    """A connection of an alias without a URL."""

    display_name = "unconfigured"
    client_class = DatabaseClient
    creation_class = DatabaseCreation

    def _complain(self, *_: Any, **__: Any) -> NoReturn:
        _complain(self.alias)

    connect = _complain
    ensure_connection = _complain
    get_new_connection = _complain
    _cursor = _complain
    _commit = _complain
    _savepoint_commit = _complain
    _set_autocommit = _complain
