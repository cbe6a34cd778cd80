"""The arguments of ``PPG`` that do not say where connections go, laid over ``app.config``."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ppg_integrations import arguments, drivers, pools, startup
from ppg_integrations.connect_settings import ConnectSettings
from ppg_integrations.errors import ConfigurationError, DriverError
from ppg_integrations.sqlalchemy.options import DRIVERS, default_driver, merged

from .cli import within_ppg
from .config import DRIVER, SERVERLESS

if TYPE_CHECKING:
    from ppg_integrations.endpoint import Endpoint
    from ppg_integrations.providers.settings import Found, Settings

Options = Mapping[str, Any]


class Wishes:
    """Of one pair. Checked when made.

    Attributes:
        driver: of SQLAlchemy.
        serverless: None where that is to be found out.
        forced: ``PPG_DIRECT`` gives requests the direct endpoint.
        connecting: how connections are opened and kept.
        options: engine options of both halves.
        direct_options: engine options of the direct half, over those.

    Raises:
        ConfigurationError: an argument or a key cannot be used; it is named.
        DriverError: no driver is named, and none is installed.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        driver: str | None,
        serverless: bool | None,
        forced: bool,
        options: Options | None,
        direct_options: Options | None,
    ) -> None:
        self.driver = _driver(driver, settings.find(DRIVER))
        self.serverless = _serverless(serverless, settings)
        self.forced = forced
        self.connecting = ConnectSettings.set_in(settings)
        self.options = _mapping("options", options)
        self.direct_options = _mapping("direct_options", direct_options)

    def engine_options(self, endpoint: Endpoint, given: Options) -> Options:
        """The options of one engine, but for those of this package.

        Args:
            endpoint: the engine's.
            given: for this engine alone; they win.

        Raises:
            ConfigurationError: the pooler would refuse them.
        """
        own = merged(self.options, self.direct_options) if endpoint.direct else self.options
        options = merged(own, given)
        if not within_ppg():
            startup.refuse(endpoint, options.get("connect_args"), instead="PPG(direct_options=...)")
        return options


def refuse(endpoint: Endpoint, arguments: Options | None) -> None:
    """:func:`ppg_integrations.startup.refuse` for psycopg's pools, but for ``flask ppg``.

    That shows such things, and may be there to mend the URL.
    """
    if not within_ppg():
        startup.refuse(endpoint, arguments, name="kwargs", instead=pools.INSTEAD)


def _driver(argument: object, found: Found | None) -> str:
    if argument is None and found is None:
        try:
            return default_driver()
        except DriverError as error:
            with contextlib.suppress(DriverError):
                return default_driver(asynchronous=True)
            raise error from None
    name = found.value if argument is None and found is not None else argument
    if not isinstance(name, str) or name not in DRIVERS:
        source = "the argument driver" if argument is not None or found is None else found.source
        raise ConfigurationError(
            f"{source} is {name!r:.60}, and no driver is called that",
            hint=f"The drivers are {', '.join(DRIVERS)}.",
        )
    try:
        drivers.imported(name)
    except DriverError as error:
        if found is not None and argument is None:
            error.message = f"{found.source}: {error.message}"
        raise
    return name


def _serverless(argument: object, settings: Settings) -> bool | None:
    given = arguments.switch("the argument serverless", argument)
    found = settings.find(SERVERLESS)
    if given is not None or found is None:
        return given
    return arguments.switch_text(
        found.source, found.value, hint="Leave it out, and it is found out."
    )


def _mapping(name: str, value: Options | None) -> Options:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise ConfigurationError(  # without the value: options may hold a password
            f"{name} is a {type(value).__name__}, and a dictionary is needed",
            hint=f'Such as {name}={{"connect_args": {{"application_name": "shop"}}}}.',
        )
    return value
