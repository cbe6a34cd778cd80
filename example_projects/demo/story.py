"""The steps of the demo, in order."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Final

from ppg_integrations import ConnectionPair, PPGError
from ppg_integrations.cli.screen import Screen

from . import expectations as expected
from . import web
from .burst import Burst, burst
from .project import Project, StepError, temporary_project
from .server import Seen, Server
from .steps import Steps
from .table import HEAD, Head, Part, render

GUESTS: Final = 40
REQUESTS: Final = 600
#: Connections to PostgreSQL, as a small hosted plan limits them: PgBouncer's, and all.
POOL: Final = 5
LIMIT: Final = 12
_BURST: Final = f"{REQUESTS:,} requests, {GUESTS} at once"


def tell(provider: str = "local") -> int:
    """Plays the demo and prints its table.

    Args:
        provider: ``local`` for the guestbook under load, or a hosted one for the verbs there.

    Returns:
        The exit status: 0 if every row is as it should be.
    """
    screen = Screen(sys.stdout, sys.stderr)
    try:
        with temporary_project() as project:
            try:
                parts, head = _parts(provider, project, Steps(screen))
            except StepError as error:
                _show_failure(project, screen, error)
                return 1
            screen.line(f"\n{render(parts, screen.style, head)}\n")
            if any(row.faults for part in parts for row in part.rows):
                screen.line(f"Not as it should be. The logs are in {project.keep_logs()}")
                return 1
            return 0
    except PPGError as error:
        screen.error(error)
        return 1
    except BrokenPipeError:
        # The reader (head, less) has gone: what is left to say is for nobody.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        screen.line("\nInterrupted; what had been started is stopped.")
        return 130


def _parts(provider: str, project: Project, steps: Steps) -> tuple[list[Part], Head]:
    if provider == "local":
        return _Story(project, steps).parts(), HEAD
    from . import hosted

    return hosted.HostedStory(provider, project, steps).parts(), hosted.HEAD


def _show_failure(project: Project, screen: Screen, error: StepError) -> None:
    screen.line(screen.style("red", f"\n{error}"))
    if error.log is None:
        return
    lines = project.redacted(error.log.read_text(errors="replace")).splitlines()
    for line in lines[-15:]:
        screen.line(f"    {line}")
    screen.line(f"All of it is in {project.keep_logs() / error.log.name}")


class _Story:
    def __init__(self, project: Project, steps: Steps) -> None:
        self.project = project
        self.steps = steps

    def parts(self) -> list[Part]:
        """Both parts of the table: the pair as generated, and swapped."""
        with self.steps.step("ppg_connect create --provider local"):
            self.project.manage("ppg_connect", "create", "--provider", "local")
        self._say_what_runs()
        pair = self.project.pair()
        server = Server(self.project.servers, pair.direct or pair.pooled)
        with self.steps.step(f"limits: {POOL} connections for PgBouncer, {LIMIT} for all"):
            server.limit(pool=POOL, connections=LIMIT)
        return [self._as_generated(server), self._swapped(server, pair)]

    def _say_what_runs(self) -> None:
        status = self.project.servers.status()
        if status.pooler is None:
            raise StepError(
                f"There is no PgBouncer, and so nothing to show. {' '.join(status.notes)}"
            )
        tls = "with TLS" if status.tls else "without TLS"
        self.steps.note(f"{status.postgres}, {status.pooler}, {tls}")

    def _as_generated(self, server: Server) -> Part:
        with self.steps.step("ppg_connect doctor"):
            report, seen = server.watch(self.project.doctor)
        doctor = expected.doctor_as_named(report, seen)
        with self.steps.step("migrate"):
            _, seen = server.watch(lambda: self.project.manage("migrate"))
        migrate = expected.migrate_direct(seen)
        server.let_go()
        with self.steps.step(_BURST):
            came, seen = self._burst(server, {})
        requests = expected.burst_pooled(
            _BURST,
            came,
            seen,
            stored=server.entries(),
            threads=web.WORKERS * web.THREADS,
            pool=POOL,
        )
        return Part("The pair as ppg_connect wrote it", (doctor, migrate, requests))

    def _swapped(self, server: Server, pair: ConnectionPair) -> Part:
        # Nothing about 127.0.0.1 says which is which, so the variables are taken at their word.
        swap = {
            "DATABASE_URL": pair.require_direct().reveal(),
            "DIRECT_URL": pair.pooled.reveal(),
        }
        server.let_go()
        with self.steps.step("ppg_connect doctor, the two URLs swapped"):
            report, seen = server.watch(lambda: self.project.doctor(swap, status=1))
        doctor = expected.doctor_finds_swap(report, seen)
        with self.steps.step("migrate, swapped"):
            _, seen = server.watch(lambda: self.project.manage("migrate", environ=swap))
        migrate = expected.migrate_through_pooler(seen)
        server.let_go()
        with self.steps.step(f"{_BURST}, swapped"):
            came, seen = self._burst(server, swap)
        refused = "too many connections for database" in self.project.printed("gunicorn")
        requests = expected.burst_direct(_BURST, came, seen, limit=LIMIT, refused=refused)
        return Part("The same with the two URLs swapped", (doctor, migrate, requests))

    def _burst(self, server: Server, environ: Mapping[str, str]) -> tuple[Burst, Seen]:
        with web.serving(self.project, environ) as address:
            return server.watch(lambda: burst(address, guests=GUESTS, requests=REQUESTS))
