"""How a connection is encrypted: at least as its host's provider wants it, never less than its URL.

This is asked where connections are opened. Pairs hold, and ``show`` prints, the URLs as they are
given.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from . import hosts
from .connect_settings import ConnectSettings
from .hostport import DEFAULT_PORT

if TYPE_CHECKING:
    from .urls import PostgresURL

#: libpq's modes, the weakest first.
_STRENGTH: Final = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
#: Those that refuse a certificate which does not verify.
VERIFYING: Final = frozenset({"verify-ca", "verify-full"})
#: Those in which authorities that somebody names need not be asked.
_UNASKED: Final = frozenset({"disable", "allow"})
#: The authorities that libpq looks for where nobody names one.
_HOME: Final = "~/.postgresql/root.crt"

_said: str | None = None


def secured(
    url: PostgresURL, sslmode: str = "", *, environ: Mapping[str, str] | None = None
) -> PostgresURL:
    """The URL to connect with: `url`, with a stricter ``sslmode`` where that is due.

    ======================================  =======================================================
    the host                                gets at least
    ======================================  =======================================================
    this machine                            what the URL says
    of a provider with a certificate that   ``verify-full`` with the system's authorities;
    browsers trust (Prisma, Neon)           ``require`` where `sslmode` is that
    of another provider that wants TLS      ``require``, and `sslmode`
    any other machine                       `sslmode`
    ======================================  =======================================================

    A stricter ``sslmode`` in the URL or in ``PGSSLMODE`` stays, and so do authorities that the URL
    or ``PGSSLROOTCERT`` names for another machine. Those are asked: the mode is ``verify-ca`` at
    least, and ``verify-full`` as above, unless the URL itself says ``verify-ca`` beside its file.
    (libpq takes ``require`` with a file for ``verify-ca``, and for no verification at all once the
    file is gone.) Only ``disable`` and ``allow`` stay, where nothing above wants more.

    ``~/.postgresql/root.crt`` counts where whoever made it can have meant this server: not for
    those that everybody can verify, unless the URL itself demands that they are.

    Args:
        url: as it was given; one that went through this already comes back unchanged.
        sslmode: the least one of URLs that lead to another machine (``PPG_SSLMODE``): empty,
            ``require``, ``verify-ca`` or ``verify-full``.
        environ: has libpq's variables and ``SSL_CERT_FILE``; ``os.environ`` where None.

    Raises:
        ConfigurationError: authorities are needed, and this machine has none, or the file that
            somebody named cannot be read. It is no reason to connect without.
    """
    infos = [hosts.classify(host, port or DEFAULT_PORT) for host, port in url.hosts]
    given = url.params.get("sslrootcert", "")
    is_here = _is_here(url, infos)
    if is_here and given != "system":
        return url
    environ = os.environ if environ is None else environ
    least = "" if is_here else _least(url, infos, sslmode)
    before = mode(url, environ)
    after = max(before, least, key=_strength)
    named = given or environ.get("PGSSLROOTCERT", "")
    asked = given == "system" or (named != "" and after not in _UNASKED)
    if not least and not asked:
        return url
    changes = {"sslmode": after}
    if asked and named != "system":
        after = max(after, "verify-ca", key=_strength)
        changes = {"sslmode": after, "sslrootcert": _readable(named, url, environ)}
    elif asked or (after in VERIFYING and not _is_own(infos, before)):
        # Anybody gets a public certificate, for a name of his own: less would prove nothing.
        changes = {"sslmode": "verify-full", "sslrootcert": _bundle(environ)}
    params = {**url.params, **changes}
    return url if params == url.params else url.replace(params=params)


@contextmanager
def at_least(sslmode: str) -> Iterator[None]:
    """What the front end of a verb has read, in ``app.config`` too, for as long as the verb runs.

    Args:
        sslmode: as for :func:`secured`.
    """
    global _said  # noqa: PLW0603 - the threads that a verb starts shall see it too
    before, _said = _said, sslmode
    try:
        yield
    finally:
        _said = before


def least() -> str:
    """``sslmode`` for :func:`secured` where this package connects: said, or the environment's.

    Raises:
        ConfigurationError: ``PPG_SSLMODE`` is none.
    """
    return ConnectSettings.of(os.environ).sslmode if _said is None else _said


def mode(url: PostgresURL, environ: Mapping[str, str] | None = None) -> str:
    """The ``sslmode`` in force: the URL's, else the environment's, else libpq's default."""
    environ = os.environ if environ is None else environ
    found = url.params.get("sslmode") or environ.get("PGSSLMODE", "")
    if not found:
        # https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNECT-SSLROOTCERT
        named = url.params.get("sslrootcert") or environ.get("PGSSLROOTCERT")
        found = "verify-full" if named == "system" else "prefer"
    return found


def _is_here(url: PostgresURL, infos: list[hosts.HostInfo]) -> bool:
    addresses = filter(None, url.params.get("hostaddr", "").split(","))
    return all(info.provider == "local" for info in infos) and all(
        hosts.classify(address).provider == "local" for address in addresses
    )


def _least(url: PostgresURL, infos: list[hosts.HostInfo], sslmode: str) -> str:
    least = sslmode
    if any(info.tls_required for info in infos):
        least = max(least, "require", key=_strength)
    chosen = url.params.get("sslmode") == "verify-ca" and url.params.get("sslrootcert")
    if _are_public(infos) and sslmode != "require" and not chosen:
        least = "verify-full"
    return least


def _are_public(infos: list[hosts.HostInfo]) -> bool:
    return bool(infos) and all(info.public_certificate for info in infos)


def _is_own(infos: list[hosts.HostInfo], before: str) -> bool:
    """Whether it is the user's own file that verifies the server."""
    meant = before in VERIFYING or not _are_public(infos)
    return meant and os.path.isfile(os.path.expanduser(_HOME))


def _strength(sslmode: str) -> int:
    return _STRENGTH.index(sslmode) if sslmode in _STRENGTH else -1


def _readable(path: str, url: PostgresURL, environ: Mapping[str, str]) -> str:
    from . import roots

    roots.check(path, url, environ)
    return path


def _bundle(environ: Mapping[str, str]) -> str:
    from . import roots

    return roots.bundle(environ)
