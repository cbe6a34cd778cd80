"""Free TCP ports of the loopback interface."""

from __future__ import annotations

import random
import socket
from typing import TYPE_CHECKING, Final

from ...errors import LocalServerError

if TYPE_CHECKING:
    from collections.abc import Container

LOOPBACK: Final = "127.0.0.1"
# Below what Linux (32768) and macOS (49152) give to outgoing connections, which would take them.
_RANGE: Final = range(20000, 32000)


def is_free(port: int) -> bool:
    """Could a server listen on `port` of the loopback interface right now?"""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do, or a port whose last connections linger would look taken.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
            probe.listen(1)
        except OSError:
            return False
    return True


def choose(*, but: Container[int] = ()) -> int:
    """A free port at random, so that projects started side by side do not meet.

    Raises:
        LocalServerError: none was found.
    """
    source = random.SystemRandom()
    for _ in range(200):
        port = source.choice(_RANGE)
        if port not in but and is_free(port):
            return port
    raise LocalServerError(f"no free port between {_RANGE.start} and {_RANGE.stop - 1}")


def accepts(port: int) -> bool:
    """Does anything accept connections on `port`?"""
    try:
        with socket.create_connection((LOOPBACK, port), timeout=1):
            return True
    except OSError:
        return False
