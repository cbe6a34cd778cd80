"""providers/api.py on the way to the server: certificates and proxies."""

from __future__ import annotations

import base64
import socket
import ssl
import sys
import traceback

import pytest
import trustme

from ppg_integrations.errors import ConfigurationError, ProviderUnavailableError
from ppg_integrations.providers.api import API, Rules
from ppg_integrations.providers.http import trust
from ppg_integrations.secret import Secret
from tests.support.raw_http import RawHTTP, http

RULES = Rules("neon", "Neon", frozenset({423}))
TOKEN = "tok_0123456789abcdef"


def answering(server, connection):
    while server.head(connection):
        connection.sendall(http())


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    """An authority, and a folder with its certificate."""
    authority = trustme.CA()
    folder = tmp_path_factory.mktemp("authority")
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    return authority, folder


@pytest.fixture
def secure(authority):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority[0].issue_cert("127.0.0.1", "api.example.test").configure_cert(context)
    with RawHTTP(answering, context) as server:
        yield server


def ask(url, method="get", timeout=5):
    with API(RULES, url, Secret(TOKEN), timeout=timeout) as api:
        return getattr(api, method)("things").status


def refused(url, method="get"):
    with pytest.raises(ProviderUnavailableError) as caught:
        ask(url, method)
    return caught.value


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_an_authority_of_the_usual_variables_is_trusted(monkeypatch, authority, secure, variable):
    monkeypatch.setenv(variable, str(authority[1] / "ca.pem"))
    assert ask(secure.url) == 200
    assert f"authorization: bearer {TOKEN}".encode() in secure.heads[0].lower()


@pytest.mark.parametrize("variable", ["SSL_CERT_DIR", "REQUESTS_CA_BUNDLE"])
def test_a_folder_of_authorities_replaces_the_public_ones(monkeypatch, secure, tmp_path, variable):
    monkeypatch.setenv(variable, str(tmp_path))
    assert "could not be verified" in refused(secure.url).message
    assert trust.context().get_ca_certs() == []


def test_the_first_variable_wins(monkeypatch, authority, secure, tmp_path):
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(str(other))
    monkeypatch.setenv("SSL_CERT_FILE", str(authority[1] / "ca.pem"))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(other))
    assert ask(secure.url) == 200


@pytest.mark.parametrize("method", ["get", "post"])
def test_an_unknown_authority_is_refused_once_and_says_what_to_do(secure, method):
    error = refused(secure.url, method)
    assert "has a certificate that could not be verified" in error.message
    assert "SSL_CERT_FILE" in error.hint
    assert error.nothing_done
    assert secure.connections == 1
    assert secure.heads == []


def test_a_certificate_for_another_host_is_refused(monkeypatch, authority):
    monkeypatch.setenv("SSL_CERT_FILE", str(authority[1] / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority[0].issue_cert("elsewhere.example").configure_cert(context)
    with RawHTTP(answering, context) as server:
        assert "not valid for" in refused(server.url).message
        assert server.heads == []


@pytest.mark.parametrize("content", [None, b"no certificate"], ids=["missing", "rubbish"])
def test_an_authority_that_cannot_be_read_names_its_variable(
    monkeypatch, secure, tmp_path, content
):
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_bytes(content)
    monkeypatch.setenv("CURL_CA_BUNDLE", str(path))
    with pytest.raises(ConfigurationError, match="CURL_CA_BUNDLE") as caught:
        ask(secure.url)
    assert str(path) in caught.value.message
    assert secure.connections == 0


def test_what_is_no_tls_at_all_says_so():
    def plain(server, connection):
        connection.recv(1)
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with RawHTTP(plain) as server:
        error = refused(server.url.replace("http:", "https:"), "post")
    assert "TLS failed" in error.message
    assert error.nothing_done


# Proxies.


def tunnel(target):
    """A proxy that lets every CONNECT through to one server, whatever host it names."""

    def behave(server, connection):
        if server.head(connection):
            connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            with socket.create_connection(("127.0.0.1", target)) as beyond:
                server.pipe(connection, beyond)

    return behave


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
def test_a_proxy_tunnels_and_never_sees_the_token(monkeypatch, authority, secure, variable):
    monkeypatch.setenv("SSL_CERT_FILE", str(authority[1] / "ca.pem"))
    with RawHTTP(tunnel(secure.port)) as proxy:
        url = f"http://user:pa%20ss@127.0.0.1:{proxy.port}"
        monkeypatch.setenv(variable, url)
        assert ask("https://api.example.test") == 200
    assert proxy.heads[0].startswith(b"CONNECT api.example.test:443 ")
    assert base64.b64encode(b"user:pa ss") in proxy.heads[0]
    assert TOKEN.encode() not in proxy.heads[0]
    assert TOKEN.encode() in secure.heads[0]


def test_a_proxy_without_a_scheme_is_plain_http(monkeypatch, authority, secure):
    monkeypatch.setenv("SSL_CERT_FILE", str(authority[1] / "ca.pem"))
    with RawHTTP(tunnel(secure.port)) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"127.0.0.1:{proxy.port}")
        assert ask("https://api.example.test") == 200


def test_this_machine_is_never_asked_through_a_proxy(monkeypatch):
    with RawHTTP(answering) as server, RawHTTP(answering) as proxy:
        for variable in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy"):
            monkeypatch.setenv(variable, proxy.url)
        assert ask(server.url) == 200
        assert ask(server.url.replace("127.0.0.1", "localhost")) == 200
    assert proxy.connections == 0


def test_no_proxy_is_respected(monkeypatch):
    def nowhere(*_args, **_more):
        raise socket.gaierror(socket.EAI_NONAME, "no such name")

    with RawHTTP(answering) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        monkeypatch.setenv("NO_PROXY", "example.test")
        monkeypatch.setattr(socket, "getaddrinfo", nowhere)
        assert "not found" in refused("https://api.example.test").message
    assert proxy.connections == 0


def test_a_proxy_that_refuses_is_named_without_its_password(monkeypatch):
    def refuse(server, connection):
        server.head(connection)
        connection.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")

    with RawHTTP(refuse) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://user:hunter2@127.0.0.1:{proxy.port}")
        error = refused("https://api.example.test", "post")
    assert f"through the proxy 127.0.0.1:{proxy.port}, which answered 407" in error.message
    assert "hunter2" not in str(error)
    assert "HTTPS_PROXY" in error.hint
    assert error.nothing_done


def test_a_proxy_that_is_not_there_is_named(monkeypatch):
    with RawHTTP(answering) as proxy:
        port = proxy.port
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{port}")
    assert f"through the proxy 127.0.0.1:{port}" in refused("https://api.example.test").message


def test_a_proxy_without_an_address_is_named(monkeypatch):
    def nowhere(*_args, **_more):
        raise socket.gaierror(socket.EAI_NONAME, "no such name")

    monkeypatch.setattr(socket, "getaddrinfo", nowhere)
    monkeypatch.setenv("HTTPS_PROXY", "http://user:hunter2@proxy.example:3128")
    error = refused("https://api.example.test", "post")
    assert "through the proxy proxy.example:3128, whose name was not found" in error.message
    assert "hunter2" not in str(error)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://user:hunter2@proxy.example",
        "http://user:hunter2@proxy.example:port",
        "http://user:hunter2@[::1",
        "http://user:hunter2@:3128",
        "http://user:hunter2@exa mple\x7f:1",
    ],
)
def test_a_url_that_is_no_proxy_is_refused_unseen(monkeypatch, url):
    monkeypatch.setenv("HTTPS_PROXY", url)
    with pytest.raises(ConfigurationError, match="HTTPS_PROXY") as caught:
        ask("https://api.example.test")
    lines = traceback.TracebackException.from_exception(caught.value, capture_locals=True).format()
    ours = "".join(line for line in lines if "ppg_integrations/providers" in line)
    assert ours
    assert "hunter2" not in str(caught.value) + ours
    assert caught.value.__context__ is None


def test_socks_needs_a_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "socksio", None)
    monkeypatch.setenv("ALL_PROXY", "socks5://user:hunter2@127.0.0.1:1")
    with pytest.raises(ConfigurationError, match="SOCKS") as caught:
        ask("https://api.example.test")
    assert "socks" in caught.value.hint
    assert caught.value.__context__ is None
