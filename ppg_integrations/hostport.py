"""The servers of a URL: one or several hosts, each with or without a port."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from . import urltext
from .errors import URLError

if TYPE_CHECKING:
    from typing_extensions import Self

DEFAULT_PORT: Final = 5432


class HostPort(tuple[str, "int | None"]):
    """One server: a host name, an address or a socket folder, and its port if one was given."""

    __slots__ = ()

    def __new__(cls, host: str, port: int | None) -> Self:
        return tuple.__new__(cls, (host, port))

    def __getnewargs__(self) -> tuple[str, int | None]:
        return (self.host, self.port)

    @property
    def host(self) -> str:
        """A name, an address, or the folder of a socket; empty for libpq's default."""
        return self[0]

    @property
    def port(self) -> int | None:
        """Its port; None for the default one."""
        return self[1]


def first(servers: tuple[HostPort, ...]) -> tuple[str, int]:
    """Host and port that libpq tries first; ``""`` is its default socket."""
    return (servers[0].host, servers[0].port or DEFAULT_PORT) if servers else ("", DEFAULT_PORT)


def quoted(name: str) -> str:
    """A host as it stands in a URL: a socket folder percent-encoded, IPv6 in brackets."""
    is_socket = name.startswith(("/", "@"))
    if not is_socket and ":" not in name:
        return name
    from urllib.parse import quote

    return quote(name, safe="") if is_socket else f"[{quote(name, safe=':')}]"


def servers_of(
    given: tuple[tuple[str, int | None], ...], overrides: Mapping[str, str], subject: str
) -> tuple[HostPort, ...]:
    """The hosts of the URL's authority, or of its query, which libpq lets win.

    Args:
        given: the authority's.
        overrides: ``host`` and ``port`` of the query, each may list several with commas.
        subject: what to call the URL in an error.

    Raises:
        URLError: a host or a port is not valid, or their numbers differ.
    """
    names = [name for name, _ in given]
    ports = [port for _, port in given]
    if overrides.get("host"):
        names = [urltext.host(name, subject) for name in overrides["host"].split(",")]
        ports = ports if len(ports) == len(names) else [None] * len(names)
    if overrides.get("port"):
        ports = [
            urltext.check_port(port, subject) if port else None
            for port in overrides["port"].split(",")
        ]
        names = names or [""]
        if len(ports) == 1:
            ports *= len(names)
    if len(ports) != len(names):
        raise URLError(f"{subject} has {len(names)} hosts and {len(ports)} ports")
    if names == [""]:
        raise URLError(
            f"{subject} has a port and no host",
            hint="Name the socket folder with host=/path, or write localhost.",
        )
    return tuple(HostPort(name, port) for name, port in zip(names, ports, strict=True))
