"""``show``: the pair in use, and where each half came from."""

from __future__ import annotations

from typing import Any

from .. import names
from ..pair import ConnectionPair, Source
from ..urls import PostgresURL
from . import named_file
from .context import Context


def show(context: Context) -> ConnectionPair:
    """The pair in use.

    Raises:
        ConfigurationError: there is none, or it cannot be used.
    """
    return named_file.pair(context, "show")


def claim_url(context: Context, pair: ConnectionPair) -> str:
    """Where the temporary database of the pair in use is claimed; empty for any other pair."""
    return context.settings.get(names.CLAIM_URL) if context.in_use(pair) else ""


def pair_json(pair: ConnectionPair, *, reveal: bool = False) -> dict[str, Any]:
    """The pair as in the JSON contract: ``url`` is redacted unless it is to be revealed."""
    document = {
        "provider": pair.provider,
        "pooled": _endpoint(pair.pooled, pair.pooled_source, reveal=reveal),
        "direct": None
        if pair.direct is None
        else _endpoint(pair.direct, pair.direct_source, reveal=reveal),
        "env_file": pair.env_file,
        "warnings": list(pair.warnings),
    }
    if pair.replica is not None:
        document["replica"] = _endpoint(pair.replica, pair.replica_source, reveal=reveal)
    return document


def _endpoint(url: PostgresURL, source: Source | None, *, reveal: bool) -> dict[str, Any]:
    return {
        "host": url.host,
        "port": url.port,
        "source": str(source),
        "url": url.reveal() if reveal else str(url),
    }
