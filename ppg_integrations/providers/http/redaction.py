"""Takes secrets out of what a server says, before anybody sees it."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

from ...secret import MASK
from ..printable import printable
from . import jsontext

if TYPE_CHECKING:
    from ...secret import Secret

_MOST: Final = 2_000  # characters of a body that are kept
_LOOKED_AT: Final = 64 * 1024
_DEEPEST: Final = 20

_NAMES: Final = (
    r"pass|pwd|token|secret|api[_-]?key|credential|authorization|cookie|dsn|connection[_-]?string"
)
_SECRET_NAME: Final = re.compile(rf"{_NAMES}|ur[il]s?$", re.IGNORECASE)
# "password": "..." also with its quotes escaped, password=..., password: ...
_ASSIGNED: Final = re.compile(
    rf"((?:(?:{_NAMES})[\w-]{{0,40}}|ur[il]s?)[\\\"']{{0,4}}\s{{0,4}}[=:]\s{{0,4}})"
    r"(\\{0,3}\"[^\"]*|\\{0,3}'[^']*|[^\s,;&\"'\\{}\[\]]+)",
    re.IGNORECASE,
)
_BEARER: Final = re.compile(r"(\b(?:bearer|basic)\s{1,4})[^\s,;\"'\\]+", re.IGNORECASE)
_WORD: Final = re.compile(r"[^\s\"'<>]+")
_DATABASES: Final = ("postgres", "postgresql", "prisma", "prisma+postgres")


def line(text: str, token: Secret | None, *, most: int = 300) -> str:
    """A text of the server's, on one line, without secrets."""
    # What a terminal acts upon goes first: inside a secret it would hide that from us, not from it.
    seen = printable(text[:_LOOKED_AT], most=_LOOKED_AT)
    return printable(_without_secrets(seen, token), most=most)


def body(data: bytes, token: Secret | None) -> str:
    """The beginning of an answer, without secrets."""
    parsed = jsontext.parse(data)
    if isinstance(parsed, str):
        return line(data[:_LOOKED_AT].decode("utf-8", "replace"), token, most=_MOST)
    return printable(json.dumps(_masked(parsed, token), ensure_ascii=False), most=_MOST)


def _masked(value: Any, token: Secret | None, depth: int = 0) -> Any:
    if depth > _DEEPEST:
        return "…"
    if isinstance(value, dict):
        return {
            _without_secrets(name, token): MASK
            if each is not None and _SECRET_NAME.search(name)
            else _masked(each, token, depth + 1)
            for name, each in list(value.items())[:200]
        }
    if isinstance(value, list):
        return [_masked(each, token, depth + 1) for each in value[:200]]
    return _without_secrets(value, token) if isinstance(value, str) else value


def _without_secrets(text: str, token: Secret | None) -> str:
    if token:
        text = text.replace(token.reveal(), MASK)
    text = _WORD.sub(_without_userinfo, text)
    return _ASSIGNED.sub(rf"\1{MASK}", _BEARER.sub(rf"\1{MASK}", text))


def _without_userinfo(match: re.Match[str]) -> str:
    word = match[0]
    before, separator, rest = word.partition("://")
    if not separator:
        return word
    if "@" in rest:
        return f"{before}://{MASK}@{rest.rpartition('@')[2]}"
    # Cut off before its "@", or with a key in its query.
    return f"{before}://{MASK}" if before.lower().endswith(_DATABASES) else word
