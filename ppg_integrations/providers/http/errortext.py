"""What an answer that is an error says, in any of the shapes that APIs use for it."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from . import jsontext, redaction

if TYPE_CHECKING:
    from ...secret import Secret
    from .exchange import Reply

_MEMBERS: Final = ("message", "error", "detail", "title", "error_description", "code")
_LOOKED_AT: Final = 8 * 1024


def message(reply: Reply, token: Secret | None) -> str:
    """The server's own words on one line, redacted, else the usual name of the status."""
    parsed = jsontext.parse(reply.body)
    text = _of_text(reply.body) if isinstance(parsed, str) else _of_object(parsed)
    return redaction.line(text, token) or phrase(reply.status)


def phrase(status: int) -> str:
    """``Not Found``; empty for a number that has no name."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


def _of_object(value: dict[str, Any], depth: int = 0) -> str:
    """{"error": {"message"}}, {"message"}, {"error": "..."}, {"errors": [{"message"}]}."""
    errors = value.get("errors")
    if isinstance(errors, list) and errors:
        value = {"error": errors[0], **value}
    for name in _MEMBERS:
        found = value.get(name)
        if isinstance(found, str) and found.strip():
            return found
        if isinstance(found, dict) and depth < 3:
            text = _of_object(found, depth + 1)
            if text:
                return text
    return ""


def _of_text(body: bytes) -> str:
    text = body[:_LOOKED_AT].decode("utf-8", "replace").strip()
    if not text.startswith("<"):
        # The rest of a JSON document that was cut off explains nothing.
        return "" if text.startswith(("{", "[")) else text
    title = re.search(r"<title[^>]{0,99}>([^<]{1,300})", text, re.IGNORECASE)
    return title[1] if title else ""
