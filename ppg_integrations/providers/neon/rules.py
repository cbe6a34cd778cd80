"""What Neon's API declares: where it is, what may be sent again, what its refusals mean."""

from __future__ import annotations

import re
from typing import Final

from ..api import Rules

NAME: Final = "neon"
TITLE: Final = "Neon"
CONSOLE: Final = "https://console.neon.tech"
BASE: Final = f"{CONSOLE}/api/v2"
TOKEN: Final = "NEON_API_KEY"  # noqa: S105 - the variable's name
#: Names the organization where a person's key sees several.
ORG: Final = "NEON_ORG_ID"

_ID: Final = re.compile(r"[a-z0-9-]{1,60}")
_HINTS: Final = {
    401: f"Is {TOKEN} right? Keys are made at {CONSOLE}/app/settings/api-keys.",
    403: f"The key in {TOKEN} may not do this; one of another kind or person may.",
    423: "Another operation of the project has not ended.",
    429: "These were too many requests for this account.",
}


def is_id(text: str) -> bool:
    """Whether `text` may be an id; names may look like one too."""
    return _ID.fullmatch(text) is not None


def _hint(status: int, _message: str) -> str:
    return _HINTS.get(status, "")


#: The statuses say that nothing was done, whatever the method: its specification wants a retry.
RULES: Final = Rules(
    provider=NAME,
    title=TITLE,
    retry_always=frozenset({423, 429, 503}),
    request_id="x-neon-ret-request-id",
    hint=_hint,
)
