"""The proxy on the way to an API, from the usual variables."""

from __future__ import annotations

import urllib.request
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from ...errors import ConfigurationError
from ...secret import Secret
from ..apibase import is_loopback
from ..printable import printable

if TYPE_CHECKING:
    import httpx

_SCHEMES: Final = ("http", "https", "socks5", "socks5h")


def url_for(base: str) -> Secret | None:
    """The URL of the proxy for this API, a secret because it may hold a password.

    ``HTTPS_PROXY``, ``ALL_PROXY`` and ``NO_PROXY`` are read in either case, as urllib does. What
    is on this machine is never asked through a proxy, which would see the token in plain http.
    """
    parts = urlsplit(base)
    if is_loopback(parts.hostname or "") or urllib.request.proxy_bypass(parts.netloc):
        return None
    found = urllib.request.getproxies()
    url = found.get("https") or found.get("all")
    if not url:
        return None
    # "proxy:3128" means http, for curl and requests too
    return Secret(url if "://" in url else f"http://{url}")


def host(url: Secret) -> str:
    """The proxy's host."""
    return urlsplit(url.reveal()).hostname or ""


def shown(url: Secret) -> str:
    """Its host and port, without the user and password."""
    return printable(urlsplit(url.reveal()).netloc.rpartition("@")[2])


def proxy(url: Secret) -> httpx.Proxy:
    """That proxy for httpx, its certificate verified like any other.

    Raises:
        ConfigurationError: the URL is not one of a proxy, or a variable for certificates is wrong.
    """
    found = _parsed(url)
    if found is None:
        # Raised out here, because the exceptions in there repeat the URL.
        raise ConfigurationError(
            "the proxy in HTTPS_PROXY or ALL_PROXY has a URL that cannot be used",
            hint="Such as HTTPS_PROXY=http://proxy.example.com:3128, or NO_PROXY for the API.",
        )
    return found


def _parsed(url: Secret) -> httpx.Proxy | None:
    import httpx

    from . import trust

    try:
        parts = urlsplit(url.reveal())
        if parts.scheme not in _SCHEMES or not parts.hostname or parts.port == 0:
            return None
        context = trust.context() if parts.scheme == "https" else None
        return httpx.Proxy(url.reveal(), ssl_context=context)
    except (httpx.InvalidURL, ValueError):
        return None
