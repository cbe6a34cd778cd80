"""The JSON of an answer: an object, or the reason why it is none."""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn


def parse(data: bytes) -> dict[str, Any] | str:
    """The object that `data` is; else what it is instead, in words that repeat nothing of it."""
    try:
        value = json.loads(data.decode("utf-8-sig"), parse_constant=_no_number, parse_float=_finite)
    except RecursionError:
        return "nested too deeply"
    except ValueError:  # also: not UTF-8, an integer of thousands of digits
        return "no JSON"
    return value if isinstance(value, dict) else "JSON, but no object"


def _no_number(name: str) -> NoReturn:
    raise ValueError(name)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError
    return number
