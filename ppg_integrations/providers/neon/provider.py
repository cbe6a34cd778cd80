"""Neon as a provider."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from ...errors import ProviderError
from ..api import API
from ..apibase import api_base
from ..base import (
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
from . import branches, retiring, rotating, settling, uris
from .making import Making
from .place import Finder
from .rules import BASE, CONSOLE, NAME, RULES, TITLE, TOKEN

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ...pair import ConnectionPair
    from ..base import Capability


class NeonProvider(Provider):
    """Neon's API v2. A connection is a role on a branch; its id is ``<branch id>/<role>``.

    Its own variables, beside those of a target: ``NEON_API_KEY``; ``NEON_API_HOST``, the base of
    its API; ``NEON_ORG_ID``, the organization, for a key that sees several; ``PPG_BRANCH_TTL``,
    seconds until Neon deletes a branch that is made now.
    """

    name: ClassVar[str] = NAME
    title: ClassVar[str] = TITLE
    console: ClassVar[str] = CONSOLE
    capabilities: ClassVar[frozenset[Capability]] = frozenset(
        {
            *("read", "generate", "list", "rotate", "revoke"),
            *("databases", "branches", "roles", "replica"),
        }
    )
    variables: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "project": ("NEON_PROJECT_ID",),
        "branch": ("NEON_BRANCH_ID", "NEON_BRANCH"),
        "database": ("NEON_DATABASE",),
        "role": ("NEON_ROLE",),
    }
    api_variables: ClassVar[tuple[str, ...]] = ("NEON_API_HOST",)
    rotation_drops_connections: ClassVar[bool] = True

    def _api(self, progress: Progress) -> API:
        base = api_base(self.settings, self.api_variables, BASE, token=(TOKEN,))
        token = self.settings.token(TOKEN)
        return API(RULES, base, token, timeout=self.deadline, progress=progress)

    def read(
        self, target: Target, progress: Progress = silent, *, replica: bool = False
    ) -> Generated:
        with self._api(progress) as api:
            finder = Finder(api, self.settings)
            return _read(api, finder, target, replica=replica)

    def generate(
        self, request: GenerateRequest, intend: Intend, progress: Progress = silent
    ) -> Generated:
        """Reads the pair. Makes only what is named, missing, and allowed by ``request.create``."""
        with self._api(progress) as api:
            making = Making(api, intend, self.settings, request.region, progress)
            finder = Finder(api, self.settings, making if request.create else None)
            try:
                generated = _read(api, finder, request.target, replica=request.replica)
            except ProviderError as error:
                error.also(making.lost)
                raise
            return replace(generated, notes=(*making.notes, *generated.notes))

    def settle(self, intent: Intent, progress: Progress = silent) -> Settled:
        with self._api(progress) as api:
            return settling.settle(api, Finder(api, self.settings), intent)

    def connections(
        self,
        target: Target,
        *,
        in_use: str = "",
        pair: ConnectionPair | None = None,
        progress: Progress = silent,
    ) -> tuple[Listed, ...]:
        """The roles of a branch, and the other branches.

        The branch is the target's, else that of the pair in use, else the default one. Where the
        pair in use belongs to another one of the branches, that branch is the one in use.
        """
        with self._api(progress) as api:
            finder = Finder(api, self.settings)
            project = finder.project(target.project)
            every = branches.listed(api, project)
            used_branch, used_role = retiring.split(in_use)
            if not in_use and pair is not None:
                used_branch, used_role = branches.of_pair(api, project, pair)
            if target.branch:
                chosen = finder.branch(project, target.branch)
            else:
                used = next((each for each in every if each.id == used_branch), None)
                chosen = used or branches.default_of(project, every)
            found = [
                Listed(
                    f"{chosen.id}/{role}",
                    uris.label(role, chosen),
                    created_at,
                    (chosen.id, role) == (used_branch, used_role),
                )
                for role, created_at in finder.roles(project, chosen)
            ]
            found += [
                Listed(each.id, each.title, each.created_at, each.id == used_branch)
                for each in every
                if each.id != chosen.id
            ]
            return tuple(found)

    def rotate(
        self,
        request: GenerateRequest,
        intend: Intend,
        *,
        in_use: str = "",
        in_place: bool = False,  # noqa: ARG002 - it has no other way
        pair: ConnectionPair | None = None,
        progress: Progress = silent,
    ) -> Rotated:
        """Resets the role's password, which ends the old one and the connections that use it."""
        with self._api(progress) as api:
            finder = Finder(api, self.settings)
            target = rotating.target(api, finder, request.target, in_use, pair)
            return rotating.rotate(
                api, finder, replace(request, target=target), intend, pair, progress
            )

    def revoke(
        self,
        target: Target,
        id: str,  # noqa: A002 - the provider's word for it
        progress: Progress = silent,
        *,
        in_use: frozenset[str] = frozenset(),
    ) -> tuple[str, ...]:
        """Deletes a role (``<branch id>/<role>``, or its name) or a branch (its id or name)."""
        with self._api(progress) as api:
            finder = Finder(api, self.settings)
            return retiring.retire(api, finder, target, id, in_use)


def _read(api: API, finder: Finder, target: Target, *, replica: bool) -> Generated:
    login = finder.login(target)
    pooled, direct = uris.read(api, login, finder.settings)
    url = None
    if replica:
        reader = finder.replica(login.project, login.branch)
        url = uris.read_replica(api, login._replace(compute=reader), finder.settings)
    return uris.generated(login, pooled, direct, replica=url, notes=tuple(finder.notes))
