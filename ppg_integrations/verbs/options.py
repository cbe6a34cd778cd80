"""The options that were typed: they mean something to the provider, or it is wrong usage."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ..errors import UsageError

if TYPE_CHECKING:
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


def _meaningless(option: str, provider: Provider, why: str) -> UsageError:
    return UsageError(
        f"--{option} means nothing here: {provider.title} {why}", hint=f"Leave --{option} out."
    )
