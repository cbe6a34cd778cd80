"""From a generated connection in the journal to a pair in use: proved, written, and only then done.

The order is the promise: whatever fails, the credential that the provider showed once is on disk,
and the next run goes on from there.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Literal

from .. import arrange, credential_cache, doctor, drivers, envfile, hosts, in_use, names
from ..entry import Entry, now
from ..errors import ConnectError, ProviderError
from ..generation import GONE
from ..journal import Journal
from ..pair import ConnectionPair, Source
from ..providers import gitbranch
from ..providers.base import Generated, Provider
from ..resolve import resolve
from ..urls import PostgresURL
from . import pending
from .context import Context
from .show import pair_json

#: ``generated`` by this run; ``read``, as it existed already; ``resumed`` from an interrupted run;
#: ``shared``, as another run at the same time had just stored it.
Origin = Literal["generated", "read", "resumed", "shared"]


@dataclass(frozen=True)
class Stored:
    """What ``create`` or ``rotate`` did.

    Attributes:
        pair: the pair that was written.
        connection_id, connection_name: what the provider calls the connection.
        diagnosis: the proof of both endpoints.
        written: names of the variables that were written.
        origin: where the connection came from.
        notes: what else the user should know; each has been reported already.
        details: more of it, by name, such as ``claim_url``.
    """

    pair: ConnectionPair
    connection_id: str
    connection_name: str
    diagnosis: doctor.Diagnosis
    written: tuple[str, ...]
    origin: Origin
    notes: tuple[str, ...]
    details: Mapping[str, str]

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
            or entry.provider != provider.name
            or not entry.answers(wanted)
        ):
            continue
        context.progress(f"taking up {entry.title}, which an earlier run generated")
        if "servers" in provider.capabilities:
            generated = _where_they_are_now(context, generated)
        try:
            drivers.connect(generated.direct).close()
        except ConnectError as error:
            if error.code not in GONE:
                error.hint = f"{error.hint} {_give_up(context, generated)}".strip()
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
    generated = entry.generated
    assert generated is not None
    context.progress("proving both endpoints")
    pair = _pair_of(generated, entry.provider, context)
    diagnosis = _prove(context, entry, pair)
    if generated.replica is not None:
        _prove_replica(pair, generated.replica)
    values = _values(context, entry, generated)
    update = envfile.update(context.env_file, values, allow_tracked=allow_tracked)
    notes = (*generated.notes, *update.notes, *_shadowed(context, values), *notes)
    credential_cache.forget(entry.provider)
    for note in notes:
        context.report(note)
    if entry.retire:
        due = now() + timedelta(seconds=entry.grace)
        journal.record(replace(entry, due=due.isoformat(timespec="microseconds")))
    else:
        journal.clear(entry.key, last=pending.last_of(context, entry))
    return Stored(
        _written_pair(context, entry.provider),
        generated.id,
        generated.name,
        diagnosis,
        tuple(values),
        origin,
        notes,
        generated.details,
    )


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
        error.hint = f"{error.hint} {more}".strip()
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
) -> Stored | None:
    """What another run has just stored, where it answers this one's request too.

    Args:
        wanted: what this run asked for, before it had to wait.
        verbs: of the run that will do.
    """
    last = journal.last()
    pair = context.pair_in_file()
    if last is None or pair is None or last.verb not in verbs:
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
    note = f"Another ppg_connect had just stored {identity}: nothing more was generated."
    context.report(note)
    return Stored(pair, identity, "", doctor.diagnose(pair), (), "shared", (note,), {})


def _values(context: Context, entry: Entry, generated: Generated) -> dict[str, str]:
    provider = entry.provider
    values = {
        names.POOLED[0]: generated.pooled.reveal(),
        names.DIRECT[0]: generated.direct.reveal(),
    }
    if generated.replica is not None:
        values[names.REPLICA[0]] = generated.replica.reveal()
    values[names.CONNECTION] = in_use.mark(generated.id, generated.direct)
    if provider_of(generated.direct) != provider or provider == "local":
        # The hosts do not say it, so the file has to.
        values[names.PROVIDER] = provider
    branch = entry.request.get("branch", "")
    if branch.startswith(gitbranch.AUTO) or "branches" not in context.load(provider).capabilities:
        branch = ""
    # The next create shall not go back to the default branch.
    remembered = {names.TARGET["branch"]: branch} if branch else {}
    return {**values, **remembered, **generated.remember}


def provider_of(url: PostgresURL) -> str | None:
    """Whose host it is."""
    return hosts.classify(url.host, url.port).provider


def _where_they_are_now(context: Context, made: Generated) -> Generated:
    """The embedded servers, started; another program may have taken their ports meanwhile."""
    from ..providers.local.provider import servers_of

    status = servers_of(context.project_folder).start(progress=context.progress)
    assert status.postgres is not None
    pooler = status.pooler or status.postgres
    return replace(
        made,
        pooled=made.pooled.replace(port=pooler.port),
        direct=made.direct.replace(port=status.postgres.port),
    )


def _pair_of(generated: Generated, provider: str, context: Context) -> ConnectionPair:
    source = Source("provider", provider)
    return ConnectionPair(
        generated.pooled,
        generated.direct,
        source,
        source,
        provider,
        (),
        str(context.env_file.absolute()),
    )


def _prove(context: Context, entry: Entry, pair: ConnectionPair) -> doctor.Diagnosis:
    assert entry.generated is not None
    diagnosis = doctor.diagnose(pair)
    for problem in diagnosis.problems:
        if problem.severity == "error":
            again = f"Then run {entry.verb} again: it takes up the same one."
            raise ConnectError(
                f"{entry.title} was generated and kept, and does not work yet: {problem.message}",
                hint=f"{problem.hint} {again} {_give_up(context, entry.generated)}".strip(),
            )
    return diagnosis


def _prove_replica(pair: ConnectionPair, replica: PostgresURL) -> None:
    """Nothing, where the replica is one of the pair's database and lets us in.

    Raises:
        MismatchedPairError: it is another database, or the primary itself.
        ConnectError: it cannot be connected to.
    """
    source = Source("provider", pair.provider or "")
    left, right, third = (
        arrange.Half(url, source) for url in (pair.pooled, pair.require_direct(), replica)
    )
    arrange.check_replica(third, left, right, frozenset())
    drivers.connect(replica).close()


def _give_up(context: Context, generated: Generated) -> str:
    return f"To give it up instead: {context.program} revoke {generated.id}"


def _written_pair(context: Context, provider: str) -> ConnectionPair:
    """What was written, read back from the file: what everybody else will see."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return resolve(env_file=context.env_file, environ={}, provider=provider)


def _shadowed(context: Context, values: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(
        f"{name} is also set in the environment, and wins over {context.env_file}: unset it"
        for name in values
        if context.environ.get(name, values[name]) != values[name]
    )
