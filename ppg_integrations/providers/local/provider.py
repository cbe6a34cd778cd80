"""The provider ``local``."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from ...errors import LocalServerError, UnsupportedError
from ..base import (
    Capability,
    Generated,
    GenerateRequest,
    Intend,
    Intent,
    Listed,
    Progress,
    Provider,
    Rotated,
    Settled,
    Target,
    silent,
)
from ..spared import spare
from . import addresses
from .roles import database_name
from .servers import LocalServers

if TYPE_CHECKING:
    from ...pair import ConnectionPair


def servers_of(project_folder: str | os.PathLike[str]) -> LocalServers:
    """The embedded servers of a project."""
    return LocalServers(Path(project_folder) / ".ppg" / "local")


class LocalProvider(Provider):
    """PostgreSQL and PgBouncer in the project's own folder ``.ppg/local``.

    A connection is a login role; its id is the role's name.
    """

    name: ClassVar[str] = "local"
    title: ClassVar[str] = "The embedded PostgreSQL"
    capabilities: ClassVar[frozenset[Capability]] = frozenset(
        {"servers", "generate", "list", "rotate", "revoke", "databases"}
    )

    def read(
        self,
        target: Target,  # noqa: ARG002 - the base's, and the next two
        progress: Progress = silent,  # noqa: ARG002
        *,
        replica: bool = False,  # noqa: ARG002
    ) -> Generated:
        """Raises :class:`UnsupportedError`: nobody keeps a role's password but its user."""
        raise UnsupportedError(
            f"{self.title} keeps no password of a role",
            hint=f"Make another role: {self.settings.program} create --provider local",
            provider=self.name,
        )

    def generate(
        self, request: GenerateRequest, intend: Intend, progress: Progress = silent
    ) -> Generated:
        """Starts the servers if need be, and makes a role, and a database at the first call.

        Args:
            request: `name`, `target.database` and `project_folder` are heeded; there is nothing
                that the others could mean here.

        Raises:
            LocalServerError: the servers do not start, or the database's name is reserved.
        """
        servers = servers_of(request.project_folder)
        return servers.generate(
            request.name,
            database=request.target.database,
            progress=progress,
            announce=self._announce(intend, servers),
        )

    def connections(
        self,
        target: Target,
        *,
        in_use: str = "",
        pair: ConnectionPair | None = None,
        progress: Progress = silent,  # noqa: ARG002 - it is there at once
    ) -> tuple[Listed, ...]:
        """The login roles of the project's database, oldest first; when each was made is not kept.

        Raises:
            LocalServerError: the servers do not run.
        """
        servers = self._servers()
        roles = servers.logins()
        in_use = in_use or _user_of(pair, servers)
        wanted = target.database or roles.get(in_use, "")
        database, _ = database_name(wanted, servers.project)
        return tuple(
            Listed(role, role, "", role == in_use)
            for role, found in roles.items()
            if found == database
        )

    def rotate(
        self,
        request: GenerateRequest,
        intend: Intend,
        *,
        in_use: str = "",
        in_place: bool = False,
        pair: ConnectionPair | None = None,  # noqa: ARG002 - its hosts are known here
        progress: Progress = silent,
    ) -> Rotated:
        """A new role for the database of the old one, or a new password for the same role.

        Args:
            in_place: the new password; what is logged in with the old one is cut off.

        Raises:
            LocalServerError: the servers do not start, or `in_use` is no role of theirs.
        """
        servers = servers_of(request.project_folder)
        servers.start(progress=progress)
        database = servers.logins().get(in_use)
        if in_place:
            if database is None:
                raise LocalServerError(
                    f"the embedded PostgreSQL has no role {in_use!r:.80} to change the password of",
                    hint=f"{self.settings.program} list --provider local",
                )
            intend(self._intent(servers, "rotate", "password", in_use))
            return Rotated(servers.renew(in_use))
        if database is None:
            return Rotated(self.generate(request, intend, progress))
        target = replace(request.target, database=database)
        return Rotated(self.generate(replace(request, target=target), intend, progress), in_use)

    def revoke(
        self,
        target: Target,  # noqa: ARG002 - a role is one of all the databases
        id: str,  # noqa: A002 - the base's
        progress: Progress = silent,
        *,
        in_use: frozenset[str] = frozenset(),
    ) -> tuple[str, ...]:
        """Drops a role, with its sessions; both endpoints refuse it from then on.

        Raises:
            ConfigurationError: it is in use.
            LocalServerError: the servers do not start, or it is no role of theirs.
        """
        spare(id, id in in_use, self.settings.program)
        servers = self._servers()
        servers.start(progress=progress)
        return _told(id, gone=servers.revoke(id))

    def settle(self, intent: Intent, progress: Progress = silent) -> Settled:
        """Drops a role that nobody has the password of, or gives one a new password.

        Raises:
            LocalServerError: the servers do not start.
        """
        servers = servers_of(intent.ids.get("folder", self.settings.folder))
        role = intent.name
        missing = Settled("missing", f"The embedded PostgreSQL has no role {role}.")
        if not servers.folder.is_dir():
            return missing
        servers.start(progress=progress)
        if role not in servers.logins():
            return missing
        if intent.action == "rotate":
            text = f"The role {role} has a new password; the one that was being set is void."
            return Settled("restored", text, servers.renew(role))
        notes = _told(role, gone=servers.revoke(role))
        text = f"The role {role} had been made, with a password that nobody has; it was dropped."
        return Settled("removed", " ".join((text, *notes)))

    def _servers(self) -> LocalServers:
        return servers_of(self.settings.folder)

    def _announce(self, intend: Intend, servers: LocalServers) -> Callable[[str], None]:
        return lambda role: intend(self._intent(servers, "create", "role", role))

    def _intent(
        self, servers: LocalServers, action: Literal["create", "rotate"], kind: str, role: str
    ) -> Intent:
        folder = str(servers.folder.parent.parent)
        return Intent(self.name, action, kind, role, {"folder": folder})


def _user_of(pair: ConnectionPair | None, servers: LocalServers) -> str:
    """The role in a pair that names this machine; empty for any other."""
    if pair is None:
        return ""
    status = servers.status()
    ports = {server.port for server in (status.postgres, status.pooler) if server is not None}
    url = pair.direct or pair.pooled
    return url.user if addresses.may_be_ours(url) and url.port in ports else ""


def _told(role: str, *, gone: bool) -> tuple[str, ...]:
    stays = f"{role} cannot log in any more; its name stays, for what it owns in another database."
    return () if gone else (stays,)
