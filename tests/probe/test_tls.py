"""The handshake of our own: against real servers, and a stub for certificates they do not have."""

from __future__ import annotations

import datetime
import ipaddress
import socket
import ssl
import struct
import threading
import time
from contextlib import contextmanager, suppress

import pytest
import trustme

from ppg_integrations import tls
from ppg_integrations.urls import PostgresURL
from tests.support.poolers import pooler
from tests.support.tcp_proxy import TCPProxy


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture
def root(authority, tmp_path):
    path = tmp_path / "root.crt"
    authority.cert_pem.write_to_path(path)
    return str(path)


def stranger(folder):
    path = folder / "stranger.crt"
    trustme.CA().cert_pem.write_to_path(path)
    return str(path)


@contextmanager
def server(certificate=None, *, answer=b"S", maximum=None, direct=False):
    """Speaks SSLRequest and TLS, and notes the SNI and ALPN of each client."""
    seen = []
    listener = socket.create_server(("127.0.0.1", 0))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols(["postgresql"])
    if certificate:
        certificate.configure_cert(context)
    if maximum:
        context.maximum_version = maximum
    names = []
    context.sni_callback = lambda sock, name, ctx: names.append(name)

    def serve():
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            client.settimeout(5)
            with client:
                if not direct:
                    assert struct.unpack("!II", client.recv(8)) == (8, 80877103)
                    client.sendall(answer)
                    if answer != b"S":
                        continue
                try:
                    secured = context.wrap_socket(client, server_side=True)
                except OSError:  # the client did not like the certificate
                    seen.append("refused")
                    continue
                with secured:
                    seen.append((names[-1] if names else None, secured.selected_alpn_protocol()))
                    # In TLS 1.3 a client that does not like the certificate says so only now, and
                    # one that does may hang up without a word.
                    with suppress(OSError):
                        secured.recv(1)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield listener.getsockname()[1], seen
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(10)


def url(port, host="localhost", **params):
    return PostgresURL.build(
        host=host, port=port, user="u", params={"hostaddr": "127.0.0.1", **params}
    )


def test_the_embedded_servers(shared):
    for half in (shared.direct, shared.pooled):
        seen = tls.inspect(half)
        assert seen.version == "TLSv1.3"
        assert seen.cipher.startswith("TLS_")
        if "sslrootcert" not in half.params:
            assert seen.verified is False, "its authority is nobody's business"
            assert "certificate" in seen.why_not


def test_a_pooler_without_tls(servers, shared):
    with pooler(servers, client_tls_sslmode="disable") as p:
        assert tls.inspect(p.url(shared.pooled)) is None


def test_a_good_certificate(authority, root):
    with server(authority.issue_cert("db.example", "localhost")) as (port, seen):
        found = tls.inspect(url(port, "db.example", sslrootcert=root))
    assert found == tls.TLS("TLSv1.3", found.cipher, verified=True)
    assert seen == [("db.example", "postgresql")]


def test_an_address_is_verified_too(authority, root):
    with server(authority.issue_cert("127.0.0.1")) as (port, _):
        assert tls.inspect(url(port, "127.0.0.1", sslrootcert=root)).verified


def test_another_host_name(authority, root):
    with server(authority.issue_cert("other.example")) as (port, seen):
        found = tls.inspect(url(port, "db.example", sslrootcert=root))
    assert found.version == "TLSv1.3"
    assert not found.verified
    assert "db.example" in found.why_not
    assert len(seen) == 2


def test_an_expired_certificate(authority, root):
    past = datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc)
    with server(authority.issue_cert("localhost", not_after=past)) as (port, _):
        found = tls.inspect(url(port, sslrootcert=root))
    assert "expired" in found.why_not


@pytest.mark.parametrize("params", [{}, {"sslrootcert": "system"}], ids=str)
def test_an_authority_nobody_knows(authority, params):
    with server(authority.issue_cert("localhost")) as (port, _):
        found = tls.inspect(url(port, **params))
    assert found.version == "TLSv1.3"
    assert not found.verified
    assert found.why_not


def test_the_systems_authorities_are_those_of_the_drivers(authority, root, monkeypatch, tmp_path):
    """The file that a driver is given, and no other: what it refuses is not called verified."""
    monkeypatch.setenv("SSL_CERT_FILE", root)
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)
    with server(authority.issue_cert("localhost")) as (port, _):
        assert tls.inspect(url(port, sslrootcert="system")).verified
        monkeypatch.setenv("PGSSLROOTCERT", "system")
        assert tls.inspect(url(port)).verified
        monkeypatch.setenv("SSL_CERT_FILE", stranger(tmp_path))
        monkeypatch.setenv("HOME", str(tmp_path))
        (tmp_path / ".postgresql").mkdir()
        authority.cert_pem.write_to_path(tmp_path / ".postgresql/root.crt")
        assert not tls.inspect(url(port)).verified


def test_libpqs_own_file_and_variable(authority, root, monkeypatch, tmp_path):
    with server(authority.issue_cert("localhost")) as (port, _):
        monkeypatch.setenv("PGSSLROOTCERT", root)
        assert tls.inspect(url(port)).verified
        monkeypatch.delenv("PGSSLROOTCERT")
        monkeypatch.setenv("HOME", str(tmp_path))
        (tmp_path / ".postgresql").mkdir()
        authority.cert_pem.write_to_path(tmp_path / ".postgresql/root.crt")
        assert tls.inspect(url(port)).verified


@pytest.mark.parametrize("content", [None, "no certificate at all"])
def test_a_root_certificate_that_cannot_be_read(authority, tmp_path, content):
    path = tmp_path / "root.crt"
    if content:
        path.write_text(content)
    with server(authority.issue_cert("localhost")) as (port, _):
        found = tls.inspect(url(port, sslrootcert=str(path)))
    assert found.version == "TLSv1.3"
    assert "sslrootcert cannot be read" in found.why_not


def test_an_older_version(authority, root):
    with server(authority.issue_cert("localhost"), maximum=ssl.TLSVersion.TLSv1_2) as (port, _):
        assert tls.inspect(url(port, sslrootcert=root)).version == "TLSv1.2"


def test_direct_negotiation(authority, root):
    with server(authority.issue_cert("localhost"), direct=True) as (port, seen):
        assert tls.inspect(url(port, sslrootcert=root, sslnegotiation="direct")).verified
    assert seen == [("localhost", "postgresql")]


def test_no_tls():
    with server(answer=b"N") as (port, _):
        assert tls.inspect(url(port)) is None


@pytest.mark.parametrize("host", ["", "/run/postgresql"])
def test_a_socket_has_none(host):
    given = PostgresURL.build(host=host, user="u") if host else PostgresURL.parse("postgresql:///d")
    assert tls.inspect(given) is None


def test_silence_ends_with_the_timeout():
    with TCPProxy(mode="blackhole") as proxy:
        began = time.monotonic()
        with pytest.raises(TimeoutError):
            tls.inspect(url(proxy.port), timeout=0.5)
        assert time.monotonic() - began < 1.5


def test_addresses_have_a_certificate_of_their_own(authority, root):
    certificate = authority.issue_cert(str(ipaddress.ip_address("127.0.0.2")))
    with server(certificate) as (port, _):
        assert not tls.inspect(url(port, "127.0.0.1", sslrootcert=root)).verified
