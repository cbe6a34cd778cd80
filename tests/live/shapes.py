"""What an API's answers look like: which members they have, of which types. Never their values."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest

from ppg_integrations.providers.http.exchange import Exchange, Reply

#: For each request, such as ``GET /projects/{}``: each member's path, and the types it was seen with.
Shapes = Mapping[str, Mapping[str, set[str]]]

#: Segments of paths that are the API's own words; whatever else stands there is an id or a name.
_WORDS = frozenset(
    "api auth branches connection connection_uri connections database databases endpoints me "
    "operations organizations postgres projects regions reset_password reveal_password roles "
    "rotate subscription usage users workspaces v1 v2".split()
)


@contextmanager
def recorded(base: str = "") -> Iterator[dict[str, dict[str, set[str]]]]:
    """The shapes of all answers to our own client, while it lasts.

    Args:
        base: path that all requests have in common, which is left out.
    """
    seen: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    send = Exchange.send

    def recording(self: Exchange, call: Any, seconds: float) -> Any:
        reply = send(self, call, seconds)
        if isinstance(reply, Reply):
            members = seen[f"{call.method} {template(call.url, base)}"]
            members[""].add(f"status {reply.status}")
            for path, kind in _members(_parsed(reply.body)):
                members[path].add(kind)
        return reply

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Exchange, "send", recording)
        yield seen


def template(url: str, base: str = "") -> str:
    path = urlsplit(url).path.removeprefix(base)
    return "/".join(each if each in _WORDS else each and "{}" for each in path.split("/"))


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body) if body.strip() else {}
    except ValueError:
        return "no JSON"


def _members(data: Any, path: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(data, dict):
        for name, value in data.items():
            yield from _members(value, f"{path}.{name}" if path else name)
    elif isinstance(data, list):
        for each in data:
            yield from _members(each, f"{path}[]")
    if path and not (isinstance(data, list) and not data):
        yield path, "null" if data is None else _KINDS.get(type(data), "number")


_KINDS = {dict: "object", list: "list", str: "text", bool: "flag"}


def differences(real: Shapes, double: Shapes) -> list[str]:
    """Where reality and the double differ, a line each."""
    lines = [f"{each}: only the double was asked" for each in double if each not in real]
    lines += [f"{each}: only the real API was asked" for each in real if each not in double]
    for request in real.keys() & double.keys():
        ours, theirs = double[request], real[request]
        for path in ours.keys() | theirs.keys():
            if path not in ours:
                kinds = ", ".join(sorted(theirs[path]))
                lines.append(f"{request}: only the real API has {path} ({kinds})")
            elif path not in theirs:
                lines.append(f"{request}: only the double has {path}")
            elif ours[path] != theirs[path]:
                kinds = (", ".join(sorted(each[path])) for each in (theirs, ours))
                lines.append(
                    "{}: {} is {} at the real API, and {} at the double".format(
                        request, path or "the answer", *kinds
                    )
                )
    return sorted(_without_words(lines))


def _without_words(lines: list[str]) -> list[str]:
    """Control characters of a name do not reach the terminal."""
    return [re.sub(r"[^\x20-\x7e]", "?", line) for line in lines]
