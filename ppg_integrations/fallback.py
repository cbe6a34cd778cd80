"""What is left where no URL was found: the provider's API, or an error that says what to set."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from . import layers, names, providers
from .errors import ConfigurationError, MissingURLError

if TYPE_CHECKING:
    from .arrange import Half
    from .pair import ConnectionPair
    from .places import Places


def ask(places: Places, provider: str | None, target: Mapping[str, str] | None) -> ConnectionPair:
    """The pair as the provider's API gives it.

    Raises:
        MissingURLError: there is none to ask.
    """
    settings = places.settings()
    mode = settings.find(names.RESOLVE)
    if mode is not None and mode.value.lower() not in names.RESOLVE_VALUES:
        raise ConfigurationError(
            f"{mode.source} is {mode.value!r:.40}",
            hint=f"It can be {', '.join(names.RESOLVE_VALUES)}.",
        )
    if mode is not None and mode.value.lower() == "never":
        raise missing(
            places,
            [],
            f"{mode.source} is never, so no provider's API was asked",
            f"Unset {names.RESOLVE} where the database is to be used, or set {names.POOLED[0]} and "
            f"{names.DIRECT[0]} there.",
        )
    providers.check(provider)
    provider = provider or providers.detect_in(settings)
    if provider == "local":  # makes connections, and shows none
        raise missing(places, [])
    tokens = providers.tokens_in(settings)
    if provider is None and tokens:
        raise missing(
            places,
            [],
            f"the tokens of several providers are set ({', '.join(tokens.values())}), and "
            f"{names.PROVIDER} does not say which to ask",
            f"Set {names.PROVIDER}={next(iter(tokens))}, or another of them.",
        )
    if provider is None:
        raise missing(places, [])
    if provider not in tokens:
        wanted = " or ".join(providers.tokens(provider))
        raise missing(places, [], f"the API of {provider} cannot be asked without {wanted}")
    from .remembered import remembered

    known = remembered(settings, provider, target or {})
    if known is not None:
        return known
    from .remote import resolve_remote

    return resolve_remote(settings, provider, target or {})


def missing(
    places: Places, direct: list[Half], reason: str = "", hint: str = ""
) -> MissingURLError:
    """The error for a resolution without a pooled URL.

    Args:
        direct: what was found of the other half.
        reason: why no API helped.
        hint: what to do about that.
    """
    looked = places.looked()
    if direct:
        return MissingURLError(
            f"only a direct URL is known ({direct[0].source}), and its host "
            f"({direct[0].url.host or 'the local socket'}) does not tell what the pooled one is; "
            f"looked for {', '.join(names.POOLED)} in {looked}",
            hint=f"Set {names.POOLED[0]} to the pooled URL of the same database. If there is no "
            "pooler, set it to the direct URL too.",
        )
    create = f"`{places.program} create`"
    if places.program == layers.PROGRAM:  # settings do not know which command reads this
        create += " (`manage.py ppg_connect create` in Django)"
    return MissingURLError(
        f"no database URL: looked for {', '.join(names.POOLED)} in {looked}"
        + (f"; {reason}" if reason else ""),
        hint=hint
        or f"Set {names.POOLED[0]} (pooled) and {names.DIRECT[0]} (direct) to the two URLs that "
        f"your provider's console shows, or generate a pair with {create}; `--provider local` "
        "needs no account.",
    )
