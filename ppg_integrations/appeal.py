"""How a process that got no slot of a server asks the others of its machine to give one up.

The time of an empty file says it: whoever keeps connections looks at that from time to time.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
import time
from typing import Final

#: Seconds between two of our own appeals, and between two looks for one of others.
_BETWEEN: Final = 0.1
_LOOK: Final = 0.05
#: Seconds for which an appeal counts.
_LASTS: Final = 2.0


class Appeal:
    """Of one server. Threads may share it."""

    def __init__(self, host: str, port: int) -> None:
        """Touches nothing yet."""
        self._place = f"{host}:{port}"
        self._path = ""
        self._own = self._heard = 0
        self._next = self.next_look = 0.0

    def make(self) -> None:
        """Asks for a slot. Where no file can be written, nobody hears it."""
        from .lock import make_own

        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + _BETWEEN
        path = self._file()
        folder = os.path.dirname(path)
        if not make_own(os.path.dirname(folder)) or not make_own(folder, private=True):
            return
        flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        with contextlib.suppress(OSError):
            file = os.open(path, flags, 0o600)
            try:
                os.utime(file)
                self._own = os.fstat(file).st_mtime_ns
            finally:
                os.close(file)

    def is_heard(self) -> bool:
        """Whether another process has asked since the last look: once for each appeal."""
        now = time.monotonic()
        if now < self.next_look:
            return False
        self.next_look = now + _LOOK
        try:
            found = os.lstat(self._file())
        except OSError:
            return False
        made = found.st_mtime_ns
        if made in (self._own, self._heard) or found.st_uid != os.geteuid():
            return False
        self._heard = made
        return abs(time.time() - made / 1e9) < _LASTS

    def _file(self) -> str:
        if not self._path:
            # Not in the home, which a service may not be allowed to write to.
            base = os.path.join(tempfile.gettempdir(), f"ppg-integrations-{os.geteuid()}")
            name = hashlib.sha256(self._place.encode()).hexdigest()[:32]
            self._path = os.path.join(base, "waiting", name)
        return self._path
