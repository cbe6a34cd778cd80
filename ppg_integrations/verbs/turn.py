"""One verb at a time for one ``.env`` file."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from .. import lock
from ..journal import Journal
from .context import Context

# Seconds, besides the API's: for proofs of endpoints that sleep, and for git on a slow disk.
_BESIDES = 30.0


@contextlib.contextmanager
def turn(context: Context, journal: Journal) -> Iterator[bool]:
    """Hold the file for a verb that changes something at a provider.

    Yields:
        Whether another process had it, and was waited for.

    Raises:
        EnvFileError: it kept it for longer than its API work may take.
    """

    def waiting(holder: str) -> None:
        context.progress(f"another run is at work on {context.env_file} ({holder})")

    with lock.holding(
        f"{journal.path}.turn",
        timeout=context.settings.timeout + _BESIDES,
        waiting=waiting,
        title=str(context.env_file),
    ) as waited:
        yield waited
