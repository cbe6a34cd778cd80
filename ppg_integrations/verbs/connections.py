"""``list``: the connections that the provider knows, and which one is in use."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from .. import credential_cache
from ..errors import ConfigurationError
from ..providers.base import Listed
from . import options
from .context import Context


def connections(context: Context) -> tuple[Listed, ...]:
    """The provider's connections, or branches, of this project.

    Raises:
        UsageError: an option that was typed means nothing to this provider.
        ConfigurationError: no provider, or no token.
        ChoiceError: several projects could be meant.
        ProviderError: the provider could not.
    """
    provider = context.load(context.provider_name())
    options.check(context, provider)
    try:
        pair = context.pair_that_is_set()
    except ConfigurationError:  # what is wrong with it is not the matter here
        pair = None
    if pair is not None and pair.provider not in (None, provider.name):
        pair = None
    listed = provider.connections(
        context.target(provider),
        in_use=context.in_use(pair),
        pair=pair,
        progress=context.progress,
    )
    here = credential_cache.kept_for_machine(provider.name)
    return tuple(replace(each, in_use=each.in_use or each.id in here) for each in listed)


def as_json(listed: tuple[Listed, ...]) -> dict[str, Any]:
    """The document of ``list``; ``created_at`` is null where the provider does not say."""
    return {
        "connections": [
            {
                "id": each.id,
                "name": each.name,
                "created_at": each.created_at or None,
                "in_use": each.in_use,
            }
            for each in listed
        ]
    }
