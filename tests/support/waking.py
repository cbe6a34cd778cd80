"""A server that is not ready yet: it refuses a few logins in ways of its own, then lets all through."""

from __future__ import annotations

import select
import socket
from collections.abc import Sequence
from contextlib import suppress

from tests.support.loopback import LoopbackServer, fatal, startup

#: What it may say: SQLSTATE and text. An empty text hangs up within the login, ``tls`` before that.
STARTING = ("57P03", "the database system is starting up")
UPSTREAM = ("08006", "failed to connect to upstream database")
FULL = ("53300", "sorry, too many clients already")
WRONG = ("28P01", 'password authentication failed for user "app"')
UNKNOWN = ("3D000", 'database "shop" does not exist')
GONE = ("", "")
NO_TLS = ("tls", "")


class Waking(LoopbackServer):
    """Refuses its first clients, and passes the others on, TLS and all.

    Args:
        target: host and port of the real server.
        moods: what the first connections are told, one each.
    """

    def __init__(self, target: tuple[str, int], moods: Sequence[tuple[str, str]]) -> None:
        super().__init__()
        self._target = target
        self._moods = list(moods)

    def _serve(self, client: socket.socket, number: int) -> None:
        if number < len(self._moods):
            self._refuse(client, self._moods[number])
        else:
            self._forward(client)

    def _refuse(self, client: socket.socket, mood: tuple[str, str]) -> None:
        code, text = mood
        with suppress(OSError):
            if code != "tls":
                startup(client)
            if text:
                client.sendall(fatal(code, text))
            client.shutdown(socket.SHUT_RDWR)

    def _forward(self, client: socket.socket) -> None:
        with suppress(OSError):
            server = socket.create_connection(self._target)
            self._open.append(server)
            while True:
                for source in select.select([client, server], [], [])[0]:
                    data = source.recv(65536)
                    if not data:
                        for each in (client, server):
                            each.shutdown(socket.SHUT_RDWR)
                        return
                    (server if source is client else client).sendall(data)
