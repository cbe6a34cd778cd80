"""What ``databases()`` was asked for, so that routing, checks and ``ppg_connect`` know it.

One entry for each pair of aliases; the settings module fills it in while Django imports it.
"""

from __future__ import annotations

from typing import Final

from ppg_integrations.errors import MissingDirectURLError, PPGError
from ppg_integrations.pair import ConnectionPair

#: ENGINE of an alias for which there is no URL: every use of it says which variable to set.
UNCONFIGURED: Final = "ppg_integrations.django.unconfigured"


class Registered:
    """One call of ``databases()``.

    Attributes:
        pooled_alias, direct_alias: names in ``DATABASES``.
        pair: what was resolved; None where no URL was found.
        error: why ``pair`` is None.
        env_file: absolute path of the ``.env`` file that was, or would have been, read; None where
            none is to be read.
        host, port, name: of the pooled alias as it was returned; whoever changed them since meant
            another database, and routing keeps away from it.
        forced: ``PPG_DIRECT`` gave the pooled alias the direct parameters.
    """

    __slots__ = (
        "direct_alias",
        "env_file",
        "error",
        "forced",
        "host",
        "name",
        "pair",
        "pooled_alias",
        "port",
    )

    def __init__(
        self,
        pooled_alias: str,
        direct_alias: str,
        pair: ConnectionPair | None,
        error: PPGError | None,
        env_file: str | None,
        host: str,
        port: int | str,
        name: str,
        forced: bool = False,
    ) -> None:
        self.pooled_alias = pooled_alias
        self.direct_alias = direct_alias
        self.pair = pair
        self.error = error
        self.env_file = env_file
        self.host = host
        self.port = port
        self.name = name
        self.forced = forced

    def problem(self, alias: str) -> PPGError | None:
        """Why an alias of this pair has no URL; None where it has one."""
        if self.pair is None:
            return self.error
        if alias == self.direct_alias:
            try:
                self.pair.require_direct()
            except MissingDirectURLError as error:
                return error
        return None


_calls: dict[str, Registered] = {}


def register(entry: Registered) -> None:
    """Keeps an entry; a later call for the same pooled alias replaces the earlier one."""
    _calls.pop(entry.pooled_alias, None)
    _calls[entry.pooled_alias] = entry


def registered() -> tuple[Registered, ...]:
    """All pairs, in the order of their calls."""
    return tuple(_calls.values())


def current() -> Registered | None:
    """The pair that a command means when it names none: that of ``default``, else the last one."""
    return _calls.get("default") or next(reversed(_calls.values()), None)


def find(alias: str) -> Registered | None:
    """The pair that an alias belongs to, as either half; None for an alias that is not ours."""
    for entry in _calls.values():
        if alias in (entry.pooled_alias, entry.direct_alias):
            return entry
    return None


def clear() -> None:
    """Forgets everything. For tests that call ``databases()`` without a Django project."""
    _calls.clear()
