"""What the cache of the providers' answers holds, and how it is read: with little to import.

Every settings import of a deployment that has only a token reads one. Who writes it, and who asks
the API where there is none: :mod:`.credential_cache`, :mod:`.remote`.
"""

from __future__ import annotations

import json
import os
import stat
import time
from typing import TYPE_CHECKING, Any, Final

from . import names
from .errors import URLError
from .urls import PostgresURL
from .value import Value

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .providers.settings import Settings

#: Seconds for which an answer of an API is as good as a new one.
TTL: Final = 3600.0
VERSION: Final = 1
#: End of the name of a file with an answer; its folder, in ours of the user's cache folder.
ANSWER: Final = ".answer.json"
FOLDER: Final = "pairs"
_LIMIT: Final = 1 << 16  # bytes


class Kept(Value):
    """A pair that an API gave. Its URLs hide their passwords.

    Attributes:
        id: what the provider calls the connection.
        pooled, direct, replica: its URLs.
        fetched_at: seconds of the clock on the wall (``time.time``).
        clock: seconds of the machine's own clock (``time.monotonic``), which nobody sets.
    """

    __slots__ = ("id", "pooled", "direct", "replica", "fetched_at", "clock")  # noqa: RUF023

    id: str
    pooled: PostgresURL
    direct: PostgresURL
    replica: PostgresURL | None
    fetched_at: float
    clock: float

    def is_fresh(self) -> bool:
        """Whether it is younger than :data:`TTL`; one from the future is of unknown age."""
        return 0 <= time.time() - self.fetched_at < TTL


def key(
    settings: Settings,
    target: Sequence[str],
    *,
    api_variables: Sequence[str],
    variables: Sequence[Sequence[str]],
    tokens: Sequence[str],
    replica: bool,
    git_branch: str = "",
) -> str:
    """A hash of all that an answer depends on. The token's part of it cannot be guessed.

    Args:
        target: project, database, branch and role; empty where nothing says them.
        api_variables, variables, tokens: the provider's own: of the base of its API, of a target
            and whatever else, of its token.
        replica: whether a read replica is asked for.
        git_branch: what ``auto`` means now: the next checkout asks another question.
    """
    import hashlib

    parts = [
        settings.get(names.API_URL, *api_variables).rstrip("/"),
        *target,
        *(settings.get(*each) for each in variables),
        settings.get(*tokens),
        str(replica),
        git_branch,
    ]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


def read(path: str) -> Kept | None:
    """The answer in a file, of whatever age; None where there is none that can be trusted."""
    document = load(path)
    try:
        urls = {
            name: PostgresURL.parse(document[name], source=path)
            for name in ("pooled", "direct", "replica")
            if document[name] is not None or name != "replica"
        }
        return Kept(
            str(document["id"]),
            urls["pooled"],
            urls["direct"],
            urls.get("replica"),
            float(document["fetched_at"]),
            float(document["clock"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError, URLError):
        return None


def load(path: str) -> Any:
    """The document of a file that nobody but us can have written; None for any other."""
    try:
        # Not to be kept waiting by a FIFO that somebody put there.
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
        with open(os.open(path, flags), "rb") as stream:
            found = os.fstat(stream.fileno())
            if (
                not stat.S_ISREG(found.st_mode)
                or found.st_uid != os.geteuid()
                or found.st_mode & 0o077
                or found.st_size > _LIMIT
            ):
                return None
            document = json.loads(stream.read(_LIMIT + 1))
    except (OSError, ValueError, RecursionError):
        return None
    return (
        document if isinstance(document, dict) and document.get("version", 1) == VERSION else None
    )
