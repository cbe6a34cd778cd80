"""The providers by name. A provider is one module; a row in the table below is all it needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from ..errors import ConfigurationError, ProviderError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .base import Provider


class _Row(NamedTuple):
    target: str  # "module:Class", relative to this package; empty where none is written yet
    tokens: tuple[str, ...]  # variables whose presence says that this provider is meant


_PROVIDERS: Final = {
    "prisma": _Row("", ("PRISMA_SERVICE_TOKEN", "PRISMA_API_TOKEN")),
    "neon": _Row("", ("NEON_API_KEY",)),
    "casedev": _Row("", ("CASEDEV_API_KEY",)),
    "local": _Row(".local.provider:LocalProvider", ()),
}

#: every name that ``PPG_PROVIDER`` may have
NAMES: Final = tuple(_PROVIDERS)


def check(name: str | None) -> None:
    """Nothing, where a provider has that name or none is named.

    Raises:
        ConfigurationError: there is none of that name.
    """
    if name is not None and name not in _PROVIDERS:
        raise ConfigurationError(
            f"no provider is called {name!r}",
            hint=f"The providers are {', '.join(NAMES)}.",
        )


def load(name: str) -> Provider:
    """The provider called `name`; its module is imported only now.

    Raises:
        ConfigurationError: there is none of that name.
        ProviderError: this version cannot ask it for anything.
    """
    check(name)
    row = _PROVIDERS[name]
    if not row.target:
        error = ProviderError(
            f"this version reads the URLs of {name} from the environment and cannot generate them",
            hint="Copy the pooled URL into DATABASE_URL and the direct one into DIRECT_URL, "
            "or use --provider local.",
        )
        error.provider = name
        raise error
    from importlib import import_module

    module, _, attribute = row.target.partition(":")
    provider: Provider = getattr(import_module(module, __name__), attribute)()
    return provider


def detect(environ: Mapping[str, str]) -> str | None:
    """The provider that `environ` means: ``PPG_PROVIDER``, else the one whose token is set.

    Returns:
        Its name, or None where nothing tells, or where several tokens are set.

    Raises:
        ConfigurationError: ``PPG_PROVIDER`` names none.
    """
    named = environ.get("PPG_PROVIDER", "").strip().lower()
    if named:
        if named not in _PROVIDERS:
            raise ConfigurationError(
                f"PPG_PROVIDER is {named!r}, and no provider is called that",
                hint=f"The providers are {', '.join(NAMES)}.",
            )
        return named
    found = [
        name
        for name, row in _PROVIDERS.items()
        if any(environ.get(token, "").strip() for token in row.tokens)
    ]
    return found[0] if len(found) == 1 else None
