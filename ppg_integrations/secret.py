"""Ways to hold a secret so that showing it takes a decision."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from .errors import ConfigurationError

MASK: Final = "***"


class Secret:
    """A secret that only :meth:`reveal` gives away.

    ``str``, ``repr``, ``format`` and ``%`` show :data:`MASK`. Pickling drops the value, because log
    handlers that cross a process boundary pickle whatever a record holds.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str | None) -> None:
        self._value = value

    def reveal(self) -> str:
        """The value itself.

        Raises:
            ConfigurationError: this is a copy that lost its value when it was pickled.
        """
        if self._value is None:
            raise ConfigurationError(
                "this secret was dropped when the object that held it was pickled",
                hint="Resolve the URL again in this process instead of sending it there.",
            )
        return self._value

    def __str__(self) -> str:
        return MASK

    def __repr__(self) -> str:
        return f"Secret({MASK!r})"

    def __format__(self, spec: str) -> str:
        return format(MASK, spec)

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return self._value == other._value

    def __hash__(self) -> int:
        return hash(("Secret", self._value))

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, _memo: object) -> Secret:
        return self  # immutable, and still in this process; pickling is another matter

    def __reduce__(self) -> tuple[object, ...]:
        return (Secret, (None,))


class MaskedStr(str):
    """A real ``str``, for the frameworks' settings, that only its ``repr`` hides.

    A driver gets the value; a settings dump (``manage.py diffsettings``, ``pprint``, a debug page)
    shows :data:`MASK`, because all of those print dictionaries by ``repr``.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return repr(MASK)


class MaskedMapping(Mapping[str, str]):
    """A view of the environment whose ``repr`` shows none of it.

    For variables in frames that errors pass through: error reporters print those, tokens and all.
    """

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values

    def __getitem__(self, name: str) -> str:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"MaskedMapping({MASK!r})"
