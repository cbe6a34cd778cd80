"""What the benchmarks measure with: clients that count right, a network that delays and counts."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pytest

from benchmarks.clients import load
from benchmarks.delay import trips
from benchmarks.delaying import Counts, delaying

pytestmark = pytest.mark.once


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        status = 500 if self.path == "/bad" else 200
        text = b"TimeoutError: port 5432\nmore" if status == 500 else b"{}"
        self.send_response(status)
        if self.path == "/closes":
            self.send_header("Connection", "close")
        if self.path == "/chunks":
            self.send_header("Transfer-Encoding", "chunked")
            text = b"2\r\n{}\r\n0\r\n\r\n"
        else:
            self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        time.sleep(0.02)
        self.wfile.write(text)

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.fixture
def port() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("path", ["/", "/closes", "/chunks"])
def test_every_answer_is_counted_once(port, path):
    found = load(port, path, clients=3, seconds=0.3)

    assert not found.errors
    assert 3 <= found.requests == len(found.latencies)
    assert found.requests - 3 <= found.answered <= found.requests
    assert found.latency(0.0) >= 0.02
    assert found.latency(0.5) >= found.latency(0.0)


def test_failures_are_counted_by_kind(port):
    found = load(port, "/bad", clients=2, seconds=0.2)

    assert [*found.errors] == ["500 TimeoutError: port N"]
    assert found.failed == 1.0
    assert not found.answered
    assert not found.latencies


def test_what_gives_no_answer_has_failed():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        found = load(silent.getsockname()[1], "/", clients=2, seconds=0.1, patience=0.3)

    assert found.errors == {"no answer": 2}


def _echo(listener: socket.socket) -> None:
    connection, _ = listener.accept()
    with connection, suppress(ConnectionError):  # what nobody hears any more
        while data := connection.recv(65536):
            connection.sendall(data)


def test_a_network_is_late_both_ways_keeps_the_order_and_counts_what_was_waited_for():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=_echo, args=(listener,))
        thread.start()
        with delaying(listener.getsockname(), 0.02) as network:
            began = time.monotonic()
            with closing(socket.create_connection(("127.0.0.1", network.port))) as client:
                client.sendall(b"first")
                assert client.recv(100) == b"first"
                assert time.monotonic() - began >= 0.08  # a handshake, and there and back
                before, began = network.counts(), time.monotonic()
                for _ in range(3):
                    client.sendall(b"again")
                    assert client.recv(100) == b"again"
                assert time.monotonic() - began >= 0.12
                found = network.counts().since(before)
                assert (found.connections, found.round_trips, found.chunks) == (0, 3, 6)
                text = b"".join(b"%07d" % number for number in range(5000))
                client.sendall(text)
                heard = b""
                while len(heard) < len(text):
                    heard += client.recv(65536)
                assert heard == text
                before = network.counts()
                client.sendall(b"farewell")
            thread.join(5)
            assert not thread.is_alive()  # the other end has heard of the end
            assert network.counts().since(before).round_trips == 0  # nobody waited


def test_round_trips_are_those_of_a_request_like_most(port):
    extra = iter([0, 10, 10, 27, 30, 40, 40, 50, 50, 60])

    class Scripted:
        def counts(self) -> Counts:
            return Counts(0, next(extra), 0)

    assert trips(Scripted(), SimpleNamespace(port=port), "/") == 10
