"""What a Prisma workspace holds, and how its API writes that down."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from ppg_integrations.urls import PostgresURL

from .accounts import Accounts, Login

REGIONS = {
    "us-east-1": "US East (N. Virginia)",
    "us-west-1": "US West (N. California)",
    "eu-west-3": "Europe (Paris)",
    "eu-central-1": "Europe (Frankfurt)",
    "ap-northeast-1": "Asia Pacific (Tokyo)",
    "ap-southeast-1": "Asia Pacific (Singapore)",
}
_SELF = "https://api.prisma.io/v1"


def _identity(prefix: str) -> str:
    return f"{prefix}_c{secrets.token_hex(12)}"


def _now() -> str:
    now = datetime.now(timezone.utc)
    return now.strftime("%Y-%m-%dT%H:%M:%S.") + f"{now.microsecond // 1000:03}Z"


@dataclass(eq=False)
class Connection:
    """`login` is None for one that a test put there without a way in."""

    database: Database
    name: str
    login: Login | None = None
    id: str = field(default_factory=lambda: _identity("con"))
    created_at: str = field(default_factory=_now)


@dataclass(eq=False)
class Database:
    """`polls` answers say `provisioning` before `status` is told; `real` is PostgreSQL's name."""

    project: Project
    name: str
    region: str
    is_default: bool = False
    status: str = "ready"
    polls: int = 0
    real: str = ""
    connections: list[Connection] = field(default_factory=list)
    id: str = field(default_factory=lambda: _identity("db"))
    created_at: str = field(default_factory=_now)

    @property
    def pending(self) -> bool:
        return self.polls > 0


@dataclass(eq=False)
class Project:
    name: str
    region: str | None
    databases: list[Database] = field(default_factory=list)
    id: str = field(default_factory=lambda: _identity("proj"))
    created_at: str = field(default_factory=_now)


class Workspace:
    """Projects, databases and connections; those with a login work for as long as they live.

    Attributes:
        polls: how many answers say that a database, which is made from now on, is provisioning.
        empty_database: URLs end with ``/``, as Prisma's own may; they mean ``postgres``.
        changed: members of fresh ``endpoints`` that take the place of the right ones; None leaves
            one out.
    """

    def __init__(self, accounts: Accounts) -> None:
        self.accounts = accounts
        self.id = _identity("wksp")
        self.name = "Acme"
        self.projects: list[Project] = []
        self.polls = 0
        self.empty_database = False
        self.changed: dict[str, Any] = {}

    # What is there.

    @property
    def databases(self) -> list[Database]:
        return [database for project in self.projects for database in project.databases]

    @property
    def connections(self) -> list[Connection]:
        return [each for database in self.databases for each in database.connections]

    # What is done to it. Tests call these too.

    def add_project(self, name: str, *, region: str | None = "us-east-1") -> Project:
        project = Project(name, region)
        self.projects.append(project)
        return project

    def add_database(
        self, project: Project, name: str, *, region: str = "us-east-1", default: bool = False
    ) -> Database:
        database = Database(project, name, region, default, polls=self.polls)
        project.databases.append(database)
        return database

    def add_connection(self, database: Database, name: str, *, works: bool = True) -> Connection:
        connection = Connection(database, name, self.login(database) if works else None)
        database.connections.append(connection)
        return connection

    def login(self, database: Database) -> Login:
        """A role as Prisma's are: hexadecimal digits, and a password that starts with ``sk_``."""
        if self.empty_database:
            name = "postgres"
        else:
            database.real = name = database.real or self.accounts.borrow()
        return self.accounts.login(
            name, role=secrets.token_hex(30), password=f"sk_{secrets.token_urlsafe(16)}"
        )

    def rotate(self, connection: Connection) -> None:
        old, connection.login = connection.login, self.login(connection.database)
        if old is not None:
            self.accounts.drop_login(old.role)

    def remove_connection(self, connection: Connection) -> None:
        connection.database.connections.remove(connection)
        if connection.login is not None:
            self.accounts.drop_login(connection.login.role)

    def remove_database(self, database: Database) -> None:
        for connection in list(database.connections):
            self.remove_connection(connection)
        if database.real:
            self.accounts.drop_database(database.real)
        database.project.databases.remove(database)

    def remove_project(self, project: Project) -> None:
        for database in list(project.databases):
            self.remove_database(database)
        self.projects.remove(project)

    def close(self) -> None:
        """Ends all credentials, and gives the databases back."""
        for connection in self.connections:
            if connection.login is not None and connection.login.database == "postgres":
                self.accounts.drop_login(connection.login.role)
        for database in self.databases:
            if database.real:
                self.accounts.give_back(database.real)

    # How the API writes it.

    def project_json(self, project: Project) -> dict[str, Any]:
        return {
            "id": project.id,
            "type": "project",
            "url": f"{_SELF}/projects/{project.id}",
            "name": project.name,
            "logicalId": None,
            "createdAt": project.created_at,
            "defaultRegion": project.region,
            "workspace": {
                "id": self.id,
                "url": f"{_SELF}/workspaces/{self.id}",
                "name": self.name,
            },
        }

    def created_project_json(self, project: Project) -> dict[str, Any]:
        database = None
        if project.databases:
            database = self.database_json(project.databases[0], fresh=True)
            del database["project"]
            database["apiKeys"] = []
            database["connectionString"] = _accelerate()["connectionString"]
            database["directConnection"] = None
        return self.project_json(project) | {"database": database}

    def database_json(self, database: Database, *, fresh: bool = False) -> dict[str, Any]:
        project = database.project
        return {
            "id": database.id,
            "type": "database",
            "url": f"{_SELF}/databases/{database.id}",
            "name": database.name,
            "status": "provisioning" if database.pending else database.status,
            "createdAt": database.created_at,
            "isDefault": database.is_default,
            "defaultConnectionId": database.connections[0].id if database.connections else None,
            "connections": [
                self.connection_json(each, fresh=fresh) for each in database.connections
            ],
            "project": {
                "id": project.id,
                "url": f"{_SELF}/projects/{project.id}",
                "name": project.name,
            },
            "region": {"id": database.region, "name": REGIONS[database.region]},
            "source": {"type": "empty"},
            "branchId": None,
            "logicalId": None,
        }

    def connection_json(self, connection: Connection, *, fresh: bool = False) -> dict[str, Any]:
        """Secrets are in it only when it is `fresh`."""
        database = connection.database
        body: dict[str, Any] = {
            "id": connection.id,
            "type": "connection",
            # a self link, which looks like a DSN to those who do not look twice
            "url": f"{_SELF}/connections/{connection.id}",
            "name": connection.name,
            "createdAt": connection.created_at,
            "kind": "postgres",
            "endpoints": self._endpoints(connection, fresh=fresh),
            "directConnection": None,
            "database": {
                "id": database.id,
                "url": f"{_SELF}/databases/{database.id}",
                "name": database.name,
            },
        }
        if fresh and connection.login is not None:
            login = connection.login
            parts = {"host": "127.0.0.1", "user": login.role, "pass": login.password}
            body |= parts
            body["directConnection"] = parts
            body["connectionString"] = _accelerate()["connectionString"]
        return body

    def _endpoints(self, connection: Connection, *, fresh: bool) -> dict[str, Any]:
        if connection.login is None:
            members: dict[str, Any] = {
                "direct": {"host": "db.prisma.io", "port": 5432},
                "pooled": {"host": "pooled.db.prisma.io", "port": 5432},
            }
        else:
            urls = self.accounts.urls(connection.login)
            members = {"direct": self._endpoint(urls.direct), "pooled": self._endpoint(urls.pooled)}
        members["accelerate"] = _accelerate()
        if fresh:
            members |= self.changed
        else:
            for member in members.values():
                member.pop("connectionString", None)
        return {name: member for name, member in members.items() if member is not None}

    def _endpoint(self, url: PostgresURL) -> dict[str, Any]:
        if self.empty_database:
            url = url.replace(database="")
        # Prisma's own spelling of the scheme
        text = url.reveal().replace("postgresql://", "postgres://", 1)
        return {"host": url.host, "port": url.port, "connectionString": text}


def _accelerate() -> dict[str, Any]:
    host = "accelerate.prisma-data.net"
    text = f"prisma+postgres://{host}/?api_key=ey{secrets.token_hex(16)}"
    return {"host": host, "port": 443, "connectionString": text}
