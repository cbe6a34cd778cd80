"""Pooled requests, direct migrations: two-URL PostgreSQL for Django and Flask.

>>> from ppg_integrations import resolve
>>> pair = resolve()            # doctest: +SKIP
>>> pair.pooled, pair.direct    # doctest: +SKIP
"""

from typing import TYPE_CHECKING, Any

from .errors import (
    AccelerateURLError,
    ConfigurationError,
    ConnectError,
    DriverError,
    EnvFileError,
    LocalServerError,
    LockLostError,
    LockNotAvailableError,
    MismatchedPairError,
    MissingDirectURLError,
    MissingURLError,
    PPGError,
    PPGWarning,
    ProviderError,
    ProviderUnavailableError,
    SwappedEndpointsError,
    URLError,
    UsageError,
)
from .hostport import HostPort
from .pair import ConnectionPair, Source
from .resolve import aresolve, resolve
from .urls import PostgresURL

if TYPE_CHECKING:
    from .current import CurrentPair, follow

__version__ = "0.1.0"

__all__ = [
    "AccelerateURLError",
    "ConfigurationError",
    "ConnectError",
    "ConnectionPair",
    "CurrentPair",
    "DriverError",
    "EnvFileError",
    "HostPort",
    "LocalServerError",
    "LockLostError",
    "LockNotAvailableError",
    "MismatchedPairError",
    "MissingDirectURLError",
    "MissingURLError",
    "PPGError",
    "PPGWarning",
    "PostgresURL",
    "ProviderError",
    "ProviderUnavailableError",
    "Source",
    "SwappedEndpointsError",
    "URLError",
    "UsageError",
    "aresolve",
    "follow",
    "resolve",
]


# Looked up on first use: settings modules need neither, and pay for what is imported here.
if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name in ("CurrentPair", "follow"):
            from . import current

            return getattr(current, name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
