"""What earlier runs left under way: told by every verb, settled by those that change something."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timezone

from .. import credential_cache, in_use, names
from ..entry import Entry
from ..errors import ConfigurationError, PPGError, ProviderError
from ..generation import settled
from ..journal import Journal, Last, journals
from . import proof
from .context import Context


def told(context: Context) -> None:
    """Reports what is under way, and changes nothing. Whatever is wrong with it is reported too."""
    try:
        journal = Journal(context.env_file)
        for text in (*_damaged(journal), *(_told(context, each) for each in journal.entries())):
            context.report(text)
        told_of_this_machine(context)
    except PPGError as error:
        context.report(f"{error.message} {error.hint}".strip())


def of_this_machine() -> tuple[Journal, ...]:
    """The journals of what ``PPG_GENERATE`` asked for, which no ``.env`` file is about."""
    return tuple(each for each in journals() if credential_cache.is_for_machine(each.file))


def told_of_this_machine(context: Context) -> None:
    """Reports what processes with ``PPG_GENERATE`` left under way, and changes nothing."""
    for each in of_this_machine():
        for entry in each.entries():
            context.report(_told_of_this_machine(context, entry))


def settle(context: Context, journal: Journal) -> None:
    """Finds out what became of each request without an answer, and ends what is due.

    What cannot be settled now is reported and kept.

    Raises:
        EnvFileError: the journal cannot be read or written.
    """
    for text in _damaged(journal):
        context.report(text)
    told_of_this_machine(context)
    for each in journal.entries():
        if each.stage == "asked":
            _settle(context, journal, each)
        elif each.is_due():
            try:
                for note in retire(context, journal, each):
                    context.report(note)
            except (ProviderError, ConfigurationError) as error:
                context.report(f"{each.retire} could not be retired yet: {error.message}")
        elif each.stage == "stored":
            context.report(_told(context, each))


def others(context: Context, journal: Journal, but: str = "") -> None:
    """Reports the generated connections that this run does not take up.

    Args:
        but: key of the entry that it does.
    """
    for each in journal.entries():
        if each.stage == "answered" and each.key != but:
            context.report(_told(context, each))


def lives_on(context: Context, journal: Journal, key: str) -> None:
    """Reports the old connection of an entry whose new one is in use."""
    for each in journal.entries():
        if each.key == key:
            context.report(_told(context, each))


def retire(context: Context, journal: Journal, entry: Entry) -> tuple[str, ...]:
    """Ends the old connection of an entry whose new one is in use, and forgets the entry.

    Returns:
        What the user should know, a sentence each.

    Raises:
        ProviderError: the provider could not; the entry stays.
        ConfigurationError: it cannot be asked, for want of a token perhaps.
    """
    assert entry.generated is not None
    if entry.retire in {context.in_use(context.pair_in_file()), entry.generated.id}:
        journal.clear(entry.key)
        return (f"{entry.retire} was to be retired, and is in use again: it stays.",)
    if in_use.connection_in_use(entry.retire_mark, context.pair_in_environment()):
        why = f"the environment still holds its URLs, and wins over {context.env_file}"
        then = "Unset them; the next create, rotate or revoke then retires it."
        return (f"{entry.retire} stays for now: {why}. {then}",)
    provider = context.load(entry.provider, temporary="temporary" in entry.request)
    target = context.target(provider, entry.request)
    context.progress(f"retiring {entry.retire}")
    notes: tuple[str, ...] = ()
    try:
        notes = provider.revoke(target, entry.retire, context.progress)
    except ProviderError:
        # A run that was killed may have ended it already.
        if "list" not in provider.capabilities or any(
            each.id == entry.retire for each in provider.connections(target)
        ):
            raise
    credential_cache.forget(entry.provider, retired=entry.retire)
    journal.clear(entry.key, last=last_of(context, entry))
    return (f"{entry.retire} is retired.", *notes)


def last_of(context: Context, entry: Entry) -> Last:
    """What a run that waited for this one wants to know of it."""
    mark = context.file().get(names.CONNECTION, "")
    return Last(entry.verb, entry.provider, entry.request, mark)


def _settle(context: Context, journal: Journal, entry: Entry) -> None:
    said: list[str] = []
    try:
        provider = context.load(entry.provider, temporary="temporary" in entry.request)
        settled(provider, journal, entry, said, context.progress)
    except (ProviderError, ConfigurationError) as error:
        said.append(f"{_asked(entry)}, and what became of it is not known yet: {error.message}")
    text = " ".join(said)
    if any(each.key == entry.key and each.stage == "asked" for each in journal.entries()):
        text = f"{text.rstrip('.')}. The next run looks again."
    context.report(text)


def _damaged(journal: Journal) -> Iterator[str]:
    for path in journal.damaged():
        yield (
            f"{path} was a journal of generated connections, and cannot be understood. It may hold "
            "a credential that exists nowhere else: look into it, then remove it."
        )


def _told(context: Context, entry: Entry) -> str:
    program, made = context.program, entry.generated
    if made is None:
        return (
            f"{_asked(entry)}, and did not get to its end: `{program} create` finds out what "
            "became of it."
        )
    if entry.stage == "answered":
        ends = f", `{program} revoke {made.id}` ends it" if _can_be_ended(context, entry) else ""
        return (
            f"{entry.title} was generated by an interrupted {entry.verb} and is not in use: "
            f"`{program} {entry.verb}` takes it up{ends}."
        )
    when = "is due to be retired" if entry.is_due() else f"lives until {_clock(entry.due)}"
    return (
        f"{entry.retire}, which {made.id} has replaced, {when}: "
        f"`{program} revoke {entry.retire}` ends it."
    )


def _told_of_this_machine(context: Context, entry: Entry) -> str:
    made = entry.generated
    if made is None:
        return (
            f"A process with {names.GENERATE}=1 {_request(entry)}, and did not get to its end: the "
            "next one finds out what became of it."
        )
    ends = f", `{context.program} revoke {made.id}` ends it" * _can_be_ended(context, entry)
    return (
        f"{entry.title} was generated for a process with {names.GENERATE}=1 that was interrupted: "
        f"the next one takes it up{ends}."
    )


def _can_be_ended(context: Context, entry: Entry) -> bool:
    try:
        return proof.can_be_ended(context, entry)
    except ConfigurationError:  # a provider of another version of this package
        return False


def _asked(entry: Entry) -> str:
    return f"An interrupted {entry.verb} {_request(entry)}"


def _request(entry: Entry) -> str:
    kind = entry.intent.kind if entry.intent is not None else "connection"
    return f"asked {entry.provider} for the {kind} {entry.title} at {_clock(entry.created_at)}"


def _clock(text: str) -> str:
    """The time, for people: theirs, with the day where it is another one."""
    moment = datetime.fromisoformat(text).astimezone()
    today = datetime.now(timezone.utc).astimezone().date()
    return f"{moment:%H:%M:%S}" if moment.date() == today else f"{moment:%Y-%m-%d %H:%M}"
