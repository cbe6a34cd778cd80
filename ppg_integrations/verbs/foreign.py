"""Whose the URLs of the ``.env`` file are, before another pair is written over them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from .. import names
from ..errors import ConfigurationError
from ..urls import PostgresURL
from . import variables

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .context import Context


#: Providers whose databases stand on another's hosts, by the former.
_GUESTS: Final = {"casedev": "neon"}


class _Half(NamedTuple):
    """One URL of the file.

    Attributes:
        variable: where it stands.
        what: it, for people; no secret.
        owner: its provider, by its host or else by the file's own word; empty if nothing says.
        host: the provider that the host alone says; empty if it says none.
    """

    variable: str
    what: str
    owner: str
    host: str


def refuse_overwriting(context: Context, provider: str) -> None:
    """Nothing, where `create` may write this provider's pair over what the file holds.

    A URL of another provider in the file may be the only copy of its password.

    Raises:
        ConfigurationError: the file holds another provider's URL, or nobody's.
    """
    for half in _halves(context):
        if half.owner != provider:
            raise ConfigurationError(
                f"{half.variable} in {context.env_file} holds {half.what}, which create would "
                "overwrite",
                hint="Keep a copy if you need it and add --replace, or write to another file with "
                "--env-file.",
            )


def refuse_rotating(context: Context, provider: str) -> None:
    """Nothing, where this provider may rotate the pair of the file.

    The hosts have the first word: ``PPG_PROVIDER`` may be left from an earlier pair.

    Raises:
        ConfigurationError: a host is another provider's, or none of this machine's for ``local``.
    """
    for half in _halves(context):
        if half.host in ("", "local") and (provider != "local" or half.host == "local"):
            continue
        if half.host == provider:
            continue
        hint = f"--provider {half.host}" if half.host else ""
        raise ConfigurationError(
            f"{half.variable} in {context.env_file} holds {half.what}, and {provider} cannot "
            "rotate it",
            hint=hint or f"{names.PROVIDER} or --provider says whose it is.",
        )


def _halves(context: Context) -> Iterator[_Half]:
    found = context.file()
    for variable in (names.POOLED[0], names.DIRECT[0]):
        if not found.get(variable, "").strip():
            continue
        try:
            url = PostgresURL.parse(found[variable], source=f"{variable} in {context.env_file}")
        except ConfigurationError:
            yield _Half(variable, "something that is not a PostgreSQL URL", "", "")
            continue
        # The host has the first word. Where it has none, the file's own name for the provider
        # counts, but "local" only for this machine, where a PostgreSQL may also be the user's.
        host = variables.provider_of(url)
        said = found.get(names.PROVIDER, "")
        owner = host if host not in (None, "local", _GUESTS.get(said)) else said
        if owner == "local" != host:
            owner = ""
        yield _Half(variable, f"the URL of {url.host or 'a local socket'}", owner or "", host or "")
