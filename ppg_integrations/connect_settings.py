"""How connections are opened and kept, as far as the user has a say: four settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from . import names
from .errors import ConfigurationError
from .value import Value

#: Databases that scale to zero need about ten seconds to wake, and gunicorn ends a worker that is
#: silent for thirty.
_CONNECT_DEADLINE: Final = 20.0
_ALIVE_WINDOW: Final = 5.0
_SSLMODES: Final = ("require", "verify-ca", "verify-full")
_NO: Final = ("", "0", "false", "no", "off")


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
    ) -> ConnectSettings:
        """Those that the user gives, by argument or by variable; the defaults for the rest.

        Args:
            environ: has ``PPG_CONNECT_DEADLINE``, ``PPG_ALIVE_WINDOW``, ``PPG_SSLMODE`` and
                ``PPG_PREPARED``, or not.
            connect_deadline, alive_window, sslmode, prepared: win over those.

        Raises:
            ConfigurationError: one cannot be used.
        """
        return cls(
            _seconds(
                environ,
                names.CONNECT_DEADLINE,
                connect_deadline,
                _CONNECT_DEADLINE,
                "0 makes one attempt",
            ),
            _seconds(
                environ,
                names.ALIVE_WINDOW,
                alive_window,
                _ALIVE_WINDOW,
                "0 tests a connection before each use",
            ),
            _sslmode(environ, sslmode),
            _prepared(environ, prepared),
        )


DEFAULT: Final = ConnectSettings()


def _seconds(
    environ: Mapping[str, str], name: str, given: float | None, default: float, zero: str
) -> float:
    text = environ.get(name, "").strip()
    if given is None and not text:
        return default
    source = name if given is None else f"the argument {name.removeprefix('PPG_').lower()}"
    value = text if given is None else given
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise ConfigurationError(
            f"{source} is {value!r:.40}, and a number of seconds is needed",
            hint=f"Such as {default:g}, the default; {zero}.",
        )
    return seconds


def _sslmode(environ: Mapping[str, str], given: str | None) -> str:
    value = environ.get(names.SSLMODE, "").strip() if given is None else given
    if value and value not in _SSLMODES:
        source = names.SSLMODE if given is None else "the argument sslmode"
        raise ConfigurationError(
            f"{source} is {value!r:.40}, and it is one of {', '.join(_SSLMODES)}",
            hint="It is the least that URLs to other machines get. Less can be said in the URL of a"
            " server of your own only.",
        )
    return value


def _prepared(environ: Mapping[str, str], given: object) -> bool:
    text = environ.get(names.PREPARED, "").strip()
    if isinstance(given, bool):
        return given
    if given is None and (names.truthy(text) or text.lower() in _NO):
        return names.truthy(text)
    source, value = (names.PREPARED, text) if given is None else ("the argument prepared", given)
    raise ConfigurationError(
        f"{source} is {value!r:.40}, and it is on or off",
        hint="Such as PPG_PREPARED=1, where the pooler keeps track of prepared statements;"
        " prepared=True in Python.",
    )
