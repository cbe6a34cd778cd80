"""Sessions of their own on the direct endpoint, for what a transaction pooler cannot give.

``LISTEN``, session-level advisory locks and long jobs need a session that belongs to them alone.
Each has its own connection here, which no pool, request or other thread ever sees.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, Protocol

from . import arguments, connecting, conversions, drivers
from .connection import Connection
from .errors import ConfigurationError, PPGError

if TYPE_CHECKING:
    from types import ModuleType

    from .endpoint import Endpoint
    from .urls import PostgresURL

#: What libpq gets for such a connection, unless its URL says otherwise. It may be idle for hours,
#: and firewalls, load balancers and NAT forget in five minutes what sends nothing: the kernel asks
#: the other end often enough, and notices within a minute that it is gone.
KEEPALIVES: Final = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}

#: Time limits that a role or a database may have for its requests. Version 13 has no
#: idle_session_timeout, so the names are looked up.
_UNLIMITED: Final = """
    SELECT set_config(name, '0', false) FROM pg_settings
    WHERE name IN ('statement_timeout', 'lock_timeout', 'idle_session_timeout') AND setting <> '0'
"""
#: Those that a session of its own may have: it is synchronous.
_DRIVERS: Final = ("psycopg", "psycopg2")
#: What a session calls itself to which nobody gives a name.
_NAMELESS: Final = "ppg session"
#: Bytes of an application_name: https://www.postgresql.org/docs/current/runtime-config-logging.html
_NAME: Final = 63


class Session(Connection):
    """A connection on the direct endpoint, in autocommit.

    Attributes:
        raw: the driver's connection.
    """

    def __init__(
        self,
        raw: Any,
        url: PostgresURL,
        error: type[Exception],
        *,
        now: Callable[[], PostgresURL],
        ended: Callable[[], None] | None = None,
    ) -> None:
        """Takes a connection over.

        Args:
            raw: the driver's.
            url: where it leads.
            error: base of the driver's errors.
            now: where one would lead that is opened now.
            ended: called when it has been closed.
        """
        super().__init__(raw, url, error, autocommit=True)
        self.raw = raw
        self._now = now
        self._ended = ended
        self._heard: list[tuple[str, str, int]] = []
        self._hears = False

    def fileno(self) -> int:
        """That of its socket; -1 once it is closed."""
        return -1 if self.closed else int(self.raw.fileno())

    def has_moved(self) -> bool:
        """Whether the pair leads elsewhere by now: it was rotated."""
        try:
            return self._now() != self.url
        except PPGError:  # whatever it is, this session still has what it needs
            return False

    def lift_limits(self) -> None:
        """Ends the time limits of the role, which are meant for requests, in this session."""
        self.execute(_UNLIMITED)

    def listen(self, channels: Sequence[str]) -> None:
        """Sends ``LISTEN`` for each channel; what arrives from then on is :meth:`heard`."""
        if not self._hears and hasattr(self.raw, "add_notify_handler"):
            # For what psycopg 3 meets while it reads the answer to a statement.
            self.raw.add_notify_handler(
                lambda found: self._heard.append((found.channel, found.payload, found.pid))
            )
        self._hears = True
        for channel in channels:
            quoted = channel.replace('"', '""')
            self.execute(f'LISTEN "{quoted}"')

    def heard(self) -> list[tuple[str, str, int]]:
        """Notifications that have arrived: channel, payload, and pid of the sender. Never waits.

        Raises:
            ConnectError: the connection is lost.
        """
        self._ask(self._receive)
        found, self._heard[:] = self._heard[:], []
        return found

    def close(self) -> None:
        super().close()
        ended, self._ended = self._ended, None
        if ended is not None:
            ended()

    def _receive(self) -> None:
        raw = self.raw
        if not hasattr(raw, "add_notify_handler"):  # psycopg2
            raw.poll()
            self._heard += [(each.channel, each.payload, each.pid) for each in raw.notifies]
            raw.notifies.clear()
            return
        # Connection.notifies() of psycopg 3 leaves out what came between two of its calls, until
        # 3.2.4; this is what it is made of.
        pgconn = raw.pgconn
        pgconn.consume_input()
        encoding = raw.info.encoding
        while found := pgconn.notifies():
            channel, payload = found.relname.decode(encoding), found.extra.decode(encoding)
            self._heard.append((channel, payload, found.be_pid))


class Opener(Protocol):
    """What opens sessions, of one framework or of none."""

    #: What :meth:`open` raises where nobody answers, or the login is refused.
    errors: tuple[type[Exception], ...]

    def open(self, purpose: str) -> Session:
        """Opens one, as patiently as everything that connects.

        Args:
            purpose: its ``application_name``, unless the URL has one.

        Raises:
            MissingDirectURLError: there is no direct URL.
            PPGError: there is no pair, or no driver.
            Exception: one of :attr:`errors`.
        """


class EndpointSessions:
    """Opens sessions on a direct endpoint with ``psycopg`` or ``psycopg2``."""

    def __init__(self, endpoint: Endpoint, *, driver: str | None = None) -> None:
        """Looks at nothing yet.

        Args:
            endpoint: a direct one.
            driver: ``psycopg`` or ``psycopg2``; the first of the two that is installed by default.

        Raises:
            ConfigurationError: it is another one.
            DriverError: it is not installed.
        """
        assert endpoint.direct
        self._endpoint = endpoint
        self._driver = drivers.driver() if driver is None else _driver(driver)
        self.errors: tuple[type[Exception], ...] = (self._driver.Error,)

    def open(self, purpose: str) -> Session:
        """As :meth:`Opener.open`."""
        leads_to: list[PostgresURL] = []
        settings = self._endpoint.settings

        def where() -> tuple[PostgresURL, str]:
            pair = self._endpoint.current.pair
            leads_to[:] = [self._endpoint.destination().url]
            return leads_to[0], str(pair.direct_source or "")

        raw = connecting.patiently(
            lambda url, left: self._connect(url, left, purpose),
            where,
            errors=self.errors,
            deadline=settings.connect_deadline,
        )
        return Session(raw, leads_to[0], self._driver.Error, now=self._now)

    def _now(self) -> PostgresURL:
        return self._endpoint.destination().url

    def _connect(self, url: PostgresURL, left: float, purpose: str) -> Any:
        keywords: dict[str, Any] = {
            "connect_timeout": conversions.CONNECT_TIMEOUT,
            "client_encoding": "UTF8",  # psycopg gives bytes for SQL_ASCII
            **tuning(purpose),
            **conversions.connect_keywords(url, self._driver.__name__),
        }
        limit = connecting.limit(keywords["connect_timeout"], left, url)
        keywords["connect_timeout"] = math.ceil(limit)
        if self._driver.__name__ == "psycopg":
            # As everywhere in this package: a "direct" host may turn out to be a pooler.
            return self._driver.connect(**keywords, autocommit=True, prepare_threshold=None)
        raw = self._driver.connect(**keywords)
        raw.autocommit = True
        return raw


def _driver(name: object) -> ModuleType:
    if not isinstance(name, str) or name not in _DRIVERS:
        raise ConfigurationError(
            f"the argument driver is {name!r:.40}, and must be {' or '.join(_DRIVERS)}",
            hint="Leave it out for the first of the two that is installed.",
        )
    return drivers.imported(name)


def tuning(purpose: str) -> dict[str, Any]:
    """What libpq gets for a session besides what leads it to its place, which wins over this."""
    name = purpose.encode("ascii", "replace")[:_NAME].decode()  # as the server shows it
    return {"fallback_application_name": name, **KEEPALIVES}


@contextmanager
def driver_session(opener: Opener, name: str, *, autocommit: bool) -> Iterator[Any]:
    """Runs a block with a connection of the driver, which is closed afterwards.

    Without `autocommit` the block is one transaction: committed at its end, rolled back when it
    raises.

    Raises:
        ConfigurationError: an argument cannot be used.
    """
    name = arguments.text("the argument name", name, hint='Such as name="export".')
    autocommit = arguments.switch("the argument autocommit", autocommit) or False
    session = opener.open(name or _NAMELESS)
    try:
        raw = session.raw
        raw.autocommit = autocommit
        yield raw
        if not autocommit:
            raw.commit()
    finally:
        session.close()  # which rolls back what is open
