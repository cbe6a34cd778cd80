"""How one ``DatabaseWrapper`` opens its connection, and when it gives up one that it has.

Nine methods of the wrapper are replaced on the instance; each goes on to the class's own, which
Sentry and others patch.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final
from weakref import ref

from django.db.utils import Error as DjangoError

from ppg_integrations import connecting, liveness

from . import native_pool
from .sharing import Sharing

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper

    from ppg_integrations.urls import PostgresURL

    from .following import Destination, Followed

#: Seconds within which a connection was in use: there is no need to look at its socket.
_MOMENT: Final = 0.05
#: Seconds between two looks, within one request, at a connection that is in use.
_PAUSE: Final = 1.0
#: Cursors that are remembered before those that are closed are forgotten.
_MANY: Final = 64


class _LaterError(Exception):
    """Carries an error that is none of connecting past what would try again."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error


class Upkeep:
    """Of one wrapper. As that, it belongs to one thread at a time."""

    def __init__(self, wrapper: BaseDatabaseWrapper, followed: Followed) -> None:
        """Replaces the wrapper's methods."""
        self._wrapper: Any = wrapper
        self._followed = followed
        self._settings = followed.settings
        self._opened: Destination | None = None
        self._watch: liveness.Watch | None = None
        self._leads_to: Destination | None = None
        self._is_ready = self._has_looked = False
        self._left = 0.0
        self._last_used = 0.0
        self._looked = 0.0
        # A list: a WeakSet would cost each query a callback.
        self._cursors: list[ref[Any]] = []
        self._class_connect = self._replace("connect", self._connect)
        self._class_parameters = self._replace("get_connection_params", self._parameters)
        self._class_initialise = self._replace("init_connection_state", self._initialise)
        self._class_ensure = self._replace("ensure_connection", self._ensure)
        self._class_check = self._replace("close_if_health_check_failed", self._check)
        self._class_cursor = self._replace("create_cursor", self._cursor)
        self._class_open = self._replace("get_new_connection", self._open)
        self._class_rest = self._replace("close_if_unusable_or_obsolete", self._rest)
        self._class_close = self._replace("close", self._close)
        self._sharing = Sharing(wrapper)

    def _replace(self, name: str, ours: Callable[..., Any]) -> Callable[..., Any]:
        wrapper, kind = self._wrapper, type(self._wrapper)
        before: Callable[..., Any] | None = vars(wrapper).get(name)
        setattr(wrapper, name, ours)
        if before is not None:
            return before

        def own(*args: Any) -> Any:
            # Looked up when it is called: others may patch the class later.
            return getattr(kind, name)(wrapper, *args)

        return own

    # ------------------------------------------------------------ opening

    def _connect(self) -> None:
        self._opened = None
        wrapper = self._wrapper
        destination = self._followed.destination(wrapper.alias)
        if destination is None:
            self._class_connect()
            return
        self._leads_to, self._has_looked = destination, True
        sharing, has_pool = self._sharing, native_pool.is_used(wrapper)
        later = None
        try:
            connecting.patiently(
                self._attempt,
                self._where,
                errors=(wrapper.Database.Error,),
                # Django's native pool tries again by itself, and waits as long as it is told to.
                deadline=0.0 if has_pool else self._settings.connect_deadline,
                line=None if has_pool else sharing.place(destination),
                take=sharing.take,
            )
        except _LaterError as error:
            later = error.error
        finally:
            sharing.return_taken()
        if later is not None:
            raise later
        self._opened = self._leads_to
        self._last_used = self._looked = time.monotonic()
        self._cursors.clear()
        self._watch = None

    def _where(self) -> tuple[PostgresURL, str]:
        destination = self._leads_to
        if not self._has_looked:  # at each attempt but the first: it may be another pair by then
            destination = self._followed.destination(self._wrapper.alias) or destination
        assert destination is not None
        self._leads_to, self._has_looked = destination, False
        return destination.url, destination.source

    def _attempt(self, url: PostgresURL, left: float) -> None:
        """The class's own ``connect()``, which also sends what sets the session up."""
        wrapper = self._wrapper
        self._left, self._is_ready = left, False
        failed: Exception
        try:
            if native_pool.is_used(wrapper):
                native_pool.connect(wrapper, url, self._class_connect, self._settings.alive_window)
            else:
                self._class_connect()
        except (wrapper.Database.Error, DjangoError) as error:
            failed = error
        else:
            return
        finally:
            self._left = 0.0
        cause = failed if isinstance(failed, wrapper.Database.Error) else failed.__cause__
        if self._is_ready or not isinstance(cause, wrapper.Database.Error):
            raise _LaterError(failed)  # of a receiver of connection_created, say
        if wrapper.connection is not None:
            wrapper.close()  # half set up
        raise cause

    def _parameters(self) -> dict[str, Any]:
        parameters: dict[str, Any] = self._class_parameters()
        if self._left and self._leads_to is not None:
            given = parameters.get("connect_timeout")
            with suppress(TypeError, ValueError):  # the driver says what is wrong with it
                limit = connecting.limit(given, self._left, self._leads_to.url)
                parameters["connect_timeout"] = math.ceil(limit)
        return parameters

    def _open(self, parameters: dict[str, Any]) -> Any:
        leads_to = self._leads_to
        url = leads_to.url if leads_to is not None else None
        passed = self._sharing.taken(url, self._settings.alive_window)
        if passed is None:
            return self._class_open(parameters)
        wrapper = self._wrapper
        wrapper.isolation_level = passed.isolation_level
        if wrapper.close_at is not None and wrapper.settings_dict["CONN_MAX_AGE"]:
            wrapper.close_at = passed.close_at
        return passed.connection

    def _ensure(self) -> None:
        """Called before each cursor, and by those who take the driver's connection itself."""
        if self._sharing.rests:
            self._sharing.resume()
        self._class_ensure()

    def _initialise(self) -> None:
        self._class_initialise()
        self._is_ready = True

    # ------------------------------------------------------------ keeping

    def _rest(self) -> None:
        opened = self._opened
        if opened is None or self._wrapper.connection is None:
            self._class_rest()
        else:
            self._sharing.end(opened.url, self._class_rest, self._is_used)

    def _is_used(self) -> bool:
        """By other threads, or by whoever has a cursor of it."""
        cursors = self._cursors
        for each in cursors:
            cursor = each()
            if cursor is not None and not cursor.closed:
                return True
        cursors.clear()
        return bool(self._wrapper.allow_thread_sharing)

    def _close(self) -> None:
        self._sharing.resume()  # if it rested, another thread may have it by now
        self._class_close()

    def _cursor(self, name: str | None = None) -> Any:
        cursor = self._class_cursor(name)
        cursors = self._cursors
        if len(cursors) >= _MANY:
            cursors[:] = self._open_cursors()
        cursors.append(ref(cursor))
        return cursor

    def _check(self) -> None:
        """Called before each cursor, and each change of autocommit.

        The first call after ``close_old_connections()``, that is in each request, tests a
        connection that was idle and replaces one of another pair. Later ones do so for workers that
        see no request: they look for another pair at most once a second, at a socket that has
        rested for a moment, and keep away from what may be in use.
        """
        wrapper, opened = self._wrapper, self._opened
        if self._sharing.rests:
            self._sharing.resume()
        if wrapper.connection is None or opened is None:
            self._class_check()
            return
        now = time.monotonic()
        idle = now - self._last_used
        is_first = not wrapper.health_check_done
        is_free = wrapper.autocommit and not wrapper.in_atomic_block
        may_go = is_free and (is_first or not opened.keeps_sessions)
        if is_first or (may_go and self._may_be_dead(idle)):
            wrapper.health_check_done = True
            if wrapper.health_check_enabled and not self._is_alive():
                wrapper.close()
                return
        if may_go and (is_first or now - self._looked >= _PAUSE):
            self._looked = now
            if self._is_outdated(opened, now) and (is_first or not self._open_cursors()):
                wrapper.close()
                return
        self._last_used = now

    def _may_be_dead(self, idle: float) -> bool:
        connection = self._wrapper.connection
        if connection.closed:  # the driver has met it already
            return True
        if idle < _MOMENT:
            return False
        if idle >= max(_PAUSE, self._settings.alive_window):
            return True
        return liveness.has_news(connection.fileno())

    def _is_alive(self) -> bool:
        wrapper = self._wrapper
        try:
            fileno = wrapper.connection.fileno()
        except wrapper.Database.Error:
            return False
        if self._watch is None or self._watch.fileno != fileno:
            self._watch = liveness.Watch(fileno)
        if not self._watch.needs_test(self._last_used, self._settings.alive_window):
            return True
        try:
            with liveness.limited(fileno):
                return bool(wrapper.is_usable())
        except TimeoutError:
            return False

    def _is_outdated(self, opened: Destination, now: float) -> bool:
        url = self._followed.url(opened.half, now)
        if url is opened.url or url is None:
            return False
        if url == opened.url:
            self._opened = opened._replace(url=url)  # the same object is found faster
            return False
        # An alias that was pointed elsewhere meanwhile has left the pair.
        return self._followed.destination(self._wrapper.alias) is not None

    def _open_cursors(self) -> list[ref[Any]]:
        """Those that somebody may still read from, or execute with."""
        known = ((each, each()) for each in self._cursors)
        return [each for each, cursor in known if cursor is not None and not cursor.closed]
