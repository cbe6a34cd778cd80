"""A project whose database and whose provider's API are reached through proxies that do wrong."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Literal, NamedTuple
from unittest import mock

from ppg_integrations import PostgresURL, drivers, envfile
from ppg_integrations.journal import Journal
from ppg_integrations.providers.local.servers import LocalServers
from tests.support.doubles.accounts import Accounts, Login, URLs
from tests.support.doubles.neon import NeonDouble
from tests.support.doubles.prisma import PrismaDouble
from tests.support.tcp_proxy import TCPProxy

ROOT = Path(__file__).resolve().parents[2]
Place = Literal["pooled", "direct", "API"]

#: What goes wrong at a place, in the order of the table.
FAULTS = {
    "refused": "nobody listens",
    "lost": "packets are lost, as behind a firewall",
    "silent": "it accepts and says nothing",
    "goes silent": "it says nothing any more after the login, or in the middle of an answer",
    "hangs up": "it accepts and resets the connection",
    "hangs up in the login": "it resets the connection in the TLS handshake, or in the request",
    "hangs up later": "it resets the connection after the login, or in the middle of an answer",
    "slow": "what the client sends is a tenth of a second late, packet by packet",
}


#: Held by who changes the environment of this process.
_ENVIRON = threading.Lock()


class Done(NamedTuple):
    """How a program ended."""

    status: int
    out: str
    err: str


#: Runs ``ppg-connect ARGUMENTS`` in a folder, with these variables.
Runner = Callable[[list[str], Path, Mapping[str, str]], Done]


class _Behind(Accounts):
    """Logins whose URLs lead through the proxies."""

    def __init__(self, servers: LocalServers, pooled: TCPProxy, direct: TCPProxy) -> None:
        super().__init__(servers)
        self._ports = pooled.port, direct.port

    def urls(self, login: Login, *, database: str = "") -> URLs:
        urls = super().urls(login, database=database)
        pooled, direct = self._ports
        return URLs(urls.pooled.replace(port=pooled), urls.direct.replace(port=direct))


class Stage:
    """The project; ``with`` sets everything up and takes it down.

    Args:
        neon: Neon's API, which shows the pair to whoever has the token, instead of Prisma's.
        limits: seconds for ``PPG_CONNECT_DEADLINE`` and ``PPG_TIMEOUT``; None for the defaults.

    Attributes:
        folder: the project's.
        places: the proxies in front of the two endpoints and the API.
        environ: variables of the programs, without the limits.
    """

    def __init__(
        self,
        servers: LocalServers,
        folder: Path,
        *,
        neon: bool = False,
        limits: tuple[float, float] | None = None,
    ) -> None:
        self.folder = folder
        self._servers = servers
        self._neon = neon
        self._limits = limits
        self._stack = ExitStack()
        self.places: dict[Place, TCPProxy] = {}
        self.environ: dict[str, str] = {}
        self._logins: dict[Place, int] = {}

    def __enter__(self) -> Stage:
        with ExitStack() as stack:
            status = self._servers.status()
            targets = {"pooled": status.pooler.port, "direct": status.postgres.port}
            for place, port in targets.items():
                self.places[place] = stack.enter_context(TCPProxy(("127.0.0.1", port)))
            accounts = _Behind(self._servers, self.places["pooled"], self.places["direct"])
            stack.enter_context(accounts)
            self.double = stack.enter_context(
                (NeonDouble if self._neon else PrismaDouble)(accounts)
            )
            if not self._neon:
                self.double.project("shop", "main")
            target = ("127.0.0.1", self.double.port)
            self.places["API"] = stack.enter_context(TCPProxy(target))
            self.environ = self._environ()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self.heal()
        self._stack.close()

    def _environ(self) -> dict[str, str]:
        api = self.double.url.replace(str(self.double.port), str(self.places["API"].port))
        environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "XDG_CACHE_HOME": str(self.folder / "cache"),
            "XDG_STATE_HOME": str(self.folder / "state"),
            "PYTHONPATH": f"{self.folder}{os.pathsep}{ROOT}",
            "PYTHONDONTWRITEBYTECODE": "1",
            "LC_ALL": "C.UTF-8",
        }
        if self._neon:
            environ |= {"NEON_API_HOST": api, "NEON_API_KEY": self.double.token}
        else:
            environ |= {"PRISMA_API_URL": api, "PRISMA_SERVICE_TOKEN": self.double.token}
        return environ

    def hurried(self, place: Place | None, fault: str) -> dict[str, str]:
        """The same variables, with a limit for whoever waits for what does not come.

        Nothing that works is hurried: a slow machine is no fault.
        """
        if not self._limits or fault not in ("lost", "silent", "goes silent"):
            return self.environ
        connect, timeout = self._limits
        if place == "API":
            return {**self.environ, "PPG_TIMEOUT": f"{timeout:g}"}
        return {**self.environ, "PPG_CONNECT_DEADLINE": f"{connect:g}"}

    @property
    def env_file(self) -> Path:
        return self.folder / ".env"

    def urls(self) -> tuple[PostgresURL, PostgresURL]:
        """The pair in ``.env``."""
        found = envfile.read(self.env_file)
        return PostgresURL.parse(found["DATABASE_URL"]), PostgresURL.parse(found["DIRECT_URL"])

    def spoil(self, place: Place, fault: str) -> None:
        """From now on the fault is there, for new connections."""
        proxy = self.places[place]
        later = ("server", 150 if place == "API" else self._length_of_a_login(place) + 20)
        if fault == "refused":
            proxy.refuse()
        elif fault == "lost":
            proxy.vanish()
        elif fault == "silent":
            proxy.mode = "blackhole"
        elif fault == "goes silent":
            proxy.silent_after = later
        elif fault == "hangs up":
            proxy.mode = "reset"
        elif fault == "hangs up in the login":
            proxy.reset_after = ("client", 40) if place == "API" else ("server", 1)
        elif fault == "hangs up later":
            proxy.reset_after = later
        else:
            assert fault == "slow"
            proxy.latency = 0.1

    def heal(self) -> None:
        """Everything works again, and no connection is open."""
        for proxy in self.places.values():
            proxy.mode, proxy.latency = "forward", 0.0
            proxy.reset_after = proxy.silent_after = None
            proxy.cut()
            proxy.listen()

    def _length_of_a_login(self, place: Place) -> int:
        """Bytes that a server sends until a client is in."""
        if place not in self._logins:
            proxy, url = self.places[place], self.urls()[place == "direct"]
            before = proxy.passed["server"]
            drivers.connect(url).close()
            self._logins[place] = proxy.passed["server"] - before
        return self._logins[place]

    def complaints(self, done: Done, before: bytes) -> list[str]:
        """What is wrong with how a program ended, and with what it left behind.

        Args:
            before: what ``.env`` held.
        """
        found = []
        if done.status not in (0, 1, 2):
            found.append(f"exit status {done.status}")
        if "Traceback" in done.out + done.err:
            found.append("a traceback")
        if not _is_one_document(done.out):
            found.append(f"standard output is no JSON document: {done.out!r}")
        deadline = time.monotonic() + 15  # a loaded machine takes its time to see them closed
        while any(proxy.open for proxy in self.places.values()) and time.monotonic() < deadline:
            time.sleep(0.02)
        found += [f"{name}: open" for name, proxy in self.places.items() if proxy.open]
        if [path.name for path in self.folder.glob(".env?*")]:
            found.append("a temporary file")
        self.heal()
        if self.env_file.exists() and self.env_file.read_bytes() != before:
            for url in self.urls():
                drivers.connect(url).close()
        return found

    def under_way(self) -> bool:
        """Whether the journal, which lies in the home folder of the programs, has something."""
        home = {name: self.environ[name] for name in ("HOME", "XDG_STATE_HOME")}
        with _ENVIRON, mock.patch.dict(os.environ, home):
            return bool(Journal(self.env_file).entries())

    def forget(self) -> None:
        """Drops what is cached of the API's answers."""
        shutil.rmtree(self.environ["XDG_CACHE_HOME"], ignore_errors=True)


def _is_one_document(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False


def in_a_process(arguments: list[str], folder: Path, environ: Mapping[str, str]) -> Done:
    """Runs ``ppg-connect`` as a user does."""
    return run([sys.executable, "-m", "ppg_integrations", *arguments], folder, environ)


def run(argv: list[str], folder: Path, environ: Mapping[str, str]) -> Done:
    """Runs a program; one that does not end by itself is a failure."""
    done = subprocess.run(
        argv,
        cwd=folder,
        env=dict(environ),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )
    return Done(done.returncode, done.stdout, done.stderr)
