"""providers/apibase.py: where an API is, and which addresses are refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ppg_integrations.errors import ConfigurationError
from ppg_integrations.providers import load
from ppg_integrations.providers.apibase import api_base, is_loopback, service_base
from ppg_integrations.providers.base import Target
from ppg_integrations.providers.settings import Settings

DEFAULT = "https://console.neon.tech/api/v2"
OWN = ("NEON_API_HOST", "NEON_API_URL")
TOKENS = ("NEON_API_KEY", "NEON_TOKEN")


def base(environ, file=None):
    return api_base(Settings(environ, file, "/app/.env"), OWN, DEFAULT, token=TOKENS)


def test_the_provider_has_an_address_of_its_own():
    assert base({}) == DEFAULT
    assert base({"PPG_API_URL": " ", "NEON_API_HOST": ""}) == DEFAULT


def test_our_variable_wins_over_the_providers_own():
    environ = {"NEON_API_HOST": "https://own.example", "NEON_API_URL": "https://other.example"}
    assert base(environ) == "https://own.example"
    assert base({**environ, "PPG_API_URL": "https://ours.example"}) == "https://ours.example"
    assert base(environ, {"PPG_API_URL": "https://ours.example"}) == "https://ours.example"


@pytest.mark.parametrize(
    ("given_url", "url"),
    [
        ("https://api.example", "https://api.example"),
        ("https://api.example/", "https://api.example"),
        ("https://api.example/a/b//", "https://api.example/a/b"),
        ("https://api.example:8443/a%20b", "https://api.example:8443/a%20b"),
        ("HTTPS://api.example", "HTTPS://api.example"),
        ("http://127.0.0.1:8000/api/v2", "http://127.0.0.1:8000/api/v2"),
        ("http://127.9.9.9", "http://127.9.9.9"),
        ("http://localhost:8000/", "http://localhost:8000"),
        ("http://[::1]:8000", "http://[::1]:8000"),
    ],
)
def test_an_address_is_kept_but_for_slashes_at_its_end(given_url, url):
    assert base({"PPG_API_URL": given_url}) == url


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://api.example", "plain text"),
        ("http://127.0.0.1.example", "plain text"),
        ("http://localhost.example", "plain text"),
        ("http://0.0.0.0", "plain text"),
        ("http://10.0.0.1", "plain text"),
        ("http://2130706433", "plain text"),
        ("http://[::ffff:10.0.0.1]", "plain text"),
        ("https://user:hidden@api.example", "user or a password"),
        ("https://hidden@api.example", "user or a password"),
        ("https://@api.example", "user or a password"),
        ("http://127.0.0.1@evil.example", "user or a password"),
        ("https://api.example?a=hidden", "query or a fragment"),
        ("https://api.example/a?", "query or a fragment"),
        ("https://api.example#hidden", "query or a fragment"),
        ("https://api.example/#", "query or a fragment"),
        ("https://api.example/a/../b", "dots"),
        ("https://api.example/.", "dots"),
        ("api.example", "no URL"),
        ("hidden", "no URL"),
        ("//api.example", "no URL"),
        ("ftp://api.example", "no URL"),
        ("file:///etc/passwd", "no URL"),
        ("https://", "no URL"),
        ("https:///a", "no URL"),
        ("https://:443", "no URL"),
        ("https://[::1", "no URL"),
        ("https://api.example:port", "no URL"),
        ("https://api.example:0", "no URL"),
        ("https://api.example:99999", "no URL"),
        ("https://api.example/a b", "percent-encoded"),
        ("https://api.example/\x1b[31m", "percent-encoded"),
        ("https://ex\u0430mple.com", "percent-encoded"),
        ("https://api.example\\@evil.example", "percent-encoded"),
    ],
)
@pytest.mark.parametrize("place", ["environment", "file"])
def test_other_addresses_are_refused_and_not_repeated(url, reason, place):
    values = {"NEON_API_HOST": url}
    source = "the environment" if place == "environment" else "/app/.env"
    with pytest.raises(ConfigurationError) as caught:
        base(values) if place == "environment" else base({}, values)
    assert caught.value.message.startswith(f"NEON_API_HOST in {source} ")
    assert reason in caught.value.message
    assert "hidden" not in str(caught.value)
    assert "https://" in caught.value.hint


@given(st.text(max_size=30) | st.text("htps:/.@?#[]%1a\\ ", max_size=30).map("https://".__add__))
def test_any_text_is_an_address_or_an_error(text):
    try:
        found = base({"PPG_API_URL": text})
    except ConfigurationError:
        return
    assert found.lower().startswith(("https://", "http://"))
    assert not found.endswith("/")


def test_a_service_beside_the_api_is_moved_by_its_own_variable_only():
    settings = Settings({"PPG_API_URL": "https://a.example", "OTHER_URL": "https://b.example/"})
    assert service_base(settings, ("OTHER_URL",), DEFAULT) == "https://b.example"
    assert service_base(settings, ("UNSET_URL",), DEFAULT) == DEFAULT
    with pytest.raises(ConfigurationError, match="^OTHER_URL in the environment is http"):
        service_base(Settings({"OTHER_URL": "http://b.example"}), ("OTHER_URL",), DEFAULT)


def test_loopback_is_this_machine():
    assert all(map(is_loopback, ("localhost", "127.0.0.1", "127.1.2.3", "::1")))
    assert not any(map(is_loopback, ("", "example", "0.0.0.0", "::", "localhost.example")))


@pytest.mark.parametrize("name", ["PPG_API_URL", "NEON_API_HOST"])
@pytest.mark.parametrize("token", TOKENS)
def test_the_files_address_gets_no_token_of_the_environment(name, token):
    address, secret = {name: "https://evil.example/v2"}, {token: "hidden"}
    for file in (address, {**address, TOKENS[0]: "other"}):
        with pytest.raises(ConfigurationError) as caught:
            base(secret, file)
        assert f"{name} in /app/.env" in caught.value.message
        assert f"{token} in the environment" in caught.value.message
        assert "hidden" not in str(caught.value)
        assert f"set {name} in the environment" in caught.value.hint
    for environ, file in (
        ({}, {**address, **secret}),  # both came together
        ({**address, **secret}, {}),
        ({**address, **secret}, {name: "https://other.example"}),
        (address, secret),
        ({}, address),  # that there is no token is told elsewhere
    ):
        assert base(environ, file) == "https://evil.example/v2"
    assert base(secret, {name: "http://127.0.0.1:8000"}) == "http://127.0.0.1:8000"
    assert base(secret, {name: "http://localhost:8000"}) == "http://localhost:8000"
    with pytest.raises(ConfigurationError):
        base(secret, {name: "https://localhost.example"})


@pytest.mark.parametrize(
    ("provider", "token", "own"),
    [
        ("neon", "NEON_API_KEY", "NEON_API_HOST"),
        ("prisma", "PRISMA_SERVICE_TOKEN", "PRISMA_API_URL"),
        ("prisma", "PRISMA_API_TOKEN", "PRISMA_API_URL"),
        ("casedev", "CASEDEV_API_KEY", "CASEDEV_BASE_URL"),
    ],
)
def test_each_provider_keeps_the_token_to_itself(provider, token, own):
    for name in (own, "PPG_API_URL"):
        settings = Settings({token: "hidden"}, {name: "https://evil.example"}, "/app/.env")
        with pytest.raises(ConfigurationError, match=f"{token} in the environment is not sent"):
            load(provider, settings).connections(Target())
