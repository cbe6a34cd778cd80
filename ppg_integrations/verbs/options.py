"""The options that were typed: they mean something to the provider, or it is wrong usage."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from .. import names
from ..errors import UsageError
from . import variables

if TYPE_CHECKING:
    from ..pair import ConnectionPair
    from ..providers.base import Provider
    from .context import Context

#: What a provider must be able to, for an option to mean something.
_NEEDS: Final = {
    "database": ("databases", "databases to choose from"),
    "branch": ("branches", "branches"),
    "role": ("roles", "roles to choose from"),
    "replica": ("replica", "read replicas"),
}


def check(context: Context, provider: Provider) -> None:
    """Nothing, where each option that was typed means something to this provider.

    Variables are another matter: they stay set while one provider follows another.

    Raises:
        UsageError: one does not. Nothing was asked of anybody yet.
    """
    has: frozenset[str] = provider.capabilities
    for option, (capability, what) in _NEEDS.items():
        if getattr(context, option) and capability not in has:
            raise _meaningless(option, provider, f"has no {what}")
    if "servers" in has:
        for option in ("project", "region"):
            if getattr(context, option):
                raise _meaningless(option, provider, f"has no {option}s")
    if context.region and not (context.create_missing or context.temporary):
        raise UsageError(
            "--region says where to make what is missing, and nothing is made without --create",
            hint="Add --create, or leave --region out.",
        )


def check_shows(context: Context, provider: Provider) -> None:
    """Nothing, where the provider shows the secrets of the database that the options name.

    Raises:
        UsageError: it does not, and the pair in use would be taken for that database's.
    """
    if "read" in provider.capabilities:
        return
    named = " ".join(f"--{part}" for part in names.TARGET if getattr(context, part))
    raise UsageError(
        f"{named} names a database whose secrets cannot be read: {provider.title} shows none of "
        "connections that exist",
        hint=f"Leave {named} out for the pair in use, or make one in another file: "
        f"{context.program} create {named} ... --env-file OTHER.env",
    )


def check_owner(context: Context, pair: ConnectionPair) -> None:
    """Nothing, where the pair in use may be one of the provider that was typed.

    Raises:
        UsageError: its hosts, or the variable beside it, say another one.
    """
    sources = [each for each in (pair.direct_source, pair.pooled_source) if each is not None]
    source = next((each for each in sources if each.kind != "derived"), pair.pooled_source)
    if not context.provider or source.kind in ("api", "provider"):
        return
    host = variables.provider_of(pair.direct or pair.pooled)
    # Case.dev's hosts are Neon's, and anybody's server may be on this machine.
    layer = context.file() if source.kind == "file" else context.environ
    said = layer.get(names.PROVIDER, "").strip().lower()
    owners = [each for each in dict.fromkeys((said, host)) if each and each != "local"]
    if said == host == "local":
        owners = ["local"]
    if owners and context.provider not in owners:
        raise UsageError(
            f"--provider {context.provider}: the pair in use is one of {owners[0]} ({source})",
            hint=f"Leave --provider out, or make one in another file: {context.program} create "
            f"--provider {context.provider} --env-file OTHER.env",
        )


def _meaningless(option: str, provider: Provider, why: str) -> UsageError:
    return UsageError(
        f"--{option} means nothing here: {provider.title} {why}", hint=f"Leave --{option} out."
    )
