"""Neon's branches, and the computes that make one reachable."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from ... import hosts
from ...errors import ProviderError
from ..printable import printable
from .rules import NAME, TITLE, is_id

if TYPE_CHECKING:
    from ...pair import ConnectionPair
    from ..api import API
    from ..fields import Fields
    from .projects import Project

_PAGE: Final = 1000


class Branch(NamedTuple):
    """A branch of a project's data."""

    id: str
    name: str
    default: bool
    protected: bool
    parent: str
    created_at: str

    @property
    def title(self) -> str:
        """Its name, for messages."""
        return printable(self.name)

    @classmethod
    def of(cls, fields: Fields) -> Branch:
        return cls(
            fields.text("id"),
            fields.text("name"),
            fields.maybe_flag("default"),
            fields.maybe_flag("protected"),
            fields.maybe_text("parent_id"),
            fields.maybe_text("created_at"),
        )


class Compute(NamedTuple):
    """What runs PostgreSQL on a branch; Neon calls it an endpoint.

    Attributes:
        host: its direct host; no answer has the pooler's.
        writes: False for a read replica.
    """

    id: str
    branch: str
    host: str
    writes: bool
    disabled: bool
    created_at: str

    @classmethod
    def of(cls, fields: Fields) -> Compute:
        return cls(
            fields.text("id"),
            fields.text("branch_id"),
            fields.text("host"),
            fields.text("type") == "read_write",
            fields.maybe_flag("disabled"),
            fields.maybe_text("created_at"),
        )


def listed(api: API, project: Project, search: str = "") -> list[Branch]:
    """The project's branches; `search` narrows them, by parts of names and ids."""
    query: dict[str, str | int] = {"limit": _PAGE}
    if search:
        query["search"] = search
    pages = api.pages(
        *("projects", project.id, "branches"),
        query=query,
        items="branches",
        cursor=("pagination", "next"),
    )
    return [Branch.of(each) for each in pages]


def find(api: API, project: Project, wanted: str) -> Branch | None:
    """The branch with this id or exact name, if there is one."""
    if wanted.startswith("br-") and is_id(wanted):
        try:
            fields = api.get("projects", project.id, "branches", wanted).fields
            return Branch.of(fields.at("branch"))
        except ProviderError as error:
            if error.status != 404:
                raise
    found = (branch for branch in listed(api, project, wanted) if branch.name == wanted)
    return next(found, None)


def default_of(project: Project, branches: list[Branch]) -> Branch:
    """The default branch among `branches`.

    Raises:
        ProviderError: there is none.
    """
    found = next((branch for branch in branches if branch.default), None)
    if found is None:
        raise ProviderError(
            f"{TITLE} names no default branch of the project {project.title} ({project.id})",
            hint="Choose a branch with --branch.",
            provider=NAME,
        )
    return found


def computes(api: API, project: Project, branch: str = "") -> list[Compute]:
    """The computes of a branch, or of the whole project; the oldest first."""
    path = ("branches", branch, "endpoints") if branch else ("endpoints",)
    fields = api.get("projects", project.id, *path).fields
    found = [Compute.of(each) for each in fields.each("endpoints")]
    return sorted(found, key=lambda compute: (compute.created_at, compute.id))


def of_pair(api: API, project: Project, pair: ConnectionPair) -> tuple[str, str]:
    """Branch and role of a pair, by its host and user; two empty texts where they do not tell."""
    url = pair.direct or pair.pooled
    direct = url
    if hosts.classify(url.host, url.port).kind == "pooled":
        direct = hosts.other_half(url) or url
    every = computes(api, project)
    found = {each.branch for each in every if each.host.lower() == direct.host.lower()}
    return (found.pop(), url.user) if len(found) == 1 and url.user else ("", "")
