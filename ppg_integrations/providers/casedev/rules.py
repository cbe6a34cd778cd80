"""What case.dev's API is called, where it is, and what its errors mean."""

from __future__ import annotations

import re
from typing import Final

from ...errors import ProviderError
from ..api import Rules

NAME: Final = "casedev"
TITLE: Final = "case.dev"
BASE: Final = "https://api.case.dev"
TOKEN: Final = "CASEDEV_API_KEY"  # noqa: S105 - a variable's name
CONSOLE: Final = "https://console.case.dev"
PROJECTS: Final = ("database", "v1", "projects")
#: what the names of its projects and branches are made of
NAMED: Final = re.compile(r"[A-Za-z0-9_-]+")


#: as its SDK knows them; no path of the API lists them
REGIONS: Final = (
    *("aws-us-east-1", "aws-us-east-2", "aws-us-west-2", "aws-eu-central-1", "aws-eu-west-1"),
    *("aws-eu-west-2", "aws-ap-southeast-1", "aws-ap-southeast-2"),
)
#: what always remains to be done
BY_HAND: Final = f"Copy both URLs from {CONSOLE} into DATABASE_URL and DIRECT_URL."


def _hint(status: int, message: str) -> str:
    if status in (400, 422) and "region" in message.lower():
        return f"Its regions are {', '.join(REGIONS)}, and perhaps newer ones."
    if status not in (404, 410):
        return ""
    return f"Its database API is not in its SDK any more, and may be retired. If so: {BY_HAND}"


# Its SDK sends everything again after 429, so nothing was done by then.
RULES: Final = Rules(NAME, TITLE, frozenset({429}), hint=_hint)


def refusal(message: str, *, hint: str) -> ProviderError:
    """An error of case.dev's that no single answer is."""
    return ProviderError(message, hint=hint, provider=NAME)
