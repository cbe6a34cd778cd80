"""The arguments of ``databases()`` that do not say where connections go: names and behaviour."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from ppg_integrations import arguments
from ppg_integrations.connect_settings import DEFAULT, ConnectSettings
from ppg_integrations.conversions import CONNECT_TIMEOUT
from ppg_integrations.errors import ConfigurationError
from ppg_integrations.serverless import platform

#: How long requests keep a connection, in seconds. A pooler does not replace persistence: its login
#: costs what the server's costs, so 0 gives up most of the throughput of small requests.
MAX_AGE: Final = 60

#: Where Django keeps engines of its own, and those of them that speak PostgreSQL.
_DJANGOS: Final = ("django.db.backends.", "django.contrib.gis.db.backends.")
_POSTGRES: Final = ("django.db.backends.postgresql", "django.contrib.gis.db.backends.postgis")

Options = Mapping[str, Any]
#: The pooled alias, the direct one, and that of a replica.
Aliases = tuple[str, str, str]


class Wishes:
    """Checked when made.

    Attributes:
        connect: how connections are opened and kept; the defaults until :meth:`settle` is called.

    Raises:
        ConfigurationError: an argument cannot be used; it is named.
    """

    __slots__ = (
        "_connect",
        "asgi",
        "connect",
        "direct_options",
        "engine",
        "health_checks",
        "max_age",
        "options",
        "serverless",
        "test",
    )

    def __init__(
        self,
        engine: str | None,
        max_age: float | None,
        health_checks: bool | None,
        options: Options | None,
        direct_options: Options | None,
        test: Options | None,
        serverless: bool | None,
        connect: tuple[float | None, float | None, str | None, bool | None] = (None,) * 4,
        asgi: bool | None = None,
    ) -> None:
        self.engine = _engine(engine)
        self.max_age = arguments.seconds(
            "the argument conn_max_age",
            max_age,
            hint="Such as conn_max_age=60; math.inf keeps connections for ever.",
        )
        self.health_checks = _switch("conn_health_checks", health_checks)
        self.options = _mapping("options", options, '{"application_name": "shop"}')
        self.direct_options = _mapping(
            "direct_options", direct_options, '{"application_name": "migrations"}'
        )
        self.test = _mapping("test", test, '{"NAME": "test_shop"}')
        self.serverless = _switch("serverless", serverless)
        self.asgi = _switch("asgi", asgi)
        self.connect = DEFAULT
        self._connect = connect

    def settle(self, environ: Mapping[str, str], source: Callable[[str], str]) -> None:
        """Settles how connections are opened and kept.

        Args:
            environ: the variables that have a say in it.
            source: of one, its name and where it is set.
        """
        deadline, window, sslmode, prepared = self._connect
        self.connect = ConnectSettings.of(
            environ,
            connect_deadline=deadline,
            alive_window=window,
            sslmode=sslmode,
            prepared=prepared,
            source=source,
        )

    def pooled_max_age(self, environ: Mapping[str, str]) -> int | None:
        """Django's CONN_MAX_AGE; its None means for ever."""
        if self.options.get("pool"):
            if self.max_age:
                raise ConfigurationError(
                    f"conn_max_age={self.max_age} and options={{'pool': ...}} exclude each other: "
                    "Django's native pool keeps the connections itself",
                    hint="Leave conn_max_age out, or take the native pool out of options.",
                )
            return 0
        if self.max_age is not None:
            return None if self.max_age == float("inf") else int(self.max_age)
        return 0 if self._is_serverless(environ) or self._is_asgi() else MAX_AGE

    def pool(self, environ: Mapping[str, str]) -> Options:
        """Django's native pool as an option, where nothing else may keep connections."""
        theirs = self.max_age is not None or "pool" in self.options
        if theirs or not self._is_asgi() or self._is_serverless(environ):
            return {}
        from . import asgi

        # Another package's ENGINE may know nothing of pools, or keep something in a connection.
        if self.engine not in (None, *_POSTGRES) or not asgi.has_pool():
            return {}
        return {"pool": asgi.pool(self.connect.connect_deadline or CONNECT_TIMEOUT)}

    def _is_serverless(self, environ: Mapping[str, str]) -> bool:
        return platform(environ) is not None if self.serverless is None else self.serverless

    def _is_asgi(self) -> bool:
        return is_asgi() if self.asgi is None else self.asgi


def is_asgi() -> bool:
    """Whether an ASGI server imports the settings, or has.

    ``asgi.py`` imports this module of Django's before anything reads the settings, whatever the
    server is that imports ``asgi.py``; nothing else does.
    """
    return "django.core.asgi" in sys.modules


def checked_aliases(aliases: Sequence[str]) -> Aliases:
    """The three names, that of the replica filled in.

    Raises:
        ConfigurationError: they are not two or three different ones.
    """
    # A plain string is a sequence too: of its letters.
    different = not isinstance(aliases, str) and len({*aliases}) == len(aliases)
    if not different or len(aliases) not in (2, 3) or not all(aliases):
        raise ConfigurationError(
            f"aliases={aliases!r}: two different names are needed, the pooled one first, or three "
            "with that of a read replica",
            hint='Such as aliases=("default", "direct").',
        )
    pooled, direct, *more = aliases
    usual = "replica" if pooled == "default" and direct != "replica" else f"{pooled}_replica"
    return pooled, direct, more[0] if more else usual


def _engine(engine: object) -> str | None:
    if engine is None:
        return None
    if not isinstance(engine, str) or (engine.startswith(_DJANGOS) and engine not in _POSTGRES):
        raise ConfigurationError(
            f"engine={engine!r} is no ENGINE for PostgreSQL, and databases() makes two PostgreSQL "
            "aliases",
            hint=f"Leave engine out, or give {' or '.join(_POSTGRES)}, or another package's.",
        )
    return engine


def _switch(name: str, value: object) -> bool | None:
    return arguments.switch(f"the argument {name}", value)


def _mapping(name: str, value: Options | None, example: str) -> Options:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        # Not the value itself: options may hold a password.
        raise ConfigurationError(
            f"{name} is a {type(value).__name__}, and a dictionary is needed",
            hint=f"Such as {name}={example}.",
        )
    return value
