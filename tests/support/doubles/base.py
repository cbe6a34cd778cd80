"""What the doubles share: an HTTP server on loopback that keeps a record and can be told to fail."""

from __future__ import annotations

import re
import secrets
import socket
import struct
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

import flask
from werkzeug.exceptions import HTTPException
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server


@dataclass
class Fault:
    """What goes wrong with the next requests that match.

    Attributes:
        method, path: of the requests; the path is a regular expression, searched for.
        times: how many requests it spoils; None for all.
        status, headers, body: the answer instead of the real one, as it stands.
        delay: seconds before the answer.
        cut: ``before`` closes the connection without an answer, ``body`` in the middle of one.
        work: do what was asked first, and then lose the answer.
    """

    method: str = ".*"
    path: str = ""
    times: int | None = 1
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | str = b""
    delay: float = 0.0
    cut: str = ""
    work: bool = False


@dataclass(frozen=True)
class Recorded:
    """A request, as it came."""

    method: str
    path: str  # as sent, still encoded, without the query
    query: str
    headers: Mapping[str, str]
    body: bytes
    status: int
    at: float  # time.monotonic() when it came


class Refused(Exception):
    """What a double answers to a request that the real API would refuse."""

    def __init__(self, status: int, message: str, **more: Any) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.more = more


class Double:
    """A provider's API. ``with`` starts and ends its server.

    A subclass adds its routes to :attr:`app` in its ``__init__``, checks the token in
    :meth:`authenticate`, and writes its API's own error bodies in :meth:`error_body`.

    Attributes:
        token: the one token that it accepts.
        requests: what came, in order.
        faults: what will go wrong; tests append to it.
    """

    #: what its base URL ends with
    path = ""

    def __init__(self) -> None:
        self.token = f"tok_{secrets.token_hex(16)}"
        self.requests: list[Recorded] = []
        self.faults: list[Fault] = []
        self.lock = threading.RLock()  # state is changed under it
        self._crashes: list[Exception] = []
        self.app = flask.Flask(__name__)
        self.app.url_map.strict_slashes = True
        self.app.before_request(self._before)
        self.app.register_error_handler(Refused, self._refused)
        self.app.register_error_handler(HTTPException, self._http_error)
        self._server: BaseWSGIServer | None = None
        self._thread: threading.Thread | None = None

    # What subclasses give.

    def authenticate(self) -> None:
        """Raises :class:`Refused` for a request without the token."""
        if flask.request.headers.get("Authorization") != f"Bearer {self.token}":
            raise Refused(401, "unauthorized")

    def error_body(self, status: int, message: str, more: Mapping[str, Any]) -> Any:
        return {"error": message}

    # What tests use.

    @property
    def port(self) -> int:
        assert self._server is not None, "the double is not running"
        return self._server.port

    @property
    def url(self) -> str:
        """The base URL, as a user would set it."""
        return f"http://127.0.0.1:{self.port}{self.path}"

    def fail(self, method: str = ".*", path: str = "", **fault: Any) -> Fault:
        """Spoils the next request that matches; see :class:`Fault`."""
        made = Fault(method, path, **fault)
        self.faults.append(made)
        return made

    def count(self, method: str = ".*", path: str = "") -> int:
        """How many requests matched."""
        return sum(
            bool(re.fullmatch(method, each.method) and re.search(path, each.path))
            for each in list(self.requests)
        )

    def __enter__(self) -> Any:
        handler = type("Handler", (_Handler,), {"double": self})
        self._server = make_server(
            "127.0.0.1", 0, self._wsgi, threaded=True, request_handler=handler
        )
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._server is not None and self._thread is not None
        self._server.shutdown()
        self._thread.join(10)
        assert not self._thread.is_alive()
        self._server.server_close()
        # An error of the double itself must not pass for one of the provider's.
        for crash in self._crashes:
            raise crash

    # How a request goes through.

    def _before(self) -> None:
        self.authenticate()

    def _refused(self, error: Refused) -> flask.Response:
        body = self.error_body(error.status, error.message, error.more)
        return self.app.make_response((flask.jsonify(body), error.status))

    def _http_error(self, error: HTTPException) -> flask.Response:
        return self._refused(Refused(error.code or 500, error.description or error.name))

    def _fault(self, method: str, path: str) -> Fault | None:
        with self.lock:
            for fault in self.faults:
                if re.fullmatch(fault.method, method) and re.search(fault.path, path):
                    if fault.times is not None:
                        fault.times -= 1
                        if fault.times <= 0:
                            self.faults.remove(fault)
                    return fault
        return None

    def _wsgi(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        at = time.monotonic()
        path, _, query = environ["RAW_URI"].partition("?")
        method = environ["REQUEST_METHOD"]
        fault = self._fault(method, path)
        request = flask.Request(environ)
        body = request.get_data(cache=False) if request.content_length else b""
        environ["wsgi.input"] = _Body(body)
        # An encoded slash belongs to a segment; views get it still encoded, as "%2F".
        segments = re.sub("%2f", "%252F", path, flags=re.IGNORECASE)
        environ["PATH_INFO"] = unquote(segments, encoding="latin-1")  # as WSGI has it
        answer: flask.Response | None = None
        if fault is None or fault.work or (fault.status is None and not fault.cut):
            with self.app.request_context(environ):
                try:
                    answer = self.app.full_dispatch_request()
                except Exception as error:
                    self._crashes.append(error)
                    raise
        status = answer.status_code if answer is not None else (fault.status or 0) if fault else 0
        self.requests.append(Recorded(method, path, query, dict(request.headers), body, status, at))
        if fault is not None:
            time.sleep(fault.delay)
            if fault.cut:
                _cut(environ["werkzeug.socket"], half=fault.cut == "body")
                raise ConnectionAbortedError  # werkzeug's word for a client that has gone
            if fault.status is not None:
                answer = self.app.response_class(
                    fault.body, fault.status, dict(fault.headers), mimetype="application/json"
                )
        assert answer is not None
        return answer(environ, start_response)


class _Handler(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_request(self, *_: Any) -> None:
        pass

    def log(self, *_: Any) -> None:
        pass

    def connection_dropped(self, *_: Any, **__: Any) -> None:
        pass


class _Body:
    """A request's body, read once and given again."""

    def __init__(self, data: bytes) -> None:
        self._rest = data

    def read(self, size: int = -1) -> bytes:
        size = len(self._rest) if size is None or size < 0 else size
        data, self._rest = self._rest[:size], self._rest[size:]
        return data

    def readline(self, size: int = -1) -> bytes:
        end = self._rest.find(b"\n") + 1 or len(self._rest)
        return self.read(end if size is None or size < 0 else min(end, size))


def _cut(connection: socket.socket, *, half: bool) -> None:
    """Ends a connection hard: before an answer, or in the middle of one."""
    if half:
        connection.sendall(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
            b'Content-Length: 4096\r\n\r\n{"data": {'
        )
        time.sleep(0.05)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.shutdown(socket.SHUT_RDWR)
