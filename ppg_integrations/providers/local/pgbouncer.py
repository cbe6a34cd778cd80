"""The embedded PgBouncer: its configuration and its process."""

from __future__ import annotations

import re
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from ...errors import LocalServerError
from . import account as accounts
from . import ports, processes
from .pgbouncer_binary import number
from .postgres import PortTaken
from .private import write_private

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .account import Account
    from .certificates import Certificate
    from .programs import Install

#: reads other roles' verifiers (``auth_query``), so that a new role needs no restart
AUTH_USER: Final = "ppg_pooler"
#: may ask PgBouncer's console for its statistics, and change its settings
STATS_USER: Final = "ppg_stats"
PoolMode = Literal["transaction", "session", "statement"]
_START_SECONDS: Final = 20.0
# Surrogates stand for what is not UTF-8 in a path.
_NOT_IN_A_LINE: Final = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


class Pool(NamedTuple):
    """How PgBouncer pools. Connections are counted for each pair of database and role."""

    mode: PoolMode = "transaction"
    default_size: int = 20
    max_clients: int = 500
    settings: Mapping[str, str] = {}  # more lines for pgbouncer.ini, which win


class PgBouncer:
    """One PgBouncer.

    Args:
        folder: for its configuration, pid file and log; it belongs to the servers' account.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ini = folder / "pgbouncer.ini"
        self.log = folder / "pgbouncer.log"
        self.pidfile = folder / "pgbouncer.pid"
        self.program = processes.Program("pgbouncer", str(self.ini))

    def running(self) -> int:
        """Its process id, or 0."""
        try:
            pid = int(self.pidfile.read_text(encoding="ascii"))
        except (OSError, ValueError):
            return 0
        return pid if processes.is_running(pid, self.program) else 0

    def configure(
        self,
        account: Account,
        version: str,
        pool: Pool,
        *,
        port: int,
        postgres_port: int,
        passwords: Mapping[str, str],
        certificate: Certificate | None,
    ) -> bool:
        """Writes its configuration; True if that changed anything.

        Args:
            version: what ``pgbouncer --version`` says.
            passwords: of the roles behind the keys ``pooler`` and ``stats``.
        """
        userlist = self.folder / "userlist.txt"
        values = {
            "listen_addr": ports.LOOPBACK,
            "listen_port": str(port),
            "unix_socket_dir": "",
            "pidfile": str(self.pidfile),
            "auth_type": "scram-sha-256",
            "auth_file": str(userlist),
            "auth_user": AUTH_USER,
            "auth_query": "SELECT rolname, rolpassword FROM pg_catalog.pg_authid"
            " WHERE rolname = $1 AND rolcanlogin",
            "admin_users": STATS_USER,
            "pool_mode": pool.mode,
            "default_pool_size": str(pool.default_size),
            "max_client_conn": str(pool.max_clients),
            "log_connections": "1",
            "log_disconnections": "1",
            "log_pooler_errors": "1",
            "log_stats": "0",
            # after a crash of PostgreSQL: seconds until it is tried again, 15 by default
            "server_login_retry": "1",
            # a database's counters live as long as its entry: an hour by default
            "autodb_idle_timeout": "31536000",
            # drivers send it, and PostgreSQL's own default is what everybody wants
            "ignore_startup_parameters": "extra_float_digits",
        }
        if number(version) >= (1, 21):
            values["max_prepared_statements"] = "200"
        if number(version) >= (1, 19):
            values["auth_dbname"] = "postgres"
        if certificate:
            values |= {
                "client_tls_sslmode": "require",
                "client_tls_key_file": str(certificate.key),
                "client_tls_cert_file": str(certificate.certificate),
                "server_tls_sslmode": "verify-ca",
                "server_tls_ca_file": str(certificate.authority),
            }
        values |= dict(pool.settings)
        _check_lines(values)
        text = f"[databases]\n* = host={ports.LOOPBACK} port={postgres_port}\n\n[pgbouncer]\n"
        text += "".join(f"{key} = {value}\n" for key, value in values.items())
        users = "".join(
            f'"{role}" "{passwords[key]}"\n'
            for role, key in ((AUTH_USER, "pooler"), (STATS_USER, "stats"))
        )
        changed = _replace(userlist, users, account)
        return _replace(self.ini, text, account) or changed

    def start(self, install: Install, account: Account, port: int) -> int:
        """Starts it, waits until it takes connections, and returns its process id.

        Raises:
            PortTaken: its port is not free any more.
            LocalServerError: it does not come up, with the reason from its log.
        """
        # Ours does not run; PgBouncer itself would stop at any live process of that number.
        self.pidfile.unlink(missing_ok=True)
        environ = accounts.environ(self.folder, libraries=install.libraries)
        size = self.log.stat().st_size if self.log.exists() else 0
        argv = [str(install.program), str(self.ini)]
        pid = processes.spawn(account, argv, log=self.log, folder=self.folder, environ=environ)
        deadline = time.monotonic() + _START_SECONDS
        while processes.is_running(pid, self.program):
            if self.running() == pid and ports.accepts(port):
                return pid
            if time.monotonic() > deadline:
                self._end(pid)
                raise LocalServerError(
                    f"PgBouncer did not get ready within {_START_SECONDS:.0f} s: "
                    f"{processes.last_lines(self.log)}"
                )
            time.sleep(0.02)
        output = self.log.read_bytes()[size:].decode(errors="replace")
        if "Address already in use" in output or "cannot bind" in output:
            raise PortTaken
        raise LocalServerError(
            f"PgBouncer does not start: {processes.tell_tale(output)}",
            hint=f"The whole story is in {self.log}",
        )

    def stop(self) -> bool:
        """Stops it, if it runs; True if it did."""
        pid = self.running()
        if not pid:
            return False
        self._end(pid)
        return True

    def _end(self, pid: int) -> None:
        # From 1.23 on SIGTERM waits for the clients to leave, and a second one does not. SIGKILL
        # costs nothing: it keeps nothing.
        steps = ((signal.SIGTERM, 0.3), (signal.SIGTERM, 2.0), (signal.SIGKILL, 5.0))
        processes.end(pid, self.program, steps)
        self.pidfile.unlink(missing_ok=True)


def _check_lines(values: Mapping[str, str]) -> None:
    """PgBouncer has no quotes for a value: whatever would be a second line is another setting."""
    for key, value in values.items():
        if _NOT_IN_A_LINE.search(f"{key}{value}"):
            raise LocalServerError(
                f"PgBouncer cannot be given {key} = {value!r:.200}: a line has no such character",
                hint="Is it in the name of the project's folder? Then rename that.",
            )


def _replace(path: Path, text: str, account: Account) -> bool:
    try:
        if path.read_text(encoding="utf-8") == text:
            return False
    except FileNotFoundError:
        pass
    write_private(path, text, account)
    return True
