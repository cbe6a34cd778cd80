"""Sessions of their own on the direct alias of a pair; ``default`` stays where it is.

:func:`.direct_connection` exchanges an alias for the whole process, which is right in a command.
Inside of a server a listener, a lock or an export needs a connection that nobody else gets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Final

from django.db import Error, connections

from ppg_integrations.advisory import AdvisoryLock
from ppg_integrations.errors import ConfigurationError
from ppg_integrations.listening import listen as _listen
from ppg_integrations.sessions import Session, driver_session, tuning
from ppg_integrations.urls import PostgresURL

from . import routing, state
from .following import followed

if TYPE_CHECKING:
    from ppg_integrations.listening import Notification

#: Stands for the URL of an alias that somebody has pointed elsewhere.
_ELSEWHERE: Final = PostgresURL.parse("postgresql:///")


def listen(
    *channels: str,
    alias: str = "default",
    timeout: float | None = None,
    stop: Callable[[], bool] | None = None,
    catch_up: Callable[[], object] | None = None,
) -> Iterator[Notification]:
    """:func:`ppg_integrations.listening.listen` on the direct alias of a pair.

    For a thread or a process of its own, such as a management command: it does not return.

    Args:
        channels: what to listen to.
        alias: either alias of the pair.
        timeout, stop, catch_up: as there.

    Raises:
        PPGError: as there.
    """
    return _listen(Sessions(alias), channels, timeout=timeout, stop=stop, catch_up=catch_up)


def advisory_lock(
    name: str | int, *, wait: float | None = None, shared: bool = False, alias: str = "default"
) -> AdvisoryLock:
    """A session-level lock for a ``with`` block, on a direct session of its own.

    Args:
        name, wait, shared: of :class:`~ppg_integrations.advisory.AdvisoryLock`.
        alias: either alias of the pair.

    Raises:
        ConfigurationError: an argument cannot be used; entering it raises the rest.
    """
    return AdvisoryLock(Sessions(alias), name, wait=wait, shared=shared)


def direct_session(
    *, autocommit: bool = False, name: str = "", alias: str = "default"
) -> AbstractContextManager[Any]:
    """A connection of the driver to the direct endpoint, for a ``with`` block that is a long job.

    The ORM has the direct endpoint by ``.using("direct")``, on one connection for each thread.

    Args:
        autocommit: False makes the block one transaction, which is committed at its end and rolled
            back when it raises.
        name: its ``application_name``, ``ppg session`` by default, unless the URL has one.
        alias: either alias of the pair.

    Raises:
        PPGError: there is no direct URL.
    """
    return driver_session(Sessions(alias), name, autocommit=autocommit)


class Sessions:
    """Opens sessions with the parameters and the ENGINE of an alias, those of a test run too."""

    errors: tuple[type[Exception], ...] = (Error,)

    def __init__(self, alias: str) -> None:
        """Looks at nothing yet.

        Args:
            alias: of a pair, whose direct one is meant; any other one of PostgreSQL is taken as it
                is.
        """
        self._alias = alias

    def open(self, purpose: str) -> Session:
        """As :meth:`ppg_integrations.sessions.Opener.open`.

        Raises:
            MissingDirectURLError: there is no direct URL.
            MissingURLError: there is no URL at all.
            ConfigurationError: the alias is none of PostgreSQL.
            django.db.Error: nobody answers, or the login is refused.
        """
        alias = self._direct_alias()
        found = followed(alias)
        if found is not None:
            found.pair()  # which the settings of the alias lead to from then on
        # One of ours alone: `connections` does not keep what it makes here.
        wrapper: Any = connections.create_connection(alias)
        if wrapper.vendor != "postgresql":
            raise ConfigurationError(
                f"the database alias {alias!r} is of {wrapper.display_name}, and PostgreSQL is "
                "needed",
                hint="Name another one: alias=...",
            )
        wrapper.inc_thread_sharing()  # whoever collects a generator may be another thread
        if wrapper.settings_dict["OPTIONS"].get("pool"):
            options = {**wrapper.settings_dict["OPTIONS"], "pool": False}
            wrapper.settings_dict = {**wrapper.settings_dict, "OPTIONS": options}
        parameters = wrapper.get_connection_params
        wrapper.get_connection_params = lambda: {**tuning(purpose), **parameters()}
        wrapper.ensure_connection()

        def now() -> PostgresURL:
            destination = found.destination(alias) if found is not None else None
            return _ELSEWHERE if destination is None else destination.url

        return Session(
            wrapper.connection, now(), wrapper.Database.Error, now=now, ended=wrapper.close
        )

    def _direct_alias(self) -> str:
        if self._alias not in list(connections):
            raise ConfigurationError(
                f"DATABASES has no alias {self._alias!r:.60}",
                hint=f"It has {', '.join(map(repr, connections))}.",
            )
        entry = state.find(self._alias)
        if entry is None or not routing.still_ours(entry):
            return self._alias
        routing.check(entry)
        return entry.direct_alias
