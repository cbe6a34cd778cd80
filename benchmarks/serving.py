"""Runs a site under a web server, on a port of its own.

with serving(site, "gunicorn gthread", workers=2, threads=4) as served:
    served.port, served.resident()   # bytes
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

from ppg_integrations.providers.local import ports
from tests.resilience.sites import Served as TestServed

from .sites import Site

_GUNICORN = (
    *("gunicorn", "--no-control-socket", "--bind=127.0.0.1:{port}", "--graceful-timeout=3"),
    *("--workers={workers}", "--timeout=120", "--keep-alive=75"),
)
#: The command lines; a server that has no threads takes no notice of them. A number of clients of
#: gthread that is above its worker_connections waits, and does not fail.
SERVERS: dict[str, tuple[str, ...]] = {
    "gunicorn sync": (*_GUNICORN, "--worker-class=sync", "{wsgi}"),
    "gunicorn gthread": (*_GUNICORN, "--worker-class=gthread", "--threads={threads}", "{wsgi}"),
    "gunicorn gevent": (*_GUNICORN, "--worker-class=gevent", "{wsgi}"),
    "uvicorn": (
        *("uvicorn", "--host=127.0.0.1", "--port={port}", "--workers={workers}"),
        *("--no-access-log", "--timeout-keep-alive=75", "--timeout-graceful-shutdown=3", "{asgi}"),
    ),
}


@dataclass(frozen=True)
class Served(TestServed):
    """A site that runs; ``processes()`` gives its live processes, each with its threads."""

    def resident(self) -> int:
        """Bytes of memory of all its processes, shared pages counted once (PSS)."""
        found = 0
        for pid in self.processes():
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
            found += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
        return found * 1024

    def worked(self) -> int:
        """Processor time of all its processes, in ticks of the kernel's clock."""
        found = 0
        for pid in self.processes():
            fields = (
                Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
            )
            found += int(fields[11]) + int(fields[12])
        return found


@contextmanager
def serving(
    site: Site, server: str, *, workers: int = 2, threads: int = 4, seconds: float = 60.0
) -> Iterator[Served]:
    """Starts a server and waits until it answers; ends it with everything that it started.

    Args:
        server: one of :data:`SERVERS`.
        workers: processes.
        threads: of each, under gthread.
        seconds: for the first answer.

    Raises:
        AssertionError: it ended, or does not answer; with what it printed.
    """
    with together(
        {"": (site, server)}, workers=workers, threads=threads, seconds=seconds
    ) as served:
        yield served[""]


@contextmanager
def together(
    sites: Mapping[str, tuple[Site, str]],
    *,
    workers: int = 2,
    threads: int = 4,
    seconds: float = 60.0,
) -> Iterator[dict[str, Served]]:
    """The same for several sites at once, each with its server.

    Args:
        sites: by whatever name.
        workers, threads: of each site.
    """
    running: dict[str, Served] = {}
    try:
        for name, (site, server) in sites.items():
            running[name] = _started(site, server, workers=workers, threads=threads)
        deadline = time.monotonic() + seconds
        for served in running.values():
            _wait(served, deadline)
        for served in running.values():
            _settle(served, deadline)
        yield running
    finally:
        for served in running.values():
            served.process.terminate()
        for served in running.values():
            _end(served)


def _started(site: Site, server: str, *, workers: int, threads: int) -> Served:
    port = ports.choose()
    words = {
        "port": port,
        "wsgi": site.wsgi,
        "asgi": site.asgi,
        "workers": workers,
        "threads": threads,
    }
    argv = [word.format(**words) for word in SERVERS[server]]
    return Served(site, port, site.start("-m", *argv))


def _end(served: Served) -> None:
    process = served.process
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
    for pid in served.processes():
        os.kill(pid, signal.SIGKILL)
    process.wait()


def _wait(served: Served, deadline: float) -> None:
    while True:
        assert served.process.poll() is None, served.site.log.read_text()
        try:
            with urlopen(f"http://127.0.0.1:{served.port}/", timeout=10):
                return
        except HTTPError as error:
            with error:
                raise AssertionError(error.read().decode(errors="replace")) from None
        except OSError:
            assert time.monotonic() < deadline, served.site.log.read_text()
            time.sleep(0.05)


def _settle(served: Served, deadline: float) -> None:
    """Until all its workers have imported the app: the first one answers while others still do.

    Clients that keep their connections would stay with that one.
    """
    before = -1
    while (now := served.worked()) != before:
        assert time.monotonic() < deadline, "its workers never come to rest"
        before = now
        time.sleep(0.3)
