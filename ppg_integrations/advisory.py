"""Advisory locks that last as long as a session, each on a session of its own."""

from __future__ import annotations

import hashlib
import math
import sys
from typing import TYPE_CHECKING, Final

from . import arguments, liveness
from .errors import (
    ConfigurationError,
    ConnectError,
    LockLostError,
    LockNotAvailableError,
    PPGError,
    QueryError,
)

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

    from .sessions import Opener, Session

#: SQLSTATE of a lock that was not got within lock_timeout.
_TIMED_OUT: Final = "55P03"
#: Milliseconds, the most that lock_timeout takes: 24 days.
_LONGEST: Final = 2**31 - 1
#: Seconds by which the answer may come later than the time that the server has for it.
_LATE: Final = 5.0

# The two halves of a 64-bit key, and 1 for such a key:
# https://www.postgresql.org/docs/current/view-pg-locks.html
_HOLDERS: Final = """
    SELECT l.pid, coalesce(a.application_name, '')
    FROM pg_locks l LEFT JOIN pg_stat_activity a ON a.pid = l.pid
    WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
      AND l.classid::bigint = (%s::bigint >> 32) & 4294967295
      AND l.objid::bigint = %s::bigint & 4294967295
      AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    ORDER BY l.pid LIMIT 5
"""


def advisory_key(name: str | int) -> int:
    """The number that PostgreSQL knows a lock by.

    The first eight bytes of the name's SHA-256, as a signed big-endian number: the same in every
    process, version and language. A number stays what it is.

    Args:
        name: any text, or a signed 64-bit number.

    Raises:
        ConfigurationError: it is neither.
    """
    if isinstance(name, str) and name:
        return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True)
    if isinstance(name, int) and not isinstance(name, bool) and -(2**63) <= name < 2**63:
        return name
    raise ConfigurationError(
        f"advisory_lock({name!r:.60}): a lock is called by a text, or by a signed 64-bit number",
        hint='Such as advisory_lock("nightly import").',
    )


class AdvisoryLock:
    """``pg_advisory_lock`` for the length of a block, on a session that exists for it alone.

    Who holds it, the block in another thread or process, is in its own session too: a lock that
    the same code takes twice waits for itself. The session ends with the process, however that
    ends, and the lock with the session. Not for several threads at once.

    Attributes:
        name: as it was given.
        key: what the server knows it by.
    """

    def __init__(
        self, opener: Opener, name: str | int, *, wait: float | None = None, shared: bool = False
    ) -> None:
        """Connects to nothing yet.

        Args:
            opener: of the direct endpoint.
            name: see :func:`advisory_key`.
            wait: seconds to wait for the lock, once the session is open; 0 for no wait, None for as
                long as it takes.
            shared: holders of a shared lock exclude only who wants it for himself.

        Raises:
            ConfigurationError: an argument cannot be used.
        """
        arguments.seconds(
            "wait of advisory_lock()",
            wait,
            hint="0 does not wait, and None waits as long as it takes.",
            most=sys.float_info.max,
        )
        shared = arguments.switch("shared of advisory_lock()", shared) or False
        self.name = name
        self.key = advisory_key(name)
        self._opener = opener
        self._wait = wait
        self._suffix = "_shared" if shared else ""
        self._session: Session | None = None
        self._lost: str = ""

    def __enter__(self) -> Self:
        """Gets the lock.

        Raises:
            LockNotAvailableError: another session has it, and had it until the time was over.
            PPGError: there is no direct URL, the connection was lost, or the server has found a
                deadlock.
            Exception: the driver's or the framework's, where the connection cannot be opened.
        """
        if self._session is not None:
            raise ConfigurationError(
                f"the advisory lock {self.name!r} was entered twice",
                hint="Make another one for a block within the block, or another thread.",
            )
        session = self._opener.open(f"ppg lock {self.name}")
        try:
            session.lift_limits()
            if not self._acquired(session):
                raise self._refusal(session)
        except BaseException:
            session.close()
            raise
        self._session, self._lost = session, ""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        """Gives it back.

        Raises:
            LockLostError: the session had ended before, and nobody knows for how long the block
                went on without the lock. What the block itself raises comes first.
        """
        session = self._session
        assert session is not None
        try:
            released = self._asks(f"SELECT pg_advisory_unlock{self._suffix}(%s)", self.key)
        finally:
            self._session = None
            session.close()
        if not released and kind is None:
            raise LockLostError(
                f"the session that held the advisory lock {self.name!r} ended before its block: "
                f"{self._lost or 'the lock was released in it by something else'}",
                hint="Another one may have had the lock meanwhile: look at what both have done.",
            )

    @property
    def held(self) -> bool:
        """Whether the lock is still ours. Asks the server, which is one round trip.

        A long job asks now and then, and stops where the answer is False. Asked at least once a
        minute, it also keeps a credential alive that is being rotated.
        """
        # A session-level lock goes with its session, and with nothing else.
        return self._session is not None and self._asks("SELECT true")

    def __repr__(self) -> str:
        return f"<advisory lock {self.name!r}>"

    def _acquired(self, session: Session) -> bool:
        if self._wait == 0:
            found = session.fetch(f"SELECT pg_try_advisory_lock{self._suffix}(%s)", (self.key,))
            return bool(found[0][0])
        wait = f"SELECT pg_advisory_lock{self._suffix}(%s)"
        if self._wait is None:
            session.execute(wait, (self.key,))
            return True
        milliseconds = min(_LONGEST, math.ceil(self._wait * 1000))
        session.execute(f"SET lock_timeout = {milliseconds}")
        try:
            with liveness.limited(session.fileno(), self._wait + _LATE):
                session.execute(wait, (self.key,))
        except QueryError as error:
            if error.sqlstate != _TIMED_OUT:
                raise
            return False
        except TimeoutError as error:
            raise ConnectError(f"{session}: {error}", code="timeout") from None
        return True

    def _refusal(self, session: Session) -> LockNotAvailableError:
        rows = session.fetch(_HOLDERS, (self.key, self.key))
        who = ", ".join(f"{pid} ({name})" if name else str(pid) for pid, name in rows)
        waited = f" after {self._wait:g} s" if self._wait else ""
        return LockNotAvailableError(
            f"the advisory lock {self.name!r} (key {self.key}) is held by another session{waited}"
            + (f": {who}" if who else ""),
            # Where logins act as the role that owns the database, its rights are too few.
            hint="Try again later, or wait longer: advisory_lock(..., wait=SECONDS). To end a "
            "session that should not be there: SET ROLE NONE; SELECT pg_terminate_backend(PID);",
        )

    def _asks(self, sql: str, *params: object) -> bool:
        """What the server says, True or False; False where it says nothing any more."""
        session = self._session
        assert session is not None
        if session.closed:
            return False
        try:
            with liveness.limited(session.fileno()):
                return bool(session.fetch(sql, params)[0][0])
        except (PPGError, TimeoutError) as error:
            self._lost = error.message if isinstance(error, ConnectError) else str(error)
            session.close()
            return False
