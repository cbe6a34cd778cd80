"""Waiting for processes to be gone."""

from __future__ import annotations

import time

from ppg_integrations.providers.local import processes


def ended(*pids: int, seconds: float = 10.0) -> bool:
    """Whether all of them are gone, or will be in a moment.

    One that is ending has lost its command line, and is no zombie yet: the kernel takes a while.
    """
    deadline = time.monotonic() + seconds
    while any(processes.command_line(pid) for pid in pids):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True
