"""Faults of the servers behind a site under load, and how long each is felt."""

from __future__ import annotations

import os
import signal
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from ppg_integrations.drivers import connect
from ppg_integrations.errors import ConnectError, QueryError
from ppg_integrations.providers.local import processes
from ppg_integrations.providers.local.files import Store as Files
from ppg_integrations.providers.local.pgbouncer import PgBouncer, Pool
from ppg_integrations.providers.local.postgres import Postgres
from ppg_integrations.providers.local.servers import LocalServers
from ppg_integrations.urls import PostgresURL
from tests.conftest import UNSAFE_AND_FAST
from tests.resilience.sites import Served
from tests.resilience.stores import Store, console
from tests.support.load import Answer, Load

#: Small enough to be filled.
SETTINGS = {**UNSAFE_AND_FAST, "max_connections": "40"}
POOL = Pool(max_clients=60)
#: Seconds that a site gets to be well again: more than it needs on any machine.
PATIENCE = 20.0
#: Sites renew theirs each second: one that never connects does not feel that there are no slots.
RENEWED: dict[str, dict[str, object]] = {
    "Django": {"conn_max_age": 1},
    "Flask": {"SQLALCHEMY_ENGINE_OPTIONS": {"pool_recycle": 1}},
}


class Plant:
    """Servers of one's own, to break."""

    def __init__(self, servers: LocalServers) -> None:
        """Starts them."""
        self.servers = servers
        servers.start()
        files = Files(self.servers.folder)
        server_folder = files.server_folder(files.state())
        self.pgbouncer, self.postgres = PgBouncer(server_folder), Postgres(server_folder)


@contextmanager
def plant(settings: Mapping[str, str] = SETTINGS, pool: Pool = POOL) -> Iterator[Plant]:
    """Servers of one's own; they and their folder are gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="ppg-tests-") as folder:
        os.chmod(folder, 0o711)
        servers = LocalServers(Path(folder) / "app/.ppg/local", settings=settings, pool=pool)
        try:
            yield Plant(servers)
        finally:
            servers.erase()


def pgbouncer_restarted(plant: Plant, _store: Store, seconds: float) -> None:
    """SIGTERM, twice as PgBouncer 1.23 and later want it."""
    plant.pgbouncer.stop()
    time.sleep(seconds)
    plant.servers.start()


def pgbouncer_killed(plant: Plant, _store: Store, seconds: float) -> None:
    """SIGKILL."""
    pid = plant.pgbouncer.running()
    assert pid, "0 would be this process's own group"
    os.kill(pid, signal.SIGKILL)
    # Else it may still look alive, and nobody starts another one.
    assert processes.wait_until_gone(pid, plant.pgbouncer.program, PATIENCE)
    time.sleep(seconds)
    plant.servers.start()


def pgbouncer_paused(plant: Plant, _store: Store, seconds: float) -> None:
    """By its console: what is running ends, and nothing else is let through."""
    with console(plant.servers) as admin:
        # A login to PostgreSQL that PAUSE cuts short counts as one that failed, and PgBouncer
        # (seen: 1.18) says so to clients: not what is to be seen here.
        quiet, until = 0, time.monotonic() + PATIENCE
        while quiet < 5 and time.monotonic() < until:
            states = {row[3] for row in admin.fetch("SHOW SERVERS")}
            quiet = 0 if states & {"new", "login", "tested"} else quiet + 1
            time.sleep(0.05)
        admin.execute("PAUSE")
        time.sleep(seconds)
        admin.execute("RESUME")


def pgbouncer_full(_plant: Plant, store: Store, seconds: float) -> None:
    """At ``max_client_conn``: somebody else takes every slot that gets free."""
    _hogged(store.url("DATABASE_URL"), seconds)


def postgres_restarted(plant: Plant, _store: Store, seconds: float) -> None:
    """A fast shutdown."""
    plant.postgres.stop()
    time.sleep(seconds)
    plant.servers.start()


def postgres_crashed(plant: Plant, _store: Store, _seconds: float) -> None:
    """A session dies of SIGKILL: PostgreSQL ends all others, and recovers by itself."""
    with plant.servers.connect() as one, plant.servers.connect() as other:
        ((pid,),) = one.fetch("SELECT pg_backend_pid()")
        os.kill(pid, signal.SIGKILL)
        with suppress(ConnectError, QueryError):
            while True:
                other.fetch("SELECT 1")
    while True:
        try:
            plant.servers.connect().close()
        except ConnectError:
            time.sleep(0.01)
        else:
            return


def postgres_full(plant: Plant, store: Store, seconds: float) -> None:
    """At ``max_connections``: somebody else takes every slot, while PgBouncer renews what it has."""
    with console(plant.servers) as admin, ThreadPoolExecutor(1) as thread:
        taken = thread.submit(_hogged, store.url("DIRECT_URL"), seconds)
        time.sleep(seconds / 4)
        admin.execute("RECONNECT")
        taken.result()


def _hogged(url: PostgresURL, seconds: float) -> None:
    deadline = time.monotonic() + seconds

    def take(stack: ExitStack) -> None:
        while time.monotonic() < deadline:
            try:
                stack.enter_context(connect(url))
            except ConnectError:
                time.sleep(0.001)

    with ExitStack() as stack, ThreadPoolExecutor(4) as threads:
        for taken in [threads.submit(take, stack) for _ in range(4)]:
            taken.result()


Fault = Callable[[Plant, Store, float], None]

FAULTS: dict[str, Fault] = {
    "PgBouncer restarted": pgbouncer_restarted,
    "PgBouncer killed": pgbouncer_killed,
    "PgBouncer paused": pgbouncer_paused,
    "PgBouncer at max_client_conn": pgbouncer_full,
    "PostgreSQL restarted": postgres_restarted,
    "PostgreSQL crashed": postgres_crashed,
    "PostgreSQL at max_connections": postgres_full,
}


@dataclass(frozen=True)
class Felt:
    """What a fault did to a load.

    Attributes:
        answers: to requests that were made while it lasted and afterwards.
        began, ended: of the fault, by ``time.monotonic()``.
        processes: of the server before and afterwards: their threads, by process.
        connections: to the pooler before and afterwards.
    """

    answers: list[Answer]
    began: float
    ended: float
    processes: tuple[dict[int, int], dict[int, int]]
    connections: tuple[int, int]

    @property
    def failed(self) -> list[Answer]:
        return [answer for answer in self.answers if not answer.ok]

    @property
    def failed_for(self) -> float:
        """Seconds from the end of the fault to the end of the last request that failed."""
        return max((each.ended - self.ended for each in self.failed), default=0.0)

    @property
    def recovered_in(self) -> float:
        """Seconds from the end of the fault to the first request that was answered as usual."""
        good = (each.ended - self.ended for each in self.answers if each.ok)
        return max(0.0, min((seconds for seconds in good if seconds > 0), default=float("inf")))

    @property
    def longest(self) -> float:
        """Seconds of the longest request."""
        return max((each.seconds for each in self.answers), default=0.0)

    def workers(self, moment: float) -> set[int]:
        """Processes that answered as usual after a moment."""
        return {each.body["pid"] for each in self.answers if each.ok and each.began > moment}


def felt(
    fault: Fault,
    plant: Plant,
    store: Store,
    served: Served,
    load: Load,
    *,
    seconds: float,
    after: float,
) -> Felt:
    """Lets a fault happen under load.

    Args:
        seconds: how long it lasts.
        after: seconds of load after it, once every client and every process has had an answer; that
            may take as long as :data:`PATIENCE`.
    """
    before = served.processes(), store.connections()
    began = time.monotonic()
    fault(plant, store, seconds)
    ended = time.monotonic()

    def seen() -> Felt:
        return Felt(
            # a request that fails was under way when the fault began, or it came later
            [each for each in [*load.answers] if each.ended > began],
            began,
            ended,
            (before[0], served.processes()),
            (before[1], store.connections()),
        )

    def is_over() -> bool:
        """Nothing is under way any more that was so when the fault ended; each process is well."""
        return load.clients == {each.client for each in [*load.answers] if each.began > ended} and {
            *before[0]
        } - {served.process.pid} <= seen().workers(ended)

    load.wait(PATIENCE, is_over)
    load.wait(after)
    return seen()
