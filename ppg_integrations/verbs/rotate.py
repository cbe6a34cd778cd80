"""``rotate``: a new credential, proved and in use before the old one ends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from .. import envfile, in_use
from ..entry import Entry
from ..errors import ConfigurationError, UsageError
from ..generation import asking
from ..journal import Journal
from ..pair import ConnectionPair
from ..providers.base import Intend, Intent, Provider
from ..urls import PostgresURL
from . import foreign, handover, options, pending, ports, variables
from . import grace as waiting
from .context import Context
from .handover import Stored
from .turn import turn

#: Told what a rotation costs; raises where that is too much.
Confirm = Callable[[str], None]
#: Told the result as soon as it is in use.
Told = Callable[[Stored], None]

_COSTS = "The old password ends at once, and what is connected with it is cut off."


def rotate(
    context: Context,
    *,
    grace: float | None = None,
    in_place: bool = False,
    allow_tracked: bool = False,
    confirm: Confirm | None = None,
    in_use_now: Told | None = None,
) -> Stored:
    """Generates a successor of the connection in use, puts it to use, and retires the old one.

    Nothing is retired before its successor is proved and stored. A run that is interrupted leaves
    the rest to the next one.

    Args:
        context: the settings of this call.
        grace: seconds that the old connection lives on after that; by default until nobody uses it,
            an hour at most. This run waits for that.
        in_place: by the provider's own rotation, which ends the old secret at once.
        allow_tracked: write the secret even into a file that git tracks or would track.
        confirm: asked before the provider is, where the old secret ends at once; without it, that
            is reported right before the request that does it.
        in_use_now: told the result before the old connection is waited for, which may take an hour.
            What is returned has the notes of its end as well.

    Raises:
        UsageError: a grace for a secret that ends at once, or an option that means nothing to this
            provider.
        EnvFileError: the file or the journal may not be written; nothing was generated.
        ConfigurationError: no provider, or the pair in the file cannot be understood.
        ChoiceError: several databases could be meant; nothing was generated.
        ProviderError: the provider could not; what was stored stays in use.
        ConnectError: the new one was generated and kept, and does not work; the old one is in use.
    """
    if in_place and grace:
        raise UsageError("--in-place ends the old secret at once: --grace means nothing with it")
    name = context.provider_name()
    provider = context.load(name)
    options.check(context, provider)
    if provider.rotation_drops_connections and grace:
        raise UsageError(
            f"{provider.title} ends the old secret at once: --grace means nothing with it",
            hint=f"Without an outage: {context.command('create --role NAME --create')}, then "
            "revoke the old one.",
        )
    envfile.check_writable(context.env_file, allow_tracked=allow_tracked)
    journal = Journal(context.env_file)
    journal.prepare()
    wanted = context.wanted(provider)
    last = journal.last()
    with turn(context, journal) as waited:
        stored = (
            handover.found(context, journal, name, wanted, ("rotate",), before=last)
            if waited
            else None
        )
        if stored is not None:
            return stored
        pair = context.pair_in_file()
        if pair is not None and pair.provider not in (None, name):
            raise ConfigurationError(
                f"{context.env_file} holds a pair of {pair.provider}, and {name} cannot rotate it",
                hint=f"--provider {pair.provider}",
            )
        foreign.refuse_rotating(context, name)
        pending.settle(context, journal, provider)
        old = context.in_use(pair)
        url = _old_url(context, provider, pair) if grace is None and old else None
        seconds = waiting.LONGEST if grace is None else grace
        ends = in_place or provider.rotation_drops_connections
        mark = in_use.mark(old, pair.direct or pair.pooled) if pair is not None and old else ""
        entry = handover.resume(context, journal, provider)
        origin: handover.Origin = "resumed" if entry else "generated"
        if entry is None:
            wanted = context.wanted(provider)
            entry = Entry(name, "rotate", wanted, retire_mark=mark, retire_url=url, grace=seconds)
            if ends and confirm is not None:
                confirm(_COSTS)
            warning = _COSTS if ends and confirm is None else ""
            entry = _rotate(context, journal, provider, entry, pair, in_place, warning)
            if entry.intent is not None and entry.intent.action == "rotate":
                origin = "rotated"
        elif (
            not entry.retire
            and entry.generated is not None
            and entry.generated.id != old
            and not provider.rotation_drops_connections
        ):
            # It was generated by an interrupted create, and succeeds what is in use all the same;
            # but not where roles are rotated in place: there the old one may own the tables.
            entry = replace(entry, retire=old, retire_mark=mark)
        if entry.retire != old:  # the file holds the new one already, or nothing leads to the old
            url = entry.retire_url if grace is None and entry.retire else None
        entry = replace(entry, verb="rotate", retire_url=url, grace=seconds)
        pending.others(context, journal, entry.key)
        unknown = pair is not None and not (old or entry.retire or in_place)
        notes = [_unknown(context)] if unknown and "list" in provider.capabilities else []
        stored = handover.finish(
            context, journal, entry, origin, notes, allow_tracked=allow_tracked
        )
    if in_use_now is not None:
        in_use_now(stored)
    waiting.wait(context, journal, entry.key, _blind(entry, stored) if grace is None else "")
    with turn(context, journal):
        return handover.retired(context, journal, entry, stored)


def _unknown(context: Context) -> str:
    return (
        "The id of the connection in use until now is not known, so it was not retired: "
        f"{context.command('list')} shows them."
    )


def _rotate(
    context: Context,
    journal: Journal,
    provider: Provider,
    entry: Entry,
    pair: ConnectionPair | None,
    in_place: bool,
    warning: str,
) -> Entry:
    request = context.request(provider)
    if "replica" in provider.capabilities and variables.has_replica(context):
        request = replace(request, replica=True)  # its URL has the old password too

    def ask(intend: Intend) -> Entry:
        def warned(intent: Intent) -> None:
            intend(intent)
            if warning:
                context.report(warning)

        rotated = provider.rotate(
            request,
            warned,
            in_use=context.in_use(pair),
            in_place=in_place,
            pair=pair,
            progress=context.progress,
        )
        return replace(entry, generated=rotated.generated, retire=rotated.retire)

    return asking(journal, entry, ask)


def _old_url(
    context: Context, provider: Provider, pair: ConnectionPair | None
) -> PostgresURL | None:
    """Where the server can be asked who uses the pair, if it has a direct URL."""
    if pair is None or pair.direct is None:
        return None
    if "servers" in provider.capabilities:
        return pair.direct.replace(port=ports.now(context)[1])
    return pair.direct


def _blind(entry: Entry, stored: Stored) -> str:
    """Why it cannot be told whether the old connection is used; empty where it can."""
    if entry.retire_url is None:
        return "no direct URL of it is known"
    if not handover.shows_sessions(stored.diagnosis):
        return "its direct URL does not show the pooler's sessions"
    return ""
