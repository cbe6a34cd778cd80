"""What is in use is not ended."""

from __future__ import annotations

from ..errors import ConfigurationError


def spare(what: str, in_use: bool, program: str, *, by: str = "rotate") -> None:
    """Nothing, where something may be ended.

    Args:
        what: it, for people.
        in_use: whether it is.
        program: how the user calls us.
        by: the verb, with its options, that puts another in its place.

    Raises:
        ConfigurationError: it is in use.
    """
    if in_use:
        raise ConfigurationError(
            f"{what} is in use, and is not ended",
            hint=f"`{program} {by}` puts another in its place first; --force ends it all the same.",
        )
