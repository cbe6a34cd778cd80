"""What a provider is: somewhere to generate a pair of URLs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

if TYPE_CHECKING:
    from ..urls import PostgresURL

#: Called with a short text before anything that may take longer than half a second.
Progress = Callable[[str], None]

#: What a provider can be asked for, besides :meth:`Provider.generate`.
Capability = Literal["servers", "branches", "regions", "list", "revoke"]


def silent(_text: str) -> None:
    """A :data:`Progress` for callers that show none."""


@dataclass(frozen=True)
class GenerateRequest:
    """What to generate. An empty text leaves the choice to the provider.

    Attributes:
        name: a label for the new connection, for people.
        project, database, branch, role, region: the provider's own ids or names.
        create: make the project, database or branch where it does not exist.
        project_folder: the user's project, for a provider that keeps files in it.
    """

    name: str = ""
    project: str = ""
    database: str = ""
    branch: str = ""
    role: str = ""
    region: str = ""
    create: bool = False
    project_folder: Path = Path()


@dataclass(frozen=True)
class Generated:
    """A connection that a provider made.

    Attributes:
        id: what the provider calls it.
        name: its label, for people.
        pooled: its URL through the transaction pooler.
        direct: its URL straight to the server.
        notes: what the user should know, a sentence each.
    """

    id: str
    name: str
    pooled: PostgresURL
    direct: PostgresURL
    notes: tuple[str, ...] = ()


class Provider(ABC):
    """Somewhere to generate connections. One instance may be used from one thread at a time."""

    #: as in ``PPG_PROVIDER``
    name: ClassVar[str]
    capabilities: ClassVar[frozenset[Capability]] = frozenset()

    @abstractmethod
    def generate(self, request: GenerateRequest, progress: Progress = silent) -> Generated:
        """Makes a new credential, and whatever it needs to be of use.

        Raises:
            ProviderError: the provider could not.
            ConfigurationError: the request cannot be understood.
        """
