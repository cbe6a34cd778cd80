"""What the embedded servers are found to be doing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from .pgbouncer import PgBouncer
from .postgres import Postgres

if TYPE_CHECKING:
    from .files import State, Store

_NOTHING: Mapping[int, int] = MappingProxyType({})


@dataclass(frozen=True)
class ServerStatus:
    """One of the two servers.

    Attributes:
        name: ``PostgreSQL`` or ``PgBouncer``.
        version: such as ``17.10``.
        port: of the loopback interface.
        pid: its process id; None while it does not run.
    """

    name: str
    version: str
    port: int
    pid: int | None

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


@dataclass(frozen=True)
class LocalStatus:
    """The embedded servers.

    Attributes:
        running: everything that was set up runs.
        postgres: PostgreSQL; None if it was never started.
        pooler: PgBouncer; None while there is none, and then ``notes`` say why.
        folder: ``.ppg/local``.
        data: PostgreSQL's data folder.
        tls: both ends speak TLS, and nothing else.
        moved: old port to new port, of servers that had to move at this start because somebody else
            has their port: URLs with an old one are stale.
        notes: what the user should know, a sentence each.
    """

    running: bool
    postgres: ServerStatus | None
    pooler: ServerStatus | None
    folder: Path
    data: Path
    tls: bool
    moved: Mapping[int, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def describe(
    store: Store,
    state: State,
    *,
    moved: Mapping[int, int] = _NOTHING,
    notes: tuple[str, ...] = (),
) -> LocalStatus:
    """Looks at the servers; `moved` and `notes` are what only their start can know."""
    folder = store.server_folder(state)
    found = Postgres(folder).running()
    postgres = pooler = None
    if state.postgres_port:
        port = (found and found.port) or state.postgres_port
        pid = found.pid if found else None
        postgres = ServerStatus("PostgreSQL", state.postgres_version, port, pid)
    if state.pooler_port and not state.no_pooler:
        pid = PgBouncer(folder).running() or None
        pooler = ServerStatus("PgBouncer", state.pooler_version, state.pooler_port, pid)
    until = "until `local start` finds a pooler"
    reasons = [f"No pooler: {state.no_pooler}. The pooled URL is the direct server's {until}."]
    if postgres is not None and not state.tls:
        reasons.append(f"No TLS: {state.no_tls}.")
    return LocalStatus(
        running=found is not None and (pooler is None or pooler.pid is not None),
        postgres=postgres,
        pooler=pooler,
        folder=store.folder,
        data=folder / "data",
        tls=state.tls,
        moved=moved,
        notes=(*notes, *(reasons if state.no_pooler else reasons[1:])),
    )
