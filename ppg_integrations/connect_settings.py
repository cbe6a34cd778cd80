"""How connections are opened and kept, as far as the user has a say: four settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from . import arguments, layers, names
from .errors import ConfigurationError
from .value import Value

if TYPE_CHECKING:
    from .providers.settings import Settings

#: Databases that scale to zero need about ten seconds to wake, and gunicorn ends a worker that is
#: silent for thirty.
_CONNECT_DEADLINE: Final = 20.0
_ALIVE_WINDOW: Final = 5.0
_SSLMODES: Final = ("require", "verify-ca", "verify-full")
_WHERE_PREPARED: Final = (
    "Such as PPG_PREPARED=1, where the pooler keeps track of prepared statements; take it out"
    " elsewhere."
)


class ConnectSettings(Value):
    """Of whatever opens connections to one endpoint.

    Attributes:
        connect_deadline: seconds for opening one connection, all attempts together; 0 makes one
            attempt.
        alive_window: seconds after its last use for which a connection counts as alive without a
            round trip to the server; 0 tests it before each use. HikariCP calls it the alive bypass
            window.
        sslmode: the least one of URLs that lead to another machine; empty for what their hosts
            demand.
        prepared: whether drivers prepare statements behind the pooler, see :mod:`.preparing`.
    """

    __slots__ = (  # noqa: RUF023 - the arguments
        "connect_deadline",
        "alive_window",
        "sslmode",
        "prepared",
    )

    connect_deadline: float
    alive_window: float
    sslmode: str
    prepared: bool

    def __init__(
        self,
        connect_deadline: float = _CONNECT_DEADLINE,
        alive_window: float = _ALIVE_WINDOW,
        sslmode: str = "",
        prepared: bool = False,
    ) -> None:
        super().__init__(connect_deadline, alive_window, sslmode, prepared)

    @classmethod
    def of(
        cls,
        environ: Mapping[str, str],
        *,
        connect_deadline: float | None = None,
        alive_window: float | None = None,
        sslmode: str | None = None,
        prepared: bool | None = None,
        source: Callable[[str], str] | None = None,
    ) -> ConnectSettings:
        """Those that the user gives, by argument or by variable; the defaults for the rest.

        Args:
            environ: has ``PPG_CONNECT_DEADLINE``, ``PPG_ALIVE_WINDOW``, ``PPG_SSLMODE`` and
                ``PPG_PREPARED``, or not.
            connect_deadline, alive_window, sslmode, prepared: win over those.
            source: of a variable, its name and where it is set, for errors; by default `environ`
                is the environment.

        Raises:
            ConfigurationError: one cannot be used.
        """

        def found(name: str) -> tuple[str, str]:
            text = environ.get(name, "").strip()
            if source is not None and text:
                return text, source(name)
            return text, f"{name} in {layers.place(environ, name)}"

        return cls(
            _seconds(
                names.CONNECT_DEADLINE,
                found,
                connect_deadline,
                _CONNECT_DEADLINE,
                "0 makes one attempt",
            ),
            _seconds(
                names.ALIVE_WINDOW,
                found,
                alive_window,
                _ALIVE_WINDOW,
                "0 tests a connection before each use",
            ),
            _sslmode(found, sslmode),
            _prepared(found, prepared),
        )

    @classmethod
    def set_in(cls, settings: Settings) -> ConnectSettings:
        """Those of the variables, wherever they are set.

        Raises:
            ConfigurationError: one cannot be used.
        """
        found = {each.name: each for each in map(settings.find, names.CONNECT) if each is not None}
        values = {name: each.value for name, each in found.items()}
        return cls.of(values, source=lambda name: found[name].source)


DEFAULT: Final = ConnectSettings()

#: Gives the text of a variable, and its name and where it is set.
_Found = Callable[[str], tuple[str, str]]


def _seconds(name: str, found: _Found, given: object, default: float, zero: str) -> float:
    value: object
    value, source = found(name)
    if given is not None:
        name = name.removeprefix("PPG_").lower()
        value, source = given, f"the argument {name}"
    elif not value:
        return default
    try:
        seconds = -1.0 if isinstance(value, bool) else float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise ConfigurationError(
            f"{source} is {value!r:.40}, and must be a number of seconds",
            hint=f"Such as {name}={default:g}, the default; {zero}.",
        )
    return seconds


def _sslmode(found: _Found, given: object) -> str:
    value: object
    value, source = found(names.SSLMODE)
    if given is not None:
        value, source = given, "the argument sslmode"
    if not isinstance(value, str) or (value and value not in _SSLMODES):
        raise ConfigurationError(
            f"{source} is {value!r:.40}, and must be one of {', '.join(_SSLMODES)}",
            hint="It is the least that URLs to other machines get. Less can be said in the URL of a"
            " server of your own only.",
        )
    return value


def _prepared(found: _Found, given: object) -> bool:
    argument = arguments.switch("the argument prepared", given)
    if argument is not None:
        return argument
    text, source = found(names.PREPARED)
    return bool(text) and arguments.switch_text(source, text, hint=_WHERE_PREPARED)
