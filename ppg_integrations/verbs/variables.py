"""What is written to the ``.env`` file for a connection, and what goes from it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from .. import hosts, in_use, names
from ..errors import ConfigurationError
from ..secret import masked

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ..entry import Entry
    from ..providers.base import Generated
    from ..urls import PostgresURL
    from .context import Context


class Variables(NamedTuple):
    """What :func:`of` found.

    Attributes:
        set: the new values, by name.
        blanked: those that held what is not true any more, with an empty value.
        notes: what the user should know of these, a sentence each.
    """

    set: dict[str, str]
    blanked: dict[str, str]
    notes: tuple[str, ...]


def of(context: Context, entry: Entry) -> Variables:
    """The variables of an entry's connection.

    Raises:
        EnvFileError: the file cannot be read.
    """
    made = entry.generated
    assert made is not None
    values = {
        names.POOLED[0]: masked(made.pooled.reveal()),
        names.DIRECT[0]: masked(made.direct.reveal()),
    }
    if made.replica is not None:
        values[names.REPLICA[0]] = masked(made.replica.reveal())
    values[names.CONNECTION] = in_use.mark(made.id, made.direct)
    before = context.file()
    earlier = before.get(names.PROVIDER, "").strip().lower()
    if (
        provider_of(made.direct) != entry.provider
        or entry.provider == "local"
        or earlier not in ("", entry.provider)
    ):
        # The hosts do not say it, or the file says another, which would win over them.
        values[names.PROVIDER] = entry.provider
    branch = entry.request.get("branch", "")
    if branch and "branches" in context.load(entry.provider, temporary=False).capabilities:
        # The next create shall not go back to the default branch. What was said is kept: auto
        # means another branch after the next checkout.
        values[names.TARGET["branch"]] = branch
    if "claim_url" in made.details:
        values[names.CLAIM_URL] = made.details["claim_url"]
    values.update(made.remember)
    stale = dict(_stale(context, entry, made, before))
    blanked = {name: "" for name in stale if name not in values}
    return Variables(values, blanked, tuple(text for text in stale.values() if text))


def provider_of(url: PostgresURL) -> str | None:
    """Whose host it is."""
    return hosts.classify(url.host, url.port).provider


def has_replica(context: Context) -> bool:
    """Whether the file names a read replica."""
    found = context.file()
    return any(found.get(name, "").strip() for name in names.REPLICA)


def _stale(
    context: Context, entry: Entry, made: Generated, before: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    """Variables that lead somewhere else than the new pair, each with what to say of it."""
    same = _is_same(context, made)
    replicas = [name for name in names.REPLICA if before.get(name, "").strip()]
    if replicas and (made.replica is not None or not same):
        can = "replica" in context.load(entry.provider, temporary=False).capabilities
        make = context.command("create --replica")
        again = f" {make} writes one of the new pair." if can else ""
        for name in replicas:
            text = f"{name} belonged to the earlier pair and was emptied.{again}"
            yield name, "" if made.replica is not None else text
    claim = before.get(names.CLAIM_URL, "").strip()
    if claim and not same and claim != made.details.get("claim_url"):
        old = before.get(names.CONNECTION, "").rpartition(":")[0]
        what = f"The temporary database of {old}" if old else "The earlier temporary database"
        yield (
            names.CLAIM_URL,
            f"{what} is not in use any more and deletes itself; to keep it, claim it: {claim}",
        )


def _is_same(context: Context, made: Generated) -> bool:
    """Whether the file has the very same pair, and nothing is wrong with it."""
    try:
        pair = context.whole_pair_in_file()
    except ConfigurationError:
        return False
    return pair is not None and (pair.pooled, pair.direct) == (made.pooled, made.direct)
