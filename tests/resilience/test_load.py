"""The load itself: it sees what a user would see, and it ends."""

from __future__ import annotations

import json
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.support.load import Load, written


class Handler(BaseHTTPRequestHandler):
    """Fails in the ways that a test asks for."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1  # else head and body go separately, and the second one waits for an ACK

    def do_GET(self) -> None:
        self.server.asked[self.client_address] += 1
        mood = self.server.mood
        if mood == "hang":
            self.server.over.wait(10)
        if mood in ("hang", "leave"):
            self.close_connection = True
            return
        body = {"fail": b'{"error": "OperationalError: no"}', "garbage": b"<h1>502</h1>"}.get(mood)
        body = body or json.dumps({"mood": mood}).encode()
        self.send_response(500 if mood == "fail" else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def web() -> Iterator[ThreadingHTTPServer]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.mood, server.asked, server.over = "well", Counter(), threading.Event()
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server
        server.over.set()
        server.shutdown()
        thread.join()


def loaded(web: ThreadingHTTPServer, **options: float) -> Load:
    with Load(web.server_port, clients=5, pause=0.005, **options) as load:
        assert load.wait(10, lambda: len(load.answers) >= 150)
    return load


def test_all_is_well(web: ThreadingHTTPServer) -> None:
    before = threading.active_count()
    load = loaded(web)
    assert load.failed == []
    assert {answer.body["mood"] for answer in load.answers} == {"well"}
    # Connections are kept, and not for ever: each process of a server gets its share.
    assert len(web.asked) >= 10
    assert 15 <= max(web.asked.values()) <= 25
    writes = [answer for answer in load.answers if answer.method == "POST"]
    assert len(written(load.answers)) == len(writes) == pytest.approx(len(load.answers) / 3, abs=10)
    assert load.wait(0.01) is False
    assert threading.active_count() <= before + 5  # the server's, of connections that just ended


def test_a_rest(web: ThreadingHTTPServer) -> None:
    with Load(web.server_port, clients=5) as load:
        assert load.wait(10, lambda: len(load.answers) >= 20)
        with load.resting():
            before = len(load.answers), sum(web.asked.values())
            load.wait(0.1)
            assert (len(load.answers), sum(web.asked.values())) == before
        assert load.wait(10, lambda: len(load.answers) > before[0])
    assert load.failed == []


@pytest.mark.parametrize(
    ("mood", "error"),
    [
        ("fail", "OperationalError: no"),
        ("garbage", "<h1>502</h1>"),
        ("leave", "RemoteDisconnected"),
    ],
)
def test_what_fails_is_told_and_not_tried_again(
    web: ThreadingHTTPServer, mood: str, error: str
) -> None:
    web.mood = mood
    load = loaded(web)
    assert len(load.failed) == len(load.answers) == sum(web.asked.values())
    assert all(error in answer.error for answer in load.failed)
    assert written(load.answers) == set()


def test_what_hangs_is_given_up(web: ThreadingHTTPServer) -> None:
    web.mood = "hang"
    with Load(web.server_port, clients=5, hang=0.3) as load:
        assert load.wait(10, lambda: len(load.answers) >= 5)
    assert all("TimeoutError" in answer.error for answer in load.answers)
    assert all(0.2 < answer.seconds < 5 for answer in load.answers)


def test_nobody_listens() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        with Load(port, clients=2, pause=0.01) as load:
            load.wait(0.1)
    assert load.answers
    assert all("ConnectionRefusedError" in answer.error for answer in load.answers)
