"""What Prisma's management API declares: where it is, what may be sent again, how lists come.

https://www.prisma.io/docs/management-api
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ..api import Rules

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..api import API
    from ..fields import Fields

NAME: Final = "prisma"
TITLE: Final = "Prisma Postgres"
CONSOLE: Final = "https://console.prisma.io"
BASE: Final = "https://api.prisma.io"
VERSION: Final = "v1"  # the first segment of every path
TOKENS: Final = ("PRISMA_SERVICE_TOKEN", "PRISMA_API_TOKEN")

_PAGE: Final = 100  # the most that it gives at a time


def _hint(status: int, message: str) -> str:
    if status == 401:
        return (
            f"Is the token in {' or '.join(TOKENS)} complete and not revoked? A service token is "
            f"made in {CONSOLE}, in the workspace's settings."
        )
    if "limit" in message.lower() and status not in (408, 429):
        return f"Delete what is not needed, or choose a larger plan, in {CONSOLE}."
    return ""


#: It has no idempotency keys. Only 429 says that nothing was done.
RULES: Final = Rules(NAME, TITLE, frozenset({429}), hint=_hint)


def listed(api: API, *path: str) -> Iterator[Fields]:
    """Everything in one of its lists."""
    return api.pages(
        *path,
        query={"limit": _PAGE},
        items="data",
        cursor=("pagination", "nextCursor"),
        more=("pagination", "hasMore"),
    )
