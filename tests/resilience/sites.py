"""A Django project and a Flask app under real servers, each with a view that reads and one that
writes in a transaction; the table is the same, and so are the answers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

from ppg_integrations.providers.local import ports
from tests.resilience.sources import DJANGO_MODELS, DJANGO_URLS, FLASK, FLASK_ASGI, SETTINGS
from tests.support import commands

ROOT = Path(__file__).resolve().parents[2]

_GUNICORN = ("gunicorn", "--no-control-socket", "--bind=127.0.0.1:{port}", "--graceful-timeout=5")
#: The command lines of the servers; ``{app}`` and ``{port}`` are put in.
SERVERS = {
    "gunicorn sync": (*_GUNICORN, "--workers=4", "--preload", "{wsgi}"),
    # Clients here are never idle for long, and one that is sent away is not a failure of ours.
    "gunicorn gthread": (
        *_GUNICORN,
        "--worker-class=gthread",
        "--workers=2",
        "--threads=8",
        "--keep-alive=75",
        "{wsgi}",
    ),
    "uvicorn": (
        *("uvicorn", "--host=127.0.0.1", "--port={port}", "--workers=2", "--no-access-log"),
        *("--timeout-keep-alive=75", "--timeout-graceful-shutdown=5", "{asgi}"),
    ),
}


@dataclass(frozen=True)
class Site:
    """A project in a folder of its own, which takes its pair from a ``.env`` file elsewhere."""

    folder: Path
    env_file: Path
    wsgi: str
    asgi: str
    verbs: tuple[str, ...]

    @property
    def log(self) -> Path:
        """What the server printed."""
        return self.folder / "server.log"

    @property
    def environ(self) -> dict[str, str]:
        kept = {
            name: os.environ[name]
            for name in ("PATH", "HOME", "XDG_CACHE_HOME")
            if name in os.environ
        }
        return {
            **kept,
            "PYTHONPATH": f"{self.folder}{os.pathsep}{ROOT}",
            "PYTHONUNBUFFERED": "1",
            "TMPDIR": str(self.folder),  # where processes that wait for a slot tell each other
            "PYTHONDONTWRITEBYTECODE": "1",
            "LC_ALL": "C.UTF-8",
            "DJANGO_SETTINGS_MODULE": "shop.settings",
            "FLASK_APP": "shop",
        }

    def write(self, path: str, text: str) -> Path:
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(textwrap.dedent(text).lstrip("\n"))
        return target

    def ppg(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """The project's own command: ``manage.py ppg_connect`` or ``flask ppg``."""
        argv = [sys.executable, "-m", *self.verbs, *arguments]
        return commands.run(argv, self.folder, self.environ, timeout=300)

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Starts Python with these arguments, in a process group of its own; it writes the log."""
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, *arguments],
                cwd=self.folder,
                env=self.environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )


def django(folder: Path, env_file: Path, **options: object) -> Site:
    """A Django project.

    Args:
        options: more arguments of ``databases()``.
    """
    site = Site(
        folder,
        env_file,
        "django.core.wsgi:get_wsgi_application()",
        "shop.asgi:application",
        ("django", "ppg_connect"),
    )
    site.write("shop/__init__.py", "")
    site.write("shop/settings.py", SETTINGS.format(env_file=str(env_file), options=options))
    site.write("shop/models.py", DJANGO_MODELS)
    site.write("shop/urls.py", DJANGO_URLS)
    site.write(
        "shop/asgi.py",
        "from django.core.asgi import get_asgi_application\napplication = get_asgi_application()\n",
    )
    return site


def flask(folder: Path, env_file: Path, **options: object) -> Site:
    """A Flask app with Flask-SQLAlchemy.

    Args:
        options: more of ``app.config``.
    """
    site = Site(folder, env_file, "shop:app", "shop.asgi:application", ("flask", "ppg"))
    site.write("shop/__init__.py", FLASK.format(env_file=str(env_file), options=options))
    site.write("shop/asgi.py", FLASK_ASGI)
    return site


FRAMEWORKS: dict[str, Callable[..., Site]] = {"Django": django, "Flask": flask}


@dataclass(frozen=True)
class Served:
    """A site that runs."""

    site: Site
    port: int
    process: subprocess.Popen[bytes]

    def processes(self) -> dict[int, int]:
        """Live processes of the server, each with the number of its threads."""
        found = {}
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:  # it has ended meanwhile
                continue
            # state, parent, process group; the number of threads is the 18th after the name
            if int(fields[2]) == self.process.pid and fields[0] not in "ZX":
                found[int(entry.name)] = int(fields[17])
        return found


@contextmanager
def serving(site: Site, server: str) -> Iterator[Served]:
    """Runs a site under one of :data:`SERVERS`, and ends it with everything that it started."""
    port = ports.choose()
    words = {"port": port, "wsgi": site.wsgi, "asgi": site.asgi}
    process = site.start("-m", *(word.format(**words) for word in SERVERS[server]))
    served = Served(site, port, process)
    try:
        _wait_until_ready(served)
        yield served
    finally:
        process.terminate()
        try:
            process.wait(15)
        finally:
            for pid in served.processes():
                os.kill(pid, signal.SIGKILL)
            process.kill()
            process.wait()


def _wait_until_ready(served: Served) -> None:
    deadline = time.monotonic() + 60
    while True:
        assert served.process.poll() is None, served.site.log.read_text()
        try:
            with urlopen(f"http://127.0.0.1:{served.port}/", timeout=10):
                return
        except OSError:
            assert time.monotonic() < deadline, served.site.log.read_text()
            time.sleep(0.05)
