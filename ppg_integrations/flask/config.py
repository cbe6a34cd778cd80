"""What ``app.config`` says, in the types that the rest of the package takes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Final

from ppg_integrations import names
from ppg_integrations.errors import ConfigurationError
from ppg_integrations.secret import MaskedMapping, MaskedStr
from ppg_integrations.urls import PostgresURL


def _is_ours(value: object) -> bool:
    return isinstance(value, str) and value.startswith("PPG_")


#: Further databases of the app: for each bind key, the same names as in ``app.config``.
BINDS: Final = "PPG_BINDS"
#: Of SQLAlchemy: ``psycopg``, ``psycopg2`` or ``asyncpg``.
DRIVER: Final = "PPG_DRIVER"
#: Whether processes may be frozen between requests.
SERVERLESS: Final = "PPG_SERVERLESS"

URLS: Final = frozenset({*names.POOLED, *names.DIRECT, *names.REPLICA})
TOKENS: Final = frozenset(
    {"PRISMA_SERVICE_TOKEN", "PRISMA_API_TOKEN", "NEON_API_KEY", "CASEDEV_API_KEY"}
)
#: What providers read besides tokens and what begins with ``PPG_``.
_OTHER: Final = frozenset(
    """
    PRISMA_API_URL CREATE_DB_WORKER_URL CLAIM_DB_WORKER_URL
    NEON_API_HOST NEON_PROJECT_ID NEON_DATABASE NEON_BRANCH NEON_BRANCH_ID NEON_ROLE NEON_ORG_ID
    CASEDEV_BASE_URL
    """.split()
)
_KNOWN: Final = frozenset(
    {DRIVER, SERVERLESS, *names.TARGET.values(), *filter(_is_ours, vars(names).values())}
)


def is_variable(name: object) -> bool:
    """Whether a key of ``app.config`` is one of the variables of this package."""
    return isinstance(name, str) and (
        (name.startswith("PPG_") and name != BINDS)
        or name in URLS
        or name in TOKENS
        or name in _OTHER
    )


def variables(config: Mapping[str, Any], place: str = "app.config") -> Mapping[str, str]:
    """The variables that are set, as texts.

    Args:
        config: ``app.config``, or a part of it with the same names.
        place: what it is called in messages.

    Raises:
        ConfigurationError: a value has a type that means nothing there; it is not repeated.
    """
    found = {name: _text(name, config[name], place) for name in config if is_variable(name)}
    return MaskedMapping({name: text for name, text in found.items() if text is not None})


def _text(name: str, value: object, place: str) -> str | None:
    if value is None:
        return None
    if name == names.ENV_FILE:
        if isinstance(value, bool):
            return None  # see env_file()
        if isinstance(value, os.PathLike):
            return os.fsdecode(value)
    if name == names.ALLOW_MISMATCH and isinstance(value, (list, tuple, set, frozenset)):
        return ",".join(map(str, value))
    if isinstance(value, PostgresURL):
        return MaskedStr(value.reveal())
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, (str, int, float)):
        return value if isinstance(value, str) else str(value)
    if name.startswith("PPG_") and name not in _KNOWN:
        return None  # somebody else's
    raise ConfigurationError(
        f"{name} in {place} is a {type(value).__name__}, and a text is needed",
        hint=f"Set {name} to a str, as it would stand in the environment; None means unset.",
    )


def env_file(config: Mapping[str, Any]) -> bool | None:
    """False where ``PPG_ENV_FILE`` says that no file is to be read; None where it does not."""
    return False if config.get(names.ENV_FILE) is False else None
