"""The provider ``prisma``."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from ... import names
from ...errors import ProviderError, UnsupportedError
from ..api import API
from ..apibase import api_base
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
from ..labels import label
from ..printable import printable
from ..spared import spare
from . import credentials, lost, making, places
from . import usage as limits
from .rules import BASE, CONSOLE, NAME, RULES, TITLE, TOKENS, VERSION, listed

if TYPE_CHECKING:
    from ...pair import ConnectionPair
    from ...problems import Problem
    from ..fields import Fields

_LONGEST: Final = 65  # characters of a connection's name, and 3 at least


class PrismaProvider(Provider):
    """Prisma Postgres. A connection is one login of a database; its id starts with ``con_``."""

    name: ClassVar[str] = NAME
    title: ClassVar[str] = TITLE
    console: ClassVar[str] = CONSOLE
    capabilities: ClassVar[frozenset[Capability]] = frozenset(
        {"generate", "list", "rotate", "revoke", "usage", "databases"}
    )
    api_variables: ClassVar[tuple[str, ...]] = ("PRISMA_API_URL",)

    def read(
        self,
        target: Target,  # noqa: ARG002 - as in all methods that need less than others
        progress: Progress = silent,  # noqa: ARG002
        *,
        replica: bool = False,  # noqa: ARG002
    ) -> Generated:
        """Raises :class:`UnsupportedError`: the API shows a secret once, when it is made."""
        raise UnsupportedError(
            f"{self.title} does not show the secrets of connections that exist, so a token alone "
            "gives no URLs",
            hint=f"`{self.settings.program} create` makes a connection, and writes its URLs to "
            f".env. Or set {names.GENERATE}=1: each machine then makes one for itself and keeps "
            "it.",
            provider=self.name,
        )

    def generate(
        self, request: GenerateRequest, intend: Intend, progress: Progress = silent
    ) -> Generated:
        """Makes a connection; with `create`, also the project and the database it is for."""
        with self._api(progress) as api:
            program = self.settings.program
            place = making.find_or_make(api, request, intend, program)
            return credentials.make(api, place, _name(request), intend, program)

    def settle(self, intent: Intent, progress: Progress = silent) -> Settled:
        """Revokes a connection whose answer was lost; keeps projects and databases."""
        with self._api(progress) as api:
            return lost.settle(api, intent, self.settings.program)

    def connections(
        self,
        target: Target,
        *,
        in_use: str = "",
        pair: ConnectionPair | None = None,  # noqa: ARG002 - no answer names a connection's user
        progress: Progress = silent,
    ) -> tuple[Listed, ...]:
        """The connections of the database."""
        with self._api(progress) as api:
            database = places.find(api, target, self.settings.program)
            return tuple(
                Listed(
                    each.text("id"),
                    printable(each.text("name")),
                    each.maybe_text("createdAt"),
                    each.text("id") == in_use,
                )
                for each in listed(api, "databases", database.id, "connections")
            )

    def rotate(
        self,
        request: GenerateRequest,
        intend: Intend,
        *,
        in_use: str = "",
        in_place: bool = False,
        pair: ConnectionPair | None = None,  # noqa: ARG002
        progress: Progress = silent,
    ) -> Rotated:
        """Makes another connection to the same database, or gives the one in use a new secret."""
        program = self.settings.program
        with self._api(progress) as api:
            if not in_use:
                if in_place:
                    raise ProviderError(
                        "it is not known which connection is in use, and only its own secret can "
                        "be changed in place",
                        hint="Rotate without --in-place: that makes another connection.",
                        provider=self.name,
                    )
                database = places.find(api, request.target, program)
                place = making.Place(places.ready(api, database))
                return Rotated(credentials.make(api, place, _name(request), intend, program))
            name, database = _in_use(api, in_use, request.target, program)
            if in_place:
                return Rotated(credentials.change(api, in_use, name, database, intend))
            place = making.Place(places.ready(api, database))
            made = credentials.make(api, place, _name(request), intend, program)
            return Rotated(made, retire=in_use)

    def revoke(
        self,
        target: Target,  # noqa: ARG002 - an id is one of the whole workspace
        id: str,  # noqa: A002 - the provider's word for it
        progress: Progress = silent,
        *,
        in_use: frozenset[str] = frozenset(),
    ) -> tuple[str, ...]:
        """Deletes a connection; its credential ends with it."""
        spare(id, id in in_use, self.settings.program)
        with self._api(progress) as api:
            try:
                api.delete("connections", id)
            except ProviderError as error:
                if error.status != 404:
                    raise
                hint = f"`{self.settings.program} list` shows those that there are."
                raise _unknown(id, hint) from None
        return ()

    def usage(self, target: Target, *, in_use: str = "") -> tuple[Problem, ...]:
        """The workspace's plan, and what its database has used."""
        with self._api(silent) as api:
            if in_use:
                data = _connection(api, in_use, "Is it one of another workspace?")
                return limits.usage(api, data.text("database", "id"))
            return limits.usage(api, places.find(api, target, self.settings.program).id)

    def _api(self, progress: Progress) -> API:
        base = api_base(self.settings, self.api_variables, BASE, token=TOKENS)
        return API(
            RULES,
            f"{base}/{VERSION}",
            self.settings.token(*TOKENS),
            timeout=self.deadline,
            progress=progress,
        )


def _name(request: GenerateRequest) -> str:
    return request.name or label(request.project_folder.absolute().name, most=_LONGEST)


def _in_use(
    api: API,
    id: str,  # noqa: A002
    target: Target,
    program: str,
) -> tuple[str, places.Database]:
    """The name of the connection in use, and its database.

    Raises:
        ProviderError: it does not exist, or it is not the target's.
    """
    data = _connection(api, id, f"It was in use: `{program} create` makes another one.")
    database = places.get(api, data.text("database", "id"))
    if not database.is_meant_by(target):
        raise ProviderError(
            f"the connection in use, {id}, belongs to the database {database.title}, and another "
            "one was asked for",
            hint=f"A rotation stays on its database; `{program} create` goes to another one.",
            provider=NAME,
        )
    return data.text("name"), database


def _connection(api: API, id: str, hint: str) -> Fields:  # noqa: A002
    try:
        return api.get("connections", id).fields.at("data")
    except ProviderError as error:
        if error.status != 404:
            raise
        raise _unknown(id, hint) from None


def _unknown(id: str, hint: str) -> ProviderError:  # noqa: A002
    return ProviderError(
        f"{TITLE}'s workspace has no connection {id}", hint=hint, provider=NAME, status=404
    )
