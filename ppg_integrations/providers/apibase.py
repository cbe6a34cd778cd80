"""Where a provider's API is: its own address, unless a variable moves it."""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING, Final, NoReturn
from urllib.parse import urlsplit

from .. import names
from ..errors import ConfigurationError

if TYPE_CHECKING:
    from .settings import Settings


# Stricter than any grammar: two parsers must not see two hosts in one text. Neither has an IPv6
# address a zone: "::1%eth0" may be a link's.
_PLACE: Final = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")


def api_base(
    settings: Settings, own: tuple[str, ...], default: str, *, token: tuple[str, ...]
) -> str:
    """The base URL of an API, without a slash at its end.

    Args:
        settings: the variables; ``PPG_API_URL`` wins.
        own: the provider's own variables, in their order.
        default: the provider's address.
        token: the variables of the token that will be sent there, in their order.

    Raises:
        ConfigurationError: the URL is not https (http is for this machine only), or has a user, a
            query or a fragment. It is not repeated: somebody may have put a token there. Or it is
            the ``.env`` file's, of another machine, and the token is the environment's.
    """
    own = (names.API_URL,) if settings.find(names.API_URL) else own
    base = service_base(settings, own, default)
    address, secret = settings.find(*own), settings.find(*token)
    if address is None or secret is None or not address.in_file or secret.in_file:
        return base
    # The file may have come with somebody else's project, and the token is of the user's shell.
    if not is_loopback(urlsplit(base).hostname or ""):
        raise ConfigurationError(
            f"{address.source} names the address of an API, to which {secret.source} is not sent",
            hint=f"If you trust it, set {address.name} in the environment too. Else remove it from "
            "the file.",
        )
    return base


def service_base(settings: Settings, own: tuple[str, ...], default: str) -> str:
    """As :func:`api_base`, of a service beside the API, which ``PPG_API_URL`` does not move."""
    found = settings.find(*own)
    if found is None:
        return default
    check(found.value, found.source)
    return found.value.rstrip("/")


def check(url: str, source: str) -> None:
    """Nothing, where a token may be sent to this address.

    Raises:
        ConfigurationError: as :func:`api_base`; begins with `source`.
    """
    if not all("!" <= character <= "~" for character in url) or "\\" in url:
        _refuse(source, "holds a space, or a character that has to be percent-encoded")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
        parts = urlsplit("")
    scheme = parts.scheme
    if scheme not in ("http", "https") or not host or port == 0:
        _refuse(source, "is no URL of an API")
    if "@" in parts.netloc:
        _refuse(source, "holds a user or a password")
    if not _PLACE.fullmatch(parts.netloc):
        _refuse(source, "is no URL of an API")
    if "?" in url or "#" in url:
        _refuse(source, "has a query or a fragment")
    if any(part in (".", "..") for part in parts.path.split("/")):
        _refuse(source, "has a path with dots")
    if scheme == "http" and not is_loopback(host):
        _refuse(source, "is http, and would send the token in plain text")


def _refuse(source: str, reason: str) -> NoReturn:
    raise ConfigurationError(
        f"{source} {reason}",
        hint="Such as https://api.example.com; http:// is for 127.0.0.1, [::1] and localhost.",
    )


def is_loopback(host: str) -> bool:
    """Whether what is sent to this host stays on this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
