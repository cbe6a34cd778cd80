"""What the contract's tests have to know of each provider, and nothing else."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, ClassVar

import flask

from ppg_integrations import providers
from ppg_integrations.drivers import connect
from ppg_integrations.errors import ConnectError
from ppg_integrations.pair import ConnectionPair, Source
from ppg_integrations.providers.base import Generated, GenerateRequest, Provider, Target
from ppg_integrations.providers.local.servers import LocalServers
from ppg_integrations.providers.settings import Settings
from tests.support.doubles.accounts import Accounts
from tests.support.doubles.base import Double
from tests.support.doubles.casedev import CasedevDouble
from tests.support.doubles.neon import NeonDouble
from tests.support.doubles.prisma import PrismaDouble

CHANGES = "POST|PUT|PATCH|DELETE"


def unique(prefix: str) -> str:
    return f"{prefix}-{secrets.token_hex(4)}"


class Case:
    """One provider with a project and a database.

    Attributes:
        token: the variable of its API token; empty where it has none.
        unasked: how many connections its API makes unasked when a database is built, which are of
            no use to anybody and are ended.
        double: its API; None where there is none.
        answer: changes the double's answers on their way out.
    """

    name: ClassVar[str]
    token: ClassVar[str] = ""
    unasked: ClassVar[int] = 0

    def __init__(self, servers: LocalServers, stack: ExitStack) -> None:
        self.servers = servers
        self.double: Double | None = None
        self.answer: Callable[[Any], Any] = lambda answer: answer
        self.start(stack)
        if self.double is not None:
            self.double.app.after_request(self._rewritten)
            stack.enter_context(self.double)

    def start(self, stack: ExitStack) -> None:
        raise NotImplementedError

    def provider(self, **more: str) -> Provider:
        """A fresh one, as each verb has."""
        assert self.double is not None
        environ = {"PPG_API_URL": self.double.url, self.token: self.double.token}
        return providers.load(self.name, Settings({"PPG_TIMEOUT": "10", **environ, **more}))

    def request(self) -> GenerateRequest:
        """For a pair, by what is there."""
        return GenerateRequest(name=unique("shop"))

    def making(self) -> GenerateRequest:
        """For a pair, with one new thing for it."""
        return self.request()

    def building(self) -> GenerateRequest:
        """For a pair, with everything new that can be."""
        return GenerateRequest(
            name=unique("shop"), target=Target(project=unique("project")), create=True
        )

    def second_project(self) -> None:
        raise NotImplementedError

    def changes(self) -> int:
        """How many requests came so far that change something."""
        assert self.double is not None
        return self.double.count(CHANGES)

    def made(self) -> int:
        """How many came so far that make something."""
        assert self.double is not None
        return self.changes() - self.double.count("DELETE")

    def _rewritten(self, response: flask.Response) -> flask.Response:
        if response.is_json:
            response.data = flask.json.dumps(self.answer(response.get_json()))
        return response


class PrismaCase(Case):
    name = "prisma"
    token = "PRISMA_SERVICE_TOKEN"
    unasked = 1

    def start(self, stack: ExitStack) -> None:
        self.double = double = PrismaDouble(self.servers)
        double.project("shop", "main")

    def second_project(self) -> None:
        self.double.project("other", "main")


class NeonCase(Case):
    name = "neon"
    token = "NEON_API_KEY"

    def start(self, stack: ExitStack) -> None:
        self.double = NeonDouble(stack.enter_context(Accounts(self.servers)))

    def making(self) -> GenerateRequest:
        return GenerateRequest(target=Target(role=unique("app")), create=True)

    def building(self) -> GenerateRequest:
        target = Target(project=unique("project"), branch="dev", role=unique("app"))
        return GenerateRequest(target=target, create=True)

    def second_project(self) -> None:
        self.double.add_project("other")


class CasedevCase(Case):
    name = "casedev"
    token = "CASEDEV_API_KEY"

    def start(self, stack: ExitStack) -> None:
        self.double = CasedevDouble(stack.enter_context(Accounts(self.servers)))

    def making(self) -> GenerateRequest:
        return GenerateRequest(target=Target(branch=unique("dev")), create=True)

    def building(self) -> GenerateRequest:
        target = Target(project=unique("project"), branch=unique("dev"))
        return GenerateRequest(target=target, create=True, region="aws-eu-west-1")

    def second_project(self) -> None:
        self.double.add_project("other")


class LocalCase(Case):
    name = "local"

    def start(self, stack: ExitStack) -> None:
        self._database = f"t_{secrets.token_hex(4)}"
        self._folder = self.servers.folder.parent.parent
        stack.callback(self.servers.drop, self._database)

    def provider(self, **more: str) -> Provider:
        return providers.load(self.name, Settings(more, {}, str(self._folder / ".env")))

    def request(self) -> GenerateRequest:
        return GenerateRequest(
            name=unique("shop"),
            target=Target(database=self._database),
            project_folder=self._folder,
        )

    def building(self) -> GenerateRequest:
        return self.request()

    def changes(self) -> int:
        return sum(database == self._database for database in self.servers.logins().values())

    def made(self) -> int:
        return self.changes()


CASES: dict[str, type[Case]] = {
    each.name: each for each in (PrismaCase, NeonCase, CasedevCase, LocalCase)
}
HOSTED = tuple(name for name, each in CASES.items() if each.token)


@contextmanager
def started(name: str, servers: LocalServers) -> Iterator[Case]:
    with ExitStack() as stack:
        yield CASES[name](servers, stack)


def pair_of(generated: Generated, provider: str) -> ConnectionPair:
    source = Source("file", "DATABASE_URL", ".env")
    return ConnectionPair(generated.pooled, generated.direct, source, source, provider)


def works(generated: Generated) -> bool:
    """Whether both endpoints let it in, as the same role into the same database."""
    seen = []
    for url in (generated.pooled, generated.direct):
        with connect(url) as connection:
            seen += connection.fetch("SELECT session_user, current_database()")
    return seen == [(generated.direct.user, generated.direct.database)] * 2


def ended(generated: Generated) -> bool:
    """Whether both endpoints refuse it."""
    for url in (generated.pooled, generated.direct):
        try:
            connect(url).close()
        except ConnectError as error:
            assert error.code in ("wrong-password", "no-role"), error
        else:
            return False
    return True
