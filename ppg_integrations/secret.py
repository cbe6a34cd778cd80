"""Ways to hold a secret so that showing it takes a decision."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import wraps
from typing import TYPE_CHECKING, Final, TypeVar, cast

from .errors import ConfigurationError, PPGError

if TYPE_CHECKING:
    from typing import SupportsIndex

    from typing_extensions import ParamSpec

    _P = ParamSpec("_P")

MASK: Final = "***"

#: In the names of variables that may hold one.
_WORDS: Final = ("URL", "URI", "DSN", "TOKEN", "KEY", "PASS", "SECRET", "CREDENTIAL")

_Value = TypeVar("_Value")


def sealed(function: Callable[_P, _Value]) -> Callable[_P, _Value]:
    """For a function whose frames hold secrets: errors of ours leave it without those frames.

    Error reporters print the variables of each frame that an error has passed through, and those of
    the errors that it came of.
    """

    @wraps(function)
    def call(*args: _P.args, **kwargs: _P.kwargs) -> _Value:
        try:
            return function(*args, **kwargs)
        except PPGError as error:
            bare = _without_frames(error)
        del args, kwargs
        # Out here: inside, what is being handled would become its context again.
        raise bare

    return call


def _without_frames(error: PPGError) -> PPGError:
    cause: BaseException | None = error
    seen: list[BaseException] = []
    while cause is not None and cause not in seen:
        seen.append(cause)
        cause.__traceback__ = None
        if cause.__suppress_context__:
            cause.__context__ = None
        cause = cause.__cause__ or cause.__context__
    return error


def without_secrets(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment for a program that needs no secret, to judge by the variables' names."""
    return {name: value for name, value in environ.items() if not _may_be_secret(name)}


def masked(value: _Value) -> _Value:
    """The same value; a text is one that its ``repr`` hides."""
    return cast(_Value, MaskedStr(value)) if isinstance(value, str) else value


def masked_by_name(name: str, value: str) -> str:
    """The value of a variable, masked where its name tells that it may be a secret."""
    return masked(value) if _may_be_secret(name) else value


def _may_be_secret(name: str) -> bool:
    upper = name.upper()
    return any(word in upper for word in _WORDS)


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

    def __getstate__(self) -> None:
        """Nothing: what is no ``pickle`` may ask for the slots of an object by this name."""


class MaskedStr(str):
    """A real ``str``, for the frameworks' settings, that only its ``repr`` hides.

    A driver gets the value; a settings dump (``manage.py diffsettings``, ``pprint``, a debug page)
    shows :data:`MASK`, because all of those print dictionaries by ``repr``.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return repr(MASK)

    def __getitem__(self, key: SupportsIndex | slice) -> str:
        # rich and structlog print the first eighty characters of a long one: by repr(text[:80]).
        found = super().__getitem__(key)
        return MaskedStr(found) if isinstance(key, slice) else found


class MaskedMapping(Mapping[str, str]):
    """A view of the environment whose ``repr`` shows none of it.

    For variables in frames that errors pass through: error reporters print those, tokens and all.
    Some of them look into every mapping themselves; what may be a secret, by its name, is a
    :class:`MaskedStr`, and stays one in the variables of whoever looks it up.
    """

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values

    @classmethod
    def of(cls, values: Mapping[str, str]) -> MaskedMapping:
        """A view of `values`, which may be one already."""
        return values if isinstance(values, MaskedMapping) else cls(values)

    def __getitem__(self, name: str) -> str:
        return masked_by_name(name, self._values[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"MaskedMapping({MASK!r})"

    def __copy__(self) -> MaskedMapping:
        return self

    def __deepcopy__(self, _memo: object) -> MaskedMapping:
        return self

    def __reduce__(self) -> tuple[object, ...]:
        return (MaskedMapping, ({},))  # no other process gets the environment of this one
