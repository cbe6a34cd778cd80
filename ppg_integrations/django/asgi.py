"""What requests connect with under ASGI.

There each request has a thread of its own. What ``CONN_MAX_AGE`` keeps would belong to a thread
that nobody comes back to: connections without a bound. What keeps some for all threads is Django's
native pool.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, Final

#: Connections of one process: more are no faster (benchmarks/pooled_asgi.py), as one process runs
#: Python in one thread at a time, and five such processes fit into the smallest plan's 50.
MAX_SIZE: Final = 10
#: Seconds. A pooler without a free slot is asked again ever more rarely, and this often at least.
_RECONNECT: Final = 10.0
#: Seconds. One that nobody has needed for so long is closed, and then the next one: an idle process
#: gives its slots back. A process that serves a request now and then keeps one.
_IDLE: Final = 60.0


def has_pool() -> bool:
    """Whether Django's native pool can be had: psycopg 3 and its pool can be imported."""
    try:
        for name in ("psycopg", "psycopg_pool"):
            import_module(name)
    except ImportError:  # psycopg without its libpq raises it too
        return False
    return True


def pool(timeout: float) -> dict[str, Any]:
    """``OPTIONS["pool"]``.

    Args:
        timeout: seconds for which a request waits for a connection.
    """
    return {
        "min_size": 0,  # no slot of the pooler is kept for nothing
        "max_size": MAX_SIZE,
        "timeout": timeout,
        "reconnect_timeout": _RECONNECT,
        "max_idle": _IDLE,
    }
