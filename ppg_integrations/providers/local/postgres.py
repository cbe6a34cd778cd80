"""The embedded PostgreSQL: its data folder, its configuration, its process."""

from __future__ import annotations

import contextlib
import secrets
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ...errors import LocalServerError
from . import account as accounts
from . import ports, processes
from .private import write_private

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .account import Account
    from .certificates import Certificate
    from .programs import Install

ADMIN: Final = "ppg_admin"
_STOP: Final = ((signal.SIGINT, 20.0), (signal.SIGQUIT, 5.0))  # fast, then immediate
_START_SECONDS: Final = 120.0  # a crash may leave much to recover
_ORPHANS_SECONDS: Final = 10.0  # they look for their parent at least every few seconds
_BIND_FAILURES: Final = ("could not bind", "could not create any TCP/IP sockets")
#: separates the fields of a log line; counters read them
LOG_PREFIX: Final = "%m|%p|%u|%d|%r|"


class PortTaken(Exception):  # noqa: N818 - not an error, but a turn to take
    """Somebody else took the port between our look at it and the server's start."""


@dataclass(frozen=True)
class Running:
    pid: int
    port: int
    ready: bool


class Postgres:
    """One PostgreSQL on one data folder.

    Args:
        folder: the servers' folder; data are in ``data`` below it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.log = folder / "postgres.log"
        self.program = processes.Program("postgres", str(self.data))

    def major(self) -> str:
        """The major version that made the data; empty where there are none."""
        try:
            return (self.data / "PG_VERSION").read_text(encoding="ascii").strip()
        except OSError:
            return ""

    def running(self) -> Running | None:
        """The server on our data folder, whoever started it; stale pid files fool nobody."""
        try:
            lines = (self.data / "postmaster.pid").read_text(encoding="utf-8").splitlines()
            pid = int(lines[0])
        except (OSError, ValueError, IndexError):
            return None
        if not processes.is_running(pid, self.program):
            return None
        # lines: pid, data folder, start time, port, socket folder, address, shared memory, status
        port = int(lines[3]) if len(lines) > 3 and lines[3].isdecimal() else 0
        return Running(pid, port, ready=len(lines) > 7 and lines[7].strip() == "ready")

    def initialise(
        self, install: Install, account: Account, password: str, *, sync: bool = True
    ) -> None:
        """Makes the data folder, under another name until it is complete.

        Args:
            password: of the superuser :data:`ADMIN`.
            sync: wait until it is on the disk.

        Raises:
            LocalServerError: initdb failed; what it had made is gone.
        """
        for leftover in self.folder.glob("data.new-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        temporary = self.folder / f"data.new-{secrets.token_hex(4)}"
        pwfile = self.folder / f".pwfile-{secrets.token_hex(4)}"
        environ = accounts.environ(self.folder, libraries=install.libraries)
        argv = [
            str(install.bin / "initdb"),
            f"--pgdata={temporary}",
            f"--username={ADMIN}",
            f"--pwfile={pwfile}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            *([] if sync else ["--no-sync"]),
        ]
        try:
            write_private(pwfile, password + "\n", account)
            answer = account.run([*argv, "--locale=C.UTF-8"], environ=environ, seconds=120)
            if answer.returncode and "invalid locale name" in answer.stderr:
                # macOS before 15 and bare images have no C.UTF-8
                answer = account.run([*argv, "--no-locale"], environ=environ, seconds=120)
            if answer.returncode:
                reason = processes.tell_tale(answer.stderr or answer.stdout)
                raise LocalServerError(
                    f"initdb could not make the data folder in {self.folder}: {reason}",
                    hint="Free some disk space and start again."
                    if "No space left" in reason
                    else "",
                )
            conf = temporary / "postgresql.conf"
            with conf.open("a", encoding="utf-8") as file:
                file.write("\ninclude 'ppg.conf'\n")
            write_private(temporary / "ppg.conf", "", account)
            temporary.rename(self.data)
        except subprocess.TimeoutExpired:
            raise LocalServerError("initdb took longer than 120 s") from None
        finally:
            with contextlib.suppress(FileNotFoundError):
                pwfile.unlink()
            shutil.rmtree(temporary, ignore_errors=True)

    def supports_tls(self, install: Install, account: Account) -> bool:
        """Was it built with TLS? It says so only when asked to use it."""
        environ = accounts.environ(self.folder, libraries=install.libraries)
        argv = [str(install.program), "-D", str(self.data), "-c", "ssl=on", "-C", "ssl"]
        argv += ["-c", f"config_file={self.data / 'postgresql.conf'}"]
        return account.run(argv, environ=environ).returncode == 0

    def configure(
        self,
        account: Account,
        port: int,
        certificate: Certificate | None,
        settings: Mapping[str, str],
    ) -> None:
        """Writes what we say about this server: all of it, at every start."""
        values = {
            "listen_addresses": ports.LOOPBACK,
            "port": str(port),
            "unix_socket_directories": "",
            "password_encryption": "scram-sha-256",
            "ssl": "on" if certificate else "off",
            "log_destination": "stderr",
            "logging_collector": "off",
            "log_connections": "on",
            "log_line_prefix": LOG_PREFIX,
            "lc_messages": "C",
        }
        if certificate:
            values |= {
                "ssl_ca_file": str(certificate.authority),
                "ssl_cert_file": str(certificate.certificate),
                "ssl_key_file": str(certificate.key),
            }
        lines = [f"{key} = {_quoted(value)}\n" for key, value in {**values, **settings}.items()]
        write_private(self.data / "ppg.conf", "".join(lines), account)
        kind = "hostssl" if certificate else "host"
        rules = f"{kind} all all {ports.LOOPBACK}/32 scram-sha-256\n"
        write_private(self.data / "pg_hba.conf", rules, account)

    def start(self, install: Install, account: Account) -> int:
        """Starts the server, waits until it takes connections, and returns its process id.

        Raises:
            PortTaken: its port is not free any more.
            LocalServerError: it does not come up, with the reason from its log.
        """
        self._clear_the_way()
        environ = accounts.environ(self.folder, libraries=install.libraries)
        size = self.log.stat().st_size if self.log.exists() else 0
        argv = [str(install.program), "-D", str(self.data)]
        pid = processes.spawn(account, argv, log=self.log, folder=self.folder, environ=environ)
        if self.wait(pid):
            return pid
        output = _tail(self.log, size)
        if any(text in output for text in _BIND_FAILURES):
            raise PortTaken
        raise LocalServerError(
            f"PostgreSQL does not start: {processes.tell_tale(output)}",
            hint=f"The whole story is in {self.log}",
        )

    def wait(self, pid: int) -> bool:
        """Waits until the server takes connections; False when it ends instead.

        Raises:
            LocalServerError: it takes too long, and is stopped.
        """
        deadline = time.monotonic() + _START_SECONDS
        while processes.is_running(pid, self.program):
            running = self.running()
            if running and running.pid == pid and running.ready:
                return True
            if time.monotonic() > deadline:
                processes.end(pid, self.program, _STOP)
                raise LocalServerError(
                    f"PostgreSQL did not get ready within {_START_SECONDS:.0f} s: "
                    f"{processes.last_lines(self.log)}"
                )
            time.sleep(0.02)
        return False

    def stop(self) -> bool:
        """Stops it, if it runs; True if it did.

        Raises:
            LocalServerError: it does not end.
        """
        running = self.running()
        if running is None:
            return False
        processes.end(running.pid, self.program, _STOP)
        return True

    def _clear_the_way(self) -> None:
        """Waits for what a killed server left running, and takes its pid file away.

        PostgreSQL looks only whether the number in the file exists. It would refuse to start where
        another program has it by now, or where nobody has reaped the zombie, as in a container
        whose first process is no init.

        Raises:
            LocalServerError: sessions of the killed server do not end.
        """
        deadline = time.monotonic() + _ORPHANS_SECONDS
        while processes.working_in(self.data):
            if time.monotonic() > deadline:
                pids = " ".join(map(str, processes.working_in(self.data)))
                raise LocalServerError(
                    f"processes of a killed PostgreSQL still use its data: {pids}",
                    hint=f"Try: kill {pids}",
                )
            time.sleep(0.02)
        (self.data / "postmaster.pid").unlink(missing_ok=True)


def _quoted(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"


def _tail(log: Path, start: int) -> str:
    try:
        with log.open("rb") as file:
            file.seek(start)
            return file.read().decode(errors="replace")
    except OSError:
        return ""
