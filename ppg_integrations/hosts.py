"""What a host name says: who runs the server, and whether it is the pooled or the direct endpoint.

One row a pattern. Names of variables contradict each other between providers (one integration puts
the direct URL into ``DATABASE_URL``), hosts do not. A host that no row knows says nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from .urls import PostgresURL

Kind = Literal["pooled", "direct", "unknown"]


class HostInfo:
    """What a host says.

    Attributes:
        provider: ``prisma``, ``neon``, ``supabase`` or ``local``; ``None`` when unknown.
        kind: which endpoint it is.
        creates_databases: False where no role may create databases, as test runners do.
        tls_required: True where the provider wants every connection to be encrypted.
        public_certificate: True where the server's certificate is one that browsers trust, so that
            it can be verified without a file of the provider's.
    """

    __slots__ = ("creates_databases", "kind", "provider", "public_certificate", "tls_required")

    def __init__(
        self,
        provider: str | None,
        kind: Kind,
        creates_databases: bool,
        tls_required: bool,
        public_certificate: bool,
    ) -> None:
        self.provider = provider
        self.kind = kind
        self.creates_databases = creates_databases
        self.tls_required = tls_required
        self.public_certificate = public_certificate


_PRISMA_POOLED: Final = HostInfo("prisma", "pooled", False, True, True)
_PRISMA_DIRECT: Final = HostInfo("prisma", "direct", False, True, True)
_NEON_POOLED: Final = HostInfo("neon", "pooled", True, True, True)
_NEON_DIRECT: Final = HostInfo("neon", "direct", True, True, True)
_SUPABASE_POOLED: Final = HostInfo("supabase", "pooled", True, True, False)
_SUPABASE_DIRECT: Final = HostInfo("supabase", "direct", True, True, False)

# Each row: what the host ends with; how many labels stand before that; what those begin with, and
# what the first of them ends with; its port (None for any); and what that says. (Regular
# expressions would be compiled by each settings import.)
# Neon: https://neon.com/docs/connect/connection-pooling ; an extra label such as "c-2" (a cell) may
# follow the first one. Prisma: https://www.prisma.io/docs/postgres/database/connection-pooling
# Supabase: https://supabase.com/docs/guides/database/connecting-to-postgres ; its port 5432 on the
# pooler's host is a session pooler, which is as good as direct for migrations.
# Certificates: Neon's are from Let's Encrypt (https://neon.com/docs/connect/connect-securely), and
# Prisma's are publicly trusted too; Supabase has an authority of its own, whose certificate its
# console offers (https://supabase.com/docs/guides/platform/ssl-enforcement).
_NEON: Final = (".neon.tech", ".neon.build")
_SHARED: Final = (".pooler.supabase.com",)
_OWN: Final = (".supabase.co", ".supabase.com", ".supabase.red")
_NONE: Final = range(1)
_ONE: Final = range(1, 2)
_TWO: Final = range(2, 3)
_MORE: Final = range(2, 128)
_ROWS: Final[tuple[tuple[tuple[str, ...], range, str, str, int | None, HostInfo], ...]] = (
    (("pooled.db.prisma.io",), _NONE, "", "", None, _PRISMA_POOLED),
    (("db.prisma.io",), _NONE, "", "", None, _PRISMA_DIRECT),
    (_NEON, _MORE, "", "-pooler", None, _NEON_POOLED),
    (_NEON, _MORE, "ep-", "", None, _NEON_DIRECT),
    (_SHARED, _ONE, "", "", 6543, _SUPABASE_POOLED),
    (_SHARED, _ONE, "", "", 5432, _SUPABASE_DIRECT),
    (_OWN, _TWO, "db.", "", 6543, _SUPABASE_POOLED),
    (_OWN, _TWO, "db.", "", 5432, _SUPABASE_DIRECT),
)

_LOOPBACK: Final = HostInfo("local", "unknown", True, False, False)
_UNKNOWN: Final = HostInfo(None, "unknown", True, False, False)

#: Providers whose proxies find the database by the host name in the TLS handshake (SNI): one that
#: is reached by its address is no database at all. case.dev's databases are Neon's.
#: https://neon.com/docs/connect/connection-errors#the-endpoint-id-is-not-specified
BY_NAME: Final = frozenset({"prisma", "neon", "casedev"})


def classify(host: str, port: int = 5432) -> HostInfo:
    """What is known of a host.

    Args:
        host: a name, an address or a socket folder.
        port: its port; only Supabase tells its endpoints apart by it.
    """
    name = host.lower().rstrip(".")
    if host.startswith(("/", "@")) or name in ("localhost", "::1"):
        return _LOOPBACK
    if name.startswith("127.") and name.replace(".", "").isdigit():
        return _LOOPBACK
    for ends, count, begin, mark, wanted, info in _ROWS:
        if wanted not in (None, port):
            continue
        for end in ends:
            if name.endswith(end):
                stem = name.removesuffix(end)
                labels = stem.split(".") if stem else []
                if (
                    len(labels) in count
                    and all(map(_is_label, labels))
                    and stem.startswith(begin)
                    and stem.partition(".")[0].endswith(mark)
                ):
                    return info
    return _UNKNOWN


def _is_label(text: str) -> bool:
    return (
        text.isascii()
        and text.replace("-", "").isalnum()
        and not (text.startswith("-") or text.endswith("-"))
    )


def is_address(host: str) -> bool:
    """Whether it is an IP address, and no name. (:mod:`ipaddress` would cost a settings import.)"""
    if ":" in host or host.replace(".", "").isdigit():
        return True
    if not host[:1].isdigit():
        return False
    import socket

    try:  # hexadecimal and octal ones too, as whoever connects does
        socket.inet_aton(host)
    except OSError:
        return False
    return True


def other_half(url: PostgresURL) -> PostgresURL | None:
    """The same database's other endpoint, where the host makes it certain (Prisma and Neon).

    Of a direct URL's parameters, ``options`` and ``replication`` do not reach the pooled one: a
    transaction pooler refuses both at connect.
    """
    if len(url.hosts) != 1:
        return None
    info = classify(url.host, url.port)
    name = url.host.lower().rstrip(".")
    if info.provider == "prisma":
        other = "db.prisma.io" if info.kind == "pooled" else "pooled.db.prisma.io"
    elif info.provider == "neon":
        label, _, domain = name.partition(".")
        other_label = label.removesuffix("-pooler") if info.kind == "pooled" else f"{label}-pooler"
        other = f"{other_label}.{domain}"
    else:
        return None
    params = dict(url.params)
    params.pop("hostaddr", None)  # an address is that of one endpoint
    if info.kind == "direct":
        params.pop("options", None)
        params.pop("replication", None)
    elif "options" in params:
        # Neon demands that the endpoint named there is the host's first label to the byte.
        params["options"] = params["options"].replace(
            f"endpoint={name.partition('.')[0]}", f"endpoint={other.partition('.')[0]}"
        )
    return url.replace(host=other, params=params)


def same_server(pooled: PostgresURL, direct: PostgresURL) -> bool | None:
    """Whether two URLs can be the two endpoints of one server; None when the hosts do not tell."""
    one, two = classify(pooled.host, pooled.port), classify(direct.host, direct.port)
    if one.provider != two.provider:
        # A loopback host may be a pooler of one's own, or a tunnel, to anywhere.
        unknown = (None, "local")
        return None if one.provider in unknown or two.provider in unknown else False
    if one.provider != "neon":
        return None
    one_label, two_label = (
        url.host.lower().partition(".")[0].removesuffix("-pooler") for url in (pooled, direct)
    )
    return one_label == two_label


def role(url: PostgresURL) -> str:
    """The role behind the user name: Supabase's pooler wants ``role.project`` there."""
    if url.host.lower().endswith(".pooler.supabase.com"):
        return url.user.rpartition(".")[0] or url.user
    return url.user
