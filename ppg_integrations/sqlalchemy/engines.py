"""Engines for those who make theirs without a framework."""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

import sqlalchemy

from ppg_integrations import arguments, names, startup
from ppg_integrations.connect_settings import ConnectSettings
from ppg_integrations.current import follow, pair_given
from ppg_integrations.endpoint import Endpoint
from ppg_integrations.errors import ConfigurationError, DriverError, MissingURLError
from ppg_integrations.places import Places, env_file_path
from ppg_integrations.providers.settings import Settings

from .options import checked_driver, default_driver, engine_options, engine_url

if TYPE_CHECKING:
    from sqlalchemy import URL, Engine
    from sqlalchemy.ext.asyncio import AsyncEngine

    from ppg_integrations.current import CurrentPair
    from ppg_integrations.pair import ConnectionPair


def create_engine(
    pair: CurrentPair | ConnectionPair | None = None,
    *,
    direct: bool = False,
    driver: str | None = None,
    serverless: bool | None = None,
    **options: Any,
) -> Engine:
    """``sqlalchemy.create_engine`` for one endpoint of a pair.

    Each connection of it leads where the pair leads when it is taken from the pool: a rotated
    credential needs no restart. While there is no pair, the engine can be made, and connecting
    raises the error. ``PPG_CONNECT_DEADLINE``, ``PPG_ALIVE_WINDOW``, ``PPG_SSLMODE`` and
    ``PPG_PREPARED`` say how connections are opened and kept.

    Args:
        pair: the pair; by default found as :func:`ppg_integrations.resolve` does, and followed.
        direct: the direct endpoint, without a pool; the pooled one by default, unless
            ``PPG_DIRECT`` is set.
        driver: ``psycopg`` or ``psycopg2``; the first of the two that is installed by default.
        serverless: whether to keep no connection; found out by default.
        options: further ones of ``sqlalchemy.create_engine``, laid over those of this package.

    Raises:
        PPGError: there is no such driver, or what was found as the pair cannot be used.
    """
    endpoint = _endpoint(pair, direct=direct, environ=os.environ)
    startup.refuse(endpoint, options.get("connect_args"), instead="an engine with direct=True")
    return engine(endpoint, driver=driver, serverless=serverless, options=options)


def create_async_engine(
    pair: CurrentPair | ConnectionPair | None = None,
    *,
    direct: bool = False,
    driver: str | None = None,
    serverless: bool | None = None,
    **options: Any,
) -> AsyncEngine:
    """:func:`create_engine` for asyncio.

    Args:
        pair, direct, serverless, options: as there.
        driver: ``psycopg`` or ``asyncpg``; the first of the two that is installed by default.

    Raises:
        PPGError: as there.
    """
    endpoint = _endpoint(pair, direct=direct, environ=os.environ)
    startup.refuse(endpoint, options.get("connect_args"), instead="an engine with direct=True")
    return async_engine(endpoint, driver=driver, serverless=serverless, options=options)


def engine(
    endpoint: Endpoint,
    *,
    driver: str | None = None,
    serverless: bool | None = None,
    environ: Mapping[str, str] | None = None,
    options: Mapping[str, Any],
) -> Engine:
    """An engine whose connections ask `endpoint`; see :func:`create_engine`."""
    name = checked_driver(driver)
    if name == "asyncpg":
        raise ConfigurationError(
            "asyncpg works in an event loop only", hint="Use create_async_engine()."
        )
    url, arguments = _arguments(endpoint, name, serverless, environ, options)
    return sqlalchemy.create_engine(url, **arguments)


def async_engine(
    endpoint: Endpoint,
    *,
    driver: str | None = None,
    serverless: bool | None = None,
    environ: Mapping[str, str] | None = None,
    options: Mapping[str, Any],
) -> AsyncEngine:
    """An engine for asyncio whose connections ask `endpoint`; see :func:`create_async_engine`."""
    try:
        import_module("greenlet")  # SQLAlchemy 2.1 does not install it by itself
    except ImportError as error:
        raise DriverError(
            f"SQLAlchemy's engine for asyncio cannot be used: {error}",
            hint='pip install "sqlalchemy[asyncio]"',
        ) from None
    from sqlalchemy.ext import asyncio

    name = default_driver(asynchronous=True) if driver is None else checked_driver(driver)
    if name == "psycopg2":
        raise ConfigurationError("psycopg2 works in no event loop", hint="Use psycopg or asyncpg.")
    url, arguments = _arguments(endpoint, name, serverless, environ, options)
    return asyncio.create_async_engine(url, **arguments)


def _arguments(
    endpoint: Endpoint,
    driver: str,
    serverless: bool | None,
    environ: Mapping[str, str] | None,
    options: Mapping[str, Any],
) -> tuple[URL, dict[str, Any]]:
    """Of ``create_engine``, the URL apart."""
    environ = os.environ if environ is None else environ
    return engine_url(endpoint, driver), engine_options(
        endpoint, driver=driver, serverless=serverless, environ=environ, options=options
    )


def _endpoint(
    pair: CurrentPair | ConnectionPair | None, *, direct: bool, environ: Mapping[str, str]
) -> Endpoint:
    path = None
    direct = arguments.switch("the argument direct", direct) or False
    if pair is None:
        pair = follow()
        direct = direct or names.truthy(environ.get(names.FORCE_DIRECT))
        path = env_file_path(None, environ)
    current = pair_given(pair)
    if current.error is not None and not isinstance(current.error, MissingURLError):
        raise current.error.with_traceback(None)
    file = Places(environ, path, quiet=True).file()
    settings = ConnectSettings.set_in(Settings(environ, file, path))
    return Endpoint(current, direct=direct, settings=settings)
