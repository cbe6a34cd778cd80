"""Values that users give, of the kind that is needed: another one fails late, or means another."""

from __future__ import annotations

from typing import Final

from . import names
from .errors import ConfigurationError

_OFF: Final = ("0", "false", "no", "off")
_INFINITE: Final = float("inf")


def switch(what: str, value: object) -> bool | None:
    """An argument that is on or off; None where it was not given.

    Any text counts as true in Python, ``"false"`` too.

    Raises:
        ConfigurationError: it is something else.
    """
    if value is None or isinstance(value, bool):
        return value
    raise _wrong(what, value, "True or False", "Leave it out for the default.")


def switch_text(source: str, text: str, *, hint: str) -> bool:
    """What a variable says that is set.

    Args:
        source: its name, and where it is set.
        text: its value.
        hint: of the error.

    Raises:
        ConfigurationError: it is neither on nor off.
    """
    if names.truthy(text):
        return True
    if text.strip().lower() in _OFF:
        return False
    raise _wrong(source, text, "1 or 0", hint)


def seconds(
    what: str, value: object, *, hint: str, least: float = 0.0, most: float = _INFINITE
) -> float | None:
    """An argument in seconds, from `least` to `most`; None where it was not given.

    Raises:
        ConfigurationError: it is something else.
    """
    if value is None:
        return None
    if isinstance(value, (int, float)) and not isinstance(value, bool) and least <= value <= most:
        return value
    raise _wrong(what, value, "a number of seconds", hint)


def text(what: str, value: object, *, hint: str) -> str:
    """An argument that is a text.

    Raises:
        ConfigurationError: it is something else.
    """
    if isinstance(value, str):
        return value
    raise _wrong(what, value, "a text", hint)


def function(what: str, value: object) -> None:
    """Nothing, where an argument can be called, or was not given.

    Raises:
        ConfigurationError: it is something else.
    """
    if value is not None and not callable(value):
        raise _wrong(what, value, "a function", "It gets no argument.")


def _wrong(what: str, value: object, needed: str, hint: str) -> ConfigurationError:
    return ConfigurationError(f"{what} is {value!r:.40}, and must be {needed}", hint=hint)
