"""How the double of Neon's API reads a request: strictly, as a validator of its schema would."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import flask

from .base import Refused

_ID = re.compile(r"[a-z0-9-]{1,60}")


def text(value: str) -> str:
    return value


def boolean(value: str) -> bool:
    if value not in {"true", "false"}:
        raise Refused(422, f"parameter is not a boolean: {value!r}")
    return value == "true"


def identifier(value: str) -> str:
    if not _ID.fullmatch(value):
        raise Refused(400, f"not an id: {value!r}")
    return value


def number(most: int) -> Callable[[str], int]:
    def parse(value: str) -> int:
        if not value.isdecimal() or not 1 <= int(value) <= most:
            raise Refused(400, f"limit must be from 1 to {most}")
        return int(value)

    return parse


def query(*required: str, **known: Callable[[str], Any]) -> dict[str, Any]:
    """The query, each parameter parsed; unknown, repeated and missing ones are refused."""
    values = {}
    for name, given in flask.request.args.lists():
        if name not in known or len(given) > 1:
            raise Refused(400, f"unexpected query parameter {name!r}")
        values[name] = known[name](given[0])
    for name in required:
        if not values.get(name):
            raise Refused(400, f"query parameter {name!r} is required")
    return values


def body(shape: Mapping[str, Any], *, optional: bool = False) -> dict[str, Any]:
    """The JSON body. `shape`: a type, ``[shape]`` for a list, or a mapping, for each member."""
    if not flask.request.get_data() and optional:
        return {}
    if flask.request.mimetype != "application/json":
        raise Refused(415, "Content-Type must be application/json")
    return _checked(flask.request.get_json(), shape, "body")


def no_body() -> None:
    if flask.request.get_data() not in {b"", b"{}"}:
        raise Refused(400, "this request takes no body")


def _checked(value: Any, shape: Any, where: str) -> Any:
    if isinstance(shape, list):
        if not isinstance(value, list):
            raise Refused(400, f"{where} must be a list")
        return [_checked(each, shape[0], f"{where}[{n}]") for n, each in enumerate(value)]
    if isinstance(shape, Mapping):
        if not isinstance(value, dict):
            raise Refused(400, f"{where} must be an object")
        for name in value:
            if name not in shape:
                raise Refused(400, f"{where}.{name} is not known")
        return {
            name: _checked(each, shape[name], f"{where}.{name}") for name, each in value.items()
        }
    if type(value) is not shape:
        raise Refused(400, f"{where} must be of another type")
    return value
