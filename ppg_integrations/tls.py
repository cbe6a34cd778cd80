"""What TLS a server really speaks, seen by a handshake of our own.

psycopg 3 does not tell the TLS version, and ``pg_stat_ssl`` asked through a pooler shows the
pooler's leg to the server, not ours. So: the first bytes of a PostgreSQL connection, the standard
library's handshake, and goodbye before any login.
"""

from __future__ import annotations

import os
import socket
import ssl
import struct
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from . import roots

if TYPE_CHECKING:
    from .urls import PostgresURL

#: https://www.postgresql.org/docs/current/protocol-message-formats.html (SSLRequest)
_SSL_REQUEST: Final = struct.pack("!II", 8, 80877103)
#: what libpq 17 sends, and what ``sslnegotiation=direct`` requires
_ALPN: Final = ["postgresql"]


@dataclass(frozen=True)
class TLS:
    """A server's TLS.

    Attributes:
        version: as OpenSSL names it, such as ``TLSv1.3``.
        cipher: the cipher suite.
        verified: the certificate's chain and its host name check out against ``sslrootcert`` if the
            URL names one, else libpq's own file, the system's authorities and certifi's. That is
            what the server offers; whether the URL *demands* it is its sslmode's to say.
        why_not: the reason in OpenSSL's words, empty when verified.
    """

    version: str
    cipher: str
    verified: bool
    why_not: str = ""

    def as_json(self) -> dict[str, Any]:
        return {
            "version": self.version,
            "cipher": self.cipher,
            "verified": self.verified,
            "why_not": self.why_not,
        }


def inspect(url: PostgresURL, *, timeout: float = 5.0) -> TLS | None:
    """Shakes hands with the first host of `url`, without logging in.

    Args:
        timeout: seconds for everything.

    Returns:
        None where there is nothing to see: a Unix socket, or a server without TLS.

    Raises:
        OSError: nobody answered in time (``TimeoutError``), or the handshake failed for another
            reason than the certificate (``ssl.SSLError``).
    """
    if not url.host or url.host.startswith(("/", "@")):
        return None
    deadline = time.monotonic() + timeout
    try:
        verifying = _verifying(url)
    except OSError as error:  # ssl.SSLError too: a file without certificates
        why_not = f"sslrootcert cannot be read: {error.strerror or error}"
    else:
        try:
            return _handshake(url, verifying, deadline, why_not="")
        except ssl.SSLCertVerificationError as error:
            why_not = error.verify_message
    unverified = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    unverified.check_hostname = False
    unverified.verify_mode = ssl.CERT_NONE  # to learn the version; nothing is sent over it
    return _handshake(url, unverified, deadline, why_not=why_not)


def _verifying(url: PostgresURL) -> ssl.SSLContext:
    context = ssl.create_default_context()
    # Python 3.13 turns this on; libpq does not, and many private authorities fail it.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    given = url.params.get("sslrootcert") or os.environ.get("PGSSLROOTCERT", "")
    if given == roots.SYSTEM:
        given = roots.bundle()
    if given:
        only = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        only.load_verify_locations(cafile=given)
        return only
    default = Path(os.environ.get("HOME", "/"), ".postgresql/root.crt")
    if default.is_file():
        context.load_verify_locations(cafile=default)
    try:
        import certifi
    except ImportError:
        pass
    else:
        context.load_verify_locations(cafile=certifi.where())
    return context


def _handshake(
    url: PostgresURL, context: ssl.SSLContext, deadline: float, *, why_not: str
) -> TLS | None:
    context.set_alpn_protocols(_ALPN)
    address = (url.params.get("hostaddr", "").split(",")[0] or url.host, url.port)
    with socket.create_connection(address, timeout=_left(deadline)) as plain:
        if url.params.get("sslnegotiation") != "direct":
            plain.settimeout(_left(deadline))
            plain.sendall(_SSL_REQUEST)
            if plain.recv(1) != b"S":
                return None
        plain.settimeout(_left(deadline))
        with context.wrap_socket(plain, server_hostname=url.host) as secured:
            cipher = secured.cipher()
            return TLS(
                version=secured.version() or "",
                cipher=cipher[0] if cipher else "",
                verified=not why_not,
                why_not=why_not,
            )


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("timed out")
    return left
