"""What earlier runs left under way: told by every verb, settled by those that change something."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone

from .. import credential_cache, drivers, in_use, names
from ..entry import Entry
from ..errors import ConfigurationError, ConnectError, EnvFileError, PPGError, ProviderError
from ..generation import GONE, LATE, settled
from ..journal import Journal, Last, journals
from ..providers.base import Generated, Provider
from . import ports, proof
from .context import Context


def told(context: Context) -> None:
    """Reports what is under way, and changes nothing. Whatever is wrong with it is reported too."""
    try:
        journal = Journal(context.env_file)
        for text in (*_damaged(journal), *(_told(context, each) for each in journal.entries())):
            context.report(text)
        told_of_this_machine(context)
        _told_of_no_folder(context)
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


def wanted(entry: Entry, provider: Provider, request: Mapping[str, str]) -> bool:
    """Whether a run that asks `provider` for this takes the entry up."""
    return entry.provider == provider.name and entry.answers(request)


def settle(context: Context, journal: Journal, provider: Provider | None = None) -> None:
    """Finds out what became of each request without an answer, and ends what is due.

    What cannot be settled now is reported and kept. So is a rotation in place that this run does
    not take up: to settle it may change the secret in use once more.

    Args:
        provider: whose connections the running verb takes up; None for a verb that takes up none.

    Raises:
        EnvFileError: the journal cannot be read or written.
        ConfigurationError: the verb's target cannot be understood.
    """
    for text in _damaged(journal):
        context.report(text)
    told_of_this_machine(context)
    _told_of_no_folder(context)
    request = {} if provider is None else context.wanted(provider)
    for each in journal.entries():
        if each.stage == "asked":
            if not _in_place(each) or (provider is not None and wanted(each, provider, request)):
                _settle(context, journal, each)
            else:
                context.report(_told(context, each))
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
    used = frozenset({context.in_use(context.pair_in_file()), entry.generated.id} - {""})
    if entry.retire in used:
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
        notes = provider.revoke(target, entry.retire, context.progress, in_use=used)
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
    return Last(entry.verb, entry.provider, entry.request, mark, entry.key)


def _settle(context: Context, journal: Journal, entry: Entry) -> None:
    said: list[str] = []
    try:
        provider = context.load(entry.provider, temporary="temporary" in entry.request)
        if _in_place(entry) and _still_works(context, provider):
            said.append(f"{_asked(entry)}, and the login in {context.env_file} works: it stays")
            if entry.age() > LATE:
                journal.clear(entry.key)
        else:
            settled(provider, journal, entry, said, context.progress)
    except (ProviderError, ConfigurationError, ConnectError) as error:
        said.append(f"{_asked(entry)}, and what became of it is not known yet: {error.message}")
    text = " ".join(said)
    if any(each.key == entry.key and each.stage == "asked" for each in journal.entries()):
        text = f"{text.rstrip('.')}. The next run looks again."
    context.report(text)


def _in_place(entry: Entry) -> bool:
    """Whether it changes, or has changed, the secret of a login that existed before."""
    return entry.intent is not None and entry.intent.action == "rotate"


def _still_works(context: Context, provider: Provider) -> bool:
    """Whether the file holds a login of this provider that is let in.

    Raises:
        ConnectError: it is not known, as its server does not answer.
        LocalServerError: the embedded servers do not start.
    """
    try:
        pair = context.pair_in_file()
    except ConfigurationError:  # what is wrong with it is said where it is used
        return False
    if pair is None or pair.provider not in (None, provider.name):
        return False
    url = pair.direct or pair.pooled
    if "servers" in provider.capabilities:
        pooled, direct = ports.now(context)
        url = url.replace(port=direct if pair.direct else pooled)
    context.progress(f"trying the login in {context.env_file}")
    try:
        drivers.connect(url).close()
    except ConnectError as error:
        if error.code and error.code not in GONE:
            raise
        return False  # refused, be it in words that are not known
    return True


def _told_of_no_folder(context: Context) -> None:
    """Reports what was generated for projects that have been moved or removed since."""
    for journal in journals():
        if credential_cache.is_for_machine(journal.file):
            continue
        if os.path.lexists(os.path.dirname(journal.file)):
            continue
        try:
            entries = journal.entries()
        except EnvFileError as error:
            context.report(f"{error.message} {error.hint}".strip())
            continue
        for entry in entries:
            id = entry.retire if entry.stage == "stored" else entry.title  # noqa: A001
            context.report(
                f"{id} of {entry.provider} was under way for {journal.file}, whose folder is not "
                f"there any more: it may still be alive. When that is dealt with, remove "
                f"{journal.path}, which holds the only copy of what was generated."
            )


def _damaged(journal: Journal) -> Iterator[str]:
    for path in journal.damaged():
        yield (
            f"{path} was a journal of generated connections, and cannot be understood. It may hold "
            "a credential that exists nowhere else: look into it, then remove it."
        )


def _told(context: Context, entry: Entry) -> str:
    program, made = context.program, entry.generated
    if made is None:
        verb = "rotate" if _in_place(entry) else "create"
        more = " with the same options" if _in_place(entry) else ""
        return (
            f"{_asked(entry)}, and did not get to its end: `{program} {verb}`{more} finds out what "
            "became of it."
        )
    if entry.stage == "answered" and _is_in_file(context, made):
        return (
            f"{entry.title}, generated by an interrupted {entry.verb}, is in use: "
            f"`{program} {entry.verb}` gets to its end."
        )
    if entry.stage == "answered" and _in_place(entry):
        return (
            f"{entry.title} got another password by an interrupted {entry.verb}, which "
            f"{context.env_file} does not hold: `{program} {entry.verb}` takes it up."
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


def _is_in_file(context: Context, made: Generated) -> bool:
    """Whether the file has this login, with this password."""
    try:
        pair = context.pair_in_file()
    except ConfigurationError:  # what is wrong with it is said where it is used
        return False
    mark = in_use.mark(made.id, made.direct)
    return bool(in_use.connection_in_use(mark, pair))


def _asked(entry: Entry) -> str:
    return f"An interrupted {entry.verb} {_request(entry)}"


def _request(entry: Entry) -> str:
    kind = entry.intent.kind if entry.intent is not None else "connection"
    what = f"another password of {entry.title}" if _in_place(entry) else f"the {kind} {entry.title}"
    return f"asked {entry.provider} for {what} at {_clock(entry.created_at)}"


def _clock(text: str) -> str:
    """The time, for people: theirs, with the day where it is another one."""
    moment = datetime.fromisoformat(text).astimezone()
    today = datetime.now(timezone.utc).astimezone().date()
    return f"{moment:%H:%M:%S}" if moment.date() == today else f"{moment:%Y-%m-%d %H:%M}"
