"""``revoke ID``: ends a connection for good, but not the one in use."""

from __future__ import annotations

from collections.abc import Iterator

from .. import credential_cache
from ..errors import ConfigurationError, ProviderError
from ..journal import Journal
from ..pair import ConnectionPair
from ..providers.base import Provider, Target
from ..providers.target import checked
from . import pending
from .context import Context
from .turn import turn


def revoke(context: Context, id: str, *, force: bool = False) -> tuple[str, ...]:  # noqa: A002
    """Retires a connection.

    Args:
        context: the settings of this call.
        id: the provider's; ``list`` shows them.
        force: even if it is in use.

    Returns:
        What the user should know, a sentence each.

    Raises:
        ConfigurationError: it is in use, or that cannot be told.
        EnvFileError: the journal cannot be written.
        ProviderError: the provider could not, or has none with this id.
    """
    id = checked(id.strip(), "ID")  # noqa: A001
    name = context.provider_name()
    provider = context.load(name)
    journal = Journal(context.env_file)
    journal.prepare()
    with turn(context, journal):
        pending.settle(context, journal)
        generated = {each.generated.id for each in journal.entries() if each.generated}
        target = context.target(provider)
        if not force:
            _refuse_in_use(context, provider, target, id, known=generated)
        context.progress(f"retiring {id}")
        try:
            notes = provider.revoke(target, id, context.progress)
        except ProviderError as error:
            if error.status == 404:  # gone already, and not to be served from the cache either
                credential_cache.forget(name, retired=id)
            raise
        credential_cache.forget(name, retired=id)
        for entry in journal.entries():
            if entry.provider == name and entry.generated is not None:
                ended = entry.retire if entry.stage == "stored" else entry.generated.id
                if ended == id:
                    journal.clear(entry.key)
        pending.others(context, journal)
    return notes


def _refuse_in_use(
    context: Context,
    provider: Provider,
    target: Target,
    id: str,  # noqa: A002
    *,
    known: set[str],
) -> None:
    ids = {_in_use(context, provider, target, pair) for pair in _pairs(context, provider)}
    if id in ids:
        raise ConfigurationError(
            f"{id} is in use: {context.env_file} or the environment holds its URLs",
            hint=f"`{context.program} rotate` puts another in its place first; --force ends it all "
            "the same.",
        )
    if "" in ids and id not in known:
        raise ConfigurationError(
            f"it cannot be told whether {id} is in use: nothing says which connection the URLs in "
            f"{context.env_file} or the environment are",
            hint=f"`{context.program} rotate` makes one whose id is known; --force ends {id} all "
            "the same.",
        )


def _pairs(context: Context, provider: Provider) -> Iterator[ConnectionPair]:
    """The pairs of this provider that are set."""
    for pair in (context.pair_in_file(), context.pair_in_environment()):
        if pair is not None and pair.provider in (None, provider.name):
            yield pair


def _in_use(context: Context, provider: Provider, target: Target, pair: ConnectionPair) -> str:
    """The id of the connection that a pair is; empty where nobody knows."""
    found = context.in_use(pair)
    if found or "list" not in provider.capabilities:
        return found
    listed = provider.connections(target, pair=pair, progress=context.progress)
    return next((each.id for each in listed if each.in_use), "")
