"""The world behind the double of Neon's API: its projects, and databases that really work."""

from __future__ import annotations

import re
import secrets
import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import quote, urlencode

import flask

from .accounts import Accounts, Login, quoted
from .base import Double, Refused
from .neon_query import identifier
from .neon_state import Branch, Database, Endpoint, Operation, Project, Role


class NeonWorld(Double):
    """What there is, and how requests find it. Its routes are those of its subclasses.

    Attributes:
        orgs: ids and names of the organizations that the key sees.
        personal: the key is a person's, which has to say which organization it means.
        steps: the statuses that an operation goes through, one each time somebody asks.
        locking: answer 423 to changes while an operation of the project runs.
        page: how many items a page has at most, whatever the client asks for.
        repeats_cursor: the last page still has a cursor.
        rewrite: changes a URI on its way out; gets the URI and whether it is the pooled one.
    """

    path = "/api/v2"

    def __init__(self, accounts: Accounts | None = None, *, empty: bool = False) -> None:
        super().__init__()
        self.token = f"napi_{secrets.token_hex(24)}"
        self.accounts = accounts
        self.orgs = {"org-quiet-lake-00000001": "Shop Ltd"}
        self.personal = True
        self.steps: tuple[str, ...] = ("finished",)
        self.locking = False
        self.page = 100
        self.repeats_cursor = True
        self.rewrite: Callable[[str, bool], str] = lambda uri, _pooled: uri
        self.projects: dict[str, Project] = {}
        self.routes()
        if not empty:
            self.add_project("shop")

    def routes(self) -> None:
        """Adds the routes."""

    def route(self, rule: str, method: str, view: Callable[..., Any]) -> None:
        def answer(**names: str) -> Any:
            with self.lock:
                # base.py keeps an encoded slash apart from one that parts segments
                return view(**{key: value.replace("%2F", "/") for key, value in names.items()})

        self.app.add_url_rule(self.path + rule, f"{method} {rule}", answer, methods=[method])

    # What tests use.

    def environ(self, **more: str) -> dict[str, str]:
        """The variables with which a program finds this API."""
        return {"NEON_API_KEY": self.token, "NEON_API_HOST": self.url, "PPG_TIMEOUT": "10"} | more

    @property
    def project(self) -> Project:
        """The first one."""
        return next(iter(self.projects.values()))

    @property
    def branch(self) -> Branch:
        """The default branch of the first project."""
        return self.project.default

    def add_project(self, name: str, *, org: str = "", **more: Any) -> Project:
        """A project with the branch ``main``, its compute, a database and the role that owns it."""
        project = Project(name, org or next(iter(self.orgs)), **more)
        self.projects[project.id] = project
        branch = project.add(Branch("main", default=True))
        self.add_endpoint(branch)
        tag = secrets.token_hex(3)
        self.add_database(
            branch, f"neondb_{tag}", self.add_role(branch, f"neondb_owner_{tag}").name
        )
        return project

    def add_endpoint(self, branch: Branch, type: str = "read_write", **more: Any) -> Endpoint:
        endpoint = Endpoint(type, **more)
        if self.accounts is not None:
            endpoint.host = "127.0.0.1"
        branch.endpoints[endpoint.id] = endpoint
        return endpoint

    def add_role(self, branch: Branch, name: str, **more: Any) -> Role:
        """A role as Neon's API makes them: may read and write all tables, and owns none."""
        role = Role(name, **more)
        branch.roles[name] = role
        self._real_role(role)
        return role

    def add_database(self, branch: Branch, name: str, owner: str) -> Database:
        if self.accounts is not None:
            self.accounts.database(name, owner=owner)
        return branch.databases.setdefault(name, Database(name, owner))

    def add_branch(
        self, project: Project, name: str, *, compute: bool = True, **more: Any
    ) -> Branch:
        """A branch of the default one, at once."""
        branch = project.add(Branch(name, parent=project.default.id, **more))
        if compute:
            self.add_endpoint(branch)
        self._copy(project.default, branch)()
        return branch

    # The real thing behind it.

    def _real_role(self, role: Role) -> None:
        if self.accounts is None:
            return
        self.accounts.login("postgres", role=role.name, password=role.password, acts=False)
        # compute_ctl's own statement, but for neon_superuser itself, whose rights are these
        with self.accounts._session() as connection:
            connection.execute(f"ALTER ROLE {quoted(role.name)} CREATEROLE CREATEDB BYPASSRLS")
            connection.execute(f"GRANT pg_read_all_data, pg_write_all_data TO {quoted(role.name)}")

    def _copy(self, parent: Branch, branch: Branch) -> Callable[[], None]:
        """Gives `branch` what `parent` has, under names of its own; returns what makes it real."""
        tag = secrets.token_hex(3)
        renamed = {name: re.sub(r"_[0-9a-f]{6}$", "", name) + f"_{tag}" for name in parent.roles}
        for old, new in renamed.items():
            branch.roles[new] = Role(new, parent.roles[old].password)
        sources = {}
        for old, database in parent.databases.items():
            new = re.sub(r"_[0-9a-f]{6}$", "", old) + f"_{tag}"
            branch.databases[new] = Database(new, renamed[database.owner])
            sources[new] = database

        def make() -> None:
            if self.accounts is None:
                return
            for role in branch.roles.values():
                self._real_role(role)
            for new, source in sources.items():
                self.accounts.copy(source.name, new, owner=branch.databases[new].owner)
                self._hand_over(new, source.owner, branch.databases[new].owner)

        return make

    def _hand_over(self, database: str, old: str, new: str) -> None:
        assert self.accounts is not None
        with self.accounts._servers.connect(database) as connection:
            tables = connection.fetch(
                "SELECT oid::regclass::text FROM pg_class WHERE pg_get_userbyid(relowner) = %s"
                " AND relkind IN ('r', 'p', 'v', 'm')",
                (old,),
            )
            for (table,) in tables:
                connection.execute(f"ALTER TABLE {table} OWNER TO {quoted(new)}")

    def _work(
        self,
        project: Project,
        branch: Branch,
        action: str,
        effect: Callable[[], None] = lambda: None,
        endpoint: str = "",
    ) -> Operation:
        operation = Operation(action, branch.id, list(self.steps), effect, endpoint)
        project.operations[operation.id] = operation
        return operation

    def _uri(
        self, branch: Branch, endpoint: Endpoint, role: Role, database: str, pooled: bool
    ) -> str:
        if self.accounts is not None:
            urls = self.accounts.urls(Login(role.name, role.password, database))
            url = urls.pooled if pooled else urls.direct
            if endpoint.type == "read_only":
                url = url.replace(host="localhost")  # the same server by a name of its own
            uri = url.reveal()
        else:
            first, _, rest = endpoint.host.partition(".")
            host = f"{first}-pooler.{rest}" if pooled else endpoint.host
            name, word = quote(role.name, safe=""), quote(role.password, safe="")
            uri = f"postgresql://{name}:{word}@{host}/{quote(database, safe='')}?"
            uri += urlencode({"sslmode": "require", "channel_binding": "require"})
        return self.rewrite(uri, pooled)

    # How a request is read.

    def authenticate(self) -> None:
        if flask.request.headers.get("Authorization") != f"Bearer {self.token}":
            raise Refused(401, "supplied credentials do not pass authentication")

    def error_body(self, status: int, message: str, more: Mapping[str, Any]) -> Any:
        return {"request_id": flask.g.request_id, "code": "", "message": message}

    def _before(self) -> None:
        flask.g.request_id = str(uuid.uuid4())
        super()._before()

    def _identified(self, response: flask.Response) -> flask.Response:
        response.headers["x-neon-ret-request-id"] = flask.g.request_id
        return response

    def _project(self, project_id: str) -> Project:
        project = self.projects.get(identifier(project_id))
        if project is None:
            raise Refused(404, "project not found")
        return project

    def _branch(self, project_id: str, branch_id: str) -> tuple[Project, Branch]:
        project = self._project(project_id)
        branch = project.branches.get(identifier(branch_id))
        if branch is None:
            raise Refused(404, "branch not found")
        return project, branch

    def _role(self, project_id: str, branch_id: str, name: str) -> tuple[Project, Branch, Role]:
        project, branch = self._branch(project_id, branch_id)
        role = branch.roles.get(name)
        if role is None:
            raise Refused(404, "role not found")
        return project, branch, role

    def _may_change(self, project: Project) -> None:
        running = [each for each in project.operations.values() if not each.over]
        if self.locking and running:
            for operation in running:
                operation.go_on()
            raise Refused(
                423, "project already has running operations, scheduling of new ones is prohibited"
            )

    def _paged(
        self,
        items: Iterable[dict[str, Any]],
        name: str,
        values: Mapping[str, Any],
        key: str,
        default: int,
    ) -> Any:
        items = list(items)
        cursor = values.get("cursor", "")
        ids = [item["id"] for item in items]
        if cursor and cursor not in ids:
            raise Refused(400, "cursor is not valid")
        start = ids.index(cursor) + 1 if cursor else 0
        shown = items[start : start + min(values.get("limit", default), self.page)]
        answer: dict[str, Any] = {name: shown}
        more = start + len(shown) < len(items)
        if key == "next":
            answer |= {
                "annotations": {},
                "pagination": {"sort_by": "updated_at", "sort_order": "DESC"},
            }
            if more:
                answer["pagination"]["next"] = shown[-1]["id"]
        elif more or (shown and self.repeats_cursor):
            answer["pagination"] = {"cursor": shown[-1]["id"]}
        elif cursor and self.repeats_cursor:
            answer["pagination"] = {"cursor": cursor}
        return answer
