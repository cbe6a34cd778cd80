"""An HTTP server that does exactly what a test says, byte by byte: also what no server should do."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable

Behaviour = Callable[["RawHTTP", socket.socket], None]


class RawHTTP:
    """Listens on loopback; ``with`` starts and ends it, and every connection and thread with it.

    Args:
        behave: called with the server and each connection, in a thread of its own.
        context: for TLS.
        port: where to listen; any free one by default.

    Attributes:
        heads: what :meth:`head` has read, in order.
        connections: how many there were.
    """

    def __init__(
        self, behave: Behaviour, context: ssl.SSLContext | None = None, *, port: int = 0
    ) -> None:
        self.behave = behave
        self.heads: list[bytes] = []
        self.connections = 0
        self.ended = threading.Event()
        self._context = context
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", port))
        self.port: int = self._listener.getsockname()[1]

    @property
    def url(self) -> str:
        return f"http{'s' if self._context else ''}://127.0.0.1:{self.port}"

    def head(self, connection: socket.socket) -> bytes:
        """Reads a request's head, and one byte after the other; ``b""`` if the client hung up."""
        data = b""
        while not data.endswith(b"\r\n\r\n"):
            byte = connection.recv(1)
            if not byte:
                return b""
            data += byte
        self.heads.append(data)
        return data

    def drip(self, connection: socket.socket, data: bytes, every: float = 0.02) -> None:
        """Sends it byte by byte, as long as the server runs."""
        for byte in data:
            if self.ended.wait(every):
                return
            connection.sendall(bytes([byte]))

    def pipe(self, one: socket.socket, other: socket.socket) -> None:
        """Passes on what comes, in both directions, until either side ends."""
        self._start(self._pass, one, other)
        self._pass(other, one)

    def __enter__(self) -> RawHTTP:
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        for each in (self._listener, *self._sockets):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)
            assert not thread.is_alive()
        for each in (self._listener, *self._sockets):
            each.close()

    def _start(self, target: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=target, args=args)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self.ended.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._sockets.append(connection)
            self._start(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError):  # the client hung up, which is its right
            if self._context:
                connection = self._context.wrap_socket(connection, server_side=True)
                self._sockets.append(connection)
            try:
                self.behave(self, connection)
            finally:
                connection.shutdown(socket.SHUT_RDWR)
                connection.close()

    def _pass(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
        for each in (source, target):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)


def saying(answer: bytes) -> Behaviour:
    """A server that gives this answer to whatever it is asked, and hangs up."""

    def behave(server: RawHTTP, connection: socket.socket) -> None:
        if server.head(connection):
            connection.sendall(answer)

    return behave


def http(body: bytes = b"{}", status: str = "200 OK", *headers: str) -> bytes:
    """An answer as it is on the wire."""
    lines = (f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", "")
    return "\r\n".join(lines).encode() + body
