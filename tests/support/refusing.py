"""A server that refuses its first clients as a test says, and hands the others on to a real one."""

from __future__ import annotations

import socket
import struct
from contextlib import suppress

from tests.support.loopback import LoopbackServer, fatal, startup


class Refusing(LoopbackServer):
    """Refuses as its script says.

    Args:
        script: what becomes of the first connections, in order: an SQLSTATE and a text, with which
            the login is refused, or ``hang-up``, or ``silence``.
        target: host and port of a server without TLS, for all later ones. Without one they are
            refused as the last of the script.
    """

    def __init__(
        self, script: list[tuple[str, str] | str], target: tuple[str, int] | None = None
    ) -> None:
        super().__init__()
        self._script = script
        self._target = target

    def _serve(self, client: socket.socket, number: int) -> None:
        step: tuple[str, str] | str | None = None
        if number < len(self._script) or self._target is None:
            step = self._script[min(number, len(self._script) - 1)]
        with suppress(OSError, struct.error):
            start = startup(client)
            if step is None:
                server = socket.create_connection(self._target)
                self._open.append(server)
                server.sendall(start)
                self._start(_pump, client, server)
                _pump(server, client)
            elif step == "silence":
                client.recv(1)  # until it goes
            else:
                if step != "hang-up":
                    client.sendall(fatal(*step))
                client.shutdown(socket.SHUT_RDWR)


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    for each in (source, sink):
        with suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
