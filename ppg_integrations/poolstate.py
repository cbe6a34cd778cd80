"""What one of psycopg's pools knows beyond psycopg: pairs, last uses, and why it cannot connect."""

from __future__ import annotations

import time
from copy import copy
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

from . import contact, liveness, next_steps, refusals
from .errors import PPGError
from .failures import FAILURES, address, condense

if TYPE_CHECKING:
    from .endpoint import Endpoint
    from .pair import ConnectionPair
    from .urls import PostgresURL

#: Seconds for which who waits for the first connection of a pool does so without a look at why
#: there is none. No place in the queue is lost by looking: nobody has anything to give back.
_LOOK: Final = 0.25

_SILENT: Final = next(row for row in FAILURES if row.code == "timeout")


class PoolState:
    """Of one pool. Its threads, or the tasks of its event loop, share it.

    Attributes:
        failure: why the last connection could not be opened; empty if it could.
        refusal: the same as an error, where that does not pass by itself, or nobody is to wait.
        refused: when; zero where it does not matter, since it does not pass.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._pair: ConnectionPair | None = None
        #: Each with its pair, and when it was opened or last used.
        self._opened: WeakKeyDictionary[Any, tuple[ConnectionPair, float]] = WeakKeyDictionary()
        self._used: WeakKeyDictionary[Any, float] = WeakKeyDictionary()
        self._emptied = 0.0
        self.failure = ""
        self.refusal: Exception | None = None
        self.refused = 0.0
        self._opening: ConnectionPair | None = None

    # ------------------------------------------------------------ pairs

    def is_due(self) -> bool:
        """Whether asking for the pair may take a while: not in an event loop."""
        return self._endpoint.current.is_due()

    def follow(self) -> None:
        """Takes the pair as it is now. Idle connections of another one are met by their check.

        Raises:
            PPGError: there is no pair, or no direct URL and that is the endpoint.
        """
        current = self._endpoint.current
        if self._endpoint.direct or current.error is not None:
            self._endpoint.destination()
        now = current.pair
        if now is not self._pair:
            self._pair, self.refusal = now, None

    def is_current(self, connection: Any) -> bool:
        """Whether a connection was opened with the pair as it is."""
        before = self._opened.get(connection, (self._pair, 0.0))[0]
        if before is self._pair or before is None or self._pair is None:
            return True
        return self._half(before) == self._half(self._pair)

    def _half(self, pair: ConnectionPair) -> PostgresURL | None:
        return pair.direct if self._endpoint.direct else pair.pooled

    # ------------------------------------------------------------ uses

    def used(self, connection: Any) -> None:
        """It goes back into the pool."""
        self._used[connection] = time.monotonic()

    def needs_test(self, connection: Any) -> bool:
        """See :func:`.liveness.needs_test`."""
        last = self._used.get(connection) or self._opened.get(connection, (None, 0.0))[1]
        return liveness.needs_test(connection.fileno(), last, self._endpoint.settings.alive_window)

    def empties(self, connection: Any) -> bool:
        """Whether the others are to go, too, because this one was dead or of an old pair.

        They most likely are it as well, and psycopg's pool pauses after the second one that it
        finds so, a second and more. Those that were opened since the others went are not.
        """
        opened = self._opened.get(connection, (None, time.monotonic()))[1]
        if opened < self._emptied:
            return False
        self._emptied = time.monotonic()
        return True

    # ------------------------------------------------------------ connecting

    def opens(self) -> ConnectionPair:
        """A connection is about to be opened, with this pair.

        Raises:
            PPGError: there is none.
        """
        self._opening = pair = self._endpoint.current.pair
        return pair

    def opened(self, connection: Any, pair: ConnectionPair) -> None:
        self.failure, self.refusal, self._opening = "", None, None
        self._opened[connection] = (pair, time.monotonic())
        contact.reached(self._half(pair) or pair.pooled)

    def failed(self, error: Exception, pair: ConnectionPair | None) -> None:
        """It was not; what is written to its text is what is known beyond it."""
        self._opening = None
        url = None if pair is None else self._half(pair)
        if url is None or pair is None or isinstance(error, PPGError):
            self.failure = str(error) if isinstance(error, PPGError) else condense(str(error))
            self.refusal = error.with_traceback(None) if isinstance(error, PPGError) else None
            self.refused = 0.0
            return
        failure = refusals.failure_of(error)
        refusals.explained(error, url, self._source(pair), failure)
        self.failure = condense(str(error))
        stays = failure is not None and not refusals.passes(failure, url)
        once = not self._endpoint.settings.connect_deadline
        self.refused = 0.0 if stays else time.monotonic()
        self.refusal = copy(error).with_traceback(None) if stays or once else None

    def why(self) -> str:
        """What is known of why there is no connection; empty if nothing is."""
        if self.failure or (pair := self._opening) is None:
            return self.failure
        url = self._half(pair) or pair.pooled
        step = next_steps.after(_SILENT, url)
        source = self._source(pair)
        origin = f", which is from {source}," if source else ""
        return f"{address(url)}{origin} has not answered yet. {step}"

    def _source(self, pair: ConnectionPair) -> str:
        return str((pair.direct_source if self._endpoint.direct else pair.pooled_source) or "")

    def is_empty(self) -> bool:
        """Whether no connection of the pool is open, neither in it nor in use."""
        found = (reference() for reference in self._opened.keyrefs())
        return all(each is None or each.closed for each in found)


class Wait:
    """One for a connection of a pool."""

    def __init__(self, state: PoolState, usual: float, asked: float | None, first: float) -> None:
        """Begins now.

        Args:
            state: of the pool.
            usual: seconds, where the caller does not say it.
            asked: seconds that the caller says.
            first: seconds where there is no connection to wait for and one has to be opened.
        """
        self._state = state
        self._began = time.monotonic()
        self._seconds = usual if asked is None else asked
        self._first = max(usual, first) if asked is None else asked

    def part(self) -> float:
        """Seconds to wait now."""
        empty = self._state.is_empty()
        left = self._began + self._limit(empty=empty) - time.monotonic()
        return max(0.0, min(left, _LOOK) if empty else left)

    def again(self, error: Exception) -> None:
        """Returns where it is worth to wait on.

        Args:
            error: of the pool, that there was none in time.

        Raises:
            Exception: why no connection can be opened; or `error`, with what is known of that.
        """
        empty, state = self._state.is_empty(), self._state
        if empty and state.refusal is not None and not 0 < state.refused < self._began:
            raise copy(state.refusal) from None
        limit = self._limit(empty=empty)
        if time.monotonic() - self._began < limit:
            return
        why = f": {found}" if (found := state.why()) else ""
        raise type(error)(f"couldn't get a connection after {limit:.2f} sec{why}") from None

    def _limit(self, *, empty: bool) -> float:
        return self._first if empty else self._seconds
