"""Keeps the HTTP client's own loggers from telling what this package sends and gets.

httpcore logs the headers of every answer, cookies among them, and httpx every address and the
server's reason phrase. The filter is put on their loggers once in a process and stays there; it
takes out records of our own exchanges only, those of the user's other requests go through.
"""

from __future__ import annotations

import contextlib
import logging
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

# A filter works on the logger that it is put on, not on those below.
_LOGGERS: Final = (
    "httpx",
    "httpcore",
    "httpcore.connection",
    "httpcore.http11",
    "httpcore.http2",
    "httpcore.proxy",
    "httpcore.socks",
)

_ours: ContextVar[bool] = ContextVar("ppg_integrations_exchange", default=False)


def _not_ours(_record: logging.LogRecord) -> bool:
    return not _ours.get()


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """What httpx and httpcore log inside, in this thread, is dropped."""
    for name in _LOGGERS:
        logging.getLogger(name).addFilter(_not_ours)  # once: a filter that is there is not added
    token = _ours.set(True)
    try:
        yield
    finally:
        _ours.reset(token)
