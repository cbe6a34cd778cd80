"""Sessions of their own on the direct endpoints of an app."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ppg_integrations.advisory import AdvisoryLock
    from ppg_integrations.endpoint import Endpoint
    from ppg_integrations.listening import Notification
    from ppg_integrations.sessions import EndpointSessions


class DirectSessions(ABC):
    """What has endpoints, and so can open sessions. They follow the pair outside of contexts too.

    The driver is the app's, ``psycopg`` or ``psycopg2``; beside ``asyncpg`` the first of the two.
    """

    @abstractmethod
    def endpoint(self, *, direct: bool = False, bind: str | None = None) -> Endpoint:
        """One half of a pair."""

    @abstractmethod
    def driver_of(self, bind: str | None) -> str:
        """SQLAlchemy's driver for the engines of a bind."""

    def listen(
        self,
        *channels: str,
        bind: str | None = None,
        timeout: float | None = None,
        stop: Callable[[], bool] | None = None,
        catch_up: Callable[[], object] | None = None,
    ) -> Iterator[Notification]:
        """:func:`ppg_integrations.listening.listen` on the direct endpoint.

        For a thread or a process of its own, such as a command: it does not return.

        Args:
            channels: what to listen to.
            bind: key of another database in ``PPG_BINDS``.
            timeout, stop, catch_up: as there.

        Raises:
            PPGError: as there.
        """
        from ppg_integrations.listening import listen

        opener = self._sessions(bind)
        return listen(opener, channels, timeout=timeout, stop=stop, catch_up=catch_up)

    def advisory_lock(
        self,
        name: str | int,
        *,
        wait: float | None = None,
        shared: bool = False,
        bind: str | None = None,
    ) -> AdvisoryLock:
        """A session-level lock for a ``with`` block, on a direct session of its own.

        Args:
            name, wait, shared: of :class:`~ppg_integrations.advisory.AdvisoryLock`.
            bind: as for :meth:`listen`.

        Raises:
            PPGError: an argument cannot be used; entering it raises the rest.
        """
        from ppg_integrations.advisory import AdvisoryLock

        return AdvisoryLock(self._sessions(bind), name, wait=wait, shared=shared)

    def direct_session(
        self, *, autocommit: bool = False, name: str = "", bind: str | None = None
    ) -> AbstractContextManager[Any]:
        """A connection of the driver to the direct endpoint, for a ``with`` block: a long job.

        SQLAlchemy has the same by ``create_engine(direct=True)``.

        Args:
            autocommit: False makes the block one transaction, which is committed at its end and
                rolled back when it raises.
            name: its ``application_name``, ``ppg session`` by default, unless the URL has one.
            bind: as for :meth:`listen`.

        Raises:
            PPGError: there is no pair, no direct URL, or no driver.
        """
        from ppg_integrations.sessions import driver_session

        return driver_session(self._sessions(bind), name, autocommit=autocommit)

    def _sessions(self, bind: str | None) -> EndpointSessions:
        from ppg_integrations.sessions import EndpointSessions

        driver = self.driver_of(bind)
        return EndpointSessions(
            self.endpoint(direct=True, bind=bind), driver=None if driver == "asyncpg" else driver
        )
