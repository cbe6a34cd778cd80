"""Prisma's management API, as its documentation describes it, over the embedded servers.

Strict: what the documentation does not name (a path, a method, a query parameter, a member of a
body, a default User-Agent) is refused.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from typing import Any

import flask
from flask.typing import ResponseReturnValue

from ppg_integrations.providers.local.servers import LocalServers

from .accounts import Accounts
from .base import Double, Refused
from .prisma_workspace import REGIONS, Connection, Database, Project, Workspace

# https://www.prisma.io/docs/management-api: the codes of the error bodies
_CODES = {
    400: "client-error",
    401: "authentication-failed",
    403: "permission-denied",
    404: "resource-not-found",
    422: "validation-error",
    429: "rate-limit-exceeded",
}
# Clients' own names, which Cloudflare answers with its error 1010.
_DEFAULT_AGENT = re.compile(r"python|httpx|urllib|requests|aiohttp", re.IGNORECASE)
_PREFIXED = {
    "projects": r"proj_\S+",
    "workspaces": r"wksp_\S+",
    "databases": r"(db_)?([cC][^\s-]{8,}|[a-z0-9]+)",
    "connections": r"(con_)?([cC][^\s-]{8,}|[a-z0-9]+)",
}
_MISSING = object()


class PrismaDouble(Double):
    """``https://api.prisma.io`` with one workspace and one service token.

    Args:
        home: of its databases; Accounts outlive it, and serve the next double.

    Attributes:
        workspace: what it holds; tests fill it.
        plan: name of the workspace's plan.
        blocked: the workspace has used up what its plan gives.
        most_databases: how many the plan allows; None for any number.
        operations, storage: what every database has used, in ops and GiB.
        anonymous: ``/v1/me`` names no workspace.
    """

    def __init__(self, home: LocalServers | Accounts) -> None:
        super().__init__()
        self.accounts = home if isinstance(home, Accounts) else Accounts(home)
        self._own = self.accounts is not home
        self.workspace = Workspace(self.accounts)
        self.plan = "Free"
        self.blocked = False
        self.most_databases: int | None = None
        self.operations = 12
        self.storage = 0.4
        self.anonymous = False
        for rule, method, view in (
            ("/me", "GET", self._me),
            ("/regions", "GET", self._regions),
            ("/regions/postgres", "GET", self._regions),
            ("/workspaces", "GET", self._workspaces),
            ("/workspaces/<id>", "GET", self._workspace),
            ("/workspaces/<id>/subscription", "GET", self._subscription),
            ("/projects", "GET", self._projects),
            ("/projects", "POST", self._make_project),
            ("/projects/<id>", "GET", self._project),
            ("/projects/<id>", "DELETE", self._delete_project),
            ("/projects/<id>/databases", "GET", self._databases),
            ("/projects/<id>/databases", "POST", self._make_database),
            ("/databases", "GET", self._databases),
            ("/databases", "POST", self._make_database),
            ("/databases/<id>", "GET", self._database),
            ("/databases/<id>", "DELETE", self._delete_database),
            ("/databases/<id>/usage", "GET", self._usage),
            ("/databases/<id>/connections", "GET", self._connections),
            ("/databases/<id>/connections", "POST", self._make_connection),
            ("/connections", "GET", self._connections),
            ("/connections", "POST", self._make_connection),
            ("/connections/<id>", "GET", self._connection),
            ("/connections/<id>", "DELETE", self._delete_connection),
            ("/connections/<id>/rotate", "POST", self._rotate),
        ):
            self.app.add_url_rule(
                f"/v1{rule}",
                f"{method} {rule}",
                self._locked(view),
                methods=[method],
                provide_automatic_options=False,
            )

    def __exit__(self, *error: object) -> None:
        try:
            super().__exit__(*error)
        finally:
            if self._own:
                self.accounts.close()
            else:
                self.workspace.close()

    # What tests use.

    def project(self, name: str = "shop", *databases: str) -> Project:
        """Adds a project; its first database is the default one. Nobody waits for them."""
        project = self.workspace.add_project(name)
        for index, database in enumerate(databases):
            made = self.workspace.add_database(project, database, default=index == 0)
            made.polls = 0
        return project

    # What all requests have in common.

    def _before(self) -> ResponseReturnValue | None:  # type: ignore[override]
        agent = flask.request.headers.get("User-Agent", "")
        if not agent or _DEFAULT_AGENT.match(agent):
            return "error code: 1010", 403, {"Content-Type": "text/plain"}
        self.authenticate()
        if flask.request.method not in ("GET", "POST", "DELETE"):  # Flask's own HEAD
            raise Refused(405, "Method Not Allowed")
        return None

    def error_body(self, status: int, message: str, more: Mapping[str, Any]) -> Any:
        error = {"code": _CODES.get(status, "internal-server-error"), "message": message}
        return {"error": error | more}

    def _locked(self, view: Callable[..., Any]) -> Callable[..., Any]:
        def locked(**parts: str) -> Any:
            with self.lock:
                return view(**parts)

        return locked

    # Who, what it costs, where.

    def _me(self) -> Any:
        _query()
        workspace = {"id": self.workspace.id, "name": self.workspace.name}
        return _data(
            {
                "user": None,
                "workspace": None if self.anonymous else workspace,
                "credential": {"type": "service_token", "id": None, "name": "tests"},
            }
        )

    def _regions(self) -> Any:
        everywhere = flask.request.path.endswith("/regions")
        wanted = _query(*(("product",) if everywhere else ())).get("product", "postgres")
        if wanted not in ("postgres", "accelerate"):
            raise Refused(400, "Invalid product")
        product = {"product": wanted} if everywhere else {}
        return _data(
            [
                {"id": id, "type": "region", "name": name, "status": "available", **product}
                for id, name in REGIONS.items()
            ]
        )

    def _workspaces(self) -> Any:
        return _page([self.workspace], lambda each: {"id": each.id, "name": each.name})

    def _workspace(self, id: str) -> Any:
        _query()
        self._check_workspace(id)
        return _data({"id": id, "type": "workspace", "name": self.workspace.name})

    def _subscription(self, id: str) -> Any:
        _query()
        self._check_workspace(id)
        url = "https://console.prisma.io/upgrade"
        return _data({"planName": self.plan, "usageBlocked": self.blocked, "upgradeUrl": url})

    def _check_workspace(self, id: str) -> None:
        _check("workspaces", id)
        if id != self.workspace.id:
            raise _not_found("workspaces")

    # Projects.

    def _projects(self) -> Any:
        query = _query("cursor", "limit", "logicalId")
        found = [] if "logicalId" in query else self.workspace.projects
        return _page(found, self.workspace.project_json)

    def _make_project(self) -> Any:
        _query()
        body = _body("createDatabase", "name", "region", "logicalId", "workspaceId")
        with_database = _member(body, "createDatabase", bool, default=True)
        name = _member(body, "name", str, default="My project")
        region = self._region(body, "us-east-1")
        if _member(body, "workspaceId", str, default=self.workspace.id) != self.workspace.id:
            raise _not_found("workspaces")
        if with_database:
            self._check_plan()
        project = self.workspace.add_project(name, region=region)
        if with_database:
            database = self.workspace.add_database(project, name, region=region, default=True)
            self.workspace.add_connection(database, "Default")
        return _data(self.workspace.created_project_json(project)), 201

    def _project(self, id: str) -> Any:
        _query()
        return _data(self.workspace.project_json(self._find_project(id)))

    def _delete_project(self, id: str) -> Any:
        _query()
        project = self._find_project(id)
        if not all(database.is_default for database in project.databases):
            raise Refused(400, "The project has dependencies")
        self.workspace.remove_project(project)
        return "", 204

    # Databases.

    def _databases(self, id: str = "") -> Any:
        if id:
            _query("cursor", "limit")
            found = self._find_project(id).databases
        else:
            names = ("projectId", "logicalId", "branchId", "branchGitName")
            query = _query("cursor", "limit", *names)
            found = self.workspace.databases
            if "projectId" in query:
                found = [each for each in found if each.project.id == query["projectId"]]
            if {"logicalId", "branchGitName"} & query.keys():
                found = []
            if query.get("branchId", "unassigned") != "unassigned":
                found = []
        return _page(found, self.workspace.database_json)

    def _make_database(self, id: str = "") -> Any:
        _query()
        names = ("region", "name", "isDefault", "source", "branchId", "branchGitName", "logicalId")
        body = _body(*names, *(() if id else ("projectId",)))
        project = self._find_project(id or _member(body, "projectId", str))
        region = self._region(body, project.region or "us-east-1", "inherit")
        name = _member(body, "name", str, default="database")
        default = _member(body, "isDefault", bool, default=False)
        if _member(body, "source", dict, default={"type": "empty"}) != {"type": "empty"}:
            raise Refused(400, "This workspace has no backups to restore")
        self._check_plan()
        if region == "inherit":
            region = project.region or "us-east-1"
        database = self.workspace.add_database(project, name, region=region, default=default)
        self.workspace.add_connection(database, "Default")
        return _data(self.workspace.database_json(database, fresh=True)), 201

    def _database(self, id: str) -> Any:
        _query()
        database = self._find_database(id)
        body = self.workspace.database_json(database)
        database.polls = max(0, database.polls - 1)
        return _data(body)

    def _delete_database(self, id: str) -> Any:
        _query()
        database = self._find_database(id)
        if database.is_default:
            raise Refused(403, "The default database cannot be deleted")
        self.workspace.remove_database(database)
        return "", 204

    def _usage(self, id: str) -> Any:
        _query("startDate", "endDate")
        self._find_database(id)
        now = datetime.now(timezone.utc)
        start = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        return flask.jsonify(  # the one answer without an envelope
            {
                "period": {"start": start.isoformat(), "end": now.isoformat()},
                "metrics": {
                    "operations": {"used": self.operations, "unit": "ops"},
                    "storage": {"used": self.storage, "unit": "GiB"},
                },
                "generatedAt": now.isoformat(),
            }
        )

    # Connections.

    def _connections(self, id: str = "") -> Any:
        query = _query("cursor", "limit", *(() if id else ("databaseId",)))
        wanted = id or query.get("databaseId", "")
        found = self._find_database(wanted).connections if wanted else self.workspace.connections
        return _page(found, self.workspace.connection_json)

    def _make_connection(self, id: str = "") -> Any:
        _query()
        body = _body("name", *(() if id else ("databaseId",)))
        name = _member(body, "name", str)
        if not 3 <= len(name) <= 65:
            raise Refused(422, "name must have 3 to 65 characters")
        database = self._find_database(id or _member(body, "databaseId", str))
        connection = self.workspace.add_connection(database, name)
        return _data(self.workspace.connection_json(connection, fresh=True)), 200 if id else 201

    def _connection(self, id: str) -> Any:
        _query()
        return _data(self.workspace.connection_json(self._find_connection(id)))

    def _delete_connection(self, id: str) -> Any:
        _query()
        self.workspace.remove_connection(self._find_connection(id))
        return "", 204

    def _rotate(self, id: str) -> Any:
        _query()
        if flask.request.get_data():
            raise Refused(422, "no body is expected")
        connection = self._find_connection(id)
        self.workspace.rotate(connection)
        return _data(self.workspace.connection_json(connection, fresh=True))

    # By id, and by the rules.

    def _find_project(self, id: str) -> Project:
        return _one("projects", self.workspace.projects, id)

    def _find_database(self, id: str) -> Database:
        return _one("databases", self.workspace.databases, id)

    def _find_connection(self, id: str) -> Connection:
        return _one("connections", self.workspace.connections, id)

    def _region(self, body: Mapping[str, Any], default: str, *more: str) -> str:
        region = _member(body, "region", str, default=default)
        if region not in REGIONS and region not in more:
            raise Refused(400, f"Invalid region: {region}")
        return region

    def _check_plan(self) -> None:
        if self.most_databases is not None:
            if len(self.workspace.databases) >= self.most_databases:
                raise Refused(403, "The workspace plan limit for databases has been reached")


def _data(data: Any) -> flask.Response:
    return flask.jsonify({"data": data})


def _check(kind: str, id: str) -> None:
    if not re.fullmatch(_PREFIXED[kind], id):
        raise _not_found(kind)


def _not_found(kind: str) -> Refused:
    hint = f"Use GET /v1/{kind} to list available IDs."
    return Refused(404, "Resource Not Found", hint=hint)


def _one(kind: str, found: list[Any], id: str) -> Any:
    _check(kind, id)
    for each in found:
        if id == each.id or (kind in ("databases", "connections") and each.id.endswith(f"_{id}")):
            return each
    raise _not_found(kind)


def _query(*allowed: str) -> dict[str, str]:
    sent = flask.request.args
    for name in sent:
        if name not in allowed or len(sent.getlist(name)) != 1 or not sent[name]:
            raise Refused(400, f"Invalid query parameter: {name}")
    return dict(sent)


def _page(found: list[Any], write: Callable[[Any], Any]) -> flask.Response:
    limit = flask.request.args.get("limit", "100")
    if not limit.isdecimal() or not 1 <= int(limit) <= 100:
        raise Refused(400, "limit must be 1 to 100")
    start = 0
    cursor = flask.request.args.get("cursor")
    if cursor is not None:
        cursors = [_cursor(each) for each in found]
        if cursor not in cursors:
            raise Refused(400, "Invalid cursor")
        start = cursors.index(cursor) + 1
    page = found[start : start + int(limit)]
    more = start + len(page) < len(found)
    pagination = {"nextCursor": _cursor(page[-1]) if more else None, "hasMore": more}
    return flask.jsonify({"data": [write(each) for each in page], "pagination": pagination})


def _cursor(each: Any) -> str:
    return base64.b64encode(f"after {each.id}".encode()).decode()  # "+", "/" and "=" are in it


def _body(*allowed: str) -> dict[str, Any]:
    if flask.request.mimetype != "application/json":
        raise Refused(400, "Content-Type must be application/json")
    body = flask.request.get_json(silent=True)
    if not isinstance(body, dict):
        raise Refused(400, "The body must be a JSON object")
    for name in body:
        if name not in allowed:
            raise Refused(422, f"Unrecognized key: {name}")
    return body


def _member(body: Mapping[str, Any], name: str, kind: type, *, default: Any = _MISSING) -> Any:
    if name not in body:
        if default is _MISSING:
            raise Refused(422, f"{name} is required")
        return default
    if not isinstance(body[name], kind):
        raise Refused(422, f"{name} must be of another type")
    return body[name]
