"""One request to an API, before it is sent."""

from __future__ import annotations

import json as jsonlib
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import quote, urlencode

from ...errors import ConfigurationError
from ..printable import printable

if TYPE_CHECKING:
    from collections.abc import Mapping

_LONGEST: Final = 8_000  # characters of a URL; servers refuse longer ones


class Call(NamedTuple):
    """A request. ``shown`` is what messages call it: ``GET /projects``."""

    method: str
    url: str
    shown: str
    body: bytes | None

    @property
    def reads(self) -> bool:
        """Whether it changes nothing, however often it is sent."""
        return self.method == "GET"


def call(
    method: str,
    base: str,
    path: tuple[str, ...],
    query: Mapping[str, str | int | bool],
    json: Mapping[str, Any] | None = None,
) -> Call:
    """A request for what has this path below `base`.

    Raises:
        ConfigurationError: a segment of the path cannot be one: the user gave it as id or name.
    """
    where = "".join(f"/{_segment(each)}" for each in path)
    url = f"{base}{where}"
    if query:
        values = {name: _spelled(value) for name, value in query.items()}
        try:
            url += f"?{urlencode(values, quote_via=quote)}"
        except UnicodeEncodeError:
            url = ""
    if not 0 < len(url) <= _LONGEST:
        raise ConfigurationError(
            f"the values for {method} {printable(where)} fit into no URL",
            hint="Is one of the names or ids very long, or not Unicode?",
        )
    body = None if json is None else jsonlib.dumps(json).encode()
    return Call(method, url, f"{method} {printable(where)}", body)


def _segment(text: str) -> str:
    if text in ("", ".", ".."):
        raise ConfigurationError(
            f"{text!r} is no id and no name", hint="Which one is meant? The verb list shows them."
        )
    try:
        return quote(text, safe="")
    except UnicodeEncodeError:
        raise ConfigurationError(
            f"{text!a} is no id and no name: not Unicode", hint="Which one is meant?"
        ) from None


def _spelled(value: str | int | bool) -> str:
    # Strict servers refuse Python's spelling, "True".
    return str(value).lower() if isinstance(value, bool) else str(value)
