"""SCRAM verifiers, so that no password ever stands in an SQL statement or a server's log."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
from typing import Final

_ITERATIONS: Final = 4096  # PostgreSQL's own default, scram_iterations


def verifier(password: str) -> str:
    """What PostgreSQL keeps in ``pg_authid.rolpassword`` for `password`.

    The same as libpq's ``PQencryptPasswordConn``; the two drivers spell that one differently. The
    format is that of https://www.postgresql.org/docs/current/catalog-pg-authid.html after RFC 5803.

    Args:
        password: of ASCII characters, so that SASLprep changes nothing about it.
    """
    salt = os.urandom(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode("ascii"), salt, _ITERATIONS)
    stored = hashlib.sha256(_hmac(salted, b"Client Key")).digest()
    server = _hmac(salted, b"Server Key")
    return f"SCRAM-SHA-256${_ITERATIONS}:{_text(salt)}${_text(stored)}:{_text(server)}"


def _hmac(key: bytes, message: bytes) -> bytes:
    return hmac.digest(key, message, "sha256")


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
