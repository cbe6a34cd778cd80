"""Which of a provider's connections are in use here, by whatever says so."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from .. import credential_cache, in_use
from ..entry import Entry
from ..errors import ConfigurationError, ProviderError, ProviderUnavailableError
from ..pair import ConnectionPair
from ..providers.base import Provider, Target
from . import variables
from .context import Context


class Used(NamedTuple):
    """What :func:`used` found.

    Attributes:
        ids: of the connections in use, those of this machine's cache among them.
        unknown: there is a pair of this provider of which nobody knows what connection it is.
    """

    ids: frozenset[str]
    unknown: bool


def used(context: Context, provider: Provider, target: Target, entries: Iterable[Entry]) -> Used:
    """The connections in use: of the file, the environment, and the framework's settings.

    Where no URL is set anywhere, the one in use is what the provider's API shows to a process.

    Args:
        target: where the provider is to look.
        entries: of the journals; what was generated is known by its login.

    Raises:
        ConfigurationError: the URLs in the file cannot be used.
        ProviderError: the provider could not tell.
    """
    ids = set(credential_cache.kept_for_machine(provider.name))
    unknown = False
    every = tuple(_pairs(context))
    made = [each for each in entries if each.provider == provider.name]
    for pair in every:
        found = set(_generated(made, pair))
        ids |= found
        if not _may_be_of(pair, provider):
            continue
        found.update(context.marked(pair))
        # Branches begin with the logins of their parent, so that a mark may be true of several.
        if "list" in provider.capabilities and (not found or "branches" in provider.capabilities):
            listed = provider.connections(target, pair=pair, progress=context.progress)
            found.update(each.id for each in listed if each.in_use)
        ids |= found
        unknown = unknown or not found
    if not every and "read" in provider.capabilities:
        ids.update(_shown(context, provider))
    return Used(frozenset(ids), unknown)


def _pairs(context: Context) -> Iterator[ConnectionPair]:
    """Each pair that is set, once."""
    seen = set()
    for pair in (context.pair_in_file(), context.pair_in_environment(), context.known_pair):
        if pair is None or pair.pooled_source.kind in ("api", "provider"):
            continue
        urls = (pair.pooled, pair.direct)
        if urls not in seen:
            seen.add(urls)
            yield pair


def _may_be_of(pair: ConnectionPair, provider: Provider) -> bool:
    """Whether its hosts or a variable say so, or nothing says anything."""
    host = variables.provider_of(pair.direct or pair.pooled)
    return pair.provider is None or provider.name in (pair.provider, host)


def _generated(entries: Iterable[Entry], pair: ConnectionPair) -> Iterator[str]:
    """Ids of the generated connections that have the login of a pair."""
    for entry in entries:
        made = entry.generated
        if made is not None:
            found = in_use.connection_in_use(in_use.mark(made.id, made.direct), pair)
            if found:
                yield found


def _shown(context: Context, provider: Provider) -> Iterator[str]:
    """What a process without URLs gets, by the variables and not by this verb's options."""
    try:
        yield provider.read(context.target(provider, {}), context.progress).id
    except ProviderUnavailableError:
        raise
    except (ProviderError, ConfigurationError):
        return  # a process gets nothing either
