"""Django's own dummy backend, with a message that names what to set."""

from __future__ import annotations

from typing import Any, NoReturn

from django.core.exceptions import ImproperlyConfigured
from django.db.backends.dummy import base as dummy
from django.db.utils import OperationalError

from ppg_integrations.django import state


class UnconfiguredError(ImproperlyConfigured, OperationalError):
    """An alias without a URL was used.

    Both at once, because Django's commands let either pass where they can do without a database:
    ``runserver`` the one in its look at the migrations, ``makemigrations`` the other in its.
    """


def _complain(alias: str) -> NoReturn:
    entry = state.find(alias)
    error = entry.problem(alias) if entry else None
    if error is None:
        raise UnconfiguredError(f"the database alias {alias!r} has no URL")
    raise UnconfiguredError(f"the database alias {alias!r} cannot be used: {error}") from error


def _part(self: Any, *_: Any, **__: Any) -> NoReturn:
    """A method of what Django makes beside each connection."""
    _complain(self.connection.alias)


class DatabaseClient(dummy.DatabaseClient):
    """``dbshell`` of an alias without a URL."""

    runshell = _part


class DatabaseIntrospection(dummy.DatabaseIntrospection):
    """``inspectdb``, and the look at the migrations."""

    get_table_list = _part
    get_table_description = _part
    get_relations = _part
    get_indexes = _part


class DatabaseOperations(dummy.DatabaseOperations):
    """A query asks for quoted names before it asks for a cursor."""

    quote_name = _part


class DatabaseWrapper(dummy.DatabaseWrapper):
    """A connection of an alias without a URL."""

    display_name = "unconfigured"
    client_class = DatabaseClient
    introspection_class = DatabaseIntrospection
    ops_class = DatabaseOperations

    def _complain(self, *_: Any, **__: Any) -> NoReturn:
        _complain(self.alias)

    connect = _complain
    ensure_connection = _complain
    get_new_connection = _complain
    _cursor = _complain
    _commit = _complain
    _savepoint_commit = _complain
    _set_autocommit = _complain
