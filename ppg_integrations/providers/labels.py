"""Names of connections: by its name one whose answer was lost is told from an older one."""

from __future__ import annotations

import re
import secrets
import socket
from typing import Final

_RANDOM: Final = 4  # bytes, two digits each
_LEAST: Final = 3  # characters, the narrowest provider's limit (Prisma)


def label(project: str, *, most: int = 65) -> str:
    """A name such as ``shop-laptop-3f9a01bc``, different at each call.

    Args:
        project: a name for people, of the project's folder as a rule; anything may be in it.
        most: characters, at most; 65 is the limit of Prisma's connections.

    Returns:
        From 3 to `most` characters of ``a-z``, ``0-9`` and ``-``.
    """
    random = secrets.token_hex(_RANDOM)
    room = most - len(random) - 1
    if room < _LEAST:
        return random[: max(most, _LEAST)]
    host = _plain(socket.gethostname().partition(".")[0])[: room // 2]
    # What the host leaves is the project's; it is the part that people look for.
    name = _plain(project)[: room - len(host) - 1 if host else room].strip("-")
    return "-".join(part for part in (name, host.strip("-"), random) if part)


def _plain(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
