"""The environment variables this package reads, each with one meaning, in the order they win."""

from __future__ import annotations

from typing import Final

POOLED: Final = ("DATABASE_URL", "DATABASE_URL_POOLED", "POSTGRES_URL", "POSTGRES_PRISMA_URL")
DIRECT: Final = (
    "DIRECT_URL",
    "DATABASE_URL_UNPOOLED",
    "POSTGRES_URL_NON_POOLING",
    "DATABASE_DIRECT_URL",
)

#: ``prisma``, ``neon``, ``casedev`` or ``local``.
PROVIDER: Final = "PPG_PROVIDER"
#: Path of the ``.env`` file, where no argument names one.
ENV_FILE: Final = "PPG_ENV_FILE"
#: ``1`` gives the pooled alias the direct parameters, for one process.
FORCE_DIRECT: Final = "PPG_DIRECT"
#: What may differ between the halves of a pair: ``user``, ``database``, or both with a comma.
ALLOW_MISMATCH: Final = "PPG_ALLOW_MISMATCH"
#: ``local`` runs a test suite on the embedded PostgreSQL.
TEST_PROVIDER: Final = "PPG_TEST_PROVIDER"


def truthy(value: str | None) -> bool:
    """Whether a switch such as ``PPG_DIRECT`` is on."""
    return (value or "").strip().lower() in ("1", "true", "yes", "on")
