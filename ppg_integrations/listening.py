"""``LISTEN`` for as long as a program runs: over lost connections, restarts and rotations."""

from __future__ import annotations

import logging
import math
import random
import secrets
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from . import arguments, liveness, refusals
from .errors import ConfigurationError, ConnectError, PPGError

if TYPE_CHECKING:
    from tenacity import RetryCallState

    from .sessions import Opener, Session

_log: Final = logging.getLogger("ppg_integrations")

#: Seconds without a word after which the server is asked for one. Firewalls forget what is silent,
#: and `rotate` takes a session for unused that was silent for a minute.
KEEPALIVE: Final = 30.0
#: Seconds between two looks at the pair.
LOOK: Final = 2.0
#: Seconds until `stop` is asked again.
_TICK: Final = 0.5
#: Seconds within which what was sent to a session has to arrive there.
_ARRIVAL: Final = 5.0
#: Seconds: the first pause before a connection that was lost is replaced is up to this long, ...
_FIRST_PAUSE: Final = 0.5
#: ... and the longest up to this. So long is a rotated pair left alone that cannot be used yet.
_LONGEST_PAUSE: Final = 30.0
#: Bytes of a name: https://www.postgresql.org/docs/current/sql-notify.html
_NAME: Final = 63

#: What ends a server's or a network's absence: :data:`.refusals.TRANSIENT` and these, where there
#: was a connection before.
_AWAY: Final = {"refused", "no-socket", "timeout", "no-route", "unknown-host"}
_ABSENT: Final = refusals.TRANSIENT | _AWAY


class Notification(NamedTuple):
    """What somebody sent with ``NOTIFY`` or ``pg_notify()``.

    Attributes:
        channel: where it was sent to.
        payload: its text; empty where none was given.
        pid: of the server process of the session that sent it.
    """

    channel: str
    payload: str
    pid: int


def listen(
    opener: Opener,
    channels: Sequence[str],
    *,
    timeout: float | None = None,
    stop: Callable[[], bool] | None = None,
    catch_up: Callable[[], object] | None = None,
) -> Iterator[Notification]:
    """Yields notifications, in the order of the commits that sent them.

    A connection that is lost is replaced, with growing pauses, and so is one of a pair that was
    rotated. The second loses nothing: the old session is read to the end. The first does, because
    the server keeps nothing for who is not there; `catch_up` is for that.

    The connection is opened by the first ``next()``, and closed when the iteration ends, is left,
    or is closed.

    Args:
        opener: of the direct endpoint.
        channels: their names as ``pg_notify()`` has them; case counts.
        timeout: seconds after which the iteration ends; None for never.
        stop: asked about twice a second; the iteration ends when it says True.
        catch_up: called whenever ``LISTEN`` has begun: at first, and after a connection was lost.
            What was sent before that moment does not arrive any more, and what is sent later does:
            look there at the table that the notifications are about.

    Raises:
        ConfigurationError: an argument cannot be used, or no server would take a channel.
        PPGError: there is no direct URL, or the server refuses ``LISTEN``.
        Exception: the driver's or the framework's, where the first connection cannot be opened, or
            a later one for a reason that does not pass: a wrong password, an unknown database.
    """
    if not channels:
        raise ConfigurationError("listen() got no channel", hint='Such as listen("jobs").')
    for channel in channels:
        arguments.text("a channel of listen()", channel, hint='Such as listen("jobs", "mails").')
        if not 0 < len(channel.encode()) <= _NAME or "\0" in channel:
            raise ConfigurationError(
                f"listen({channel!r:.80}): a channel's name has 1 to {_NAME} bytes",
                hint="pg_notify() refuses longer ones too.",
            )
    hint = "None listens for ever."
    arguments.seconds("timeout of listen()", timeout, hint=hint, least=-math.inf)
    arguments.function("stop of listen()", stop)
    arguments.function("catch_up of listen()", catch_up)
    return _Listener(opener, tuple(dict.fromkeys(channels)), timeout, stop, catch_up).run()


class _Listener:
    """One iteration."""

    def __init__(
        self,
        opener: Opener,
        channels: tuple[str, ...],
        timeout: float | None,
        stop: Callable[[], bool] | None,
        catch_up: Callable[[], object] | None,
    ) -> None:
        self._opener = opener
        self._channels = channels
        self._until = None if timeout is None else time.monotonic() + timeout
        self._stop = stop
        self._catch_up = catch_up
        self._what = f"the listener on {', '.join(channels)}"
        self._session: Session | None = None
        self._heard: deque[tuple[str, str, int]] = deque()  #: and not taken yet
        self._last = 0.0  #: when something came
        self._look = 0.0  #: when to look at the pair

    def run(self) -> Iterator[Notification]:
        try:
            self._begin(self._listening())
            while not self._is_over():
                self._next()
                if self._heard:
                    yield Notification._make(self._heard.popleft())
        finally:
            self._close()

    def _listening(self) -> Session:
        session = self._opener.open(f"ppg listen {', '.join(self._channels)}")
        try:
            session.lift_limits()
            session.listen(self._channels)
        except BaseException:
            session.close()
            raise
        return session

    def _begin(self, session: Session) -> None:
        self._session = session
        self._last = time.monotonic()
        self._look = self._last + LOOK
        if self._catch_up is not None:
            self._catch_up()

    def _close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.close()

    def _is_over(self) -> bool:
        late = self._until is not None and time.monotonic() >= self._until
        return late or (self._stop is not None and self._stop())

    def _next(self) -> None:
        """Hears what comes within a moment, unless there is something that nobody has taken yet."""
        try:
            self._attend()
        except (PPGError, TimeoutError) as error:
            lost = error
        else:
            return
        self._replace(lost)

    def _attend(self) -> None:
        session = self._session
        assert session is not None
        now = time.monotonic()
        if now >= self._look:
            self._look = now + LOOK
            if session.has_moved():
                self._move(session)
                return
        if now >= self._last + KEEPALIVE:
            with liveness.limited(session.fileno()):
                session.execute("SELECT 1")
            self._last = time.monotonic()
        if self._heard or self._hear(session):
            return
        wait = min(_TICK, self._look - now, self._last + KEEPALIVE - now)
        if self._until is not None:
            wait = min(wait, self._until - now)
        if liveness.has_news(session.fileno(), max(0.0, wait)):
            self._hear(session)

    def _hear(self, session: Session) -> bool:
        found = session.heard()
        self._heard += found
        if found:
            self._last = time.monotonic()
        return bool(found)

    def _move(self, old: Session) -> None:
        """Goes over to where the pair leads now.

        All sessions hear what is sent in one order. A word of our own in it, which both hear, says
        where the one ends and the other begins.
        """
        refusals: tuple[type[Exception], ...] = (PPGError, *self._opener.errors)
        try:
            new = self._listening()
        except refusals as error:
            # As long as the old one is there, it serves.
            self._look = time.monotonic() + _LONGEST_PAUSE
            _log.warning("%s cannot follow a rotation yet: %s", self._what, error)
            return
        mark = f"ppg_{secrets.token_hex(8)}"
        try:
            old.listen([mark])
            new.listen([mark])
            new.execute("SELECT pg_notify(%s, '')", (mark,))
            before, _ = self._parted(old, mark)
            _, after = self._parted(new, mark)
        except (PPGError, TimeoutError) as error:
            old.close()
            self._lost(error)
            self._begin(new)  # where it is the new one that was lost, that shows at once
            return
        except BaseException:
            new.close()
            raise
        old.close()
        self._session = new
        self._heard += before + after
        self._last = time.monotonic()
        _log.info("%s follows a rotation", self._what)

    def _parted(
        self, session: Session, mark: str
    ) -> tuple[list[tuple[str, str, int]], list[tuple[str, str, int]]]:
        """What a session hears before and after the mark."""
        found: list[tuple[str, str, int]] = []
        until = time.monotonic() + _ARRIVAL
        while True:
            found += session.heard()
            for number, each in enumerate(found):
                if each[0] == mark:
                    return found[:number], found[number + 1 :]
            left = until - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"nothing was heard within {_ARRIVAL:g} s")
            liveness.has_news(session.fileno(), left)

    # ------------------------------------------------------------ a loss

    def _lost(self, error: Exception) -> None:
        reason = error.message if isinstance(error, PPGError) else str(error)
        _log.warning("%s has lost its connection, and with it what is sent: %s", self._what, reason)

    def _replace(self, error: Exception) -> None:
        """Listens on another session, as soon as there can be one; unless it is over before."""
        self._close()
        self._lost(error)
        began = time.monotonic()
        # Who ends one session may end the next at once, and all listeners lose theirs together.
        self._pause(random.uniform(0, _FIRST_PAUSE))  # noqa: S311 - no secret
        session = self._again()
        if session is not None:
            _log.warning("%s listens again after %.0f s", self._what, time.monotonic() - began)
            self._begin(session)

    def _again(self) -> Session | None:
        from tenacity import RetryError, Retrying, retry_if_exception, wait_random_exponential

        def over(_state: RetryCallState) -> bool:
            return self._is_over()

        retrying = Retrying(
            retry=retry_if_exception(self._passes),
            wait=wait_random_exponential(multiplier=_FIRST_PAUSE, max=_LONGEST_PAUSE),
            stop=over,
            sleep=self._pause,
        )
        try:
            return retrying(self._listening)
        except RetryError:  # over, and still not there
            return None

    def _passes(self, error: BaseException) -> bool:
        if isinstance(error, ConnectError):
            return True
        failure = refusals.failure_of(error)
        known = failure is None or failure.code in _ABSENT
        return isinstance(error, self._opener.errors) and known

    def _pause(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while not self._is_over() and (left := until - time.monotonic()) > 0:
            time.sleep(min(_TICK, left))
