"""Timers that set a limit to what may take too long."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any


class Limit(threading.Timer):
    """A timer of which nothing depends but how long somebody waits.

    Since Python 3.12 no thread begins once the main one has ended, when functions of ``atexit`` and
    threads that are no daemons are still at work. There it never fires, and what it limits takes as
    long as it takes: https://docs.python.org/3/whatsnew/3.12.html (``threading``).
    """

    def __init__(
        self, seconds: float, function: Callable[..., Any], *args: Any, name: str = "ppg-limit"
    ) -> None:
        """Runs from now on.

        Args:
            seconds: until it calls `function` with `args`.
            function, args: what and with what.
            name: of the thread.
        """
        super().__init__(max(0.0, seconds), function, args)
        self.name = name
        self.daemon = True
        self._runs = begun(self)

    def end(self) -> None:
        """It does not fire any more, and has ended if it has fired."""
        self.cancel()
        if self._runs:
            self.join()


def begun(thread: threading.Thread) -> bool:
    """Begins a thread, and gives whether that was possible: see :class:`Limit`."""
    try:
        thread.start()
    except RuntimeError:
        if thread.ident is not None:  # it runs already
            raise
        return False
    return True
