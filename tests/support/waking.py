"""A server that is not ready yet: it refuses a few logins in ways of its own, then lets all through."""

from __future__ import annotations

import select
import socket
import struct
import threading
from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType

#: What it may say: SQLSTATE and text. An empty text hangs up within the login, ``tls`` before that.
STARTING = ("57P03", "the database system is starting up")
UPSTREAM = ("08006", "failed to connect to upstream database")
FULL = ("53300", "sorry, too many clients already")
WRONG = ("28P01", 'password authentication failed for user "app"')
UNKNOWN = ("3D000", 'database "shop" does not exist')
GONE = ("", "")
NO_TLS = ("tls", "")

#: https://www.postgresql.org/docs/current/protocol-message-formats.html
_SSL_REQUEST, _GSS_REQUEST = 80877103, 80877104


class Waking:
    """Listens on loopback; ``with`` starts and ends it.

    Args:
        target: host and port of the real server.
        moods: what the first connections are told, one each.

    Attributes:
        port: where it listens.
        accepted: number of connections so far.
    """

    def __init__(self, target: tuple[str, int], moods: Sequence[tuple[str, str]]) -> None:
        self._target = target
        self._moods = list(moods)
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.accepted = 0

    def __enter__(self) -> Waking:
        self._start(self._accept)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for each in (self._listener, *self._sockets):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)
            assert not thread.is_alive()
        for each in (self._listener, *self._sockets):
            each.close()

    def _start(self, function, *args) -> None:
        thread = threading.Thread(target=function, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.accepted += 1
            self._sockets.append(client)
            mood = self._moods.pop(0) if self._moods else None
            self._start(self._refuse if mood else self._forward, client, mood)

    def _refuse(self, client: socket.socket, mood: tuple[str, str]) -> None:
        code, text = mood
        with suppress(OSError):
            while code != "tls":
                length, kind = struct.unpack("!II", client.recv(8, socket.MSG_WAITALL))
                if kind not in (_SSL_REQUEST, _GSS_REQUEST):
                    client.recv(length - 8, socket.MSG_WAITALL)
                    break
                client.sendall(b"N")
            if text:
                fields = {"S": "FATAL", "V": "FATAL", "C": code, "M": text}
                body = b"".join(f"{key}{value}\0".encode() for key, value in fields.items())
                client.sendall(b"E" + struct.pack("!I", len(body) + 5) + body + b"\0")
            client.shutdown(socket.SHUT_RDWR)

    def _forward(self, client: socket.socket, _mood: None) -> None:
        with suppress(OSError):
            server = socket.create_connection(self._target)
            self._sockets.append(server)
            while True:
                for source in select.select([client, server], [], [])[0]:
                    data = source.recv(65536)
                    if not data:
                        for each in (client, server):
                            each.shutdown(socket.SHUT_RDWR)
                        return
                    (server if source is client else client).sendall(data)
