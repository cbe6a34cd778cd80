"""Neon's API v2, as strict as the real one is known to be, over databases that work.

Where it has to differ: all branches share one PostgreSQL server, so a branch calls its copy of a
database, and of a role, by a name of its own (``neondb_4f2a10`` and not ``neondb`` everywhere).
Everything is called the same by the API and by the URI, and ``database_name`` and ``role_name`` take
those names. Without `accounts` nothing is real, and hosts look like Neon's.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from . import neon_state as state
from .base import Refused
from .neon_query import body, boolean, identifier, no_body, number, query, text
from .neon_roles import BRANCH, PROJECT, NeonRoles
from .neon_state import Branch, Operation, Project

NO_ORG = "org_id is required, you can find it on your organization settings page"


class NeonDouble(NeonRoles):
    """See the module, and :class:`NeonWorld` for what tests may change."""

    # The routes.

    def routes(self) -> None:
        super().routes()
        self.app.after_request(self._identified)
        for rule, method, view in (
            ("/users/me/organizations", "GET", self.list_orgs),
            ("/projects", "GET", self.list_projects),
            ("/projects", "POST", self.create_project),
            (PROJECT, "GET", self.get_project),
            (PROJECT, "DELETE", self.delete_project),
            (f"{PROJECT}/branches", "GET", self.list_branches),
            (f"{PROJECT}/branches", "POST", self.create_branch),
            (BRANCH, "GET", self.get_branch),
            (BRANCH, "DELETE", self.delete_branch),
            (f"{BRANCH}/endpoints", "GET", self.branch_endpoints),
            (f"{PROJECT}/endpoints", "GET", self.project_endpoints),
            (f"{PROJECT}/endpoints", "POST", self.create_endpoint),
            (f"{PROJECT}/operations", "GET", self.list_operations),
            (f"{PROJECT}/operations/<operation_id>", "GET", self.get_operation),
        ):
            self.route(rule, method, view)

    def list_orgs(self) -> Any:
        query()
        return {"organizations": [{"id": id, "name": name} for id, name in self.orgs.items()]}

    def list_projects(self) -> Any:
        values = query(org_id=text, search=text, limit=number(400), cursor=text)
        org, search = values.get("org_id", ""), values.get("search", "")
        if self.personal and not org:
            raise Refused(400, NO_ORG)
        if org and org not in self.orgs:
            raise Refused(404, "organization not found")
        found = [
            project.as_json()
            for project in self.projects.values()
            if org in ("", project.org_id) and (search in project.name or search in project.id)
        ]
        return self._paged(found, "projects", values, "cursor", 10)

    def create_project(self) -> Any:
        query()
        branch_shape = {"name": str, "role_name": str, "database_name": str}
        shape = {"name": str, "region_id": str, "pg_version": int, "org_id": str}
        given = body({"project": shape | {"branch": branch_shape}})["project"]
        if self.personal and "org_id" not in given:
            raise Refused(400, NO_ORG)
        project = self.add_project(given.get("name", "new"), org=given.get("org_id", ""))
        operation = self._work(project, project.default, "create_timeline")
        return self._made(project, project.default, [operation]), 201

    def get_project(self, project_id: str) -> Any:
        query()
        return {"project": self._project(project_id).as_json()}

    def list_branches(self, project_id: str) -> Any:
        values = query(search=text, limit=number(10000), cursor=text, sort_by=text, sort_order=text)
        project, search = self._project(project_id), values.get("search", "")
        found = [
            branch.as_json(project)
            for branch in project.branches.values()
            if search in branch.name or search in branch.id
        ]
        return self._paged(found, "branches", values, "next", 10000)

    def create_branch(self, project_id: str) -> Any:
        query()
        project = self._project(project_id)
        branch_shape = {"name": str, "parent_id": str, "expires_at": str, "protected": bool}
        given = body({"branch": branch_shape, "endpoints": [{"type": str}]}, optional=True)
        self._may_change(project)
        wanted = given.get("branch", {})
        name = wanted.get("name") or f"br-{secrets.token_hex(4)}"
        if any(branch.name == name for branch in project.branches.values()):
            raise Refused(409, "branch with that name already exists")
        parent_id = wanted.get("parent_id") or project.default.id
        if parent_id not in project.branches:
            raise Refused(404, "parent branch not found")
        branch = project.add(
            Branch(name, parent_id, expires_at=wanted.get("expires_at", ""), created_at=state.now())
        )
        copy = self._copy(project.branches[parent_id], branch)
        operations = [self._work(project, branch, "create_branch", copy)]
        for each in given.get("endpoints", []):
            endpoint = self.add_endpoint(branch, _endpoint_type(each))
            operations.append(self._work(project, branch, "start_compute", endpoint=endpoint.id))
        return self._made(project, branch, operations), 201

    def _made(
        self, project: Project, branch: Branch, operations: list[Operation]
    ) -> dict[str, Any]:
        """The answer to a new project or branch; URIs only where there is no choice of them."""
        answer: dict[str, Any] = {
            "project": project.as_json(),
            "branch": branch.as_json(project),
            "roles": [each.as_json(branch, password=True) for each in branch.roles.values()],
            "databases": [each.as_json(branch) for each in branch.databases.values()],
            "endpoints": [each.as_json(project, branch) for each in branch.endpoints.values()],
            "operations": [each.as_json(project) for each in operations],
        }
        if branch.endpoints and len(branch.roles) == len(branch.databases) == 1:
            (role,), (database,) = branch.roles.values(), branch.databases
            endpoint = next(iter(branch.endpoints.values()))
            uri = self._uri(branch, endpoint, role, database, pooled=False)
            answer["connection_uris"] = [{"connection_uri": uri}]
        return answer

    def get_branch(self, project_id: str, branch_id: str) -> Any:
        query()
        project, branch = self._branch(project_id, branch_id)
        return {"branch": branch.as_json(project), "annotation": {}}

    def delete_project(self, project_id: str) -> Any:
        query()
        no_body()
        project = self._project(project_id)
        self._may_change(project)
        del self.projects[project.id]
        for branch in project.branches.values():
            self._drop(branch)
        return {"project": project.as_json()}

    def delete_branch(self, project_id: str, branch_id: str) -> Any:
        query(hard_delete=boolean)
        no_body()
        project = self._project(project_id)
        branch = project.branches.get(identifier(branch_id))
        if branch is None:
            return "", 204
        self._may_change(project)
        if branch.default:
            raise Refused(422, "cannot delete the default branch")
        if branch.protected:
            raise Refused(422, "cannot delete a protected branch")
        if any(each.parent == branch.id for each in project.branches.values()):
            raise Refused(422, "cannot delete a branch that has children")
        del project.branches[branch.id]
        operation = self._work(project, branch, "delete_timeline", lambda: self._drop(branch))
        return {"branch": branch.as_json(project), "operations": [operation.as_json(project)]}

    def _drop(self, branch: Branch) -> None:
        if self.accounts is None:
            return
        for database in branch.databases:
            self.accounts.drop_database(database)
        for role in branch.roles:
            self.accounts.drop_login(role)

    def branch_endpoints(self, project_id: str, branch_id: str) -> Any:
        query()
        project, branch = self._branch(project_id, branch_id)
        return {"endpoints": [each.as_json(project, branch) for each in branch.endpoints.values()]}

    def project_endpoints(self, project_id: str) -> Any:
        query()
        project = self._project(project_id)
        return {
            "endpoints": [
                endpoint.as_json(project, branch)
                for branch in project.branches.values()
                for endpoint in branch.endpoints.values()
            ]
        }

    def create_endpoint(self, project_id: str) -> Any:
        query()
        project = self._project(project_id)
        given = body({"endpoint": {"branch_id": str, "type": str}})["endpoint"]
        self._may_change(project)
        branch = self._branch(project_id, given.get("branch_id", ""))[1]
        kind = _endpoint_type(given)
        if kind == "read_write" and any(e.type == kind for e in branch.endpoints.values()):
            raise Refused(409, "read-write endpoint already exists")
        endpoint = self.add_endpoint(branch, kind, state="init")
        operation = self._work(project, branch, "start_compute", endpoint=endpoint.id)
        return {
            "endpoint": endpoint.as_json(project, branch),
            "operations": [operation.as_json(project)],
        }, 201

    def list_operations(self, project_id: str) -> Any:
        values = query(limit=number(1000), cursor=text)
        project = self._project(project_id)
        found = [each.as_json(project) for each in reversed(project.operations.values())]
        return self._paged(found, "operations", values, "cursor", 100)

    def get_operation(self, project_id: str, operation_id: str) -> Any:
        query()
        project = self._project(project_id)
        operation = project.operations.get(operation_id)
        if operation is None:
            raise Refused(404, "operation not found")
        operation.go_on()
        return {"operation": operation.as_json(project)}


def _endpoint_type(given: Mapping[str, Any]) -> str:
    if given.get("type") not in {"read_write", "read_only"}:
        raise Refused(400, "endpoint type must be read_write or read_only")
    return str(given["type"])
