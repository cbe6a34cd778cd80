"""``create``: generate a connection, keep it, prove it, and only then put it to use."""

from __future__ import annotations

from dataclasses import replace as replaced

from .. import envfile, names
from ..entry import Entry
from ..errors import ConfigurationError, ProviderError, joined
from ..generation import asking
from ..journal import Journal
from ..pair import ConnectionPair
from ..providers.base import Intend, Provider
from ..providers.settings import Settings
from ..providers.target import target
from . import foreign, handover, options, pending
from .context import Context
from .handover import Stored
from .turn import turn


def create(context: Context, *, allow_tracked: bool = False, replace: bool = False) -> Stored:
    """Generates a connection, proves both endpoints, and writes the pair to ``.env``.

    A connection that an interrupted run has generated is taken up, and one that another run has
    stored while this one waited for it is used.

    Args:
        context: the settings of this call.
        allow_tracked: write the secret even into a file that git tracks or would track.
        replace: put the pair in the place of one that belongs to another provider, or that of a
            temporary database in the place of any.

    Raises:
        UsageError: an option that was typed means nothing to this provider.
        EnvFileError: the file or the journal may not be written; nothing was generated.
        ConfigurationError: no provider, or the file holds another provider's pair.
        ChoiceError: several databases could be meant; nothing was generated.
        ProviderError: the provider could not generate one.
        ConnectError: it was generated and kept, and does not work; run ``create`` again.
    """
    name = context.provider_name()
    provider = context.load(name)
    options.check(context, provider)
    envfile.check_writable(context.env_file, allow_tracked=allow_tracked)
    journal = Journal(context.env_file)
    journal.prepare()
    wanted = context.wanted(provider)
    last = journal.last()
    with turn(context, journal) as waited:
        stored = (
            handover.found(context, journal, name, wanted, ("create", "rotate"), before=last)
            if waited
            else None
        )
        if stored is not None:
            return stored
        if not replace:
            foreign.refuse_overwriting(context, name)
        if context.temporary and not replace:
            _refuse_any_pair(context)
        pending.settle(context, journal, provider)
        before = _before(context, replace=replace)
        earlier = context.in_use(before)
        entry = handover.resume(context, journal, provider)
        origin: handover.Origin = "resumed"
        if entry is None:
            entry = _generate(context, journal, provider)
            origin = "generated" if entry.intent else "read"
        pending.others(context, journal, entry.key)
        notes = _earlier(context, provider, entry, before, earlier)
        stored = handover.finish(
            context, journal, entry, origin, notes, allow_tracked=allow_tracked
        )
        if entry.retire and entry.grace:  # of the rotation that was interrupted
            pending.lives_on(context, journal, entry.key)
            return stored
        return handover.retired(context, journal, entry, stored)


def _generate(context: Context, journal: Journal, provider: Provider) -> Entry:
    entry = Entry(provider=provider.name, request=context.wanted(provider))

    def ask(intend: Intend) -> Entry:
        request = context.request(provider)
        return replaced(entry, generated=provider.generate(request, intend, context.progress))

    return asking(journal, entry, ask)


def _before(context: Context, *, replace: bool) -> ConnectionPair | None:
    """The pair that is about to be overwritten."""
    try:
        return context.pair_in_file()
    except ConfigurationError:
        if replace:
            return None
        raise


def _earlier(
    context: Context,
    provider: Provider,
    entry: Entry,
    before: ConnectionPair | None,
    id: str,  # noqa: A002
) -> tuple[str, ...]:
    """That the connection in use until now still lives."""
    made = entry.generated
    assert made is not None
    if context.temporary and id and not context.file().get(names.CLAIM_URL):
        return (f"The earlier connection {id} is still alive.",)
    if before is None or id in {made.id, entry.retire} or "revoke" not in provider.capabilities:
        return ()
    if before.provider not in (None, provider.name):
        return ()  # --replace was said of it
    if id and not _is_listed(context, provider, id):
        return ()
    if id and "read" in provider.capabilities:
        # Perhaps the owner of the tables: not one that we made, nor one to be advised to end.
        return (f"The earlier connection {id} is still alive.",)
    if id:
        return (f"The earlier connection {id} is still alive: {context.command(f'revoke {id}')}",)
    old = before.direct or before.pooled
    if (old.user, old.password) == (made.direct.user, made.direct.password):
        return ()
    listing = f"{context.command('list')} shows them."
    return (f"The earlier connection is still alive, and its id is not known: {listing}",)


def _is_listed(context: Context, provider: Provider, id: str) -> bool:  # noqa: A002
    """Whether the provider still has the connection of the file; yes, where it does not say."""
    if "list" not in provider.capabilities:
        return True
    # Of the database that the file still names, which may be another one than the new pair's.
    place = target(provider, Settings({}, context.file()), {})
    try:
        listed = provider.connections(replaced(place, branch="", role=""), in_use=id)
    except ProviderError:
        return True
    return any(each.id == id for each in listed)


def _refuse_any_pair(context: Context) -> None:
    """A temporary database that nobody claimed is lost with its URLs; and so is any other pair."""
    found = context.file()
    if not any(found.get(name, "").strip() for name in (names.POOLED[0], names.DIRECT[0])):
        return
    id = found.get(names.CONNECTION, "").rpartition(":")[0]  # noqa: A001
    claim = found.get(names.CLAIM_URL, "").strip()
    kind = "a temporary database" if claim else "a pair"
    raise ConfigurationError(
        f"{context.env_file} holds {kind}{f', {id}' if id else ''}, which create --temporary would "
        "overwrite",
        hint=joined(
            f"To keep that database, claim it: {claim}" if claim else "",
            "Add --replace, or write to another file with --env-file.",
        ),
    )
