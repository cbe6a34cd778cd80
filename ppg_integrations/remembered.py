"""A provider's answer out of the cache, without loading that provider.

Its module brings an HTTP client's rules and more, and a settings import that finds a fresh answer
needs none of it. Whatever is not plain is left to :mod:`.remote`, which reads the same file.
"""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING

from . import kept, names, providers
from .pair import ConnectionPair, Source
from .providers.named import named

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .kept import Kept
    from .providers.settings import Settings


def remembered(
    settings: Settings, provider: str, options: Mapping[str, str]
) -> ConnectionPair | None:
    """The pair that the provider's API gave within the last hour; None to ask :mod:`.remote`.

    Args:
        settings, provider, options: as for :func:`.remote.resolve_remote`.

    Raises:
        ConfigurationError: a variable holds what cannot be used.
    """
    known = providers.known(provider)
    if known is None or settings.get(names.RESOLVE).lower() == "fresh":
        return None
    replica = names.truthy(settings.get(names.WITH_REPLICA))
    if replica and not known.replica:
        return None
    target = named(known.variables, settings, options)
    if target.get("branch", "").startswith("auto"):  # git knows which one
        return None
    folder = _folder()
    if folder is None or settings.timeout <= 0:
        return None
    question = kept.key(
        settings,
        [target.get(part, "") for part in names.TARGET],
        api_variables=known.api_variables,
        variables=[*known.variables.values()],
        tokens=providers.tokens(provider),
        replica=replica,
    )
    path = os.path.join(folder, f"{provider}-{question}{kept.ANSWER}")
    found = kept.read(path)
    if found is None or not found.is_fresh():
        return None
    source = Source("api", known.title, f"cached at {when(found)}")
    return ConnectionPair(
        found.pooled,
        found.direct,
        source,
        source,
        provider,
        (),
        settings.path,
        found.replica,
        source if found.replica else None,
        path,
    )


def _folder() -> str | None:
    """The one that :func:`.lock.cache_folder` finds in most cases; nothing is made.

    A file there that this account has not written is passed over, whoever owns the folder.
    """
    if sys.platform in ("win32", "darwin"):
        return None
    # https://specifications.freedesktop.org/basedir-spec/latest/
    base = os.environ.get("XDG_CACHE_HOME", "").strip() or os.path.expanduser("~/.cache")
    return os.path.join(base, names.APPLICATION, kept.FOLDER) if os.path.isabs(base) else None


def when(found: Kept) -> str:
    """The time at which an API gave it, for messages."""
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(found.fetched_at))
