"""Generating a credential for whatever keeps it, so that none is lost and none is made twice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from . import drivers
from .entry import Entry
from .errors import (
    ConfigurationError,
    ConnectError,
    DriverError,
    ProviderError,
    ProviderUnavailableError,
    UnsupportedError,
)
from .names import TARGET
from .providers.base import Generated, Progress, silent

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .journal import Journal
    from .providers.base import GenerateRequest, Intend, Intent, Provider, Target

#: How long a request without an answer may still be at work at the provider.
LATE: Final = timedelta(minutes=10)
#: How long a request is looked for whose provider does not tell: its project may be gone.
GIVEN_UP: Final = timedelta(days=7)
#: In the hint of an error after which a run, as it says, goes on where this one stopped.
_GOES_ON: Final = "goes on from here"
#: What a server says of a credential, or a database, that is not there any more.
GONE: Final = ("wrong-password", "no-role", "no-database")
#: Kinds of what can be made for a login that existed before, and that ends with nobody's loss.
_BESIDE: Final = frozenset({"database", "endpoint"})
#: Kinds whose secret may be shown once: no later request of the run is worth forgetting them.
_LOGIN: Final = frozenset({"connection", "role", "password"})
_MISSING: Final = 404


def generate_into(
    provider: Provider,
    request: GenerateRequest,
    journal: Journal,
    store: Callable[[Generated], None],
    progress: Progress = silent,
) -> Generated:
    """A new credential, stored; or the one that an interrupted run has generated.

    In this order: what the journal holds is settled; the intent is written; the provider is asked;
    its answer is written; it is stored; the journal forgets it. To be called under a lock.

    Args:
        request: what to generate; the journal is of this one request.
        store: puts it where it belongs, and raises if it could not.

    Returns:
        The credential. Its notes begin with what became of earlier requests.

    Raises:
        EnvFileError: the journal cannot be written, and nothing was generated; or `store`'s.
        ProviderError: the provider could not. Where it may have done its work all the same, the
            next call finds that out.
    """
    journal.prepare()
    said: list[str] = []
    entry: Entry | None = None
    for each in journal.entries():
        if each.provider == provider.name:
            entry = _taken_up(provider, request.target, journal, each, said, progress) or entry
    if entry is None:
        started = Entry(provider=provider.name)

        def ask(intend: Intend) -> Entry:
            return replace(started, generated=provider.generate(request, intend, progress))

        entry = asking(journal, started, ask)
    generated = entry.generated
    assert generated is not None
    store(generated)
    journal.clear(entry.key)
    return replace(generated, notes=(*said, *generated.notes))


def asking(journal: Journal, entry: Entry, ask: Callable[[Intend], Entry]) -> Entry:
    """Calls a provider so that what it makes cannot be lost.

    Args:
        entry: what is asked for.
        ask: calls the provider; gives the entry with the answer.

    Returns:
        The answer, with the last intent that made a login or changed its secret. None stands there
        where the login was only found: it is nobody's to be ended, and the journal has nothing
        of it.

    Raises:
        ProviderError: the provider could not. Where it may have done its work all the same, the
            intent stays in the journal.
    """

    made: list[Intent] = []
    beside: list[Intent] = []  # after a login was made: its secret is in this process alone

    def intend(intent: Intent) -> None:
        # An earlier request of this run has been answered, or it would not go on.
        if intent.kind in _BESIDE and made and made[0].kind in _LOGIN:
            beside.append(intent)  # the login's intent stays on disk
            return
        journal.record(replace(entry, intent=intent))
        if intent.kind not in _BESIDE:
            made[:] = [intent]

    try:
        answered = ask(intend)
    except ProviderError as error:
        if beside:
            error.also(f"The next run finds out what became of the {made[0].kind} {made[0].name}.")
        elif error.nothing_done:
            journal.clear(entry.key)
        elif _GOES_ON not in error.hint:
            error.also("It may have been done all the same: the next run finds that out.")
        raise
    if not made:
        journal.clear(entry.key)
        return answered
    answered = replace(answered, intent=made[0])
    journal.record(answered)
    return answered


def exists(provider: Provider, target: Target, made: Generated) -> bool:
    """Whether the provider still knows a connection that its server refuses; its list decides.

    Raises:
        ProviderError: it cannot be asked now.
    """
    if "list" not in provider.capabilities:
        return False
    try:
        return any(each.id == made.id for each in provider.connections(target, in_use=made.id))
    except ProviderError as error:
        if error.status != _MISSING:
            raise
        return False  # the database itself has gone


def place_of(made: Generated, request: Mapping[str, str]) -> dict[str, str]:
    """The options that lead to where a connection was made: its provider's own ids come first."""
    ids = {part: made.remember.get(variable, "") for part, variable in TARGET.items()}
    return {**request, **{part: id for part, id in ids.items() if id}}  # noqa: A001


def _taken_up(
    provider: Provider,
    target: Target,
    journal: Journal,
    entry: Entry,
    said: list[str],
    progress: Progress,
) -> Entry | None:
    """The entry with a credential that can be used; None where it leads to none."""
    if entry.generated is None:
        entry = settled(provider, journal, entry, said, progress)
    if entry.generated is None:
        return None
    progress(f"taking up {entry.title}, which an earlier run generated")
    try:
        drivers.connect(entry.generated.direct).close()
    except ConnectError as error:
        if error.code in GONE and not exists(provider, target, entry.generated):
            journal.clear(entry.key)
            said.append(f"{entry.title}, which an earlier run generated, does not exist any more.")
            return None
        # Asleep, not reachable from here, or so new that its server does not know it yet: whoever
        # uses it will see, and it is not lost.
    except DriverError:
        pass
    return entry


def settled(
    provider: Provider, journal: Journal, entry: Entry, said: list[str], progress: Progress
) -> Entry:
    """Finds out what became of a request without an answer.

    Args:
        entry: in the stage ``asked``.
        said: gets a sentence for the user.

    Returns:
        The entry, with what the provider could restore. The journal has it as long as it is not
        settled.

    Raises:
        ProviderUnavailableError: the provider cannot be asked now.
        EnvFileError: the journal cannot be written.
    """
    assert entry.intent is not None
    progress(f"finding out what became of {entry.title}")
    over = entry.age() > LATE
    made: Generated | None = None
    try:
        settled = provider.settle(entry.intent, progress)
        text, made = settled.text, settled.generated
        over = over or settled.outcome != "missing"
    except ProviderUnavailableError:
        raise
    except UnsupportedError as error:
        text = f"{entry.title} was asked for, and what became of it is not known. {error.message}"
    except (ProviderError, ConfigurationError) as error:
        text = f"what became of {entry.title} is not known yet: {error.message}"
        over = entry.age() > GIVEN_UP
        if over:
            text += ". After a week it is not looked for any more"
    said.append(text)
    if made is not None:
        entry = replace(entry, generated=made)
        journal.record(entry)
    elif over:
        journal.clear(entry.key)
    return entry
