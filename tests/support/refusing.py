"""A server that refuses its first clients as a test says, and hands the others on to a real one."""

from __future__ import annotations

import socket
import struct
import threading
from contextlib import suppress
from types import TracebackType

#: https://www.postgresql.org/docs/current/protocol-message-formats.html
_SSL_REQUEST, _GSS_REQUEST = 80877103, 80877104


class Refusing:
    """Listens on loopback; ``with`` starts and ends it, and all of its connections and threads.

    Args:
        script: what becomes of the first connections, in order: an SQLSTATE and a text, with which
            the login is refused, or ``hang-up``, or ``silence``.
        target: host and port of a server without TLS, for all later ones. Without one they are
            refused as the last of the script.

    Attributes:
        port: where it listens.
        accepted: number of connections so far.
    """

    def __init__(
        self, script: list[tuple[str, str] | str], target: tuple[str, int] | None = None
    ) -> None:
        self._script = script
        self._target = target
        self.accepted = 0
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]

    def __enter__(self) -> Refusing:
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
            step: tuple[str, str] | str | None = None
            if self.accepted < len(self._script) or self._target is None:
                step = self._script[min(self.accepted, len(self._script) - 1)]
            self.accepted += 1
            self._start(self._serve, client, step)

    def _serve(self, client: socket.socket, step: tuple[str, str] | str | None) -> None:
        with suppress(OSError, struct.error):
            start = _startup(client)
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
                    client.sendall(_error(*step))
                client.shutdown(socket.SHUT_RDWR)


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    for each in (source, sink):
        with suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)


def _error(sqlstate: str, text: str) -> bytes:
    fields = {"S": "FATAL", "V": "FATAL", "C": sqlstate, "M": text}
    body = b"".join(f"{kind}{value}".encode() + b"\0" for kind, value in fields.items()) + b"\0"
    return b"E" + struct.pack("!I", len(body) + 4) + body


def _startup(client: socket.socket) -> bytes:
    """The startup packet, after TLS and GSSAPI were declined."""
    while True:
        head = client.recv(8, socket.MSG_WAITALL)
        length, code = struct.unpack("!II", head)
        if code not in (_SSL_REQUEST, _GSS_REQUEST):
            return head + client.recv(length - 8, socket.MSG_WAITALL)
        client.sendall(b"N")
