"""Makes what is missing at Neon, and waits until it is there.

A role that Neon's API makes is a member of ``neon_superuser``: it reads and writes every table and
may create databases and roles, but it owns nothing that exists, and only an owner may alter or drop
a table. From PostgreSQL 16 on nobody but the holder of its ADMIN option may ``GRANT`` the owner's
role, and no role that a user can log in as has that; on 14 and 15 ``CREATEROLE`` is enough. What
works on every version, and what the note says: the new role for the pooled URL and the owner's for
the direct one, with ``PPG_ALLOW_MISMATCH=user``. The tests show each of these on a real server.
"""

from __future__ import annotations

import math
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from ...errors import ConfigurationError
from ...secret import Secret
from ..base import Intent
from ..printable import word
from . import operations
from .branches import Branch, Compute
from .projects import Project, org_for_new
from .rules import NAME

if TYPE_CHECKING:
    from ..api import API
    from ..base import Intend, Progress
    from ..fields import Fields
    from ..settings import Settings

#: Seconds after which Neon deletes a branch that is made now.
BRANCH_TTL: Final = "PPG_BRANCH_TTL"
_MOST: Final = 30 * 86400  # seconds; Neon's own limit


class MadeRole(NamedTuple):
    """A new role; its password, where the answer had it."""

    name: str
    password: Secret | None


class Making:
    """Makes things, each after its intent was written down.

    Attributes:
        notes: what the user should know of it.
        lost: what to say of a new role if its password, which is shown once, reaches nobody.
    """

    def __init__(
        self, api: API, intend: Intend, settings: Settings, region: str, progress: Progress
    ) -> None:
        self.notes: list[str] = []
        self.lost = ""
        self._api = api
        self._intend = intend
        self._settings = settings
        self._region = region
        self._progress = progress

    def project(self, name: str) -> Project:
        """A project, with its default branch, compute, database and owner."""
        org = org_for_new(self._api, self._settings)
        wanted = {"name": name, "region_id": self._region, "org_id": org}
        body = {"project": {key: value for key, value in wanted.items() if value}}
        fields = self._post("project", name, {"org": org}, ("projects",), body)
        project = Project.of(fields.at("project"))
        self._wait(project, fields, f"waiting for the project {name}")
        return project

    def branch(self, project: Project, name: str) -> Branch:
        """A branch of the default one, with a compute, without which it has no host."""
        expires = _expiry(self._settings)
        wanted = {"name": name} | ({"expires_at": expires} if expires else {})
        body = {"branch": wanted, "endpoints": [{"type": "read_write"}]}
        path = ("projects", project.id, "branches")
        fields = self._post("branch", name, {"project": project.id}, path, body)
        branch = Branch.of(fields.at("branch"))
        self._wait(project, fields, f"waiting for the branch {name}")
        if expires:
            self.notes.append(f"Neon deletes the branch {name} at {expires} ({BRANCH_TTL}).")
        return branch

    def compute(self, project: Project, branch: Branch, *, writes: bool = True) -> Compute:
        """A compute, or a read replica, for a branch."""
        what = "compute" if writes else "read replica"
        kind = "read_write" if writes else "read_only"
        body = {"endpoint": {"branch_id": branch.id, "type": kind}}
        ids = {"project": project.id, "branch": branch.id, "type": kind}
        path = ("projects", project.id, "endpoints")
        fields = self._post("endpoint", branch.title, ids, path, body)
        compute = Compute.of(fields.at("endpoint"))
        self._wait(project, fields, f"waiting for the {what} of {branch.title}")
        return compute

    def database(self, project: Project, branch: Branch, name: str, owner: str) -> None:
        """A database that `owner` owns."""
        ids = {"project": project.id, "branch": branch.id}
        path = ("projects", project.id, "branches", branch.id, "databases")
        body = {"database": {"name": name, "owner_name": owner}}
        fields = self._post("database", name, ids, path, body)
        self._wait(project, fields, f"waiting for the database {name}")

    def role(self, project: Project, branch: Branch, name: str) -> MadeRole:
        """A role with a password, which owns nothing."""
        ids = {"project": project.id, "branch": branch.id}
        path = ("projects", project.id, "branches", branch.id, "roles")
        fields = self._post("role", name, ids, path, {"role": {"name": name}})
        password = fields.at("role").maybe_text("password")
        if not project.stores_passwords:
            self.lost = (
                f"The role {name} was made, and its password is lost: "
                f"`{self._settings.program} revoke {word(f'{branch.id}/{name}')}` ends it."
            )
        self._wait(project, fields, f"waiting for the role {name}")
        return MadeRole(name, Secret(password) if password else None)

    def _post(
        self,
        kind: str,
        name: str,
        ids: dict[str, str],
        path: tuple[str, ...],
        body: dict[str, Any],
    ) -> Fields:
        self._progress(f"making the {kind} {name}")
        self._intend(Intent(NAME, "create", kind, name, ids))
        return self._api.post(*path, json=body).fields

    def _wait(self, project: Project, answer: Fields, what: str) -> None:
        """Waits for what was answered and understood; should that fail, the next run finds it."""
        self._api.answered()
        operations.wait(self._api, project, answer, what)


def _expiry(settings: Settings) -> str:
    """When a branch that is made now is to go; empty where nothing says.

    Raises:
        ConfigurationError: ``PPG_BRANCH_TTL`` is no number of seconds that Neon takes.
    """
    found = settings.find(BRANCH_TTL)
    if found is None:
        return ""
    try:
        seconds = float(found.value)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds <= _MOST:
        raise ConfigurationError(
            f"{found.source} is {found.value!r:.40}, which is no number of seconds from 1 to "
            f"{_MOST}, 30 days",
            hint=f"Such as {BRANCH_TTL}=86400, for a day.",
        )
    at = datetime.now(timezone.utc) + timedelta(seconds=seconds)
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")
