"""The provider ``local``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import ClassVar

from ..base import Capability, Generated, GenerateRequest, Progress, Provider, silent
from .servers import LocalServers


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
                others could mean here.
            progress: is told about each step that may take over half a second.

        Raises:
            LocalServerError: the servers do not start.
        """
        servers = servers_of(request.project_folder)
        return servers.generate(request.name, database=request.database, progress=progress)
