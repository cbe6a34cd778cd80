"""The providers by name. A provider is one module; a row in the table below is all it needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ..errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .base import Provider
    from .settings import Settings


class Known:
    """What reading a kept answer of a provider takes, as its class says it, too.

    Attributes:
        title: as people write it.
        variables, api_variables: as of :class:`.Provider`.
        replica: whether it has read replicas.
    """

    __slots__ = ("api_variables", "replica", "title", "variables")

    def __init__(
        self,
        title: str,
        api_variables: tuple[str, ...],
        variables: Mapping[str, tuple[str, ...]],
        *,
        replica: bool = False,
    ) -> None:
        self.title = title
        self.api_variables = api_variables
        self.variables = variables
        self.replica = replica


class _Row:
    """A provider.

    Args:
        target: ``module:Class``, relative to this package.
        tokens: variables of its API token; one that is set means this provider.
        known: of one whose API shows pairs, so that a kept answer is read without loading it.
    """

    __slots__ = ("known", "target", "tokens")

    def __init__(self, target: str, tokens: tuple[str, ...], known: Known | None = None) -> None:
        self.target = target
        self.tokens = tokens
        self.known = known


_NEON: Final = Known(
    "Neon",
    ("NEON_API_HOST",),
    {
        "project": ("NEON_PROJECT_ID",),
        "branch": ("NEON_BRANCH_ID", "NEON_BRANCH"),
        "database": ("NEON_DATABASE",),
        "role": ("NEON_ROLE",),
    },
    replica=True,
)
_CASEDEV: Final = Known("case.dev", ("CASEDEV_BASE_URL",), {})

_PROVIDERS: Final = {
    "prisma": _Row(".prisma:PrismaProvider", ("PRISMA_SERVICE_TOKEN", "PRISMA_API_TOKEN")),
    "neon": _Row(".neon:NeonProvider", ("NEON_API_KEY",), _NEON),
    "casedev": _Row(".casedev:CasedevProvider", ("CASEDEV_API_KEY",), _CASEDEV),
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


def tokens(name: str) -> tuple[str, ...]:
    """The variables that may hold the API token of the provider called `name`; the first wins."""
    return _PROVIDERS[name].tokens


def known(name: str) -> Known | None:
    """What is known of a provider whose API shows pairs, without loading it."""
    return _PROVIDERS[name].known


def load(name: str, settings: Settings | None = None) -> Provider:
    """The provider called `name`; its module is imported only now.

    Args:
        settings: the variables it may read; none by default.

    Raises:
        ConfigurationError: there is none of that name.
    """
    check(name)
    from importlib import import_module

    module, _, attribute = _PROVIDERS[name].target.partition(":")
    provider: Provider = getattr(import_module(module, __name__), attribute)(settings)
    return provider


def detect(environ: Mapping[str, str]) -> str | None:
    """As :func:`detect_in`, where there is nothing but the environment."""
    from .settings import Settings

    return detect_in(Settings(environ))


def detect_in(settings: Settings) -> str | None:
    """The provider that is meant: ``PPG_PROVIDER``, else the one whose token is set.

    Returns:
        Its name, or None where nothing tells, or where the tokens of several are set.

    Raises:
        ConfigurationError: ``PPG_PROVIDER`` names none.
    """
    named = settings.find("PPG_PROVIDER")
    if named is not None:
        name = named.value.lower()
        if name not in _PROVIDERS:
            raise ConfigurationError(
                f"{named.source} is {named.value!r:.60}, and no provider is called that",
                hint=f"The providers are {', '.join(NAMES)}.",
            )
        return name
    found = tokens_in(settings)
    return next(iter(found)) if len(found) == 1 else None


def require(settings: Settings) -> str:
    """The provider that :func:`detect_in` finds.

    Raises:
        ConfigurationError: none is meant, or it cannot be told which.
    """
    name = detect_in(settings)
    if name is not None:
        return name
    found = tokens_in(settings)
    if found:
        one, *_ = found
        raise ConfigurationError(
            f"several providers could be meant: {' and '.join(found.values())} are set",
            hint=f"Say which: --provider {one}, or PPG_PROVIDER={one}.",
        )
    raise ConfigurationError(
        "no provider: neither --provider nor PPG_PROVIDER names one, and no provider's token is "
        "set",
        hint="For the embedded PostgreSQL, which needs no account: --provider local.",
    )


def tokens_in(settings: Settings) -> Mapping[str, str]:
    """The providers whose tokens are set, and where each token is (``NAME in the environment``)."""
    found = {name: settings.find(*row.tokens) for name, row in _PROVIDERS.items() if row.tokens}
    return {name: token.source for name, token in found.items() if token is not None}
