"""What the options and variables say about which database is meant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from .. import names
from ..errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .settings import Settings

#: Characters; no provider's id or name comes near.
_MOST: Final = 255


def named(
    variables: Mapping[str, tuple[str, ...]],
    settings: Settings,
    options: Mapping[str, str | None],
) -> dict[str, str]:
    """The parts of a target that something says.

    Args:
        variables: the provider's own, which count after ours.
        settings: where they are; the environment before the file.
        options: ``project``, ``database``, ``branch`` and ``role``, as given; others are ignored.

    Raises:
        ConfigurationError: one holds a control character, or is longer than 255 characters.
    """
    parts = {}
    for part, variable in names.TARGET.items():
        value = (options.get(part) or "").strip()
        if value:
            parts[part] = checked(value, f"--{part}")
            continue
        found = settings.find(variable, *variables.get(part, ()))
        if found is not None:
            parts[part] = checked(found.value, found.source)
    return parts


def checked(value: str, source: str) -> str:
    """The value, where it can be a name or an id.

    Raises:
        ConfigurationError: it cannot; names the source.
    """
    if not value.isprintable():
        raise ConfigurationError(
            f"{source} holds a control character, which no name or id has",
            hint="Copy it once more; is a line break in it?",
        )
    if len(value) > _MOST:
        raise ConfigurationError(
            f"{source} has {len(value)} characters, and no name or id has over {_MOST}"
        )
    return value
