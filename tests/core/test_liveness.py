"""What this machine's kernel knows of a connection that nobody has used for a while."""

from __future__ import annotations

import select
import socket
import threading
import time

import pytest

from ppg_integrations import liveness
from ppg_integrations.liveness import has_news, limited, needs_test


@pytest.fixture
def pair():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


@pytest.fixture(params=["poll", "select"])
def way(request, monkeypatch):
    """Each of the two ways to ask: Windows has no poll()."""
    if request.param == "select":
        monkeypatch.setattr(liveness, "_NEWS", 0)
        monkeypatch.delattr(select, "poll")


def test_the_window_is_since_the_last_use(pair, way):
    fileno = pair[0].fileno()
    now = time.monotonic()
    assert not needs_test(fileno, now, 5)
    assert not needs_test(fileno, now - 4, 5)
    assert needs_test(fileno, now - 5, 5)
    assert needs_test(fileno, now, 0)


def test_news_end_it(pair, way):
    ours, theirs = pair
    assert not has_news(ours.fileno())
    theirs.send(b"E")
    assert needs_test(ours.fileno(), time.monotonic(), 5)
    ours.recv(1)
    assert not has_news(ours.fileno())
    theirs.close()
    assert needs_test(ours.fileno(), time.monotonic(), 5)


def test_a_connection_that_is_closed_already(way):
    assert needs_test(-1, time.monotonic(), 5)


def test_a_reset_is_news(way):
    with socket.create_server(("127.0.0.1", 0)) as server:
        ours = socket.create_connection(server.getsockname())
        theirs, _ = server.accept()
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        theirs.close()
        with ours:
            deadline = time.monotonic() + 10
            while not has_news(ours.fileno()):
                assert time.monotonic() < deadline


def test_an_answer_that_does_not_come_is_not_waited_for(pair):
    ours, _ = pair
    began = time.monotonic()
    with pytest.raises(TimeoutError, match=r"no answer within 0\.1 s"), limited(ours.fileno(), 0.1):
        assert ours.recv(1) == b""  # shut down under whoever waits
    assert 0.1 <= time.monotonic() - began < 5


def test_an_answer_in_time_leaves_everything_as_it_was(pair):
    ours, theirs = pair
    threads = threading.active_count()
    theirs.send(b"Z")
    with limited(ours.fileno(), 60):
        assert ours.recv(1) == b"Z"
    theirs.send(b"Z")
    assert ours.recv(1) == b"Z"
    deadline = time.monotonic() + 10
    while threading.active_count() > threads:
        assert time.monotonic() < deadline


def test_what_is_raised_inside_goes_through(pair):
    ours, theirs = pair
    with pytest.raises(KeyError), limited(ours.fileno(), 60):
        raise KeyError
    theirs.send(b"Z")
    assert ours.recv(1) == b"Z"


def test_the_time_for_an_answer_is_looked_up_when_it_is_needed(pair, monkeypatch):
    monkeypatch.setattr(liveness, "ANSWER", 0.05)
    ours, _ = pair
    with pytest.raises(TimeoutError, match=r"0\.05"), limited(ours.fileno()):
        ours.recv(1)
