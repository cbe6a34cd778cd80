"""Fixtures of the providers' tests."""

from __future__ import annotations

import pytest

from ppg_integrations.providers.http import retries


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request that failed is sent again at once; ``Retry-After`` is still honoured."""
    monkeypatch.setattr(retries, "FIRST", 0.01)


@pytest.fixture(autouse=True)
def clean_network_environ(monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxy and no authority of the machine that runs the tests."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
