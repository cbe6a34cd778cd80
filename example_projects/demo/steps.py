"""A line for each step: what is being done, then the seconds that it took."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from ppg_integrations.cli.screen import Screen


class Steps:
    """Where a story says what it does."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen

    @contextmanager
    def step(self, what: str) -> Iterator[None]:
        self._screen.out.write(f"{what:<52}")
        self._screen.out.flush()
        start = time.monotonic()
        try:
            yield
        except BaseException as error:
            stopped = isinstance(error, KeyboardInterrupt)
            self._screen.line("  stopped" if stopped else "   failed")
            raise
        self._screen.line(f"{time.monotonic() - start:7.1f} s")

    def note(self, text: str) -> None:
        self._screen.line(self._screen.style("dim", f"  {text}"))
