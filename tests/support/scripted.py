"""A provider that does what a test tells it to, with real logins on the embedded servers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar

from ppg_integrations import PostgresURL
from ppg_integrations.errors import ProviderError
from ppg_integrations.providers.base import (
    Capability,
    Generated,
    GenerateRequest,
    Intend,
    Intent,
    Listed,
    Progress,
    Provider,
    Rotated,
    Settled,
    Target,
    silent,
)
from ppg_integrations.providers.local.servers import LocalServers


@dataclass
class Desk:
    """What a :class:`Scripted` provider has, and is about to do.

    Attributes:
        servers, database: where its connections lead.
        alive: the connections that exist, by id.
        asked: the requests that came, in order: the method's name and what it was about.
        before, after: called with the method's name before and after it has done its work.
        settled: what it says of a lost request; what it finds out by itself, by default.
        changed: what is made of each connection that it gives.
        kept: what it was told not to end, at each revocation.
        shown: id of the connection that it shows, for a test that lets it ``read``.
        recognized: id of the connection that it takes any pair for.
    """

    servers: LocalServers
    database: str
    alive: dict[str, str] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    before: Callable[[str], None] = lambda _method: None
    after: Callable[[str], None] = lambda _method: None
    settled: Settled | None = None
    changed: Callable[[Generated], Generated] = lambda generated: generated
    kept: list[frozenset[str]] = field(default_factory=list)
    shown: str = ""
    recognized: str = ""

    def make(self, name: str) -> Generated:
        """A login that works."""
        made = self.servers.generate(name, database=self.database)
        id = f"con_{made.id.rpartition('_')[2]}"
        self.alive[id] = name
        self._roles[id] = made.id
        return self.changed(Generated(id, name, made.pooled, made.direct))

    def end(self, id: str) -> None:
        """Ends one for real."""
        if self.alive.pop(id, None) is None:
            raise ProviderError(f"there is no connection {id}", provider="prisma", status=404)
        self.servers.revoke(self._roles[id])

    def count(self, method: str) -> int:
        """How often a method was asked for."""
        return sum(name == method for name, _ in self.asked)

    _roles: dict[str, str] = field(default_factory=dict)


class Scripted(Provider):
    """The provider ``prisma`` of a test: one that shows a secret once."""

    name: ClassVar[str] = "prisma"
    title: ClassVar[str] = "The scripted provider"
    capabilities: ClassVar[frozenset[Capability]] = frozenset(
        {"generate", "list", "rotate", "revoke", "databases"}
    )
    desk: ClassVar[Desk]

    def read(
        self, target: Target, progress: Progress = silent, *, replica: bool = False
    ) -> Generated:
        with self._step("read", target.database):
            if not self.desk.shown:
                raise ProviderError("there is nothing to show", provider="prisma", status=404)
            url = PostgresURL.build(host="db.example", database="shop", user="app")
            return Generated(self.desk.shown, "", url, url)

    def generate(
        self, request: GenerateRequest, intend: Intend, progress: Progress = silent
    ) -> Generated:
        return self._made("generate", "create", request.name, intend)

    def rotate(
        self,
        request: GenerateRequest,
        intend: Intend,
        *,
        in_use: str = "",
        in_place: bool = False,
        pair: object = None,
        progress: Progress = silent,
    ) -> Rotated:
        return Rotated(self._made("rotate", "create", request.name, intend), in_use)

    def settle(self, intent: Intent, progress: Progress = silent) -> Settled:
        with self._step("settle", intent.name):
            if self.desk.settled is not None:
                return self.desk.settled
            for id, name in self.desk.alive.items():
                if name == intent.name:
                    self.desk.end(id)
                    return Settled("removed", f"{id} ({name}) was made, and is gone now.")
            return Settled("missing", f"There is no {intent.name}.")

    def connections(
        self,
        target: Target,
        *,
        in_use: str = "",
        pair: object = None,
        progress: Progress = silent,
    ) -> tuple[Listed, ...]:
        with self._step("connections", target.project):
            at = "2026-11-01T10:00:00+00:00"
            if pair is not None:
                in_use = in_use or self.desk.recognized
            return tuple(Listed(id, name, at, id == in_use) for id, name in self.desk.alive.items())

    def revoke(
        self,
        target: Target,
        id: str,
        progress: Progress = silent,
        *,
        in_use: frozenset[str] = frozenset(),
    ) -> tuple[str, ...]:
        self.desk.kept.append(in_use)
        with self._step("revoke", id):
            self.desk.end(id)
            return ()

    def _made(self, method: str, action: str, name: str, intend: Intend) -> Generated:
        assert action in ("create", "rotate")
        with self._step(method, name):
            intend(Intent(self.name, "create", "connection", name))
            return self.desk.make(name)

    def _step(self, method: str, about: str) -> _Step:
        return _Step(self.desk, method, about)


class _Step:
    def __init__(self, desk: Desk, method: str, about: str) -> None:
        self._desk, self._method = desk, method
        desk.asked.append((method, about))

    def __enter__(self) -> None:
        self._desk.before(self._method)

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            self._desk.after(self._method)


def drop(desk: Desk) -> None:
    """Drops what a desk has made."""
    desk.servers.drop(desk.database)


def works(url: PostgresURL) -> bool:
    """Whether a URL lets us in."""
    from ppg_integrations import ConnectError, drivers

    try:
        drivers.connect(url).close()
    except ConnectError:
        return False
    return True
