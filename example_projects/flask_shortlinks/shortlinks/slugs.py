"""The part of a short link that names it."""

from __future__ import annotations

import secrets

from werkzeug.routing import BaseConverter

PATTERN = "[a-z0-9][a-z0-9-]{2,39}"
MAX_LENGTH = 40
_LETTERS = "23456789abcdefghjkmnpqrstuvwxyz"  # none that looks like another


class SlugConverter(BaseConverter):
    """``<slug:slug>`` in a route: what cannot be a slug is not looked up."""

    regex = PATTERN


def random_slug() -> str:
    return "".join(secrets.choice(_LETTERS) for _ in range(6))
