"""Which URL is the pooled half and which the direct one, as far as their hosts tell."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from . import hosts, names
from .errors import ConfigurationError, MismatchedPairError
from .pair import Source
from .urls import PostgresURL


class Half:
    """One URL, where it came from, and what its host says."""

    __slots__ = ("alone", "info", "source", "url")

    def __init__(self, url: PostgresURL, source: Source, *, alone: bool = False) -> None:
        self.url = url
        self.source = source
        self.alone = alone  # its server has no other endpoint: `prisma dev`
        self.info = hosts.classify(url.host, url.port)


def arrange(
    pooled: list[Half], direct: list[Half], said: list[str]
) -> tuple[Half | None, Half | None]:
    """The pooled and the direct half.

    Args:
        pooled, direct: what was found under the names of each, the first one first.
        said: gets a sentence for whatever is put right or looks wrong.
    """
    left = pooled[0] if pooled else None
    right = direct[0] if direct else None
    if left and right and left.info.kind == "direct" and right.info.kind == "pooled":
        if left.source == right.source:
            said.append(f"{left.source} gave the two URLs swapped, by their hosts; put right")
            return right, left
        said.append(
            f"the two URLs are swapped: {left.source} is the direct one and {right.source} the "
            f"pooled one, by their hosts ({left.url.host}, {right.url.host}); they were put right, "
            f"change {left.source.name} and {right.source.name} around"
        )
        return right, left
    if left and left.info.kind == "direct":
        better = next((half for half in pooled[1:] if half.info.kind == "pooled"), None)
        if right is None:
            right = left
        better = better or _derived(left)
        if better is None:
            said.append(
                f"{left.source} is a direct URL, by its host ({left.url.host}): requests will use "
                f"up the server's connections; set {names.POOLED[0]} to the pooled URL"
            )
        else:
            said.append(
                f"{left.source} is the direct URL, by its host ({left.url.host}); requests use the "
                f"pooled one, {better.source}"
            )
            left = better
    if right and right.info.kind == "pooled":
        better = next((half for half in direct[1:] if half.info.kind == "direct"), None)
        better = better or _derived(right)
        if better is None:
            said.append(
                f"{right.source} is a pooled URL, by its host ({right.url.host}), and was passed "
                f"over; set {names.DIRECT[0]} to the direct one"
            )
        else:
            said.append(
                f"{right.source} is a pooled URL, by its host ({right.url.host}); migrations use "
                f"the direct one, {better.source}"
            )
        if left is None:
            left = right
        right = better
    if left is None and right is not None:
        left = _derived(right)
    elif right is None and left is not None:
        right = _derived(left)
    return left, right


def _derived(half: Half) -> Half | None:
    other = half.url if half.alone else hosts.other_half(half.url)
    if other is None:
        return None
    return Half(other, Source("derived", half.source.name, str(half.source)))


def check_names(halves: Sequence[Half], provider: str) -> None:
    """Nothing, where each host name reaches a provider that finds the database by it.

    Args:
        halves: all URLs of the pair; one of them may tell the provider of the others.
        provider: who runs the server, if that is known; else empty.

    Raises:
        ConfigurationError: an address stands in the place of the name, or the TLS handshake is to
            leave the name out.
    """
    known = sorted(hosts.BY_NAME & {provider, *map(_provider, halves)})
    if not known:
        return
    for half in halves:
        for address in _addresses(half.url):
            raise ConfigurationError(
                f"{half.source} has the address {address} in the place of a host name, and "
                f"{known[0]} finds the database by that name, in the TLS handshake (SNI)",
                hint="Write the host name that the provider's console shows, and "
                f"hostaddr={address} into the query where it is to be that address. A pooler of "
                "your own can be given a name in /etc/hosts.",
            )
        if half.url.params.get("sslsni") == "0" and _provider(half) in hosts.BY_NAME:
            raise ConfigurationError(
                f"{half.source} has sslsni=0, and {_provider(half)} finds the database by the host "
                "name in the TLS handshake (SNI)",
                hint="Take sslsni=0 out of the URL.",
            )


def _provider(half: Half) -> str:
    # Neon's word for the database, from clients that send no name.
    words = half.url.params.get("options", "").split()
    if any(word.startswith("endpoint=") for word in words):
        return "neon"
    return half.info.provider or ""


def _addresses(url: PostgresURL) -> Iterator[str]:
    """Those in the place of a name. A tunnel or a pooler on this machine is its owner's matter."""
    servers = [host for host, _ in url.hosts] or url.params.get("hostaddr", "").split(",")
    for server in servers:
        if hosts.is_address(server) and hosts.classify(server).provider != "local":
            yield server


def check_same(left: Half, right: Half, allowed: frozenset[str]) -> None:
    """Nothing, where both halves can belong to one database.

    Args:
        allowed: what may differ, of ``user`` and ``database``.

    Raises:
        MismatchedPairError: they cannot.
    """
    if hosts.same_server(left.url, right.url) is False and "database" not in allowed:
        raise _mismatch("belong to different servers", left, right, left.url.host, right.url.host)
    if left.url.dbname != right.url.dbname and "database" not in allowed:
        raise _mismatch(
            "name different databases", left, right, left.url.dbname, right.url.dbname, "database"
        )
    if hosts.role(left.url) != hosts.role(right.url) and "user" not in allowed:
        raise _mismatch("name different users", left, right, left.url.user, right.url.user, "user")


def arrange_replica(found: list[Half], said: list[str]) -> Half | None:
    """The replica that requests read from.

    Args:
        found: what stands under the names of a replica, the first one first.
        said: as for :func:`arrange`.
    """
    if not found:
        return None
    replica = found[0]
    pooled = _derived(replica) if replica.info.kind == "direct" else None
    if pooled is None:
        return replica
    said.append(
        f"{replica.source} is a direct URL, by its host ({replica.url.host}); requests use the "
        f"pooled one, {pooled.source}"
    )
    return pooled


def check_replica(replica: Half, left: Half, right: Half | None, allowed: frozenset[str]) -> None:
    """Nothing, where a replica can be one of the database that a pair leads to.

    Args:
        allowed: ``database`` in it lets its name be another one, as poolers do that tell a replica
            by that name.

    Raises:
        MismatchedPairError: it is another database, or the primary itself.
    """
    if replica.url.dbname != left.url.dbname:
        if "database" not in allowed:
            raise _mismatch(
                "name different databases",
                left,
                replica,
                left.url.dbname,
                replica.url.dbname,
                "database",
                of="replica",
            )
        return
    for half in (left, right):
        if half is not None and _same_place(half.url, replica.url):
            raise MismatchedPairError(
                f"{replica.source} (replica) leads to the same server as {half.source}: "
                f"{replica.url.host or 'the local socket'}",
                hint=f"Set {names.REPLICA[0]} to the pooled URL of the read replica, or leave it "
                "out where there is none.",
            )


def _same_place(one: PostgresURL, two: PostgresURL) -> bool:
    if (one.host.lower(), one.port) == (two.host.lower(), two.port):
        return True
    return hosts.same_server(one, two) is True


def _mismatch(
    what: str,
    left: Half,
    right: Half,
    one: str,
    two: str,
    word: str = "database",
    *,
    of: str = "direct",
) -> MismatchedPairError:
    return MismatchedPairError(
        f"{left.source} (pooled) and {right.source} ({of}) {what}: "
        f"{one or 'none'} and {two or 'none'}",
        hint=f"Take both from the same page of the provider's console. If the difference is meant, "
        f"allow it with allow_mismatch=[{word!r}] or {names.ALLOW_MISMATCH}={word}.",
    )
