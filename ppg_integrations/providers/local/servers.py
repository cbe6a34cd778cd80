"""The embedded PostgreSQL and its PgBouncer as one thing to start, to ask and to stop."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from ...drivers import connect
from ...errors import LocalServerError
from ...urls import PostgresURL
from ..base import Generated, Progress, silent
from . import account as accounts
from . import addresses, clients, ports, roles, startup
from .counters import Counters, count, transactions_of
from .files import Store, explained, refuse_links
from .pgbouncer import STATS_USER, PgBouncer, Pool
from .postgres import ADMIN, Postgres
from .status import LocalStatus, ServerStatus, describe

if TYPE_CHECKING:
    from ...drivers import Connection

_LOCK_SECONDS: Final = 300.0


class LocalServers:
    """A PostgreSQL of the project's own, with a PgBouncer in front of it.

    Safe to use from several processes at once. Nothing is touched before :meth:`start`.

    Args:
        folder: where it lives, as a rule ``.ppg/local`` in the project.
        settings: more lines for ``postgresql.conf``; they hold from the next start on.
        pool: how PgBouncer pools; it holds from the next :meth:`start` on.
        environ: the process's own by default.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        settings: Mapping[str, str] = MappingProxyType({}),
        pool: Pool | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self._given = Path(os.path.abspath(folder))
        # resolved: processes are recognised by it, whichever way the folder was reached
        self.folder = Path(os.path.realpath(folder))
        self._settings = dict(settings)
        self._pool = pool or Pool()
        self._environ = os.environ if environ is None else environ
        self._store = Store(self.folder)

    def start(self, *, progress: Progress | None = None, look_again: bool = False) -> LocalStatus:
        """Starts what does not run; does nothing else if everything does.

        Args:
            progress: is told about each step that may take over half a second.
            look_again: look for a pooler, and fetch one if need be, even if PostgreSQL was started
                without and still runs.

        Raises:
            LocalServerError: no PostgreSQL to be found, or it does not start; says why.
        """
        refuse_links(self._given)
        account = accounts.choose(self._store.runner())
        self._store.prepare(account)
        wish = startup.Wish(
            self._settings, self._pool, self._environ, progress or silent, look_again
        )
        with self._locked(wish.progress):
            return startup.start(wish, self._store, account)

    def stop(self) -> bool:
        """Stops both servers; data and ports are kept. True if one of them was running.

        Raises:
            LocalServerError: one does not end, or belongs to another user.
        """
        if not self.folder.is_dir():
            return False
        with self._locked():
            folder = self._server_folder()
            stopped = PgBouncer(folder).stop()
            return Postgres(folder).stop() or stopped

    def status(self) -> LocalStatus:
        """What there is, without a change to anything.

        Raises:
            LocalServerError: the folder cannot be read.
        """
        with explained(self.folder):
            return describe(self._store, self._store.state())

    def generate(
        self,
        name: str = "",
        *,
        database: str = "",
        progress: Progress | None = None,
        announce: Callable[[str], None] | None = None,
    ) -> Generated:
        """A new login role with a random password, on servers that are started if need be.

        All roles of one database act as its owner: each may change what another made.

        Args:
            name: a label, which becomes part of the role's name.
            database: made if it does not exist; named after the project's folder by default.
            announce: called with the role's name, right before it is made.

        Raises:
            LocalServerError: the servers do not start, or the database cannot be one of ours.
        """
        database, renamed = roles.database_name(database, self.project)
        status = self.start(progress=progress)
        with self._locked(), self.connect() as connection:
            login = roles.generate(connection, database, name, announce)
        return self._generated(login, name, status, renamed)

    def logins(self) -> dict[str, str]:
        """The roles that :meth:`generate` made, oldest first, each with its database.

        Raises:
            LocalServerError: PostgreSQL does not run.
        """
        with self.connect() as connection:
            return roles.databases(connection)

    def renew(self, role: str) -> Generated:
        """A new password for a role that :meth:`generate` made; the old one ends, and its sessions.

        Raises:
            LocalServerError: PostgreSQL does not run, or there is no such role.
        """
        status = self.status()
        with self._locked(), self.connect() as connection:
            database = _database_of(connection, role)
            login = roles.Login(role, roles.renew(connection, role), database)
        return self._generated(login, "", status, ())

    def revoke(self, role: str) -> bool:
        """Ends a role that :meth:`generate` made, with its sessions.

        Returns:
            False where it stays as a name without a login; see :func:`roles.drop`.

        Raises:
            LocalServerError: PostgreSQL does not run, or there is no such role.
        """
        with self._locked(), self.connect() as connection:
            database = _database_of(connection, role)
            password = roles.shut_out(connection, role)
            with self._console() as console, self.connect(database) as inside:
                if console is not None:
                    clients.refuse(console, console.url.replace(user=role, password=password))
                return roles.drop(connection, inside, role, database)

    def current(self, urls: Sequence[tuple[PostgresURL, bool]]) -> list[PostgresURL]:
        """URLs of our roles, as they have to be now that PostgreSQL runs; others as they are.

        Args:
            urls: each with whether it is a pooled one.

        Raises:
            LocalServerError: PostgreSQL does not run.
        """
        if not any(addresses.may_be_ours(url) for url, _ in urls):
            return [url for url, _ in urls]
        with self.connect() as connection:
            logins = roles.logins(connection)
        state = self._store.state()
        return [addresses.current(url, pooled, state, logins) for url, pooled in urls]

    def drop(self, database: str) -> None:
        """Drops a database that :meth:`generate` made, with all its roles and connections."""
        with self._locked(), self.connect() as connection:
            roles.drop_database(connection, database)

    def connect(self, database: str = "postgres") -> Connection:
        """A direct connection as the superuser; counters leave it out.

        Raises:
            LocalServerError: PostgreSQL does not run.
        """
        postgres = self.status().postgres
        if postgres is None or postgres.pid is None:
            raise LocalServerError(
                "the embedded PostgreSQL does not run", hint="The verb `local start` starts it."
            )
        url = self._url(postgres, ADMIN, self._store.passwords()["admin"], database)
        return connect(url, application_name="ppg local")

    def counters(self, database: str | None = None) -> Counters:
        """What the servers counted, of one database or of all.

        Raises:
            LocalServerError: the servers do not run.
        """
        transactions: dict[str, int] = {}
        with self._console() as console:
            if console is not None:
                transactions = transactions_of(console.fetch("SHOW STATS_TOTALS"))
        return count(self._server_folder(), transactions, database)

    def erase(self) -> None:
        """Stops the servers and deletes everything they kept, wherever it lies."""
        self.stop()
        if not self.folder.is_dir():
            return
        with self._locked():
            shutil.rmtree(self._server_folder(), ignore_errors=True)
        shutil.rmtree(self.folder)
        root = self.folder.parent
        if root.name == ".ppg" and [path.name for path in root.iterdir()] == [".gitignore"]:
            shutil.rmtree(root)

    @property
    def project(self) -> str:
        """Name of the project's folder."""
        inside = self.folder.parent.name == ".ppg"
        return (self.folder.parent.parent if inside else self.folder.parent).name

    def _server_folder(self) -> Path:
        return self._store.server_folder(self._store.state())

    @contextmanager
    def _console(self) -> Iterator[Connection | None]:
        """PgBouncer's own database, which takes no comments; None where there is no pooler."""
        status = self.status()
        if status.pooler is None or status.pooler.pid is None:
            yield None
            return
        password = self._store.passwords()["stats"]
        url = self._url(status.pooler, STATS_USER, password, "pgbouncer")
        with connect(url, application_name="") as console:
            yield console

    def _generated(
        self, login: roles.Login, name: str, status: LocalStatus, notes: tuple[str, ...]
    ) -> Generated:
        direct = self._url(status.postgres, *login)
        pooled = direct
        if status.pooler is not None:
            pooled = direct.replace(host=ports.LOOPBACK, port=status.pooler.port)
        return Generated(login.role, name or login.role, pooled, direct, (*notes, *status.notes))

    def _url(
        self, server: ServerStatus | None, user: str, password: str, database: str
    ) -> PostgresURL:
        assert server is not None
        return PostgresURL.build(
            host=ports.LOOPBACK,
            port=server.port,
            user=user,
            password=password,
            database=database,
            params={"sslmode": "require" if self._store.state().tls else "prefer"},
        )

    @contextmanager
    def _locked(self, progress: Progress = silent) -> Iterator[None]:
        import filelock

        lock = filelock.FileLock(self._store.lock, mode=0o600)
        with explained(self.folder):
            try:
                try:
                    lock.acquire(timeout=0.5)
                except filelock.Timeout:
                    progress("waiting for another process that starts or stops the servers")
                    lock.acquire(timeout=_LOCK_SECONDS)
            except filelock.Timeout:
                raise LocalServerError(
                    f"another process has held {self._store.lock} for {_LOCK_SECONDS:.0f} s",
                    hint="Find and end the process that starts or stops the embedded servers.",
                ) from None
            try:
                yield
            finally:
                lock.release()


def _database_of(connection: Connection, role: str) -> str:
    database = roles.databases(connection).get(role)
    if database is None:
        raise LocalServerError(
            f"the embedded PostgreSQL has no connection {role!r:.80}",
            hint="The verb `list` shows those that there are.",
        )
    return database
