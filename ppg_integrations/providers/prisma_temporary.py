"""Temporary Prisma Postgres databases, made by the public create-db service without an account.

https://github.com/prisma/create-db
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, ClassVar, Final
from urllib.parse import urlencode

from ..errors import ProviderError
from .api import API, Rules
from .apibase import service_base
from .base import (
    Capability,
    Generated,
    GenerateRequest,
    Intend,
    Intent,
    Progress,
    Provider,
    Settled,
    silent,
)
from .labels import label
from .prisma import credentials
from .prisma.places import Database, Project
from .prisma.rules import CONSOLE, NAME

if TYPE_CHECKING:
    from .fields import Fields

_SERVICE: Final = "https://create-db-temp.prisma.io"
_CLAIM: Final = "https://create-db.prisma.io"
_REGION: Final = "us-east-1"
_LIFE: Final = timedelta(hours=24)
_KIND: Final = "temporary database"


def _hint(status: int, _message: str) -> str:
    if status == 429:
        return (
            "Many temporary databases were made just now. With an account "
            f"({CONSOLE}) and PRISMA_SERVICE_TOKEN, create works without --temporary."
        )
    return ""


_RULES: Final = Rules(NAME, "create-db", hint=_hint)


class TemporaryProvider(Provider):
    """Databases that live for 24 hours, or for good once somebody claims them."""

    name: ClassVar[str] = NAME
    title: ClassVar[str] = "Prisma Postgres (temporary)"
    console: ClassVar[str] = CONSOLE
    capabilities: ClassVar[frozenset[Capability]] = frozenset({"generate"})
    api_variables: ClassVar[tuple[str, ...]] = ("CREATE_DB_WORKER_URL",)

    def generate(
        self, request: GenerateRequest, intend: Intend, progress: Progress = silent
    ) -> Generated:
        """Makes a project with a database, and gives the connection that comes with it."""
        claim = service_base(self.settings, ("CLAIM_DB_WORKER_URL",), _CLAIM)
        base = service_base(self.settings, self.api_variables, _SERVICE)
        name = request.name or label(request.project_folder.absolute().name)
        body = {
            "region": request.region or _REGION,
            "name": name,
            "utm_source": "ppg-integrations",
            "source": "cli",
        }
        progress("making a temporary database")
        with API(_RULES, base, None, timeout=self.deadline, progress=progress) as api:
            intend(Intent(NAME, "create", _KIND, name))
            try:
                data = api.post("create", json=body).fields.at("data")
            except ProviderError as error:
                if error.status in (400, 422) and request.region:
                    error.hint = f"The regions are listed at {base}/regions"
                raise
            expires = datetime.now(timezone.utc) + _LIFE
            return _generated(data, claim, f"{expires:%Y-%m-%dT%H:%M:%SZ}")

    def settle(
        self,
        intent: Intent,
        progress: Progress = silent,  # noqa: ARG002 - nothing is asked
    ) -> Settled:
        """The service has no way to look for what it made: nothing is left to be done."""
        return Settled(
            "kept",
            f"Whether the temporary database {intent.name} was made, nobody can find out. If it "
            "was, it deletes itself within 24 hours.",
        )


def _generated(data: Fields, claim: str, expires_at: str) -> Generated:
    project = Project(data.text("id"), data.text("name"))
    database = Database.of(data.at("database"), project)
    made = credentials.read(_connection(data), database)
    query = {"projectID": project.id, "utm_source": "ppg-integrations", "utm_medium": "cli"}
    url = f"{claim}/claim?{urlencode(query)}"
    return Generated(
        made.id,
        made.name,
        made.pooled,
        made.direct,
        (f"This database deletes itself at {expires_at}. To keep it, claim it before: {url}",),
        details={"claim_url": url, "expires_at": expires_at},
    )


def _connection(data: Fields) -> Fields:
    """The first connection with both URLs; else the first, whose reader says what is missing."""
    found = data.each("database", "connections")
    for each in found:
        if all(
            each.maybe_text("endpoints", endpoint, "connectionString")
            for endpoint in ("pooled", "direct")
        ):
            return each
    return found[0] if found else data.at("database", "connections", "0")
