"""The options of an engine: which driver, which pool, and what the driver must not do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import URL

from ppg_integrations import arguments, conversions, drivers, preparing
from ppg_integrations import serverless as platforms
from ppg_integrations.errors import ConfigurationError, PPGError
from ppg_integrations.parameters import SECRET

from . import plugin, pooling

if TYPE_CHECKING:
    from ppg_integrations.endpoint import Endpoint

DRIVERS: Final = ("psycopg", "psycopg2", "asyncpg")


def engine_options(
    endpoint: Endpoint,
    *,
    driver: str | None = None,
    serverless: bool | None = None,
    environ: Mapping[str, str],
    options: Mapping[str, Any] = MappingProxyType({}),
) -> dict[str, Any]:
    """What ``create_engine`` takes besides the URL.

    Args:
        endpoint: asked for each connection that the engine opens.
        driver: ``psycopg``, ``psycopg2`` or ``asyncpg``; found out by default.
        serverless: whether the process may be frozen between requests and so must keep no
            connection; found out by default.
        environ: what the platform is found out from.
        options: the user's own, laid over these, dictionaries too; ``plugins`` are joined.

    Raises:
        ConfigurationError: there is no such driver, or an argument cannot be used.
        DriverError: it is not installed, or none is.
    """
    name = checked_driver(driver)
    serverless = arguments.switch("the argument serverless", serverless)
    if serverless is None:
        serverless = platforms.platform(environ) is not None
    result: dict[str, Any] = {
        "plugins": [plugin.NAME],
        plugin.NAME: endpoint,
        "connect_args": preparing.arguments(
            name, prepared=endpoint.settings.prepared and not endpoint.direct
        ),
    }
    result |= pooling.options(options, keeps=not (serverless or endpoint.direct))
    return merged(result, options)


def engine_url(endpoint: Endpoint, driver: str | None) -> URL:
    """The URL for ``create_engine``; one that leads nowhere where there is no pair.

    With the plugin of :func:`engine_options`, connections lead where the endpoint is when they are
    opened; or they raise what is wrong with it.

    Raises:
        ConfigurationError: there is no such driver, or it cannot do what the URL demands.
        DriverError: it is not installed, or none is.
    """
    name = checked_driver(driver)
    try:
        url = endpoint.destination().url
    except PPGError:
        return URL.create(
            f"postgresql+{name}", host="unconfigured.invalid", database="unconfigured"
        )
    conversions.connect_keywords(url, name)
    return url.replace(params=_shown(url.params, name)).sqlalchemy(name)


def default_driver(*, asynchronous: bool = False) -> str:
    """``psycopg`` where it can be imported, else ``psycopg2``, or ``asyncpg`` for an event loop.

    Raises:
        DriverError: neither can be.
    """
    found = drivers.driver(("psycopg", "asyncpg" if asynchronous else "psycopg2"))
    return found.__name__


def checked_driver(driver: str | None) -> str:
    if driver is None:
        return default_driver()
    if driver not in DRIVERS:
        raise ConfigurationError(
            f"there is no driver {driver!r} for PostgreSQL in SQLAlchemy that is known here",
            hint=f"Use {', '.join(DRIVERS[:-1])} or {DRIVERS[-1]}.",
        )
    drivers.imported(driver)  # SQLAlchemy would say it without what to install
    return driver


def _shown(params: Mapping[str, str], driver: str) -> dict[str, str]:
    """Parameters for a URL that people see: the plugin connects with all of them."""
    if driver == "asyncpg":  # a URL cannot say everything to it
        return {name: params[name] for name in ("sslmode", "sslrootcert") if name in params}
    return {name: value for name, value in params.items() if name not in SECRET}


def merged(base: Mapping[str, Any], extra: Mapping[str, Any]) -> dict[str, Any]:
    """`extra` laid over `base`, dictionaries in them too; neither is changed or shared."""
    result = {
        name: merged(value, {}) if isinstance(value, dict) else value
        for name, value in base.items()
    }
    for name, value in extra.items():
        before = result.get(name)
        if name == "plugins":
            result[name] = _joined(before or (), value)
        elif isinstance(value, dict):
            result[name] = merged(before if isinstance(before, dict) else {}, value)
        else:
            result[name] = value
    return result


def _joined(*lists: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(name for names in lists for name in names))
