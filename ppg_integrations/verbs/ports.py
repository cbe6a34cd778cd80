"""Where the embedded servers listen now."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .context import Context


def now(context: Context) -> tuple[int, int]:
    """The ports of the pooled and the direct URL; another program may have taken the earlier ones.

    The servers are started.

    Raises:
        LocalServerError: they do not start.
    """
    from ..providers.local.provider import servers_of

    status = servers_of(context.project_folder).start(progress=context.progress)
    assert status.postgres is not None
    return (status.pooler or status.postgres).port, status.postgres.port
