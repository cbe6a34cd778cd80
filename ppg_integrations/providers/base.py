"""What a provider is: somewhere to read, generate and retire the connections of a database."""

from __future__ import annotations

from abc import ABC
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Literal, NoReturn

from ..errors import UnsupportedError
from .http.deadline import Deadline
from .intent import Intend, Intent, Settled
from .request import GenerateRequest, Target
from .settings import Settings

if TYPE_CHECKING:
    from ..pair import ConnectionPair
    from ..problems import Problem
    from ..urls import PostgresURL

__all__ = [
    "Capability",
    "GenerateRequest",
    "Generated",
    "Intend",
    "Intent",
    "Listed",
    "Progress",
    "Provider",
    "Rotated",
    "Settled",
    "Target",
    "silent",
]

#: Called with a short text before anything that may take longer than half a second.
Progress = Callable[[str], None]

#: What a provider can be asked for. ``read``: its API shows the secrets of connections that exist.
#: ``servers``: it is run by this package. ``databases``, ``branches``, ``roles``: these parts of a
#: target mean something to it. The others are the methods and options of the same names.
Capability = Literal[
    "read",
    "generate",
    "list",
    "rotate",
    "revoke",
    "usage",
    "servers",
    "databases",
    "branches",
    "roles",
    "replica",
]


def silent(_text: str) -> None:
    """A :data:`Progress` for callers that show none."""


@dataclass(frozen=True)
class Generated:
    """A connection that a provider made or showed.

    Attributes:
        id: what the provider calls it; :meth:`Provider.revoke` takes it.
        name: its label, for people.
        pooled: its URL through the transaction pooler.
        direct: its URL straight to the server.
        notes: what the user should know, a sentence each.
        replica: the pooled URL of a read replica, where one was asked for.
        remember: more variables for the ``.env`` file, so that the next verb finds the same
            database: ``{"PPG_PROJECT": ...}``.
        details: more members of the JSON answer, such as ``claim_url``.
    """

    id: str
    name: str
    pooled: PostgresURL
    direct: PostgresURL
    notes: tuple[str, ...] = ()
    replica: PostgresURL | None = None
    remember: Mapping[str, str] = field(default_factory=dict)
    details: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Listed:
    """One of the connections, or branches, that a provider knows.

    Attributes:
        id, name: the provider's; :meth:`Provider.revoke` takes the id.
        created_at: ISO 8601, UTC; empty where the provider does not say.
        in_use: whether the pair in use is this one.
    """

    id: str
    name: str
    created_at: str
    in_use: bool


@dataclass(frozen=True)
class Rotated:
    """A new credential in the place of an old one.

    Attributes:
        generated: the new one.
        retire: id of the old one, which works until :meth:`Provider.revoke` ends it; empty where
            it ended with the rotation, or is not known.
    """

    generated: Generated
    retire: str = ""


class Provider(ABC):
    """Somewhere to have connections. One instance serves one verb or one resolution.

    All of its API work has one deadline, however many methods are called.

    Whatever a provider cannot do raises :class:`~ppg_integrations.errors.UnsupportedError`: each
    method says so itself until a subclass overrides it and names it in ``capabilities``.

    Args:
        settings: the variables it may read.
    """

    #: as in ``PPG_PROVIDER``
    name: ClassVar[str]
    #: as people write it
    title: ClassVar[str]
    #: where its users look when an API does not help
    console: ClassVar[str] = ""
    capabilities: ClassVar[frozenset[Capability]] = frozenset()
    #: its own variables for the parts of a target, in the order they win
    variables: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    #: its own variables for the base of its API, in the order they win; ``PPG_API_URL`` is before
    api_variables: ClassVar[tuple[str, ...]] = ()

    #: a rotation ends the old secret, and what is connected with it, at once
    rotation_drops_connections: ClassVar[bool] = False

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = Settings({}) if settings is None else settings
        self._deadline: Deadline | None = None

    @property
    def deadline(self) -> Deadline:
        """Of all API work of this instance. Its time runs from the first use on.

        Raises:
            ConfigurationError: ``PPG_TIMEOUT`` is no number of seconds.
        """
        if self._deadline is None:
            self._deadline = Deadline(self.settings.timeout)
        return self._deadline

    def read(
        self, target: Target, progress: Progress = silent, *, replica: bool = False
    ) -> Generated:
        """The pair of a connection that exists. Changes nothing at the provider.

        Args:
            replica: also give the URL of a read replica; only asked of who has that capability.

        Raises:
            ProviderError: the provider does not show it, or not now.
            ChoiceError: several could be meant.
        """
        self._cannot("show the secrets of connections that exist")

    def generate(
        self, request: GenerateRequest, intend: Intend, progress: Progress = silent
    ) -> Generated:
        """Makes a new credential, and whatever it needs to be of use.

        Args:
            intend: to be called right before each request that makes something.

        Raises:
            ProviderError: the provider could not.
            ChoiceError: several could be meant; nothing was made.
            ConfigurationError: the request cannot be understood.
        """
        self._cannot("generate connections")

    def settle(self, intent: Intent, progress: Progress = silent) -> Settled:
        """Finds out what became of `intent`, and ends what is of no use to anybody.

        Raises:
            ProviderError: the provider does not say.
        """
        self._cannot("tell what became of a request")

    def connections(
        self,
        target: Target,
        *,
        in_use: str = "",
        pair: ConnectionPair | None = None,
        progress: Progress = silent,
    ) -> tuple[Listed, ...]:
        """Its connections, or branches, of this project.

        Args:
            in_use: the id that was kept beside the pair in use; empty where none is known.
            pair: the pair in use.

        Raises:
            ProviderError: the provider could not.
            ChoiceError: several projects could be meant.
        """
        self._cannot("list connections")

    def rotate(
        self,
        request: GenerateRequest,
        intend: Intend,
        *,
        in_use: str = "",
        in_place: bool = False,
        pair: ConnectionPair | None = None,
        progress: Progress = silent,
    ) -> Rotated:
        """A new credential for the database of the one in use.

        Args:
            intend: to be called right before each request that makes or changes something.
            in_use: id of the one in use; empty where it is not known.
            in_place: by the provider's own rotation, which ends the old secret at once.
            pair: the pair in use, where one is known; it may tell hosts that an API does not.

        Raises:
            ProviderError: the provider could not.
        """
        self._cannot("rotate a connection")

    def revoke(
        self,
        target: Target,
        id: str,  # noqa: A002 - the provider's word for it
        progress: Progress = silent,
        *,
        in_use: frozenset[str] = frozenset(),
    ) -> tuple[str, ...]:
        """Retires a connection for good.

        Args:
            in_use: ids that are not to be ended, neither by themselves nor along with `id`, and
                whatever name `id` is.

        Returns:
            What the user should know, a sentence each.

        Raises:
            ProviderError: the provider could not, or has none with this id.
        """
        self._cannot("revoke a connection")

    def usage(self, target: Target, *, in_use: str = "") -> tuple[Problem, ...]:
        """What the provider says of limits and use, for ``doctor``.

        Raises:
            ProviderError: the provider does not say.
        """
        return ()

    def _cannot(self, what: str) -> NoReturn:
        raise UnsupportedError(
            f"{self.title} has no way to {what} by its API",
            hint=f"Do it in its console: {self.console}" if self.console else "",
            provider=self.name,
        )
