"""Pooled requests, direct migrations: two-URL PostgreSQL for Django and Flask.

>>> from ppg_integrations import resolve
>>> pair = resolve()            # doctest: +SKIP
>>> pair.pooled, pair.direct    # doctest: +SKIP
"""

from .errors import (
    AccelerateURLError,
    ConfigurationError,
    ConnectError,
    DriverError,
    EnvFileError,
    LocalServerError,
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

__version__ = "0.1.0"

__all__ = [
    "AccelerateURLError",
    "ConfigurationError",
    "ConnectError",
    "ConnectionPair",
    "DriverError",
    "EnvFileError",
    "HostPort",
    "LocalServerError",
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
    "resolve",
]
