"""The steps of the demo, in order."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from typing import Final

from ppg_integrations import ConnectionPair, PPGError
from ppg_integrations.cli.screen import Screen

from . import expectations as expected
from . import web
from .burst import Burst, burst
from .example import Example
from .guestbook import GUESTBOOK
from .project import Project, StepError, temporary_project
from .server import Seen, Server
from .shortlinks import SHORTLINKS
from .steps import Steps
from .table import HEAD, Head, Part, render

GUESTS: Final = 40
REQUESTS: Final = 400
#: Connections to PostgreSQL, as a small hosted plan limits them: PgBouncer's, and all.
POOL: Final = 5
LIMIT: Final = 8
_BURST: Final = f"{REQUESTS:,} requests, {GUESTS} at once"


EXAMPLES: Final = (GUESTBOOK, SHORTLINKS)


def tell(provider: str = "local", examples: Sequence[Example] = EXAMPLES) -> int:
    """Plays the demo and prints its table.

    Args:
        provider: ``local`` for the examples under load, or a hosted one for the verbs there.
        examples: which ones; of a hosted provider the first one shows the verbs.

    Returns:
        The exit status: 0 if every row is as it should be.
    """
    screen = Screen(sys.stdout, sys.stderr)
    try:
        return _play(provider, examples, screen)
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


def _play(provider: str, examples: Sequence[Example], screen: Screen) -> int:
    steps = Steps(screen)
    parts: list[Part] = []
    head = HEAD
    kept = []
    for example in examples if provider == "local" else examples[:1]:
        with temporary_project(example) as project:
            try:
                if provider == "local":
                    found = _Story(project, steps).parts()
                else:
                    found, head = _hosted(provider, project, steps)
            except StepError as error:
                _show_failure(project, screen, error)
                return 1
            parts += found
            if any(row.faults for part in found for row in part.rows):
                kept.append(str(project.keep_logs()))
    screen.line(f"\n{render(parts, screen.style, head)}\n")
    if kept:
        screen.line(f"Not as it should be. The logs are in {' and '.join(kept)}")
    return 1 if kept else 0


def _hosted(provider: str, project: Project, steps: Steps) -> tuple[list[Part], Head]:
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
        self.example = project.example
        self.steps = steps
        self._doctor = f"{self.example.verbs[1]} doctor"
        self._migrate = self.example.migrate[1]

    def parts(self) -> list[Part]:
        """Both parts of the table: the pair as generated, and swapped."""
        with self.steps.step(f"{self.example.verbs[1]} create --provider local"):
            self.project.verb("create", "--provider", "local")
        self._say_what_runs()
        pair = self.project.pair()
        server = Server(self.project.servers, pair.pooled)
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
        with self.steps.step(self._doctor):
            report, seen = server.watch(self.project.doctor)
        doctor = expected.doctor_as_named(self._doctor, report, seen)
        with self.steps.step(self._migrate):
            _, seen = server.watch(self.project.migrate)
        migrate = expected.migrate_direct(self._migrate, seen)
        server.let_go()
        with self.steps.step(_BURST):
            came, seen = self._burst(server, {})
        requests = expected.burst_pooled(
            _BURST,
            came,
            seen,
            writes=self.example.writes,
            stored=server.count(self.example.stored),
            threads=web.WORKERS * web.THREADS,
            pool=POOL,
        )
        title = f"{self.example.framework}, with the pair as generated"
        return Part(title, (doctor, migrate, requests))

    def _swapped(self, server: Server, pair: ConnectionPair) -> Part:
        # Nothing about 127.0.0.1 says which is which, so the variables are taken at their word.
        swap = {
            "DATABASE_URL": pair.require_direct().reveal(),
            "DIRECT_URL": pair.pooled.reveal(),
            # Else requests wait for a free slot, and what is wrong takes longer to see.
            "PPG_CONNECT_DEADLINE": "0",
        }
        server.let_go()
        with self.steps.step(f"{self._doctor}, the two URLs swapped"):
            report, seen = server.watch(lambda: self.project.doctor(swap, status=1))
        doctor = expected.doctor_finds_swap(self._doctor, report, seen)
        with self.steps.step(f"{self._migrate}, swapped"):
            _, seen = server.watch(lambda: self.project.migrate(swap))
        migrate = expected.migrate_through_pooler(self._migrate, seen)
        server.let_go()
        with self.steps.step(f"{_BURST}, swapped"):
            came, seen = self._burst(server, swap)
        refused = "too many connections for database" in self.project.printed("gunicorn")
        requests = expected.burst_direct(
            _BURST, came, seen, pool=POOL, limit=LIMIT, refused=refused
        )
        title = f"{self.example.framework}, with the two URLs swapped"
        return Part(title, (doctor, migrate, requests))

    def _burst(self, server: Server, environ: Mapping[str, str]) -> tuple[Burst, Seen]:
        guest = self.example.guest
        with web.serving(self.project, environ) as address:
            return server.watch(lambda: burst(guest, address, guests=GUESTS, requests=REQUESTS))
