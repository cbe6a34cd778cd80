"""Which project and database are meant, and whether it is ready."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from ...errors import ChoiceError, ProviderError
from ..printable import printable, word
from .rules import NAME, TITLE, listed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..api import API
    from ..base import Target
    from ..fields import Fields

#: Seconds between two looks at a database that is being provisioned.
POLL = 1.0
_SHOWN: Final = 20  # names in a message
#: What its ids start with.
PREFIX: Final = {"project": "proj_", "database": "db_"}


class Project(NamedTuple):
    """A project."""

    id: str
    name: str

    @classmethod
    def of(cls, fields: Fields) -> Project:
        return cls(fields.text("id"), fields.text("name"))

    @property
    def title(self) -> str:
        return printable(f"{self.name} ({self.id})")


class Database(NamedTuple):
    """A database.

    Attributes:
        status: ``provisioning``, ``ready``, ``failure`` or ``recovering``.
    """

    id: str
    name: str
    status: str
    project: Project

    @classmethod
    def of(cls, fields: Fields, project: Project | None = None) -> Database:
        return cls(
            fields.text("id"),
            fields.text("name"),
            fields.text("status"),
            project or Project.of(fields.at("project")),
        )

    @property
    def title(self) -> str:
        return printable(f"{self.project.name}/{self.name} ({self.id})")

    def is_meant_by(self, target: Target) -> bool:
        """Whether nothing in `target` speaks against it."""
        return target.project in {"", *self.project} and target.database in {
            "",
            self.id,
            self.name,
        }


_Thing = TypeVar("_Thing", Project, Database)


def find(api: API, target: Target, program: str) -> Database:
    """The database that is meant, in any status.

    Args:
        program: how the user calls us, for hints.

    Raises:
        ChoiceError: several could be.
        ProviderError: there is none.
    """
    named = by_id(api, target)
    if named is not None:
        return named
    there = projects(api)
    project = pick(there, "project", target.project)
    if project is None:
        raise missing("project", target.project, there, program)
    inside = databases(api, project)
    database = pick(inside, "database", target.database, project)
    if database is None:
        raise missing("database", target.database, inside, program, project)
    return database


def get(api: API, id: str) -> Database:  # noqa: A002 - the provider's word for it
    """The database with this id.

    Raises:
        ProviderError: there is none.
    """
    return Database.of(api.get("databases", id).fields.at("data"))


def ready(api: API, database: Database) -> Database:
    """The database, once it takes connections.

    Raises:
        ProviderError: it never will.
        ProviderUnavailableError: it does not within the time limit.
    """

    def poll() -> Database | None:
        found = get(api, database.id)
        if found.status == "failure":
            raise ProviderError(
                f"{TITLE} could not set up the database {found.title}: its status is failure",
                hint="Delete it in the console, then run this again.",
                provider=NAME,
            )
        return found if found.status == "ready" else None

    if database.status == "ready":
        return database
    what = f"waiting for the database {database.title} to become ready"
    return api.until(poll, what=what, every=POLL)


def by_id(api: API, target: Target) -> Database | None:
    """The database whose id is given: no list has to be read for it."""
    if not target.database.startswith(PREFIX["database"]):
        return None
    try:
        database = get(api, target.database)
    except ProviderError as error:
        if error.status != 404:
            raise
        return None  # perhaps its name looks like an id
    if not database.is_meant_by(target):
        raise ProviderError(
            f"the database {database.title} is not in the project {target.project!r}",
            hint="Leave out --project (PPG_PROJECT), or name the right one.",
            provider=NAME,
        )
    return database


def projects(api: API) -> list[Project]:
    return [Project.of(each) for each in listed(api, "projects")]


def databases(api: API, project: Project) -> list[Database]:
    pages = listed(api, "projects", project.id, "databases")
    return [Database.of(each, project) for each in pages]


def pick(
    things: Sequence[_Thing], option: str, wanted: str, project: Project | None = None
) -> _Thing | None:
    """The one with this id, else the one with this name, else the only one."""
    by_id = [each for each in things if each.id == wanted]
    found = by_id or [each for each in things if wanted in {"", each.name}]
    if len(found) > 1:
        called = f" called {wanted!r}" if wanted else ""
        raise ChoiceError(
            f"{_where(project)} has {len(found)} {option}s{called}",
            option=option,
            choices=tuple((each.id, printable(each.name)) for each in found),
            hint=f"Choose one with --{option} ID, or set PPG_{option.upper()}.",
            provider=NAME,
        )
    return found[0] if found else None


def _where(project: Project | None) -> str:
    return f"the project {project.title}" if project else f"{TITLE}'s workspace"


def missing(
    option: str,
    wanted: str,
    things: Sequence[Project | Database],
    program: str,
    project: Project | None = None,
) -> ProviderError:
    called = f" with the id or name {wanted!r}" if wanted else ""
    names = [printable(f"{each.name} ({each.id})") for each in things[:_SHOWN]]
    if len(things) > _SHOWN:
        names.append("...")
    there = f"; it has {', '.join(names)}" if names else ""
    one_of_these = f"Name one of these with --{option}" if names else ""
    is_an_id = wanted.startswith(PREFIX[option])
    within = f"--project {project.id} " if project and option == "database" else ""
    name = word(wanted) if wanted and not is_an_id else "NAME"
    make = f"{program} create {within}--{option} {name} --create"
    return ProviderError(
        f"{_where(project)} has no {option}{called}{there}",
        hint=f"{one_of_these}, or make it: {make}" if names else f"Make one: {make}",
        provider=NAME,
    )
