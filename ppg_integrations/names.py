"""The environment variables this package reads, each with one meaning, in the order they win."""

from __future__ import annotations

from typing import Final

#: Of this package's folder in the user's cache folder.
APPLICATION: Final = "ppg-integrations"

POOLED: Final = ("DATABASE_URL", "DATABASE_URL_POOLED", "POSTGRES_URL", "POSTGRES_PRISMA_URL")
DIRECT: Final = (
    "DIRECT_URL",
    "DATABASE_URL_UNPOOLED",
    "POSTGRES_URL_NON_POOLING",
    "DATABASE_DIRECT_URL",
)

#: The pooled URL of a read replica.
REPLICA: Final = ("REPLICA_URL", "DATABASE_REPLICA_URL")

#: ``prisma``, ``neon``, ``casedev`` or ``local``.
PROVIDER: Final = "PPG_PROVIDER"
#: Path of the ``.env`` file, where no argument names one.
ENV_FILE: Final = "PPG_ENV_FILE"
#: ``1`` gives the pooled alias the direct parameters, for one process.
FORCE_DIRECT: Final = "PPG_DIRECT"
#: Seconds for all the API work of one verb, or of one resolution.
TIMEOUT: Final = "PPG_TIMEOUT"
#: Seconds for opening one connection, all attempts together; 0 makes one attempt.
CONNECT_DEADLINE: Final = "PPG_CONNECT_DEADLINE"
#: Seconds after its last use for which a connection counts as alive; 0 tests it before each use.
ALIVE_WINDOW: Final = "PPG_ALIVE_WINDOW"
#: The least ``sslmode`` of each URL that leads to another machine.
SSLMODE: Final = "PPG_SSLMODE"
#: ``1`` has drivers prepare statements behind the pooler, which has to keep track of them.
PREPARED: Final = "PPG_PREPARED"
#: Those four.
CONNECT: Final = (CONNECT_DEADLINE, ALIVE_WINDOW, SSLMODE, PREPARED)
#: Base of the provider's API, before the provider's own variable.
API_URL: Final = "PPG_API_URL"
#: ``auto`` asks a provider's API where no URL is set; ``never`` does not (image builds); ``fresh``
#: passes over the cache.
RESOLVE: Final = "PPG_RESOLVE"
RESOLVE_VALUES: Final = ("auto", "never", "fresh")
#: ``1`` lets a process generate a credential, once on each machine, where none can be read.
GENERATE: Final = "PPG_GENERATE"
#: ``1`` asks a provider's API for a read replica as well.
WITH_REPLICA: Final = "PPG_REPLICA"
#: Which of the provider's connections the URLs in the ``.env`` file are; written by ``create``.
CONNECTION: Final = "PPG_CONNECTION"
#: Where a temporary database is claimed; written by ``create --temporary``.
CLAIM_URL: Final = "PPG_CLAIM_URL"
#: What tells a provider which database is meant.
TARGET: Final = {
    "project": "PPG_PROJECT",
    "database": "PPG_DATABASE",
    "branch": "PPG_BRANCH",
    "role": "PPG_ROLE",
}
#: What may differ between the halves of a pair: ``user``, ``database``, or both with a comma.
ALLOW_MISMATCH: Final = "PPG_ALLOW_MISMATCH"
#: ``local`` runs a test suite on the embedded PostgreSQL.
TEST_PROVIDER: Final = "PPG_TEST_PROVIDER"


def truthy(value: str | None) -> bool:
    """Whether a switch such as ``PPG_DIRECT`` is on."""
    return (value or "").strip().lower() in ("1", "true", "yes", "on")
