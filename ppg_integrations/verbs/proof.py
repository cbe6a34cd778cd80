"""Before a connection is put to use: both endpoints, and its replica, asked on the live servers."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from .. import arrange, doctor, drivers
from ..connect_settings import DEFAULT, ConnectSettings
from ..entry import Entry
from ..errors import ConnectError, PPGError, SwappedEndpointsError, joined
from ..pair import ConnectionPair, Source
from ..providers.base import Generated

if TYPE_CHECKING:
    from ..problems import Problem
    from ..urls import PostgresURL
    from .context import Context


def prove(context: Context, entry: Entry) -> tuple[Entry, doctor.Diagnosis]:
    """The entry, with its two URLs the right way round, and the proof that it works.

    Raises:
        ConnectError: an endpoint does not work.
        SwappedEndpointsError: whichever way round they are asked, they have changed places.
        MismatchedPairError: its replica is none of this database.
    """
    made = entry.generated
    assert made is not None
    limit = deadline(context)
    diagnosis = doctor.diagnose(_pair_of(context, entry, made), timeout=limit)
    if any(problem.id == "swapped" for problem in diagnosis.problems):
        # Its URLs stand nowhere that the user could change, and the servers leave no doubt.
        text = f"{entry.provider} gave the two URLs of {entry.title} swapped; they were put right."
        notes = (*made.notes, text)
        made = replace(made, pooled=made.direct, direct=made.pooled, notes=notes)
        entry = replace(entry, generated=made)
        diagnosis = doctor.diagnose(_pair_of(context, entry, made), timeout=limit)
    for problem in diagnosis.problems:
        if problem.severity == "error":
            raise _refused(context, entry, problem)
    if made.replica is not None:
        _prove_replica(diagnosis.pair, made.replica, limit)
    return entry, diagnosis


def deadline(context: Context) -> float:
    """Seconds for which a verb waits for a database that sleeps; as long as applications do.

    Raises:
        ConfigurationError: ``PPG_CONNECT_DEADLINE`` is no number of seconds.
    """
    return connect_settings(context).connect_deadline or DEFAULT.connect_deadline


def connect_settings(context: Context) -> ConnectSettings:
    """How applications open and keep connections, as far as variables say it.

    Raises:
        ConfigurationError: one cannot be used.
    """
    return ConnectSettings.set_in(context.settings)


def give_up(context: Context, entry: Entry) -> str:
    """How to end what was generated instead of using it; empty where nothing is to be ended."""
    made = entry.generated
    if made is None or not can_be_ended(context, entry):
        return ""
    return f"To give it up instead: {context.command(f'revoke {made.id}')}"


def can_be_ended(context: Context, entry: Entry) -> bool:
    """Whether ``revoke`` is for what an entry has: a login that was made, and that is all."""
    if entry.intent is not None and (
        entry.intent.kind in ("project", "branch") or entry.intent.action == "rotate"
    ):
        return False  # with it, more would end than what this entry made
    temporary = "temporary" in entry.request
    return "revoke" in context.load(entry.provider, temporary=temporary).capabilities


def _refused(context: Context, entry: Entry, found: Problem) -> PPGError:
    kind: type[PPGError] = ConnectError
    message, hint = found.message, found.hint
    if found.id == "swapped":
        kind = SwappedEndpointsError
        message += "; they had been put right, and the servers showed the opposite before"
        hint = "A failover, or a change of the pooler, may be under way: wait until it is over."
    if entry.intent is None:
        text = f"{entry.title} of {entry.provider} does not work, and was not written: {message}"
        return kind(text, hint=hint)
    again = f"Then run {entry.verb} again: it takes up the same one."
    return kind(
        f"{entry.title} was generated and kept, and does not work yet: {message}",
        hint=joined(hint, again, give_up(context, entry)),
    )


def _prove_replica(pair: ConnectionPair, replica: PostgresURL, limit: float) -> None:
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
    drivers.connect(replica, timeout=limit, waking=True).close()


def _pair_of(context: Context, entry: Entry, made: Generated) -> ConnectionPair:
    source = Source("provider", entry.provider)
    if entry.intent is None:
        source = Source("api", context.load(entry.provider, temporary=False).title)
    return ConnectionPair(
        made.pooled,
        made.direct,
        source,
        source,
        entry.provider,
        (),
        str(context.env_file.absolute()),
    )
