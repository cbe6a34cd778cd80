"""Real databases and real logins for the doubles to hand out, on the embedded servers."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from ppg_integrations.drivers import Connection
from ppg_integrations.errors import QueryError
from ppg_integrations.providers.local.scram import verifier
from ppg_integrations.providers.local.servers import LocalServers
from ppg_integrations.urls import PostgresURL


class Login(NamedTuple):
    """A role that may log in to `database`. Names are PostgreSQL's, of any characters."""

    role: str
    password: str
    database: str


class URLs(NamedTuple):
    """The two ways in for a login."""

    pooled: PostgresURL
    direct: PostgresURL


class Accounts:
    """Databases and logins on `servers`. ``with`` drops at its end whatever was made.

    Names that it chooses are unique, so that tests run beside each other on the same servers. What
    is revoked here is refused at both endpoints from the moment the method returns:

    - PostgreSQL looks at a role for each login, and sessions that are open are ended;
    - PgBouncer asks PostgreSQL for the verifier (``auth_query``) at each login of a client, so it
      needs no word from us. A client that had logged in before keeps its place there, and its next
      query waits in vain: the server connections are gone, and no new one can be opened. Do not
      send one: PgBouncer lets it wait for two minutes.
    """

    def __init__(self, servers: LocalServers) -> None:
        self._servers = servers
        self._lock = threading.RLock()  # a double answers several requests at once
        self._logins: dict[str, Login] = {}
        self._databases: dict[str, str] = {}  # each with its owner
        self._owners: set[str] = set()  # made along with a database
        self._free: list[str] = []

    def __enter__(self) -> Accounts:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # Databases.

    def database(self, name: str = "", *, owner: str = "") -> str:
        """Makes a database.

        Args:
            name: must be a new one; unique by default.
            owner: a role that exists; by default a role that cannot log in is made for it.

        Returns:
            Its name.
        """
        name = name or f"t_{secrets.token_hex(6)}"
        with self._session() as connection:
            if not owner:
                owner = f"{name[:50]}_owner"
                connection.execute(f"CREATE ROLE {quoted(owner)} NOLOGIN")
                self._owners.add(owner)
            connection.execute(f"CREATE DATABASE {quoted(name)} OWNER {quoted(owner)}")
            self._databases[name] = owner
        return name

    def copy(self, source: str, name: str = "", *, owner: str = "") -> str:
        """Makes a database with the contents of another, whose sessions end for it.

        Args:
            source: a database that was made here.
            name: must be a new one; unique by default.
            owner: a role that exists; that of `source` by default.

        Returns:
            Its name.
        """
        name = name or f"t_{secrets.token_hex(6)}"
        with self._session() as connection:
            owner = owner or self._databases[source]
            connection.execute(f"ALTER DATABASE {quoted(source)} ALLOW_CONNECTIONS false")
            try:
                _disconnect(connection, "datname", source)
                connection.execute(
                    f"CREATE DATABASE {quoted(name)} TEMPLATE {quoted(source)}"
                    f" OWNER {quoted(owner)}"
                )
            finally:
                connection.execute(f"ALTER DATABASE {quoted(source)} ALLOW_CONNECTIONS true")
            self._databases[name] = owner
        return name

    def borrow(self) -> str:
        """A database that nobody else uses now; making and dropping one takes a tenth of a second.

        Returns:
            Its name. What an earlier borrower left in it is still there.
        """
        with self._lock:
            return self._free.pop() if self._free else self.database()

    def give_back(self, name: str) -> None:
        """Ends a :meth:`borrow`, and drops the logins of that database."""
        for login in self.logins():
            if login.database == name:
                self.drop_login(login.role)
        with self._lock:
            self._free.append(name)

    def databases(self) -> tuple[str, ...]:
        """Those that were made here and are still there."""
        with self._lock:
            return tuple(self._databases)

    def owner(self, database: str) -> str:
        with self._lock:
            return self._databases[database]

    def drop_database(self, name: str) -> None:
        """Drops a database, whoever is connected, and the owner that was made along with it."""
        with self._session() as connection:
            self._drop_database(connection, name)

    # Logins.

    def login(
        self, database: str, *, role: str = "", password: str = "", acts: bool = True
    ) -> Login:
        """Makes a role that may log in to `database`.

        Args:
            database: one that was made here, or ``postgres``.
            role, password: random by default. A role is of the whole server: another database
                needs another one.
            acts: as the owner of the database, from the start of each session; False for a role
                that owns nothing.
        """
        login = Login(
            role or f"r_{secrets.token_hex(8)}",
            password or secrets.token_urlsafe(24),
            database,
        )
        with self._session() as connection:
            self._create(connection, login)
            owner = self._databases.get(database)
            if acts and owner is not None and owner != login.role:
                name, group = quoted(login.role), quoted(owner)
                connection.execute(f"GRANT {group} TO {name}")
                connection.execute(f"ALTER ROLE {name} SET role TO {group}")
        return login

    def owning_login(self, database: str = "", *, role: str = "", password: str = "") -> Login:
        """Makes a role that may log in, and a database that it owns itself."""
        login = Login(
            role or f"r_{secrets.token_hex(8)}",
            password or secrets.token_urlsafe(24),
            database or f"t_{secrets.token_hex(6)}",
        )
        with self._session() as connection:
            self._create(connection, login)
        self.database(login.database, owner=login.role)
        return login

    def logins(self) -> tuple[Login, ...]:
        """Those that were made here and are still there."""
        with self._lock:
            return tuple(self._logins.values())

    def urls(self, login: Login, *, database: str = "") -> URLs:
        """The two URLs of a login; they work until it is revoked.

        Args:
            database: another one than the login's own.
        """
        status = self._servers.status()
        assert status.postgres is not None and status.pooler is not None
        direct = PostgresURL.build(
            host="127.0.0.1",
            port=status.postgres.port,
            user=login.role,
            password=login.password,
            database=database or login.database,
            params={"sslmode": "require"},
        )
        return URLs(direct.replace(host="127.0.0.1", port=status.pooler.port), direct)

    def set_password(self, role: str, password: str = "") -> Login:
        """Gives a role another password, random by default; sessions with the old one end."""
        with self._session() as connection:
            old = self._logins[role]
            login = old._replace(password=password or secrets.token_urlsafe(24))
            connection.execute(f"ALTER ROLE {quoted(role)} PASSWORD '{verifier(login.password)}'")
            _disconnect(connection, "usename", role)
            self._logins[role] = login
        return login

    def drop_login(self, role: str, *, heir: str = "") -> None:
        """Drops a role and ends its sessions.

        Args:
            heir: gets what the role owns; by default the owner of its database, or the superuser
                where that is the role itself.
        """
        with self._session() as connection:
            login = self._logins[role]
            self._shut(connection, role)
            heir = heir or self._databases.get(login.database, role)
            if heir == role:
                heir = connection.fetch("SELECT current_user")[0][0]
            for database, owner in self._databases.items():
                if owner == role:
                    connection.execute(f"ALTER DATABASE {quoted(database)} OWNER TO {quoted(heir)}")
                    self._databases[database] = heir
            self._drop_role(connection, role, heir)

    def close(self) -> None:
        """Drops everything that was made here."""
        if not self._logins and not self._databases:
            return
        with self._session() as connection:
            for role in self._logins:
                self._shut(connection, role)
            for database in list(self._databases):
                self._drop_database(connection, database)
            for role in list(self._logins):
                self._drop_role(connection, role, "")

    # How.

    @contextmanager
    def _session(self) -> Iterator[Connection]:
        """A connection as the superuser, while nobody else changes the accounts."""
        with self._lock, self._servers.connect() as connection:
            yield connection

    def _create(self, connection: Connection, login: Login) -> None:
        assert len(login.role.encode()) < 64, "PostgreSQL would cut the name short"
        connection.execute(
            f"CREATE ROLE {quoted(login.role)} LOGIN PASSWORD '{verifier(login.password)}'"
        )
        self._logins[login.role] = login

    def _shut(self, connection: Connection, role: str) -> None:
        # NOLOGIN first: PgBouncer would at once open again what is only disconnected
        connection.execute(f"ALTER ROLE {quoted(role)} NOLOGIN")
        _disconnect(connection, "usename", role)

    def _drop_role(self, connection: Connection, role: str, heir: str) -> None:
        try:
            connection.execute(f"DROP ROLE {quoted(role)}")
        except QueryError as error:
            if error.sqlstate != "2BP01":  # dependent_objects_still_exist
                raise
            # What a role owns, and what was granted to it, lies in each database by itself.
            for database in self._databases:
                with self._servers.connect(database) as inside:
                    if heir:
                        inside.execute(f"REASSIGN OWNED BY {quoted(role)} TO {quoted(heir)}")
                    inside.execute(f"DROP OWNED BY {quoted(role)}")
            connection.execute(f"DROP ROLE {quoted(role)}")
        del self._logins[role]

    def _drop_database(self, connection: Connection, name: str) -> None:
        connection.execute(f"DROP DATABASE IF EXISTS {quoted(name)} WITH (FORCE)")
        owner = self._databases.pop(name)
        if owner in self._owners and owner not in self._databases.values():
            connection.execute(f"DROP ROLE {quoted(owner)}")
            self._owners.remove(owner)


def quoted(name: str) -> str:
    """`name` as an identifier of SQL, whatever characters it has."""
    return '"' + name.replace('"', '""') + '"'


def _disconnect(connection: Connection, column: str, name: str) -> None:
    """Ends the sessions of a role (``usename``) or a database (``datname``), and waits for it."""
    where = f"{column} = %s AND pid <> pg_backend_pid()"
    connection.execute(
        f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE {where}", (name,)
    )
