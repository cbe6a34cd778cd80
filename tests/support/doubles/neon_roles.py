"""The double of Neon's API: databases, roles and their passwords."""

from __future__ import annotations

from typing import Any

from .base import Refused
from .neon_query import body, boolean, identifier, no_body, query, text
from .neon_state import Branch, Database, Operation, Project, Role
from .neon_world import NeonWorld

PROJECT = "/projects/<project_id>"
BRANCH = f"{PROJECT}/branches/<branch_id>"


class NeonRoles(NeonWorld):
    def routes(self) -> None:
        super().routes()
        for rule, method, view in (
            (f"{BRANCH}/databases", "GET", self.list_databases),
            (f"{BRANCH}/databases", "POST", self.create_database),
            (f"{BRANCH}/roles", "GET", self.list_roles),
            (f"{BRANCH}/roles", "POST", self.create_role),
            (f"{BRANCH}/roles/<name>", "GET", self.get_role),
            (f"{BRANCH}/roles/<name>", "DELETE", self.delete_role),
            (f"{BRANCH}/roles/<name>/reveal_password", "GET", self.reveal_password),
            (f"{BRANCH}/roles/<name>/reset_password", "POST", self.reset_password),
            (f"{PROJECT}/connection_uri", "GET", self.connection_uri),
        ):
            self.route(rule, method, view)

    def list_databases(self, project_id: str, branch_id: str) -> Any:
        query()
        branch = self._branch(project_id, branch_id)[1]
        return {"databases": [each.as_json(branch) for each in branch.databases.values()]}

    def create_database(self, project_id: str, branch_id: str) -> Any:
        query()
        project, branch = self._branch(project_id, branch_id)
        given = body({"database": {"name": str, "owner_name": str}})["database"]
        self._may_change(project)
        if given["name"] in branch.databases:
            raise Refused(409, "database already exists")
        if given["owner_name"] not in branch.roles:
            raise Refused(404, "role not found")
        database = Database(given["name"], given["owner_name"])
        branch.databases[database.name] = database

        def make() -> None:
            self.add_database(branch, database.name, database.owner)

        operation = self._work(project, branch, "apply_config", make)
        return {
            "database": database.as_json(branch),
            "operations": [operation.as_json(project)],
        }, 201

    def list_roles(self, project_id: str, branch_id: str) -> Any:
        query()
        branch = self._branch(project_id, branch_id)[1]
        return {"roles": [role.as_json(branch) for role in branch.roles.values()]}

    def get_role(self, project_id: str, branch_id: str, name: str) -> Any:
        query()
        _, branch, role = self._role(project_id, branch_id, name)
        return {"role": role.as_json(branch)}

    def create_role(self, project_id: str, branch_id: str) -> Any:
        query()
        project, branch = self._branch(project_id, branch_id)
        given = body({"role": {"name": str, "no_login": bool}})["role"]
        self._may_change(project)
        if not 0 < len(given["name"].encode()) <= 63:
            raise Refused(400, "role name must have 1 to 63 bytes")
        if given["name"] in branch.roles:
            raise Refused(409, "role already exists")
        role = branch.roles[given["name"]] = Role(given["name"])
        operation = self._work(project, branch, "apply_config", lambda: self._real_role(role))
        return self._role_answer(project, branch, role, operation), 201

    def _role_answer(
        self, project: Project, branch: Branch, role: Role, operation: Operation, shown: bool = True
    ) -> dict[str, Any]:
        return {
            "role": role.as_json(branch, password=shown),
            "operations": [operation.as_json(project)],
        }

    def delete_role(self, project_id: str, branch_id: str, name: str) -> Any:
        query()
        no_body()
        project, branch = self._branch(project_id, branch_id)
        if name not in branch.roles:
            return "", 204
        self._may_change(project)
        owned = [each.name for each in branch.databases.values() if each.owner == name]
        if owned:
            raise Refused(422, f"role owns the database {owned[0]}")
        role = branch.roles.pop(name)
        heir = next(iter(branch.databases.values())).owner if branch.databases else ""

        def drop() -> None:
            if self.accounts is not None:
                self.accounts.drop_login(name, heir=heir)

        operation = self._work(project, branch, "apply_config", drop)
        return self._role_answer(project, branch, role, operation, shown=False)

    def reveal_password(self, project_id: str, branch_id: str, name: str) -> Any:
        query()
        project, _, role = self._role(project_id, branch_id, name)
        if not project.store_passwords:
            raise Refused(412, "storing passwords is disabled for the project")
        return {"password": role.password}

    def reset_password(self, project_id: str, branch_id: str, name: str) -> Any:
        query()
        no_body()
        project, branch, role = self._role(project_id, branch_id, name)
        self._may_change(project)
        role.password = Role(name).password
        password = role.password

        def change() -> None:
            if self.accounts is not None:
                self.accounts.set_password(name, password)

        operation = self._work(project, branch, "apply_config", change)
        return self._role_answer(project, branch, role, operation)

    def connection_uri(self, project_id: str) -> Any:
        values = query(
            "database_name",
            "role_name",
            database_name=text,
            role_name=text,
            branch_id=identifier,
            endpoint_id=identifier,
            pooled=boolean,
        )
        project = self._project(project_id)
        branch_id = values.get("branch_id") or project.default.id
        _, branch, role = self._role(project_id, branch_id, values["role_name"])
        if values["database_name"] not in branch.databases:
            raise Refused(404, "database not found")
        wanted = values.get("endpoint_id")
        endpoint = (
            branch.endpoints.get(wanted)
            if wanted
            else next((e for e in branch.endpoints.values() if e.type == "read_write"), None)
        )
        if endpoint is None:
            raise Refused(404, "endpoint not found")
        if not project.store_passwords:
            raise Refused(412, "storing passwords is disabled for the project")
        pooled = values.get("pooled", False)
        return {"uri": self._uri(branch, endpoint, role, values["database_name"], pooled)}
