"""A TCP proxy for tests: forwards, delays, says nothing, hangs up, or lies about the backend."""

from __future__ import annotations

import secrets
import select
import socket
import ssl
import struct
import threading
from contextlib import ExitStack, suppress
from types import TracebackType
from typing import Literal

Mode = Literal["forward", "blackhole", "reset", "new-key"]

#: https://www.postgresql.org/docs/current/protocol-message-formats.html
_SSL_REQUEST, _GSS_REQUEST = 80877103, 80877104


class TCPProxy:
    """Listens on loopback; ``with`` starts and ends it, and every connection and thread with it.

    Args:
        target: host and port behind it.
        mode: ``forward``; ``blackhole`` accepts and never answers; ``reset`` accepts and hangs up;
            ``new-key`` does as Neon's proxy: it ends the protocol and makes up the pid of
            BackendKeyData. It takes no TLS from the client, and uses it towards the server.
        latency: seconds by which each chunk from the client is late.

    Attributes:
        port: where it listens.
        accepted: number of connections so far.
    """

    def __init__(
        self, target: tuple[str, int] | None = None, *, mode: Mode = "forward", latency: float = 0.0
    ) -> None:
        self.target = target
        self.mode = mode
        self.latency = latency
        self.accepted = 0
        self._frozen = threading.Event()
        self._ended = threading.Event()
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]

    def freeze(self) -> None:
        """From now on nothing that comes is passed on; connections stay open."""
        self._frozen.set()

    def cut(self) -> None:
        """Ends every connection that is open now; new ones are taken."""
        with self._lock:
            for each in self._sockets:
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> TCPProxy:
        self._start(self._accept)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._ended.set()
        with self._lock:
            sockets = [self._listener, *self._sockets]
        for each in sockets:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)
            assert not thread.is_alive()
        for each in (self._listener, *self._sockets):  # not before: a thread may wait for one
            each.close()

    def _start(self, function, *args) -> None:
        thread = threading.Thread(target=function, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _keep(self, each: socket.socket) -> socket.socket:
        with self._lock:
            self._sockets.append(each)
        return each

    def _accept(self) -> None:
        while not self._ended.is_set():
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._keep(client)
            self.accepted += 1
            if self.mode == "reset":
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                client.close()
            elif self.mode != "blackhole":
                self._start(self._serve, client)

    def _serve(self, client: socket.socket) -> None:
        assert self.target is not None
        with ExitStack() as stack:
            stack.enter_context(suppress(OSError))
            server = self._keep(socket.create_connection(self.target))
            if self.mode == "new-key":
                self._relay(client, server)
            else:
                self._start(self._pump, client, server, self.latency)
                self._pump(server, client, 0.0)

    def _pump(self, source: socket.socket, sink: socket.socket, latency: float) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if self._frozen.is_set():
                    self._ended.wait()
                if latency:
                    self._ended.wait(latency)
                sink.sendall(data)
        for each in (source, sink):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def _relay(self, client: socket.socket, server: socket.socket) -> None:
        start = _startup(client)
        server.sendall(struct.pack("!II", 8, _SSL_REQUEST))
        assert _exactly(server, 1) == b"S"
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        # One thread for both ways: OpenSSL does not like to be read and written at once.
        with context.wrap_socket(server) as tls:
            self._keep(tls)
            tls.sendall(start)
            log_in = True
            while True:
                ready = [tls] if tls.pending() else select.select([client, tls], [], [])[0]
                if client in ready:
                    data = client.recv(65536)
                    if not data:
                        return client.close()
                    tls.sendall(data)
                if tls in ready and log_in:
                    log_in = self._pass_on_message(tls, client)
                elif tls in ready:
                    data = tls.recv(65536)
                    if not data:
                        return client.close()
                    client.sendall(data)

    def _pass_on_message(self, server: socket.socket, client: socket.socket) -> bool:
        """Forwards one message of the login, with a pid made up; False after the last."""
        kind, length = struct.unpack("!cI", _exactly(server, 5))
        body = _exactly(server, length - 4)
        if kind == b"K":
            body = struct.pack("!i", -secrets.randbelow(2**31) - 1) + body[4:]
        elif kind == b"R":
            # libpq does not stand for an offer of channel binding without TLS
            body = body.replace(b"SCRAM-SHA-256-PLUS\0", b"")
        client.sendall(kind + struct.pack("!I", len(body) + 4) + body)
        return kind != b"Z"


def _startup(client: socket.socket) -> bytes:
    """The client's startup packet, after TLS and GSSAPI were declined."""
    while True:
        head = _exactly(client, 8)
        length, code = struct.unpack("!II", head)
        if code not in (_SSL_REQUEST, _GSS_REQUEST):
            return head + _exactly(client, length - 8)
        client.sendall(b"N")


def _exactly(source: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        chunk = source.recv(count - len(data))
        if not chunk:
            raise ConnectionError("ended early")
        data += chunk
    return data
