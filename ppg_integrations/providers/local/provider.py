"""The provider ``local``."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import ClassVar, Final

from ..base import Capability, Generated, GenerateRequest, Progress, Provider, silent
from .servers import LocalServers

_MEANINGLESS: Final = ("project", "branch", "role", "region")


def servers_of(project_folder: str | os.PathLike[str]) -> LocalServers:
    """The embedded servers of a project."""
    return LocalServers(Path(project_folder) / ".ppg" / "local")


class LocalProvider(Provider):
    """PostgreSQL and PgBouncer in the project's own folder ``.ppg/local``."""

    name: ClassVar[str] = "local"
    capabilities: ClassVar[frozenset[Capability]] = frozenset({"servers"})

    def generate(self, request: GenerateRequest, progress: Progress = silent) -> Generated:
        """Starts the servers if need be, and makes a role, and a database at the first call.

        Args:
            request: `name`, `database` and `project_folder` are heeded; there is nothing that the
                others could mean here, which a note says.
            progress: is told about each step that may take over half a second.

        Raises:
            LocalServerError: the servers do not start, or the database's name is reserved.
        """
        servers = servers_of(request.project_folder)
        generated = servers.generate(request.name, database=request.database, progress=progress)
        ignored = [name for name in _MEANINGLESS if getattr(request, name)]
        if not ignored:
            return generated
        note = (
            "The embedded provider makes a new role each time and has no projects, branches or "
            f"regions: {', '.join(f'--{name}' for name in ignored)} changed nothing."
        )
        return replace(generated, notes=(note, *generated.notes))
