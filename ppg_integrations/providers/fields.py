"""A JSON object of a provider's answer, read by type."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import ProviderError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Fits = Callable[[Any], bool]


class Conversation:
    """What an error has to know of the requests that came before it.

    Attributes:
        provider: as in ``PPG_PROVIDER``.
        title: the provider's name, for people.
        changed: whether a request may have changed something at the provider that nobody knows of.
    """

    def __init__(self, provider: str, title: str) -> None:
        self.provider = provider
        self.title = title
        self.changed = False


class Origin(NamedTuple):
    """The answer that an object stood in: ``GET /projects``, its status and id."""

    conversation: Conversation
    request: str
    status: int | None = None
    request_id: str = ""


class Fields:
    """An object of an answer. Its ``repr`` shows no values; members that nobody reads may be
    anything.

    Every reader takes the path of a member, ``text("database", "name")``, and raises
    :class:`~ppg_integrations.errors.ProviderError`, which names the member and never its value.
    """

    __slots__ = ("_data", "_origin", "_place")

    def __init__(self, data: Mapping[str, Any], origin: Origin, place: str = "") -> None:
        self._data = data
        self._origin = origin
        self._place = place

    def text(self, *path: str) -> str:
        """A text that is not empty."""
        value: str = self._read(path, "text", _is_text)
        return value

    def maybe_text(self, *path: str) -> str:
        """A text; ``""`` where it is absent or null."""
        if self._absent(path):
            return ""
        value: str = self._read(path, "text", lambda value: value == "" or _is_text(value))
        return value

    def flag(self, *path: str) -> bool:
        """True or false."""
        value: bool = self._read(path, "true or false", _is_flag)
        return value

    def maybe_flag(self, *path: str, default: bool = False) -> bool:
        """True or false; `default` where it is absent or null."""
        return default if self._absent(path) else self.flag(*path)

    def number(self, *path: str) -> float:
        """A number."""
        return float(self._read(path, "number", _is_number))

    def maybe_number(self, *path: str) -> float | None:
        """A number; None where it is absent or null."""
        return None if self._absent(path) else self.number(*path)

    def at(self, *path: str) -> Fields:
        """An object inside."""
        return self._inside(self._read(path, "object", _is_object), self._name(path))

    def maybe_at(self, *path: str) -> Fields | None:
        """An object inside; None where it is absent or null."""
        return None if self._absent(path) else self.at(*path)

    def each(self, *path: str) -> tuple[Fields, ...]:
        """A list of objects."""
        name = self._name(path)
        return tuple(
            self._inside(element, f"{name}[{index}]")
            for index, element in enumerate(self._read(path, "list of objects", _is_objects))
        )

    def maybe_each(self, *path: str) -> tuple[Fields, ...]:
        """A list of objects; empty where it is absent or null."""
        return () if self._absent(path) else self.each(*path)

    @property
    def identity(self) -> str:
        """Its ``id``; empty where it has none that is a text."""
        value = self._value(("id",))
        return value if _is_text(value) else ""

    def __eq__(self, other: object) -> bool:
        return self._data == other._data if isinstance(other, Fields) else NotImplemented

    __hash__ = None  # type: ignore[assignment] # it holds lists

    def __repr__(self) -> str:
        return f"<Fields of {self._subject()}{self._place and f' at {self._place}'}>"

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("Fields may hold secrets, and are not pickled")

    def _inside(self, data: Mapping[str, Any], place: str) -> Fields:
        return Fields(data, self._origin, place)

    def _name(self, path: tuple[str, ...]) -> str:
        return ".".join((self._place, *path) if self._place else path)

    def _subject(self) -> str:
        return f"{self._origin.conversation.title}'s answer to {self._origin.request}"

    def _value(self, path: tuple[str, ...]) -> Any:
        """The member, or None: what is absent and what is null are the same to every reader."""
        value: Any = self._data
        for name in path:
            if not isinstance(value, dict):
                return None
            value = value.get(name)
        return value

    def _absent(self, path: tuple[str, ...]) -> bool:
        """Whether there is nothing, rather than something of a wrong type, on the way or there."""
        for length in range(1, len(path) + 1):
            if self._value(path[:length]) is None:
                return True
            if length < len(path) and not _is_object(self._value(path[:length])):
                return False
        return False

    def _read(self, path: tuple[str, ...], what: str, fits: Fits) -> Any:
        # No local variable holds the value: tracebacks show those.
        if fits(self._value(path)):
            return self._value(path)
        origin = self._origin
        raise ProviderError(
            f"{self._subject()} has no {what} at {self._name(path)}",
            hint="Is this the provider's API, and ppg-integrations new enough for it?",
            provider=origin.conversation.provider,
            status=origin.status,
            request_id=origin.request_id,
            nothing_done=not origin.conversation.changed,
        )


def _is_text(value: object) -> bool:
    # JSON can spell half a surrogate pair, which can be neither printed nor sent nor stored.
    return (
        isinstance(value, str) and value != "" and not any("\ud800" <= c <= "\udfff" for c in value)
    )


def _is_flag(value: object) -> bool:
    return isinstance(value, bool)


def _is_number(value: object) -> bool:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    return isinstance(value, float) or abs(value) < 2**1000  # as much as a float holds


def _is_object(value: object) -> bool:
    return isinstance(value, dict)


def _is_objects(value: object) -> bool:
    return isinstance(value, list) and all(map(_is_object, value))
