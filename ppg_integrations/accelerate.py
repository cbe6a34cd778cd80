"""``prisma://`` and ``prisma+postgres://`` URLs: an HTTP protocol, or a PostgreSQL URL in disguise.

A URL of the hosted Accelerate can never be used from Python. One of a local ``prisma dev`` carries
the PostgreSQL URL of the same database inside its ``api_key``.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import parse_qs, urlsplit

from .errors import AccelerateURLError, URLError

SCHEMES: Final = ("prisma://", "prisma+postgres://")

#: https://www.prisma.io/docs/accelerate
RETIREMENT: Final = "1 December 2026"

_MAX_KEY: Final = 16_384  # characters; real ones hold two URLs


def postgres_url(text: str, subject: str) -> str:
    """The PostgreSQL URL inside a local ``prisma+postgres://`` URL.

    Args:
        text: the URL, already cleaned of quotes and blanks.
        subject: what to call it in an error, such as "DATABASE_URL in the environment".

    Raises:
        AccelerateURLError: it is one of the hosted Accelerate.
        URLError: it is a local one, and its key holds no PostgreSQL URL; or it is neither.
    """
    if not text.lower().startswith(SCHEMES):
        raise URLError(
            f"{subject} has an unknown scheme",
            hint="A PostgreSQL URL starts with postgresql://",
        )
    try:
        parts = urlsplit(text)
        host = parts.hostname or ""
        keys = parse_qs(parts.query).get("api_key", [])
    except ValueError:
        host, keys = "", []
    if text.lower().startswith(SCHEMES[1]) and host in ("localhost", "127.0.0.1", "::1"):
        return _inside(keys[0] if keys else "", subject)
    raise AccelerateURLError(
        f"{subject} is a Prisma Accelerate URL, an HTTP protocol that only Prisma's own client "
        f"speaks; the hosted service retires on {RETIREMENT}",
        hint="Set DIRECT_URL to the database's own postgresql:// URL; for Prisma Postgres and Neon "
        "the pooled URL follows from it. Prisma Console > your database > Connect shows both.",
    )


def _inside(key: str, subject: str) -> str:
    import base64
    import binascii
    import json

    try:
        if len(key) > _MAX_KEY:
            raise ValueError
        padded = key + "=" * (-len(key) % 4)
        url = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))["databaseUrl"]
        if not isinstance(url, str) or url.startswith(SCHEMES):
            raise ValueError
    except (ValueError, binascii.Error, LookupError, TypeError, RecursionError):
        raise URLError(
            f"{subject} is a local prisma+postgres:// URL, and its api_key holds no database URL",
            hint="Copy it again from the output of `prisma dev`, or use the postgres:// URL that "
            "it prints as well.",
        ) from None
    return url
