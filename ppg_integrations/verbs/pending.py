"""What earlier runs left under way: told by every verb, settled by those that change something."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping

from .. import credential_cache, drivers, in_use, names
from ..entry import Entry
from ..errors import ConfigurationError, ConnectError, EnvFileError, PPGError, ProviderError
from ..generation import GONE, LATE, settled
from ..journal import Journal, Last, journals
from ..providers.base import Provider
from . import ports, proof, sentences, sessions
from .context import Context
from .sentences import asked, in_place


def told(context: Context) -> None:
    """Reports what is under way, and changes nothing. Whatever is wrong with it is reported too."""
    try:
        journal = Journal(context.env_file)
        for text in (
            *_damaged(journal),
            *(sentences.told(context, each) for each in journal.entries()),
        ):
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
            context.report(sentences.of_this_machine(context, entry))


def wanted(entry: Entry, provider: Provider, request: Mapping[str, str]) -> bool:
    """Whether a run that asks `provider` for this takes the entry up."""
    return entry.provider == provider.name and entry.answers(request)


def settle(
    context: Context, journal: Journal, provider: Provider | None = None, *, but: str = ""
) -> None:
    """Finds out what became of each request without an answer, and ends what is due.

    An old connection that ends when nobody uses it is looked at once; this run does not wait.

    What cannot be settled now is reported and kept. So is a rotation in place that this run does
    not take up: to settle it may change the secret in use once more.

    Args:
        provider: whose connections the running verb takes up; None for a verb that takes up none.
        but: id of an old connection that the running verb is about to end.

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
            if not in_place(each) or (provider is not None and wanted(each, provider, request)):
                _settle(context, journal, each)
            else:
                context.report(sentences.told(context, each))
        elif each.stage == "stored" and each.retire == but:
            continue
        elif each.is_due() or _is_unused(context, each):
            try:
                for note in retire(context, journal, each):
                    context.report(note)
            except (ProviderError, ConfigurationError) as error:
                context.report(f"{each.retire} could not be retired yet: {error.message}")
        elif each.stage == "stored":
            context.report(sentences.told(context, each))


def others(context: Context, journal: Journal, but: str = "") -> None:
    """Reports the generated connections that this run does not take up.

    Args:
        but: key of the entry that it does.
    """
    for each in journal.entries():
        if each.stage == "answered" and each.key != but:
            context.report(sentences.told(context, each))


def lives_on(context: Context, journal: Journal, key: str) -> None:
    """Reports the old connection of an entry whose new one is in use."""
    for each in journal.entries():
        if each.key == key:
            context.report(sentences.told(context, each))


def retire(context: Context, journal: Journal, entry: Entry) -> tuple[str, ...]:
    """Ends the old connection of an entry whose new one is in use, and forgets the entry.

    That it is done is reported.

    Returns:
        What else the user should know, a sentence each.

    Raises:
        ProviderError: the provider could not; the entry stays.
        ConfigurationError: it cannot be asked, for want of a token perhaps.
    """
    used = _not_to_end(context, entry)
    if entry.retire in used:
        journal.clear(entry.key)
        return (f"{entry.retire} was to be retired, and is in use again: it stays.",)
    if _is_in_environment(context, entry):
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
    context.report(f"{entry.retire} is retired.")
    return notes


def stays(context: Context, entry: Entry) -> bool:
    """Whether :func:`retire` would leave the old connection alone, as a variable still leads to it.

    Raises:
        ConfigurationError: the file's URLs cannot be used.
    """
    return entry.retire in _not_to_end(context, entry) or _is_in_environment(context, entry)


def _not_to_end(context: Context, entry: Entry) -> frozenset[str]:
    assert entry.generated is not None
    return frozenset({context.in_use(context.pair_in_file()), entry.generated.id} - {""})


def _is_in_environment(context: Context, entry: Entry) -> bool:
    return bool(in_use.connection_in_use(entry.retire_mark, context.pair_in_environment()))


def _is_unused(context: Context, entry: Entry) -> bool:
    if entry.stage != "stored" or entry.retire_url is None:
        return False
    context.progress(f"looking whether anything still uses {entry.retire}")
    return sessions.use(entry.retire_url).unused


def last_of(context: Context, entry: Entry) -> Last:
    """What a run that waited for this one wants to know of it."""
    mark = context.file().get(names.CONNECTION, "")
    return Last(entry.verb, entry.provider, entry.request, mark, entry.key)


def _settle(context: Context, journal: Journal, entry: Entry) -> None:
    said: list[str] = []
    try:
        provider = context.load(entry.provider, temporary="temporary" in entry.request)
        if in_place(entry) and _still_works(context, provider):
            said.append(f"{asked(entry)}, and the login in {context.env_file} works: it stays")
            if entry.age() > LATE:
                journal.clear(entry.key)
        else:
            settled(provider, journal, entry, said, context.progress)
    except (ProviderError, ConfigurationError, ConnectError) as error:
        said.append(f"{asked(entry)}, and what became of it is not known yet: {error.message}")
    text = " ".join(said)
    if any(each.key == entry.key and each.stage == "asked" for each in journal.entries()):
        text = f"{text.rstrip('.')}. The next run looks again."
    context.report(text)


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
        drivers.connect(url, timeout=proof.deadline(context), waking=True).close()
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
