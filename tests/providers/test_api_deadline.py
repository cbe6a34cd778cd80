"""providers/api.py: nothing takes longer than it may, whatever a server does or leaves undone."""

from __future__ import annotations

import socket
import ssl
import threading
import time

import pytest
import trustme

from ppg_integrations.errors import ProviderUnavailableError
from ppg_integrations.providers import api as api_module
from ppg_integrations.providers.api import API, Rules
from ppg_integrations.providers.http import lookup
from ppg_integrations.secret import Secret
from tests.support.raw_http import RawHTTP, http

RULES = Rules("neon", "Neon", frozenset({423}))


@pytest.fixture(autouse=True)
def no_thread_is_left_behind():
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) <= before


@pytest.fixture(scope="module")
def tls(tmp_path_factory):
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return context, str(path)


def silent(server, connection):
    """Takes the request and never answers."""
    server.head(connection)
    server.ended.wait(5)


def drips_head(server, connection):
    server.head(connection)
    server.drip(connection, b"HTTP/1.1 200 OK\r\n" + b"X-Filler: 12345678\r\n" * 100)


def drips_body(server, connection):
    server.head(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n")
    server.drip(connection, b" " * 9999)


def drips_body_without_end(server, connection):
    server.head(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n{}")
    server.drip(connection, b" " * 9999)


def never_reads(server, connection):
    server.ended.wait(5)


@pytest.mark.parametrize(
    ("secure", "method"), [(False, "get"), (False, "post"), (True, "post")], ids=str
)
@pytest.mark.parametrize("server", [silent, drips_head, drips_body, drips_body_without_end])
def test_a_slow_server_is_left_at_the_deadline(monkeypatch, tls, server, secure, method):
    context, authority = tls
    monkeypatch.setenv("SSL_CERT_FILE", authority)
    with RawHTTP(server, context if secure else None) as server:
        with API(RULES, server.url, Secret("t"), timeout=0.2) as api:
            begun = time.monotonic()
            with pytest.raises(ProviderUnavailableError) as caught:
                getattr(api, method)("things")
            took = time.monotonic() - begun
    assert 0.15 < took < 1.5
    assert f"did not answer within 0.2 s ({method.upper()} /things)" in caught.value.message
    assert "PPG_TIMEOUT=" in caught.value.hint
    assert caught.value.nothing_done is (method == "get")


def test_a_server_that_never_reads_is_left_too():
    with RawHTTP(never_reads) as server, API(RULES, server.url, None, timeout=0.3) as api:
        begun = time.monotonic()
        with pytest.raises(ProviderUnavailableError, match="did not answer"):
            api.post("things", json={"a": "x" * 10_000_000})
        assert time.monotonic() - begun < 1.5


@pytest.mark.parametrize(
    "hello", [b"", b"\x16\x03\x03\x40\x00" + b"\x02" * 9000], ids=["silent", "drips"]
)
def test_a_tls_handshake_that_does_not_end_is_left(hello):
    def handshake(server, connection):
        server.drip(connection, hello)
        server.ended.wait(5)

    with RawHTTP(handshake) as server:
        with API(RULES, server.url.replace("http:", "https:"), None, timeout=0.3) as api:
            begun = time.monotonic()
            with pytest.raises(ProviderUnavailableError, match=r"within 0\.3 s") as caught:
                api.post("things")
            assert time.monotonic() - begun < 1.5
    assert caught.value.nothing_done


def test_a_connection_that_is_used_again_is_watched_too():
    def second_time_slow(server, connection):
        server.head(connection)
        connection.sendall(http())
        server.head(connection)
        server.drip(connection, b"HTTP/1.1 200 OK\r\n" * 100)

    with RawHTTP(second_time_slow) as server, API(RULES, server.url, None, timeout=0.5) as api:
        api.get("things")
        begun = time.monotonic()
        with pytest.raises(ProviderUnavailableError, match="did not answer"):
            api.get("things")
        assert time.monotonic() - begun < 1.5
        assert server.connections == 1


def test_a_get_that_hangs_is_tried_again_within_the_deadline(monkeypatch):
    def first_hangs(server, connection):
        head = server.head(connection)
        if server.connections == 1:
            server.ended.wait(5)
        elif head:
            connection.sendall(http())

    monkeypatch.setattr(api_module, "_TRY", 0.2)
    with RawHTTP(first_hangs) as server, API(RULES, server.url, None, timeout=5) as api:
        assert api.get("things").status == 200


def test_a_post_that_takes_long_is_waited_for(monkeypatch):
    """It cannot be sent again, so giving up on it before the deadline would lose its answer."""

    def slow(server, connection):
        server.head(connection)
        server.ended.wait(0.4)
        connection.sendall(http())

    monkeypatch.setattr(api_module, "_TRY", 0.1)
    with RawHTTP(slow) as server, API(RULES, server.url, None, timeout=5) as api:
        assert api.post("things").status == 200


def test_the_deadline_is_one_for_all_requests():
    def slow(server, connection):
        while server.head(connection):
            if server.ended.wait(0.12):
                return
            connection.sendall(http())

    with RawHTTP(slow) as server, API(RULES, server.url, None, timeout=0.5) as api:
        begun = time.monotonic()
        with pytest.raises(ProviderUnavailableError, match=r"within 0\.5 s"):
            while True:
                api.get("things")
        assert time.monotonic() - begun < 1.5
        assert 3 <= len(server.heads) <= 5
        with pytest.raises(ProviderUnavailableError) as caught:
            api.post("things")
        assert caught.value.nothing_done
        assert len(server.heads) <= 5


def test_a_name_server_that_does_not_answer_is_left(monkeypatch):
    asked = threading.Event()

    def hang(*_args, **_more):
        asked.wait(5)
        raise socket.gaierror(socket.EAI_AGAIN, "again")

    monkeypatch.setattr(lookup.socket, "getaddrinfo", hang)
    with API(RULES, "https://api.example.test", None, timeout=0.2) as api:
        begun = time.monotonic()
        with pytest.raises(ProviderUnavailableError, match="name server") as caught:
            api.post("things")
        assert time.monotonic() - begun < 1.5
    assert caught.value.nothing_done
    asked.set()
    for thread in threading.enumerate():
        if thread.name == "ppg-lookup":
            thread.join(5)


def test_addresses_share_the_time_of_a_connection(monkeypatch):
    limits = []
    real = socket.create_connection

    def create(address, timeout=None, **more):
        limits.append(timeout)
        return real(address, timeout, **more)

    monkeypatch.setattr(socket, "create_connection", create)
    monkeypatch.setattr(lookup, "addresses", lambda *_: 4)
    with RawHTTP(lambda server, c: server.head(c) and c.sendall(http())) as server:
        with API(RULES, server.url, None, timeout=8) as api:
            api.get("things")
    assert limits[0] == pytest.approx(2, abs=0.1)


def test_what_the_name_took_is_gone_for_the_connection(monkeypatch):
    limits = []
    real = socket.create_connection

    def create(address, timeout=None, **more):
        limits.append(timeout)
        return real(address, timeout, **more)

    def slow(*_):
        time.sleep(0.5)
        return 1

    monkeypatch.setattr(socket, "create_connection", create)
    monkeypatch.setattr(lookup, "addresses", slow)
    with RawHTTP(lambda server, c: server.head(c) and c.sendall(http())) as server:
        with API(RULES, server.url, None, timeout=2) as api:
            api.get("things")
    assert 0 < limits[0] <= 1.5


def test_connections_are_closed_at_the_end():
    ended = threading.Event()

    def wait(server, connection):
        server.head(connection)
        connection.sendall(http())
        if connection.recv(1) == b"":
            ended.set()

    with RawHTTP(wait) as server:
        with API(RULES, server.url, None, timeout=5) as api:
            api.get("things")
            assert not ended.is_set()
        assert ended.wait(2)
