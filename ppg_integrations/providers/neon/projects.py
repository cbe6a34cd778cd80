"""Neon's projects, and the organizations they belong to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from ...errors import ChoiceError, ProviderError
from ..printable import printable
from .rules import NAME, ORG, TOKEN, is_id

if TYPE_CHECKING:
    from ..api import API
    from ..fields import Fields
    from ..settings import Settings

_PAGE: Final = 400  # the most that it gives at a time


class Project(NamedTuple):
    """A project.

    Attributes:
        stores_passwords: False where Neon can show no password again.
    """

    id: str
    name: str
    stores_passwords: bool = True

    @property
    def title(self) -> str:
        """Its name, for messages."""
        return printable(self.name)

    @classmethod
    def of(cls, fields: Fields) -> Project:
        return cls(
            fields.text("id"),
            fields.text("name"),
            fields.maybe_flag("store_passwords", default=True),
        )


def find(api: API, wanted: str, settings: Settings) -> Project | None:
    """The project with this id or exact name, or the only one where nothing is wanted.

    Returns:
        None where there is none.

    Raises:
        ChoiceError: several could be meant.
    """
    if wanted and is_id(wanted):
        # First, because a key of one project may not list any.
        try:
            return Project.of(api.get("projects", wanted).fields.at("project"))
        except ProviderError as error:
            if error.status not in {400, 403, 404, 422}:  # a name may look like an id
                raise
    found = [
        project
        for project in _listed(api, settings.get(ORG), wanted)
        if not wanted or wanted in (project.id, project.name)
    ]
    if len(found) > 1:
        raise ChoiceError(
            f"Neon has {len(found)} projects called {wanted!r}"
            if wanted
            else f"the key in {TOKEN} sees {len(found)} projects of Neon",
            option="project",
            choices=tuple((project.id, project.title) for project in found),
            hint="Choose one with --project ID, or set PPG_PROJECT.",
            provider=NAME,
        )
    return found[0] if found else None


def org_for_new(api: API, settings: Settings) -> str:
    """The id of the organization that a new project goes to; empty where there is none.

    Raises:
        ProviderError: there are several, and none was named.
    """
    named = settings.get(ORG)
    if named:
        return named
    found = _orgs(api)
    if len(found) > 1:
        raise ProviderError(
            f"the API key sees {len(found)} organizations of Neon, and nothing says which of them "
            "the new project belongs to",
            hint=f"Set {ORG} to one of: {printable(', '.join(found))}.",
            provider=NAME,
        )
    return found[0] if found else ""


def _listed(api: API, org: str, search: str) -> list[Project]:
    """All projects that the key sees; `search` narrows them, by parts of names and ids."""
    if org:
        return _page_through(api, org, search)
    try:
        return _page_through(api, "", search)
    except ProviderError as error:
        # A person's key has to name an organization; that of an organization or project has not.
        if error.status != 400 or "org_id" not in f"{error.message} {error.body}":
            raise
    return [project for each in _orgs(api) for project in _page_through(api, each, search)]


def _page_through(api: API, org: str, search: str) -> list[Project]:
    query: dict[str, str | int] = {"limit": _PAGE}
    if org:
        query["org_id"] = org
    if search:
        query["search"] = search
    pages = api.pages("projects", query=query, items="projects", cursor=("pagination", "cursor"))
    return [Project.of(each) for each in pages]


def _orgs(api: API) -> list[str]:
    fields = api.get("users", "me", "organizations").fields
    return [each.text("id") for each in fields.each("organizations")]
