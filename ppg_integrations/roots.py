"""The certificate authorities that browsers trust, as one file: what ``sslrootcert=system`` means.

libpq knows that word from version 16 on, and leaves the rest to its OpenSSL. The wheels of psycopg
and psycopg2 for Linux bundle one that looks into a folder of whoever built it (``/host/tmp/..``,
``/usr/lib/psycopg-openssl``) and finds nothing: from 3.2.3 to 3.3.9, and from 2.9.10 to 2.9.13,
``system`` fails unless ``SSL_CERT_FILE`` is set. asyncpg does not know the word at all, nor do the
``psql`` and ``pg_dump`` of Debian 12 (libpq 15). The path of a file works with all of them, and
all of them trust the same then; so that is what they get, always.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from .errors import ConfigurationError

if TYPE_CHECKING:
    from .urls import PostgresURL

SYSTEM: Final = "system"

#: OpenSSL's own variable. Networks that look into TLS set it, and Nix, and conda.
_VARIABLE: Final = "SSL_CERT_FILE"

#: https://www.postgresql.org/docs/current/libpq-envars.html
_LIBPQS: Final = "PGSSLROOTCERT"

#: Where systems keep them: https://go.dev/src/crypto/x509/root_linux.go and root_bsd.go
_PLACES: Final = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Ubuntu, Arch, Gentoo
    "/etc/pki/tls/certs/ca-bundle.crt",  # Fedora, RHEL, Amazon Linux
    "/etc/ssl/ca-bundle.pem",  # openSUSE
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",  # RHEL 7
    "/etc/ssl/cert.pem",  # Alpine, macOS, the BSDs
)


def bundle(environ: Mapping[str, str] | None = None) -> str:
    """Path of the file: ``SSL_CERT_FILE``, else the system's, else that of certifi.

    Args:
        environ: the environment; ``os.environ`` where None.

    Raises:
        ConfigurationError: there is none, or ``SSL_CERT_FILE`` names none that can be read. Other
            authorities than those that somebody chose are no replacement.
    """
    environ = os.environ if environ is None else environ
    chosen = environ.get(_VARIABLE, "")
    if chosen:
        check(chosen, None, environ)
        return chosen
    for place in _PLACES:
        if os.path.isfile(place):
            return place
    found = _pythons() or _certifis()
    if not found:
        raise ConfigurationError(
            "the certificate of the database server is to be verified, and no authorities were "
            f"found to do it with: {_VARIABLE} is not set, the system has none of "
            f"{', '.join(_PLACES)}, and certifi is not installed",
            hint="Install the system's package ca-certificates, or pip install certifi; or name a "
            "file with sslrootcert=FILE in the URL.",
        )
    return found


def check(path: str, url: PostgresURL | None, environ: Mapping[str, str] | None = None) -> None:
    """Nothing, where a file that somebody named can be read.

    libpq connects without any verification where it is gone, if the mode is ``require`` or less:
    https://www.postgresql.org/docs/current/libpq-ssl.html#LIBQ-SSL-CERTIFICATES

    Args:
        url: what connects; it is named where no variable has the path.
        environ: as for :func:`bundle`.

    Raises:
        ConfigurationError: it is not there, or this account may not read it.
    """
    if not os.path.isfile(path):
        raise unusable(path, url, "there is no such file", environ)
    if not os.access(path, os.R_OK):
        raise unusable(path, url, "this account may not read that file", environ)


def unusable(
    path: str, url: PostgresURL | None, why: str, environ: Mapping[str, str] | None = None
) -> ConfigurationError:
    """The error for a file of authorities: where it was named, and what to do.

    Args:
        url, environ: as for :func:`check`.
        why: what is wrong with it, as a sentence.
    """
    environ = os.environ if environ is None else environ
    good = f"a file of PEM certificates, or to {SYSTEM} for those that browsers trust"
    if environ.get(_VARIABLE) == path:
        where = f"{_VARIABLE} in the environment"
        hint = f"Set {_VARIABLE} to a file of PEM certificates, or unset it for the system's."
    elif environ.get(_LIBPQS) == path:
        where = f"{_LIBPQS} in the environment"
        hint = f"Set {_LIBPQS} to {good}."
    elif path in _PLACES:
        where = "the system's file of certificate authorities"
        hint = f"Install the system's package ca-certificates anew, or set {_VARIABLE}."
    else:
        to = f" to {url.host}" if url is not None and url.host else ""
        where = f"sslrootcert in the URL{to}"
        hint = f"Set sslrootcert to {good}."
    return ConfigurationError(
        f"{where} is {path}, and {why}; the certificate of the database server is verified with it",
        hint=hint,
    )


def concrete(url: PostgresURL, environ: Mapping[str, str] | None = None) -> PostgresURL:
    """The URL with the file in the place of ``sslrootcert=system``; any other as it is.

    Args:
        environ: as :func:`bundle`.

    Raises:
        ConfigurationError: as :func:`bundle`.
    """
    if url.params.get("sslrootcert") != SYSTEM:
        return url
    # libpq takes nothing weaker with that word, and would with a file:
    # https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNECT-SSLROOTCERT
    verified = {"sslmode": "verify-full", "sslrootcert": bundle(environ)}
    return url.replace(params={**url.params, **verified})


def _pythons() -> str:
    """Of a system whose place stands in no table, but whose Python knows it."""
    import ssl

    path = ssl.get_default_verify_paths().openssl_cafile
    return path if os.path.isfile(path) else ""


def _certifis() -> str:
    try:
        import certifi
    except ImportError:
        return ""
    path = certifi.where()
    return path if os.path.isfile(path) else ""
