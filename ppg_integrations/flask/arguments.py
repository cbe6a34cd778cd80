"""The arguments of ``PPG``: defaults for each app, of none."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from ppg_integrations.secret import MaskedStr

from . import masking
from .binds import checked

if TYPE_CHECKING:
    import os

    from ppg_integrations.urls import PostgresURL


class Arguments:
    """See :class:`.PPG`. Its ``repr`` shows no value.

    Raises:
        ConfigurationError: `binds` is no mapping of mappings.
    """

    __slots__ = (
        "allow_mismatch",
        "binds",
        "direct",
        "direct_options",
        "driver",
        "env_file",
        "options",
        "pooled",
        "serverless",
    )

    def __init__(
        self,
        *,
        pooled: str | PostgresURL | None,
        direct: str | PostgresURL | None,
        env_file: str | os.PathLike[str] | bool | None,
        driver: str | None,
        serverless: bool | None,
        allow_mismatch: Collection[str],
        binds: Mapping[str, Mapping[str, Any]] | None,
        options: Mapping[str, Any] | None,
        direct_options: Mapping[str, Any] | None,
    ) -> None:
        self.pooled = MaskedStr(pooled) if isinstance(pooled, str) else pooled
        self.direct = MaskedStr(direct) if isinstance(direct, str) else direct
        self.env_file = env_file
        self.driver = driver
        self.serverless = serverless
        self.allow_mismatch = allow_mismatch
        self.binds = {key: masking.bind(bind) for key, bind in checked(binds).items()}
        self.options = options
        self.direct_options = direct_options
