"""A server of a test's own on loopback, and PostgreSQL's words at the beginning of a connection."""

from __future__ import annotations

import socket
import struct
import threading
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import Self

#: https://www.postgresql.org/docs/current/protocol-message-formats.html
_SSL_REQUEST, _GSS_REQUEST = 80877103, 80877104


class LoopbackServer:
    """Listens on loopback; ``with`` starts and ends it, and all of its connections and threads.

    Subclasses have ``_serve(client, number)``, which runs in a thread for each connection.

    Attributes:
        port: where it listens.
        accepted: number of connections so far.
    """

    def __init__(self) -> None:
        self.accepted = 0
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for each in (self._listener, *self._open):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)
            assert not thread.is_alive()
        for each in (self._listener, *self._open):
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
            self._open.append(client)
            self.accepted += 1
            self._start(self._serve, client, self.accepted - 1)

    def _serve(self, client: socket.socket, number: int) -> None:
        raise NotImplementedError


def startup(client: socket.socket) -> bytes:
    """A client's startup packet, after TLS and GSSAPI were declined."""
    while True:
        head = client.recv(8, socket.MSG_WAITALL)
        length, code = struct.unpack("!II", head)
        if code not in (_SSL_REQUEST, _GSS_REQUEST):
            return head + client.recv(length - 8, socket.MSG_WAITALL)
        client.sendall(b"N")


def fatal(sqlstate: str, text: str) -> bytes:
    """The message with which a server refuses a login."""
    fields = {"S": "FATAL", "V": "FATAL", "C": sqlstate, "M": text}
    body = b"".join(f"{kind}{value}".encode() + b"\0" for kind, value in fields.items()) + b"\0"
    return b"E" + struct.pack("!I", len(body) + 4) + body
