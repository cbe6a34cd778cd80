"""Which certificates are trusted: those of the usual variables, else those that httpx brings."""

from __future__ import annotations

import os
import ssl
from typing import Final

from ...errors import ConfigurationError

#: The first that is set wins. OpenSSL's own two, and those of requests and curl.
VARIABLES: Final = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


def context() -> ssl.SSLContext:
    """A TLS context that verifies certificates and host names.

    Raises:
        ConfigurationError: a variable names a file or folder of which no certificate can be read.
    """
    import httpx

    for variable in VARIABLES:
        path = os.environ.get(variable, "")
        if path:
            return _from(path, variable)
    return httpx.create_ssl_context(trust_env=False)


def nothing() -> ssl.SSLContext:
    """A context without any authority, for plain http: reading the real ones takes 20 ms."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def _from(path: str, variable: str) -> ssl.SSLContext:
    try:
        if os.path.isdir(path):
            return ssl.create_default_context(capath=path)
        return ssl.create_default_context(cafile=path)
    except ssl.SSLError:
        reason = "it holds no certificate in PEM"
    except OSError as error:
        reason = str(error.strerror)
    raise ConfigurationError(
        f"{variable} in the environment names {path!r}, which cannot be used: {reason}",
        hint=f"Correct {variable}, or unset it to trust the public authorities.",
    )
