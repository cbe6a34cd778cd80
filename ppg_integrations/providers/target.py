"""Which database is meant: by the options, our variables, or the provider's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .base import Target
from .named import checked, named

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .base import Provider
    from .settings import Settings

__all__ = ["checked", "target"]


def target(
    provider: Provider | type[Provider], settings: Settings, options: Mapping[str, str | None]
) -> Target:
    """The target of a verb or of a resolution.

    Args:
        provider: whose own variables count after ours.
        settings: where the variables are; the environment before the file.
        options: ``project``, ``database``, ``branch`` and ``role``, as given; others are ignored.

    Raises:
        ConfigurationError: one holds a control character, or is longer than 255 characters.
    """
    return Target(**named(provider.variables, settings, options))
