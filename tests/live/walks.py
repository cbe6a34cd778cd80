"""A walk through all that a provider can do, on a project of its own that it deletes at the end.

The same walk goes through the real API and through the double, so that both are asked the same.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import replace
from typing import ClassVar
from urllib.parse import urlsplit

from ppg_integrations import providers
from ppg_integrations.probe import probe
from ppg_integrations.providers.api import API, Rules
from ppg_integrations.providers.apibase import api_base
from ppg_integrations.providers.base import Generated, GenerateRequest, Intent, Provider, Target
from ppg_integrations.providers.settings import Settings
from tests.providers.cases import ended, works

Report = Callable[[str], None]
#: Seconds that a provider gets to do what it has said is done.
PATIENCE = 60.0


class Walk:
    """One provider's.

    Args:
        settings: with its token, and whatever else leads to its API.
        report: told about each step.
    """

    name: ClassVar[str]
    tokens: ClassVar[tuple[str, ...]]
    base: ClassVar[tuple[tuple[str, ...], str]]
    projects: ClassVar[tuple[str, ...]] = ("projects",)
    items: ClassVar[str] = "projects"
    region: ClassVar[str] = ""

    def __init__(self, settings: Settings, report: Report) -> None:
        self.settings = settings
        self.project = f"ppg-live-{secrets.token_hex(4)}"
        self._report = report
        self._intents: list[Intent] = []

    @property
    def common(self) -> str:
        """The part of the path that all its requests have in common."""
        return urlsplit(api_base(self.settings, *self.base, token=self.tokens)).path

    def run(self) -> None:
        """All of it.

        Raises:
            AssertionError, PPGError: something is not as it should be; the project is deleted all
                the same.
        """
        self._report(f"{self.name}: project {self.project}")
        try:
            self._steps()
        finally:
            left = self.delete()
        assert left == 0, f"{self.project} is still there: delete it by hand"

    def delete(self) -> int:
        """Deletes the project; returns how many of its name are left."""
        with self._api() as api:
            for id in self._found(api):
                self._report(f"{self.name}: deleting {id}")
                api.delete(*self.projects, id)
            return len(self._found(api))

    # The steps.

    def _steps(self) -> None:
        first = self._generate(self._request(region=self.region))
        target = Target(project=first.remember.get("PPG_PROJECT", self.project))
        again = self._request(target=target)
        self._proved(first)
        second = self._generate(self.another(again))
        self._wait("the second one to work", lambda: works(second))
        assert first.direct.password != second.direct.password or first.id != second.id
        found = {each.id: each.in_use for each in self._list(target, second)}
        assert found[second.id], "the one in use is not marked"
        able = self._provider().capabilities
        if "read" in able:
            assert works(self._provider().read(target))
        if "usage" in able:
            self._report(f"{self.name}: {len(self._provider().usage(target))} remarks on its use")
        last = self._rotated(again, second) if "rotate" in able else second
        if "revoke" in able:
            self._provider().revoke(target, last.id)
            self._wait("the last one to end", lambda: ended(last))
        assert works(first)
        for intent in self._intents:  # ends those connections that nobody could have the secret of
            self._report(f"{self.name}: {self._provider().settle(intent).text}")

    def _rotated(self, request: GenerateRequest, old: Generated) -> Generated:
        provider = self._provider()
        rotated = provider.rotate(request, self._intents.append, in_use=old.id)
        self._wait("the rotated one to work", lambda: works(rotated.generated))
        if rotated.retire:
            assert works(old), "it ended before it was retired"
            self._provider().revoke(request.target, rotated.retire)
        self._wait("the old one to end", lambda: ended(old))
        return rotated.generated

    def _proved(self, generated: Generated) -> None:
        self._wait("both endpoints to answer", lambda: works(generated))
        kinds = probe(generated.pooled).kind, probe(generated.direct).kind
        self._report(f"{self.name}: pooled is a {kinds[0]}, direct is {kinds[1]}")
        assert kinds[0] == "transaction-pooler"
        assert kinds[1] in ("direct", "proxy")

    def _list(self, target: Target, used: Generated):
        return self._provider().connections(self.listing(target), in_use=used.id)

    # What differs.

    def another(self, request: GenerateRequest) -> GenerateRequest:
        """Another credential on the same project."""
        return request

    def listing(self, target: Target) -> Target:
        return target

    def _request(self, **more) -> GenerateRequest:
        made = GenerateRequest(
            name=f"live-{secrets.token_hex(4)}",
            target=Target(project=self.project),
            create=True,
        )
        return replace(made, **more)

    # How.

    def _provider(self) -> Provider:
        return providers.load(self.name, self.settings)

    def _generate(self, request: GenerateRequest) -> Generated:
        return self._provider().generate(request, self._intents.append, self._told)

    def _told(self, text: str) -> None:
        self._report(f"{self.name}: {text}")

    def _wait(self, what: str, check: Callable[[], bool]) -> None:
        """Until `check` is true; a server that is waking up may refuse for a while."""
        until = time.monotonic() + PATIENCE
        while not check():
            assert time.monotonic() < until, f"waited {PATIENCE:.0f} s for {what}"
            time.sleep(0.5)
        self._report(f"{self.name}: {what}: so it is")

    def _api(self) -> API:
        return API(
            Rules(self.name, self.name, frozenset({423, 429})),
            api_base(self.settings, *self.base, token=self.tokens),
            self.settings.token(*self.tokens),
            timeout=self.settings.timeout,
        )

    def _found(self, api: API) -> list[str]:
        every = api.get(*self.projects).fields.each(self.items)
        return [each.text("id") for each in every if each.text("name") == self.project]


class PrismaWalk(Walk):
    name = "prisma"
    tokens = ("PRISMA_SERVICE_TOKEN", "PRISMA_API_TOKEN")
    base = (("PRISMA_API_URL",), "https://api.prisma.io")
    projects = ("v1", "projects")
    items = "data"
    region = "us-east-1"


class NeonWalk(Walk):
    name = "neon"
    tokens = ("NEON_API_KEY",)
    base = (("NEON_API_HOST",), "https://console.neon.tech/api/v2")
    region = "aws-us-east-2"

    def another(self, request: GenerateRequest) -> GenerateRequest:
        target = replace(request.target, role=f"live_{secrets.token_hex(4)}")
        return replace(request, target=target)

    def _found(self, api: API) -> list[str]:
        query = {"search": self.project, "limit": 10}
        org = self.settings.get("NEON_ORG_ID")
        if not org:
            found = api.get("users", "me", "organizations").fields.each("organizations")
            org = found[0].text("id") if len(found) == 1 else ""
        query |= {"org_id": org} if org else {}
        every = api.get("projects", query=query).fields.each("projects")
        return [each.text("id") for each in every if each.text("name") == self.project]


class CasedevWalk(Walk):
    name = "casedev"
    tokens = ("CASEDEV_API_KEY",)
    base = (("CASEDEV_BASE_URL",), "https://api.case.dev")
    projects = ("database", "v1", "projects")
    region = "aws-us-east-1"

    def another(self, request: GenerateRequest) -> GenerateRequest:
        target = replace(request.target, branch=f"live-{secrets.token_hex(4)}")
        return replace(request, target=target)


WALKS: dict[str, type[Walk]] = {each.name: each for each in (PrismaWalk, NeonWalk, CasedevWalk)}
