"""Which of the provider's connections a pair is: kept beside its URLs, and true only of them."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from .pair import ConnectionPair
    from .urls import PostgresURL

_DIGITS: Final = 8


def mark(id: str, url: PostgresURL) -> str:  # noqa: A002 - the provider's word for it
    """The value of ``PPG_CONNECTION`` for the connection with this id.

    Args:
        url: its direct URL, whose user and password the value is bound to.
    """
    return f"{id}:{_fingerprint(url)}"


def connection_in_use(value: str, pair: ConnectionPair | None) -> str:
    """The id of the connection that `pair` is; empty where that is not known.

    Args:
        value: of ``PPG_CONNECTION``. It says nothing of URLs that were pasted in later.
    """
    id, _, fingerprint = value.strip().rpartition(":")  # noqa: A001
    if not id or not id.isprintable() or pair is None:
        return ""
    return id if fingerprint == _fingerprint(pair.direct or pair.pooled) else ""


def _fingerprint(url: PostgresURL) -> str:
    password = url.password.reveal() if url.password is not None else ""
    text = f"{url.user}\0{password}".encode(errors="surrogateescape")
    return hashlib.sha256(text).hexdigest()[:_DIGITS]
