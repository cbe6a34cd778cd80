"""case.dev's database API, as strict as its SDK's types allow to say, over databases that work.

Where it has to differ: all branches share one PostgreSQL server, so each branch's database has a
name of its own, and not ``neondb`` everywhere. Without `accounts` nothing is real, and hosts look
like those that the real one hands out, which are Neon's.
"""

from __future__ import annotations

import re
import secrets
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

import flask

from ppg_integrations.urls import PostgresURL

from .accounts import Accounts, Login
from .base import Double, Refused

REGIONS = (
    "aws-us-east-1",
    "aws-us-east-2",
    "aws-us-west-2",
    "aws-eu-central-1",
    "aws-eu-west-1",
    "aws-eu-west-2",
    "aws-ap-southeast-1",
    "aws-ap-southeast-2",
)
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_PROJECTS = "/database/v1/projects"
_PROJECT = f"{_PROJECTS}/<project_id>"


def now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _id() -> str:
    return str(uuid.uuid4())


@dataclass
class Branch:
    name: str
    login: Login
    parent: str | None = None
    status: str = "ready"
    id: str = field(default_factory=_id)
    created_at: str = field(default_factory=now)
    endpoint: str = field(default_factory=lambda: f"ep-calm-lake-{secrets.token_hex(4)}")

    def as_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "name": self.name,
            "isDefault": self.parent is None,
            "parentBranchId": self.parent,
            "status": self.status,
            "createdAt": self.created_at,
        }


@dataclass
class Project:
    name: str
    region: str = REGIONS[0]
    description: str = ""
    status: str = "active"
    id: str = field(default_factory=_id)
    created_at: str = field(default_factory=now)
    branches: list[Branch] = field(default_factory=list)

    @property
    def default(self) -> Branch:
        return self.branches[0]

    def as_json(self) -> dict[str, Any]:
        more = {"description": self.description} if self.description else {}
        return {
            "id": self.id,
            "name": self.name,
            "region": self.region,
            "pgVersion": 17,
            "status": self.status,
            "createdAt": self.created_at,
            **more,
        }

    def used_json(self) -> dict[str, Any]:
        used = {"computeTimeSeconds": 0, "storageSizeBytes": 0, "linkedDeployments": []}
        return {**self.as_json(), "updatedAt": self.created_at, **used}


class CasedevDouble(Double):
    """See the module.

    Attributes:
        rewrite: changes the answer of a connection call on its way out.
    """

    def __init__(self, accounts: Accounts | None = None, *, empty: bool = False) -> None:
        super().__init__()
        self.token = f"sk_case_{secrets.token_hex(20)}"
        self.accounts = accounts
        self.projects: list[Project] = []
        self.rewrite: Callable[[dict[str, Any]], dict[str, Any]] = lambda answer: answer
        for method, rule, view in (
            ("GET", _PROJECTS, self.list_projects),
            ("POST", _PROJECTS, self.create_project),
            ("GET", _PROJECT, self.get_project),
            ("DELETE", _PROJECT, self.delete_project),
            ("GET", f"{_PROJECT}/branches", self.list_branches),
            ("POST", f"{_PROJECT}/branches", self.create_branch),
            ("GET", f"{_PROJECT}/connection", self.get_connection),
            ("GET", "/database/v1/usage", self.usage),
        ):
            self.app.add_url_rule(
                rule, view.__name__, view, methods=[method], provide_automatic_options=False
            )
        if not empty:
            self.add_project("shop")

    # What tests use.

    @property
    def project(self) -> Project:
        """The first one."""
        return self.projects[0]

    @property
    def branch(self) -> Branch:
        """The default branch of the first project."""
        return self.project.default

    def add_project(self, name: str, **more: Any) -> Project:
        """A project with its branch ``main``."""
        project = Project(name, **more)
        login = Login("neondb_owner", secrets.token_urlsafe(16), "neondb")
        if self.accounts is not None:
            login = self.accounts.login(self.accounts.database())
        with self.lock:
            project.branches.append(Branch("main", login))
            self.projects.append(project)
        return project

    def add_branch(self, project: Project, name: str, parent: Branch | None = None) -> Branch:
        """A copy of another branch, by default of the first one."""
        parent = parent or project.default
        login = parent.login._replace(password=secrets.token_urlsafe(16))
        if self.accounts is not None:
            login = self.accounts.login(self.accounts.copy(parent.login.database))
        branch = Branch(name, login, parent.id)
        with self.lock:
            project.branches.append(branch)
        return branch

    def uri(self, branch: Branch, pooled: bool) -> str:
        if self.accounts is not None:
            urls = self.accounts.urls(branch.login)
            return (urls.pooled if pooled else urls.direct).reveal()
        host = f"{branch.endpoint}{'-pooler' if pooled else ''}.us-east-2.aws.neon.tech"
        role, password, database = branch.login
        url = PostgresURL.build(host=host, user=role, password=password, database=database)
        return url.replace(params={"sslmode": "require"}).reveal()

    # Its routes.

    def list_projects(self) -> Any:
        self._query()
        return {"projects": [project.used_json() for project in self.projects]}

    def create_project(self) -> Any:
        self._query()
        body = self._body("name", "description", "region")
        region = body.get("region", REGIONS[0])
        if region not in REGIONS:
            raise Refused(400, "Invalid region")
        with self.lock:
            if any(project.name == body["name"] for project in self.projects):
                raise Refused(409, "A project with this name already exists")
            description = body.get("description", "")
            project = self.add_project(body["name"], region=region, description=description)
        default = {"id": project.default.id, "name": project.default.name}
        return {**project.as_json(), "defaultBranch": default}, 201

    def get_project(self, project_id: str) -> Any:
        self._query()
        project = self._project(project_id)
        database = project.default.login.database
        branches = [branch.as_json() for branch in project.branches]
        for branch in branches:
            del branch["parentBranchId"]
        return {
            **project.used_json(),
            "branches": branches,
            "databases": [{"id": "1", "name": database, "ownerName": project.default.login.role}],
            "connectionHost": "ep-***.us-east-2.aws.neon.tech",
        }

    def delete_project(self, project_id: str) -> Any:
        self._query()
        with self.lock:
            project = self._project(project_id)
            self.projects.remove(project)
            for branch in project.branches if self.accounts is not None else ():
                self.accounts.drop_login(branch.login.role)
                self.accounts.drop_database(branch.login.database)
        return {"success": True, "message": f"Project {project.name} deleted"}

    def list_branches(self, project_id: str) -> Any:
        self._query()
        branches = self._project(project_id).branches
        return {
            "branches": [
                {**branch.as_json(), "updatedAt": branch.created_at} for branch in branches
            ]
        }

    def create_branch(self, project_id: str) -> Any:
        self._query()
        project = self._project(project_id)
        body = self._body("name", "parentBranchId")
        with self.lock:
            parent = body.get("parentBranchId", project.default.id)
            found = [branch for branch in project.branches if branch.id == parent]
            if not found:
                raise Refused(404, "Parent branch not found")
            if any(branch.name == body["name"] for branch in project.branches):
                raise Refused(409, "A branch with this name already exists")
            return self.add_branch(project, body["name"], found[0]).as_json(), 201

    def get_connection(self, project_id: str) -> Any:
        query = self._query("branch", "pooled")
        project = self._project(project_id)
        if project.status != "active":
            raise Refused(409, f"Project is {project.status}")
        name = query.get("branch", "main")
        found = [branch for branch in project.branches if branch.name == name]
        if not found:
            raise Refused(404, "Branch not found")
        if query.get("pooled", "false") not in ("true", "false"):
            raise Refused(400, "pooled must be true or false")
        pooled = query.get("pooled") == "true"
        answer = {"branch": name, "connectionUri": self.uri(found[0], pooled), "pooled": pooled}
        return self.rewrite(answer)

    def usage(self) -> Any:
        self._query()
        projects = [{"projectId": each.id, "projectName": each.name} for each in self.projects]
        period = {"start": now(), "end": now()}
        totals = {"projectCount": len(projects), "branchCount": 0, "total": "0.00"}
        return {"period": period, "projects": projects, "totals": totals, "projectCount": 0}

    # How it is strict.

    def _project(self, project_id: str) -> Project:
        for project in self.projects:
            if project.id == project_id:
                return project
        raise Refused(404, "Project not found")

    def _query(self, *known: str) -> dict[str, str]:
        values = flask.request.args
        for name in values:
            if name not in known:
                raise Refused(400, f"Unknown query parameter {name}")
            if len(values.getlist(name)) > 1:
                raise Refused(400, f"{name} is given twice")
        if flask.request.method != "POST" and flask.request.get_data():
            raise Refused(400, "Unexpected body")
        return values.to_dict()

    def _body(self, *known: str) -> dict[str, str]:
        if flask.request.mimetype != "application/json":
            raise Refused(415, "Content-Type must be application/json")
        body = flask.request.get_json(silent=True)
        if not isinstance(body, dict):
            raise Refused(400, "Invalid JSON")
        for name, value in body.items():
            if name not in known or not isinstance(value, str):
                raise Refused(400, f"Invalid member {name}")
        if not _NAME.fullmatch(body.get("name", "")):
            raise Refused(400, "name may have letters, numbers, hyphens and underscores only")
        return body
