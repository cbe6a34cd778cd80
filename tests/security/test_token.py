"""The token goes to the configured host, and to no other, whoever asks for it and how."""

from __future__ import annotations

import base64
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ppg_integrations.errors import ConfigurationError, ProviderError
from ppg_integrations.providers import apibase
from ppg_integrations.providers.api import API, Rules
from ppg_integrations.providers.http import exchange
from ppg_integrations.secret import Secret
from tests.support.raw_http import RawHTTP, http, saying

RULES = Rules("neon", "Neon", frozenset())
TOKEN = "tok_Zq7w0rdQ9"


def answering(server: RawHTTP, connection: socket.socket) -> None:
    while server.head(connection):
        connection.sendall(http(b"{}", "200 OK", "Set-Cookie: session=abc; Path=/"))


@pytest.fixture
def other() -> Iterator[RawHTTP]:
    """Another server, which the token has no business with."""
    with RawHTTP(answering) as server:
        yield server


def ask(url: str, method: str = "get", timeout: float = 2) -> int:
    with API(RULES, url, Secret(TOKEN), timeout=timeout) as api:
        return int(getattr(api, method)("things").status)


# Redirects.


@pytest.mark.parametrize("method", ["get", "post", "delete"])
@pytest.mark.parametrize("status", ["301 A", "302 B", "303 C", "307 D", "308 E", "300 F"])
def test_no_redirect_is_followed(other: RawHTTP, status: str, method: str) -> None:
    port = other.port
    with RawHTTP(saying(http(b"", status, f"Location: http://127.0.0.1:{port}/v2"))) as server:
        with pytest.raises(ProviderError, match="127.0.0.1"):
            ask(server.url, method)
    assert other.connections == 0
    assert server.connections == 1


@pytest.mark.parametrize(
    "location",
    [
        "/elsewhere",
        "//127.0.0.1:{port}/",
        "http://localhost:{port}/",
        "http://127.0.0.1@127.0.0.1:{port}/",
        "https://127.0.0.1:{port}/",
        "\\\\127.0.0.1:{port}/",
        "http:127.0.0.1:{port}",
        "ftp://127.0.0.1:{port}",
        "javascript:alert(1)",
        "http://[::1",
        "\x01",
    ],
)
def test_whatever_kind_of_redirect_it_is(other: RawHTTP, location: str) -> None:
    answer = http(b"{}", "307 X", f"Location: {location.format(port=other.port)}")
    with RawHTTP(saying(answer)) as server, pytest.raises(ProviderError) as caught:
        ask(server.url)
    assert other.connections == 0
    assert server.connections == 1
    assert TOKEN not in str(caught.value)


def test_a_meta_refresh_and_a_link_lead_nowhere(other: RawHTTP) -> None:
    page = f'<meta http-equiv="refresh" content="0;url={other.url}">'.encode()
    headers = (f"Refresh: 0; url={other.url}", f"Link: <{other.url}>; rel=next")
    headers = (*headers, f'Alt-Svc: h2="127.0.0.1:{other.port}"')
    with RawHTTP(saying(http(page, "200 OK", *headers))) as server, pytest.raises(ProviderError):
        ask(server.url)
    assert other.connections == 0


# Addresses that look like another.


@pytest.mark.parametrize(
    "url",
    [
        "https://api.prisma.io@evil.example",
        "https://api.prisma.io:443@evil.example/v1",
        "https://api.prisma.io#@evil.example",
        "https://api.prisma.io?@evil.example",
        "https://api.prisma.io\\@evil.example",
        "https://api.prisma.io\\.evil.example",
        "https://evil.example\\@api.prisma.io",
        "https://api.prisma.io%40evil.example",
        "https://api.prisma.io%2f.evil.example",
        "https://api.prisma.io%00.evil.example",
        "https://api.prisma.io\x00.evil.example",
        "https://api.prisma.io\n.evil.example",
        "https://api.prisma.io\t.evil.example",
        "https://\u0430pi.prisma.io",  # Cyrillic
        "https://api\u3002prisma.io",  # an ideographic full stop, which IDNA takes for a dot
        "https://api.prisma\uff0eio",  # a full-width one
        "https://api.prisma.io\u2100",
        "https://api.prisma.io\u202e",
        "https://\u2488.example",
        "https://api.prisma.io,evil.example",
        "https://api.prisma.io;evil.example",
        "https://api.prisma.io evil.example",
        "https://api.prisma.io&evil.example",
        "https://api.prisma.io:443:80",
        "https://api.prisma.io:+443",
        "https://api.prisma.io:44_3",
        "https://[api.prisma.io]",
        "https://[::1]evil.example",
        "https://evil.example[::1]",
        "https://[::1%25eth0]",
        "https://[fe80::1%eth0]",
        "https://[v1.x]",
        "http://[::1%25lo]",
        "http://[::1]evil.example",
        "http://evil.example[::1]",
        "http://evil.example[127.0.0.1]",
        "http://localhost.evil.example",
        "http://127.0.0.1.evil.example",
        "http://localhost@evil.example",
        "http://localhost%2eevil.example",
        "http://localhost.",
        "http://LOCALHOST.evil.example",
        "http://127.1",
        "http://0x7f000001",
        "http://0177.0.0.1",
        "http://2130706433",
        "http://\u2460\u2461\u2466.0.0.1",
        "http://127.0.0.1\u3002",
        "http://[::ffff:127.0.0.1%25x]",
        "http://0",
        "http://[::]",
    ],
)
def test_an_address_that_may_be_another_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        API(RULES, url, Secret(TOKEN), timeout=1)
    assert "evil" not in caught.value.message


_PARTS = st.sampled_from(
    ["localhost", "127.0.0.1", "evil.example", "api", ".", ":", "/", "@", "[", "]", "::1", "%"]
    + ["%25", "\\", "443", "#", "?", "\u3002", "-", "_", "a", ","]
)


@given(st.lists(_PARTS, max_size=8).map("".join), st.sampled_from(["http", "https"]))
def test_whoever_parses_an_address_sees_the_same_host(rest: str, scheme: str) -> None:
    """Ours decides whether the token may go there; httpx decides where it goes."""
    url = f"{scheme}://{rest}"
    try:
        apibase.check(url, "X")
    except ConfigurationError:
        return
    try:
        parsed = httpx.URL(f"{url}/things")
    except httpx.InvalidURL:
        return  # nothing is sent then
    assert parsed.host == urlsplit(url).hostname
    assert parsed.userinfo == b""
    if scheme == "http":
        assert apibase.is_loopback(parsed.host)


def test_what_is_no_address_for_the_client_is_an_error_of_ours() -> None:
    with pytest.raises(ProviderError):
        ask("https://xn--a")


# Names of this machine that lead to another one.


def test_localhost_that_is_another_machine_gets_nothing(
    other: RawHTTP, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Plain http is for this machine: a resolver or a hosts file may say otherwise of its name."""
    monkeypatch.setattr(exchange, "is_loopback", lambda address: address != "127.0.0.1")
    with pytest.raises(ProviderError, match="not this machine: nothing was sent") as caught:
        ask(other.url.replace("127.0.0.1", "localhost"))
    assert caught.value.nothing_done
    assert "https" in caught.value.hint
    assert other.heads == []


def test_localhost_that_is_this_machine_is_asked(other: RawHTTP) -> None:
    assert ask(other.url.replace("127.0.0.1", "localhost")) == 200
    assert TOKEN.encode() in other.heads[0]


# What else could be sent along, or carry it away.


def test_netrc_is_not_read(other: RawHTTP, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / ".netrc"
    netrc.write_text("default login ada password hunter2\nmachine 127.0.0.1 login a password b\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(netrc))
    assert ask(other.url) == 200
    with API(RULES, other.url, None, timeout=2) as api:
        api.get("things")
    assert f"Authorization: Bearer {TOKEN}\r\n".encode() in other.heads[0]
    assert b"authorization" not in other.heads[1].lower()


def test_no_cookie_is_kept(other: RawHTTP) -> None:
    with API(RULES, other.url, Secret(TOKEN), timeout=2) as api:
        for _ in range(3):
            api.get("things")
    assert len(other.heads) == 3
    assert not [head for head in other.heads if b"cookie" in head.lower()]


def test_a_request_says_nothing_of_its_sender(
    other: RawHTTP, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://a:hunter2@h/d")
    ask(other.url)
    names = {line.split(b":")[0].lower() for line in other.heads[0].split(b"\r\n")[1:] if line}
    assert names == {
        b"host",
        b"connection",
        b"user-agent",
        b"accept",
        b"accept-encoding",
        b"authorization",
    }


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_gets_a_connect_and_its_own_password_only(
    other: RawHTTP, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    """And where the tunnel is refused, nothing is sent in the clear instead."""
    refusing = saying(b"HTTP/1.1 502 No\r\nContent-Length: 0\r\n\r\n")
    with RawHTTP(refusing) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://ada:hunter2@127.0.0.1:{proxy.port}")
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{other.port}")
        if scheme == "http":
            with pytest.raises(ConfigurationError, match="plain text"):
                ask("http://api.example.test")
            assert proxy.heads == []
        else:
            with pytest.raises(ProviderError):
                ask("https://api.example.test", timeout=0.3)
            assert all(head.startswith(b"CONNECT api.example.test:443 ") for head in proxy.heads)
            assert base64.b64encode(b"ada:hunter2") in proxy.heads[0]
            assert not [head for head in proxy.heads if TOKEN.encode() in head]
    assert other.connections == 0


@pytest.mark.parametrize("no_proxy", ["*", "api.example.test", ".example.test", "example.test"])
def test_no_proxy_keeps_the_proxy_out(
    other: RawHTTP, monkeypatch: pytest.MonkeyPatch, no_proxy: str
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", other.url)
    monkeypatch.setenv("NO_PROXY", no_proxy)
    monkeypatch.setattr(socket, "getaddrinfo", _nowhere)
    with pytest.raises(ProviderError, match="not found"):
        ask("https://api.example.test")
    assert other.connections == 0


def _nowhere(*_: object, **__: object) -> None:
    raise socket.gaierror(socket.EAI_NONAME, "no such name")


def test_a_variable_with_credentials_is_refused_unseen(monkeypatch: pytest.MonkeyPatch) -> None:
    from ppg_integrations.providers import load
    from ppg_integrations.providers.base import Target
    from ppg_integrations.providers.settings import Settings

    environ = {"NEON_API_KEY": TOKEN, "PPG_API_URL": "https://ada:hunter2@api.example.test"}
    with pytest.raises(ConfigurationError, match="PPG_API_URL .* user or a password") as caught:
        load("neon", Settings(environ)).connections(Target())
    assert "hunter2" not in str(caught.value)
    assert os.environ.get("PPG_API_URL") is None
