"""A point in time by which everything has to be over."""

from __future__ import annotations

import time


class Deadline:
    """`seconds` from now.

    Attributes:
        seconds: how long it was at first, for messages.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._end = time.monotonic() + seconds

    def rest(self) -> float:
        """Seconds that are left; 0 where none are."""
        return max(0.0, self._end - time.monotonic())
