"""``revoke ID``: ends a connection for good, but not the one in use."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from .. import credential_cache, names
from ..entry import titled
from ..errors import ConfigurationError, ProviderError
from ..journal import Journal
from ..providers.base import Provider, Target
from ..providers.target import checked
from . import options, pending
from .context import Context
from .turn import turn
from .used import Used, used


def revoke(
    context: Context,
    id: str,  # noqa: A002
    *,
    force: bool = False,
    confirm: Callable[[str], None] | None = None,
) -> tuple[str, ...]:
    """Retires a connection.

    Args:
        context: the settings of this call.
        id: the provider's; ``list`` shows them.
        force: even if it is in use.
        confirm: asked with what is about to end, id and name; raises where it shall not.

    Returns:
        What the user should know, a sentence each.

    Raises:
        UsageError: an option that was typed means nothing to this provider.
        ConfigurationError: it is in use, or that cannot be told.
        EnvFileError: the journal cannot be written.
        ProviderError: the provider could not, or has none with this id.
    """
    id = checked(id.strip(), "ID")  # noqa: A001
    name = context.provider_name()
    provider = context.load(name)
    options.check(context, provider)
    journal = Journal(context.env_file)
    journal.prepare()
    with turn(context, journal):
        pending.settle(context, journal, but=id)
        every = (journal, *pending.of_this_machine())
        entries = [entry for each in every for entry in each.entries()]
        target = context.target(provider)
        in_use: frozenset[str] = frozenset()
        if not force:
            found = used(context, provider, target, entries)
            generated = {each.generated.id for each in entries if each.generated}
            _refuse_in_use(context, provider, id, found, known=generated)
            in_use = found.ids
        dead = tuple(_dead(context, provider, id))
        if confirm is not None:
            confirm(_named(context, provider, target, id))
        context.progress(f"retiring {id}")
        try:
            notes = provider.revoke(target, id, context.progress, in_use=in_use)
        except ProviderError as error:
            if error.status == 404:  # gone already, and not to be served from the cache either
                credential_cache.forget(name, retired=id)
            raise
        credential_cache.forget(name, retired=id)
        for each in every:
            _forget(each, name, id)
        pending.others(context, journal)
    return (*notes, *dead)


def _forget(journal: Journal, provider: str, id: str) -> None:  # noqa: A002
    for entry in journal.entries():
        if entry.provider == provider and entry.generated is not None:
            ended = entry.retire if entry.stage == "stored" else entry.generated.id
            if ended == id:
                journal.clear(entry.key)


def _named(context: Context, provider: Provider, target: Target, id: str) -> str:  # noqa: A002
    """Id and name, where the provider's list has them."""
    if "list" not in provider.capabilities:
        return id
    listed = provider.connections(target, in_use=id, progress=context.progress)
    return next((titled(each.id, each.name) for each in listed if each.id == id), id)


def _dead(context: Context, provider: Provider, id: str) -> Iterator[str]:  # noqa: A002
    """What has its URLs, and is of no use once it has ended."""
    for pair, where in (
        (context.pair_in_file(), str(context.env_file)),
        (context.pair_in_environment(), "the environment"),
    ):
        if id in context.marked(pair):
            yield (
                f"{where} still holds its URLs, which are dead now: `{context.command('create')}` "
                "makes another pair."
            )
    if id in credential_cache.kept_for_machine(provider.name):
        yield "Processes on this machine that use it make another one when they start again."


def _refuse_in_use(
    context: Context,
    provider: Provider,
    id: str,  # noqa: A002
    found: Used,
    *,
    known: set[str],
) -> None:
    if id in credential_cache.kept_for_machine(provider.name):
        raise ConfigurationError(
            f"{id} is in use: it was made for this machine ({names.GENERATE}=1), whose processes "
            "have its URLs from the cache",
            hint="--force ends it all the same; they make another one when they start again.",
        )
    if id in found.ids:
        raise ConfigurationError(
            f"{id} is in use: {context.env_file} or the environment holds its URLs, or leads to it",
            hint=f"`{context.command('rotate')}` puts another in its place first; --force ends it "
            "all the same.",
        )
    if found.unknown and id not in known:
        raise ConfigurationError(
            f"it cannot be told whether {id} is in use: nothing says which connection the URLs in "
            f"{context.env_file} or the environment are",
            hint=f"`{context.command('rotate')}` makes one whose id is known; --force ends {id} "
            "all the same.",
        )
