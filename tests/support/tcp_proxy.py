"""A TCP proxy for tests: forwards, delays, says nothing, hangs up, or lies about the backend.

What it does wrong is done to the bytes, whatever they mean: TLS goes through it untouched.
"""

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
Side = Literal["client", "server"]

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
        reset_after: a side and a number of bytes: each connection is reset, at both ends, once so
            many from that side were passed on.
        silent_after: the same, and from then on nothing more is passed on.

    Attributes:
        port: where it listens.
        accepted: number of connections so far.
        passed: bytes passed on so far, by the side that they came from.

    All but the port may be changed while it runs, for new connections.
    """

    def __init__(
        self,
        target: tuple[str, int] | None = None,
        *,
        mode: Mode = "forward",
        latency: float = 0.0,
        reset_after: tuple[Side, int] | None = None,
        silent_after: tuple[Side, int] | None = None,
    ) -> None:
        self.target = target
        self.mode = mode
        self.latency = latency
        self.reset_after = reset_after
        self.silent_after = silent_after
        self.accepted = 0
        self.passed: dict[Side, int] = {"client": 0, "server": 0}
        self._frozen = threading.Event()
        self._ended = threading.Event()
        self._links: set[_Link] = set()
        self._threads: set[threading.Thread] = set()
        self._acceptor: threading.Thread | None = None
        self._filler: socket.socket | None = None
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]

    @property
    def open(self) -> int:
        """Number of connections that are open now."""
        with self._lock:
            return len(self._links)

    def freeze(self) -> None:
        """From now on nothing that comes is passed on; connections stay open."""
        self._frozen.set()

    def cut(self, *, reset: bool = False) -> None:
        """Ends every connection that is open now, politely or by a reset; new ones are taken."""
        with self._lock:
            links = list(self._links)
        for each in links:
            each.end(reset=reset)

    def refuse(self) -> None:
        """Stops listening: who connects is refused. The port stays ours, and what is open open."""
        self._stop_listening()
        # Bound and not listening: nobody else can take the port meanwhile.
        self._listener = socket.socket()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind(("127.0.0.1", self.port))

    def vanish(self) -> None:
        """Who connects is not even refused, as behind a firewall that drops packets."""
        self.refuse()
        self._listener.listen(0)
        # A queue of one, which is full: the kernel drops who comes next.
        self._filler = socket.create_connection(("127.0.0.1", self.port))

    def listen(self) -> None:
        """Listens again, after either of these."""
        self.refuse()
        self._listener.listen()
        self._acceptor = self._start(self._accept)

    def _stop_listening(self) -> None:
        with suppress(OSError):  # not listening
            self._listener.shutdown(socket.SHUT_RDWR)
        if self._acceptor is not None:
            self._acceptor.join(5)
            self._acceptor = None
        if self._filler is not None:
            self._filler.close()
            self._filler = None
        self._listener.close()

    def __enter__(self) -> TCPProxy:
        self._acceptor = self._start(self._accept)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._stop_listening()
        self.cut()
        for thread in list(self._threads):
            thread.join(5)
            assert not thread.is_alive()
        for each in self._links:
            each.close()

    def _start(self, function, *args) -> threading.Thread:
        def run() -> None:
            try:
                function(*args)
            finally:
                self._threads.discard(thread)

        thread = threading.Thread(target=run, daemon=True)
        self._threads.add(thread)
        thread.start()
        return thread

    def _accept(self) -> None:
        while not self._ended.is_set():
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.accepted += 1
            link = _Link(client)
            with self._lock:
                self._links.add(link)
            if self._ended.is_set():  # accepted while __exit__ cut the others
                link.end()
            if self.mode == "reset":
                link.end(reset=True)
                self._forget(link)
            else:
                self._start(self._swallow if self.mode == "blackhole" else self._serve, link)

    def _forget(self, link: _Link) -> None:
        with self._lock:
            self._links.discard(link)
        link.close()

    def _swallow(self, link: _Link) -> None:
        _drain(link.client)
        self._forget(link)

    def _serve(self, link: _Link) -> None:
        assert self.target is not None
        try:
            with suppress(OSError):
                link.server = socket.create_connection(self.target)
                if link.over:  # since then
                    link.end()
                if self.mode == "new-key":
                    self._relay(link)
                else:
                    back = self._start(self._pump, link, "server", 0.0)
                    self._pump(link, "client", self.latency)
                    back.join()
        finally:
            self._forget(link)

    def _pump(self, link: _Link, side: Side, latency: float) -> None:
        source, sink = (link.client, link.server)[:: 1 if side == "client" else -1]
        limit = next((n for n in (self.reset_after, self.silent_after) if n and n[0] == side), None)
        resets = limit is self.reset_after
        left = limit[1] if limit else -1
        with suppress(OSError):
            while left and (data := source.recv(min(left, 65536) if limit else 65536)):
                if self._frozen.is_set():
                    self._ended.wait()
                if latency:
                    self._ended.wait(latency)
                sink.sendall(data)
                with self._lock:
                    self.passed[side] += len(data)
                left -= len(data) if limit else 0
            if not (left or resets):
                _drain(source)
                return  # the client is not told that the server has hung up
        link.end(reset=not left)

    def _relay(self, link: _Link) -> None:
        client, server = link.client, link.server
        start = _startup(client)
        server.sendall(struct.pack("!II", 8, _SSL_REQUEST))
        assert _exactly(server, 1) == b"S"
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        # One thread for both ways: OpenSSL does not like to be read and written at once.
        link.server = tls = context.wrap_socket(server)
        tls.sendall(start)
        log_in = True
        while True:
            ready = [tls] if tls.pending() else select.select([client, tls], [], [])[0]
            if client in ready:
                data = client.recv(65536)
                if not data:
                    return
                tls.sendall(data)
            if tls in ready and log_in:
                log_in = self._pass_on_message(tls, client)
            elif tls in ready:
                data = tls.recv(65536)
                if not data:
                    return
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


class _Link:
    """One connection: the client's socket, and the one to the server, as soon as there is one."""

    def __init__(self, client: socket.socket) -> None:
        self.client = client
        self.server: socket.socket = client
        self.over = False
        self._reset = False

    def end(self, *, reset: bool = False) -> None:
        """Wakes whoever reads; with `reset` the ends learn of it when both are closed."""
        self.over = True
        self._reset = self._reset or reset
        for each in (self.client, self.server):
            with suppress(OSError):
                if reset:
                    each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                each.shutdown(socket.SHUT_RD if self._reset else socket.SHUT_RDWR)

    def close(self) -> None:
        self.client.close()
        self.server.close()


def _drain(source: socket.socket) -> None:
    """Takes what comes, until the other end has gone."""
    with suppress(OSError):
        while source.recv(65536):
            pass


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
