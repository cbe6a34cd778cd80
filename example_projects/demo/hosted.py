"""The verbs and the settings helper at a hosted provider, whose API a server of ours plays."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from ppg_integrations import PostgresURL, PPGError, drivers
from ppg_integrations.providers.local.servers import LocalServers
from tests.support.doubles.accounts import Accounts
from tests.support.doubles.base import Double
from tests.support.doubles.casedev import CasedevDouble
from tests.support.doubles.neon import NeonDouble
from tests.support.doubles.prisma import PrismaDouble

from .project import Project
from .steps import Steps
from .table import HOSTED_HEAD, HostedRow, Part, faults

HEAD: Final = HOSTED_HEAD


class _Hosted(NamedTuple):
    title: str
    token: str  # the variable of its API token
    start: Callable[[Accounts, LocalServers], Double]
    create: tuple[str, ...] = ()  # options of the first command


PROVIDERS: Final = {
    "prisma": _Hosted(
        "Prisma Postgres",
        "PRISMA_SERVICE_TOKEN",
        lambda _, servers: PrismaDouble(servers),
        ("--project", "guestbook", "--create"),
    ),
    "neon": _Hosted("Neon", "NEON_API_KEY", lambda accounts, _: NeonDouble(accounts)),
    "casedev": _Hosted("case.dev", "CASEDEV_API_KEY", lambda accounts, _: CasedevDouble(accounts)),
}


class _Watched(NamedTuple):
    calls: int
    pooled: int
    direct: int


class HostedStory:
    """The steps at one provider.

    Args:
        provider: a key of :data:`PROVIDERS`.
        project: where the commands run; its servers are behind the double.
    """

    def __init__(self, provider: str, project: Project, steps: Steps) -> None:
        self.provider = provider
        self._hosted = PROVIDERS[provider]
        self.title = self._hosted.title
        self.project = project
        self.steps = steps
        self._rows: list[HostedRow] = []

    def parts(self) -> list[Part]:
        with self.steps.step("PostgreSQL and PgBouncer, and the API in front of them"):
            self.project.servers.start()
        with self._api() as api:
            self.steps.note(
                f"{self.title}'s API is played by a server on this machine: strict, with state, "
                "and with credentials that work"
            )
            self._verbs(api)
            self._start_without_urls(api)
        return [Part(f"{self.title}, with nothing but a token", tuple(self._rows))]

    @contextlib.contextmanager
    def _api(self) -> Iterator[Double]:
        servers = self.project.servers
        with Accounts(servers) as accounts, self._hosted.start(accounts, servers) as api:
            self.project.give(
                {
                    self._hosted.token: api.token,
                    "PPG_API_URL": api.url,
                    "XDG_CACHE_HOME": str(self.project.private("cache")),
                }
            )
            yield api

    def _verbs(self, api: Double) -> None:
        self._row(
            api,
            " ".join(("ppg_connect create", *self._hosted.create)),
            lambda: self.project.verb("create", *self._hosted.create),
            "the pair is proved and in .env",
            lambda seen, _: (
                (seen.calls > 0, "a request to the API"),
                (seen.pooled > 0 and seen.direct > 0, "a login on both"),
            ),
        )
        self._row(
            api,
            "ppg_connect doctor",
            self.project.doctor,
            "both URLs are what their names say",
            lambda _, report: (
                (_kinds(report) == ["transaction-pooler", "direct"], "a pooler and the server"),
            ),
        )
        self._row(
            api,
            "migrate",
            self.project.migrate,
            "straight to PostgreSQL",
            lambda seen, _: (
                (seen.calls == 0, "no request to the API"),
                (seen.direct > 0 and seen.pooled == 0, "logins on PostgreSQL only"),
            ),
        )
        self._row(
            api,
            "ppg_connect list",
            lambda: json.loads(self.project.verb("list", "--json")),
            "one of them is in use",
            lambda _, report: (
                (
                    [each["in_use"] for each in report["connections"]].count(True) == 1,
                    "exactly one",
                ),
            ),
        )
        if self.provider == "casedev":
            self._row(
                api,
                "ppg_connect rotate",
                lambda: self.project.verb("rotate", status=1),
                "its API cannot; the console can",
                lambda seen, _: ((seen.direct == 0, "no login"),),
            )
            return
        old = self.project.pair().require_direct()
        self._row(
            api,
            "ppg_connect rotate",
            lambda: self.project.verb("rotate", "--grace", "0"),  # nothing is running
            "a new password; the old one is refused",
            lambda _, __: (
                (self.project.pair().require_direct() != old, "another URL in .env"),
                (not _works(old), "a refusal of the old one"),
                (_works(self.project.pair().require_direct()), "a login with the new one"),
            ),
        )
        self._row(
            api,
            "ppg_connect revoke (the one in use)",
            lambda: self.project.verb("revoke", self._in_use(), status=1),
            "refused",
            lambda _, __: (
                (_works(self.project.pair().require_direct()), "a login with the one in use"),
            ),
        )

    def _in_use(self) -> str:
        listed = json.loads(self.project.verb("list", "--json"))
        (found,) = (each["id"] for each in listed["connections"] if each["in_use"])
        return str(found)

    def _start_without_urls(self, api: Double) -> None:
        """A deployment: no ``.env``, only the token, and the id where one is needed."""
        environ = {"PPG_GENERATE": "1"} if self.provider == "prisma" else {}
        check = ("manage.py", "check", "--database", "default")
        self.project.forget_pair()
        how = "generated" if environ else "resolved"
        self._row(
            api,
            "check, no URL anywhere",
            lambda: self.project.run(check, environ=environ),
            f"{how} by the API at start",
            lambda seen, _: ((seen.calls > 0, "requests to the API"),),
        )
        self._row(
            api,
            "check, once more",
            lambda: self.project.run(check, environ=environ),
            "from the cache",
            lambda seen, _: ((seen.calls == 0, "no request to the API"),),
        )

    def _row(
        self,
        api: Double,
        what: str,
        work: Callable[[], Any],
        outcome: str,
        expectations: Callable[[_Watched, Any], tuple[tuple[bool, str], ...]],
    ) -> None:
        with self.steps.step(what):
            calls, before = len(api.requests), self.project.servers.counters()
            result = work()
            seen = self.project.servers.counters() - before
        watched = _Watched(len(api.requests) - calls, seen.pooled_logins, seen.direct_logins)
        found = faults(*expectations(watched, result))
        self._rows.append(HostedRow(what, *watched, outcome, found))


def _kinds(report: Mapping[str, Any]) -> list[str]:
    return [report["pooled"]["kind"], report["direct"]["kind"]]


def _works(url: PostgresURL) -> bool:
    try:
        drivers.connect(url).close()
    except PPGError:
        return False
    return True
