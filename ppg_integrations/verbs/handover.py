"""From a generated connection in the journal to a pair in use: proved, written, and only then done.

The order is the promise: whatever fails, the credential that the provider showed once is on disk,
and the next run goes on from there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Literal

from .. import credential_cache, doctor, drivers, envfile, in_use, layers, names
from ..entry import Entry, now
from ..errors import ConnectError, ProviderError
from ..generation import GONE, exists, place_of
from ..journal import Journal, Last
from ..pair import ConnectionPair
from ..places import Places
from ..providers.base import Generated, Provider
from ..resolve import look
from . import pending, ports, proof, variables
from .context import Context
from .show import pair_json

#: ``generated`` by this run; ``read``, as it existed already; ``resumed`` from an interrupted run;
#: ``rotated``, the same one with another secret; ``shared``, as another run at the same time had
#: just stored it.
Origin = Literal["generated", "read", "resumed", "rotated", "shared"]


@dataclass(frozen=True)
class Stored:
    """What ``create`` or ``rotate`` did.

    Attributes:
        pair: the pair that was written.
        connection_id, connection_name: what the provider calls the connection.
        diagnosis: the proof of both endpoints.
        written: names of the variables that were written.
        origin: where the connection came from.
        notes: what the user should look at; each has been reported already, as has been what went
            well.
        details: more of it, by name, such as ``claim_url``.
        verb: what was done.
        owns_nothing: it is a role that was made just now, and may be none to migrate with.
    """

    pair: ConnectionPair
    connection_id: str
    connection_name: str
    diagnosis: doctor.Diagnosis
    written: tuple[str, ...]
    origin: Origin
    notes: tuple[str, ...]
    details: Mapping[str, str]
    verb: Literal["create", "rotate"] = "create"
    owns_nothing: bool = False

    def as_json(self, *, reveal: bool = False) -> dict[str, Any]:
        document = pair_json(self.pair, reveal=reveal)
        document["warnings"] += self.notes
        connection = {"id": self.connection_id, "name": self.connection_name}
        document["connection"] = {**self.details, **connection}
        return document


def resume(context: Context, journal: Journal, provider: Provider) -> Entry | None:
    """The newest connection of an interrupted run that this one wants and that lets us in.

    Raises:
        ConnectError: it is not known whether it does.
    """
    wanted = context.wanted(provider)
    for entry in reversed(journal.entries()):
        generated = entry.generated
        if (
            generated is None
            or entry.stage != "answered"
            or not pending.wanted(entry, provider, wanted)
        ):
            continue
        context.progress(f"taking up {entry.title}, which an earlier run generated")
        if "servers" in provider.capabilities:
            generated = _where_they_are_now(context, generated)
        try:
            limit = proof.deadline(context)
            drivers.connect(generated.direct, timeout=limit, waking=True).close()
        except ConnectError as error:
            target = context.target(provider, place_of(generated, entry.request))
            if error.code not in GONE or exists(provider, target, generated):
                error.also(proof.give_up(context, entry))
                raise
            journal.clear(entry.key)
            context.report(
                f"{entry.title}, which an earlier run generated, does not exist any more."
            )
            continue
        return replace(entry, generated=generated)
    return None


def finish(
    context: Context,
    journal: Journal,
    entry: Entry,
    origin: Origin,
    notes: Sequence[str] = (),
    *,
    allow_tracked: bool,
) -> Stored:
    """Proves a recorded connection, writes it to ``.env``, and says so in the journal.

    An entry with something to retire stays, and is due after its grace.

    Args:
        notes: more to report. All of it is before the journal forgets the entry: of credentials
            that it tells about nobody else may know.

    Raises:
        ConnectError: an endpoint does not work; the file is as it was.
        EnvFileError: the file cannot be written.
    """
    context.progress("proving both endpoints")
    entry, diagnosis = proof.prove(context, entry)
    generated = entry.generated
    assert generated is not None
    values = variables.of(context, entry)
    update = envfile.update(
        context.env_file, {**values.set, **values.blanked}, allow_tracked=allow_tracked
    )
    hidden = shadowed(context, values.set)
    notes = (*generated.notes, *update.notes, *values.notes, *hidden, *notes)
    credential_cache.forget(entry.provider)
    for note in notes:
        context.report(note)
    if entry.retire:
        due = now() + timedelta(seconds=entry.grace)
        entry = replace(entry, due=due.isoformat(timespec="microseconds"))
        if not shows_sessions(diagnosis):
            entry = replace(entry, retire_url=None)
        journal.record(entry, last=pending.last_of(context, entry))
    else:
        journal.clear(entry.key, last=pending.last_of(context, entry))
    return Stored(
        _written_pair(context, entry.provider),
        generated.id,
        generated.name,
        diagnosis,
        tuple(values.set),
        origin,
        notes,
        generated.details,
        entry.verb,
        bool(entry.request.get("role"))
        and entry.intent is not None
        and entry.intent.kind == "role",
    )


def shows_sessions(diagnosis: doctor.Diagnosis) -> bool:
    """Whether a login on the direct endpoint sees the sessions that the pooler opens for it."""
    direct = diagnosis.direct
    if direct is None or direct.kind in doctor.SHARING:
        return False
    return direct.vitals.user == diagnosis.pooled.vitals.user


def retired(context: Context, journal: Journal, entry: Entry, stored: Stored) -> Stored:
    """Ends what the entry's connection has replaced, if anything.

    Raises:
        ProviderError: the provider could not; the next run tries again.
    """
    # Where it is not there any more another run, whose turn it was, has done it.
    due = [each for each in journal.entries() if each.key == entry.key and each.due]
    try:
        notes = pending.retire(context, journal, due[0]) if due else ()
    except ProviderError as error:
        more = f"The new connection is in use; the next run retires {entry.retire}."
        error.also(more)
        raise
    for note in notes:
        context.report(note)
    return replace(stored, notes=(*stored.notes, *notes))


def found(
    context: Context,
    journal: Journal,
    provider: str,
    wanted: Mapping[str, str],
    verbs: tuple[str, ...],
    *,
    before: Last | None,
) -> Stored | None:
    """What another run has just stored, where it answers this one's request too, and works.

    Args:
        wanted: what this run asked for, before it had to wait.
        verbs: of the run that will do.
        before: what was finished last before this run waited: that is no answer to it.
    """
    last = journal.last()
    pair = context.pair_in_file()
    if last is None or last == before or pair is None or last.verb not in verbs:
        return None
    file_mark = envfile.read(context.env_file).get(names.CONNECTION, "")
    if last.mark != file_mark or last.provider != provider:
        return None
    if any(last.request.get(name) != value for name, value in wanted.items()):
        return None
    identity = in_use.connection_in_use(last.mark, pair)
    if not identity:
        return None
    context.progress("proving both endpoints")
    diagnosis = doctor.diagnose(pair)
    if any(problem.severity == "error" for problem in diagnosis.problems):
        return None
    context.report(f"Another run had just stored {identity}: nothing more was generated.")
    return Stored(pair, identity, "", diagnosis, (), "shared", (), {})


def _where_they_are_now(context: Context, made: Generated) -> Generated:
    """Its URLs on the embedded servers, which are started."""
    pooled, direct = ports.now(context)
    return replace(
        made, pooled=made.pooled.replace(port=pooled), direct=made.direct.replace(port=direct)
    )


def _written_pair(context: Context, provider: str) -> ConnectionPair:
    """What was written, read back from the file: what everybody else will see."""
    return look(Places({}, str(context.env_file.absolute()), quiet=True), provider=provider)


def shadowed(context: Context, values: Mapping[str, str]) -> tuple[str, ...]:
    """What the environment hides of the ``.env`` file's `values`, in a sentence each."""
    return tuple(
        f"{name} is also set in {layers.place(context.environ, name)}, and wins over "
        f"{context.env_file}: unset it"
        for name in values
        if context.environ.get(name, values[name]) != values[name]
    )
