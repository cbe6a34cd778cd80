"""What a provider is asked for: which database, and what to make."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Target:
    """Which database is meant, by the provider's own ids or exact names. Empty: not said.

    Attributes:
        project, database, branch, role: as in the options and ``PPG_...`` variables.
    """

    project: str = ""
    database: str = ""
    branch: str = ""
    role: str = ""


@dataclass(frozen=True)
class GenerateRequest:
    """What to generate. An empty text leaves the choice to the provider.

    Attributes:
        name: the new connection's label, for people; it holds a random part.
        target: which database.
        region: where to make what is missing.
        create: make the project, database, branch or role where it does not exist.
        replica: also give the URL of a read replica.
        project_folder: the user's project, for a provider that keeps files in it.
    """

    name: str = ""
    target: Target = Target()
    region: str = ""
    create: bool = False
    replica: bool = False
    project_folder: Path = Path()
